"""One run of the path: its gateway, the flows on their way through it, and what it has counted so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from recovery.appflow_runs.answers import Described, Summary
from recovery.appflow_runs.coverage import Window
from recovery.appflow_runs.deactivation import Deactivation
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH, FlowFacts, Run
from recovery.appflow_runs.policy import AppFlowPolicy, AppFlowRequest
from recovery.appflow_runs.rules.met import NOT_READ
from recovery.appflow_runs.verdicts import Reactivate, Rerun, RunTwin, Verdict
from recovery.cases import Case
from recovery.errors import RepriseError
from recovery.report import LISTED
from recovery.run import RecoveryRun, Tools
from recovery.scope import StartedBy

if TYPE_CHECKING:
    from recovery.appflow_runs.gateway import AppFlowGateway

BATCH = 100
"""Flows in one task run."""
MOST_PASSES = 3
"""A run that an event started looks again until nothing new is found; so often at most."""


class FlowWork:
    """One flow on its way through a run; each step fills in what it finds.

    Attributes:
        summary: its line in the list of flows.
        policy: how it is treated.
        case: its case as the ledger holds it now; None: none yet.
        memory: what is to be remembered of it.
        described, facts: what AppFlow says.
        group: fingerprint of the failure.
        twin_runs: runs of the last attempt's twin, read while twins were tidied up; None: there is no twin.
        verdict: what was decided.
        deactivation: the threshold it approaches.
        gaps: windows that no successful run covered.
        recovered_seconds: time to recover, when an incident ended since the last look.
        quiet: nothing happened since the last look; it was not read.
        missed: its failure was found by a sweep, and no event had announced it.
        failure: why the action did not go through.
        postponed: another run is sending its alert, so its case is left for the next run.
        done: the action was carried out.
    """

    __slots__ = (
        "case",
        "deactivation",
        "described",
        "done",
        "facts",
        "failure",
        "gaps",
        "group",
        "memory",
        "missed",
        "policy",
        "postponed",
        "quiet",
        "recovered_seconds",
        "summary",
        "twin_runs",
        "verdict",
    )

    def __init__(self, summary: Summary, policy: AppFlowPolicy) -> None:
        self.summary = summary
        self.policy = policy
        self.case: Case | None = None
        self.memory = Memory()
        self.described: Described | None = None
        self.facts: FlowFacts | None = None
        self.group = ""
        self.twin_runs: tuple[Run, ...] | None = None
        self.verdict: Verdict = NOT_READ
        self.deactivation: Deactivation | None = None
        self.gaps: tuple[Window, ...] = ()
        self.recovered_seconds: float | None = None
        self.quiet = False
        self.missed = False
        self.failure: RepriseError | None = None
        self.postponed = False
        self.done = False

    def __repr__(self) -> str:
        return f"<{self.summary.name}: {self.verdict.action}>"

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.summary.name


class FlowBatch:
    """Flows that one task takes care of."""

    def __init__(self, items: Sequence[FlowWork]) -> None:
        self.items = list(items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<{len(self.items)} flows>"

    @property
    def count(self) -> int:
        """Flows in it, for task run names."""
        return len(self.items)

    @property
    def due(self) -> int:
        """Flows of which an attempt is to be made."""
        return sum(isinstance(item.verdict, Rerun | RunTwin | Reactivate) and not item.done for item in self.items)

    def portions(self) -> list[FlowBatch]:
        """The flows in portions of a hundred."""
        return [FlowBatch(self.items[start : start + BATCH]) for start in range(0, len(self.items), BATCH)]

    @property
    def news(self) -> int:
        """Flows that were looked at, since something may have changed."""
        return sum(not item.quiet for item in self.items)


class AppFlowRun(RecoveryRun):
    """One run of the path.

    Args:
        appflow: the gateway.
        request: what the run is asked to do.
        tools: see `recovery.run.Tools`.

    Attributes:
        outside: failed flows that the request does not name.
        seen: stamps of the flows that earlier passes of this run have looked at.
    """

    path = PATH

    def __init__(self, appflow: AppFlowGateway, request: AppFlowRequest, **tools: Unpack[Tools]) -> None:
        super().__init__(request, **tools)
        self.appflow = appflow
        self.request = request
        self.outside: list[str] = []
        self.seen: dict[str, str] = {}
        self.twins_removed = 0

    @property
    def passes(self) -> int:
        """Most looks of the run: what fails while an event's run is at work starts no run of its own."""
        return MOST_PASSES if self.request.started_by is StartedBy.EVENT and not self.dry_run else 1

    def conclude(self) -> None:
        """Name the failed flows that the request does not name."""
        news = self.tally.found or self.problems or self.warnings
        if self.outside and (news or self.request.started_by is StartedBy.BY_HAND):
            names = ", ".join(self.outside[:LISTED])
            self.warn(f"{len(self.outside)} failed flows are outside the request and were not touched: {names}")
