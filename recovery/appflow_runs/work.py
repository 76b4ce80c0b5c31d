"""What one run holds in its hands: its tools, its bounds, and what it has counted so far.

Plain classes on purpose: Prefect walks through dataclasses and lists that are handed to a task, item by item.
"""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING

from recovery.appflow_runs.answers import Described, Summary
from recovery.appflow_runs.coverage import Window
from recovery.appflow_runs.deactivation import Deactivation
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH, FlowFacts, Run
from recovery.appflow_runs.policy import AppFlowPolicy, AppFlowRequest
from recovery.appflow_runs.verdicts import Leave, Reactivate, Rerun, RunTwin, Verdict
from recovery.archive import encode
from recovery.cases import Case
from recovery.errors import RepriseError
from recovery.report import Entry, RecoveryReport, Tally

if TYPE_CHECKING:
    from recovery.alerts import Alerts
    from recovery.appflow_runs.gateway import AppFlowGateway
    from recovery.archive import Archive
    from recovery.ledger import Ledger
    from recovery.metrics.publication import Metrics


class Item:
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
        missed: its failure was found by a sweep, and no event had told of it.
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
        self.verdict: Verdict = Leave("", "not looked at")
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


class Batch:
    """Flows that one task takes care of."""

    def __init__(self, items: Sequence[Item]) -> None:
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

    @property
    def news(self) -> int:
        """Flows that were looked at, since something may have changed."""
        return sum(not item.quiet for item in self.items)


class Work:
    """One run's tools and counts. Make it, use it, and close it.

    Args:
        appflow: the gateway.
        ledger, archive, alerts: of the estate.
        now: the time, aware, as AWS sees it.
        requests: requests sent so far, by service.
        request: what the run is asked to do.
        clock: seconds that only grow, for the run's own bounds: `now` jumps when AWS first corrects it.
        metrics: where the run's numbers go; None: nowhere.
    """

    def __init__(
        self,
        *,
        appflow: AppFlowGateway,
        ledger: Ledger,
        archive: Archive,
        alerts: Alerts,
        now: Callable[[], datetime],
        requests: Callable[[], Mapping[str, int]],
        request: AppFlowRequest,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.appflow = appflow
        self.ledger = ledger
        self.archive = archive
        self.alerts = alerts
        self.now = now
        self.requests = requests
        self.request = request
        self.dry_run = request.dry_run
        self.metrics = metrics
        self._clock = clock
        self._began = clock()
        self.tally = Tally()
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.outside: list[str] = []
        self.seen: dict[str, str] = {}
        """Stamps of the flows that earlier passes of this run have looked at."""
        self.recovered = 0
        self.seconds_to_recover = 0.0
        self.missed_events = 0
        self.twins_removed = 0
        self._list: IO[bytes] | None = None
        self._lines: gzip.GzipFile | None = None

    @property
    def time_is_up(self) -> bool:
        """Whether no further flow may be taken up."""
        return self.seconds >= self.request.time_limit_seconds

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return self._clock() - self._began

    @property
    def started(self) -> datetime:
        """When the run began, by the time that AWS has told since."""
        return self.now() - timedelta(seconds=self.seconds)

    def warn(self, line: str) -> None:
        """A line for the report, once."""
        if line not in self.warnings:
            self.warnings.append(line)

    def fail(self, line: str) -> None:
        """A line on what could not be done, once."""
        if line not in self.problems:
            self.problems.append(line)

    def note(self, entry: Entry) -> None:
        """Count an entry and append it to the full list, which waits in a temporary file."""
        self.tally.add([entry])
        if self._lines is None:
            self._list = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the run
            self._lines = gzip.GzipFile(fileobj=self._list, mode="wb", compresslevel=5)
        self._lines.write(encode(entry.as_json()) + b"\n")

    def full_list(self) -> IO[bytes] | None:
        """The full list of this run, ready to be read; None when nothing was noted."""
        if self._lines is None or self._list is None:
            return None
        if not self._lines.closed:
            self._lines.close()
        self._list.seek(0)
        return self._list

    def report(self, run: str, full_list: str) -> RecoveryReport:
        """What this run found and did."""
        return RecoveryReport(
            path=PATH,
            run=run,
            started=self.started,
            seconds=self.seconds,
            dry_run=self.dry_run,
            found=self.tally.found,
            by_kind=dict(self.tally.by_kind),
            by_action=dict(self.tally.by_action),
            unsettled=self.tally.unsettled,
            recovered=self.recovered,
            seconds_to_recover=self.seconds_to_recover / self.recovered if self.recovered else None,
            missed_events=self.missed_events,
            groups=self.tally.groups(),
            problems=tuple(self.problems),
            warnings=tuple(self.warnings),
            requests=dict(self.requests()),
            full_list=full_list,
        )

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._lines is not None:
            self._lines.close()
        if self._list is not None:
            self._list.close()
