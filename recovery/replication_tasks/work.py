"""One run of the path: its gateway, the replications on their way through it, and what it has counted so far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from recovery.cases import Case, State
from recovery.errors import RepriseError
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import PATH, Facts
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.situation import Met
from recovery.replication_tasks.verdicts import AnyVerdict, Leave
from recovery.report import LISTED, Entry
from recovery.run import RecoveryRun, Tools
from recovery.scope import StartedBy

if TYPE_CHECKING:
    from recovery.replication_tasks.gateway import ReplicationGateway
    from recovery.replication_tasks.latencies import Latencies

OPEN = frozenset({State.SENT, State.BACKOFF, State.ESCALATED})
"""States of a case whose incident is not over."""
PASSES = 5
"""A run that an event started looks again until nothing new is found; so often at most."""
SHOWN = 200
"""Replications that the artifact lists one by one; the full list lies in S3."""


class ReplicationWork:
    """One replication on its way through a run; each step fills in what it finds.

    Attributes:
        facts: what DMS says of it.
        asked: when DMS was asked for the facts, by AWS's time; None: just now.
        case: its case as the ledger holds it now; None: none yet.
        memory: what is to be remembered of it.
        verdict: on it.
        met: what this run met on the way to a verdict.
        state: where its case stands after this run; None: it is not written.
        kind, cause, group, error: the diagnosis, its rule, its fingerprint, and the normalised failure text.
        was: its status when this run found it.
        did: what was done, for people.
        recovered_seconds: time to recover, when this run found that it has recovered.
        missed: this run found a failure that no event had announced.
        failure: why something did not go through.
        quiet: nothing is new about it since the last run.
        acted: a restart was asked for in this run.
        fixed: a person says that what the failure names has been fixed.
        runs_well: nothing is known to be wrong with it.
        in_turn: this sweep reads its latency.
    """

    __slots__ = (
        "acted",
        "asked",
        "case",
        "cause",
        "did",
        "error",
        "facts",
        "failure",
        "fixed",
        "group",
        "in_turn",
        "kind",
        "memory",
        "met",
        "missed",
        "quiet",
        "recovered_seconds",
        "runs_well",
        "state",
        "verdict",
        "was",
    )

    def __init__(self, facts: Facts, case: Case | None) -> None:
        self.facts = facts
        self.case = case
        self.asked: datetime | None = None
        self.memory = Memory()
        self.verdict: AnyVerdict = Leave(rule="", reason="not looked at")
        self.state: State | None = None
        self.kind = ""
        self.cause = ""
        self.group = ""
        self.error = ""
        self.was = facts.status
        self.did = ""
        self.recovered_seconds: float | None = None
        self.missed = False
        self.failure: RepriseError | None = None
        self.quiet = False
        self.acted = False
        self.fixed = False
        self.runs_well = False
        self.in_turn = False
        self.met: Met | None = None

    def __repr__(self) -> str:
        return f"<{self.facts.name}: {type(self.verdict).__name__}>"


class Batch:
    """Replications that one task takes care of."""

    def __init__(self, items: Sequence[ReplicationWork]) -> None:
        self.items = list(items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<{len(self.items)} replications>"

    @property
    def count(self) -> int:
        """Replications in it, for task run names."""
        return len(self.items)


class ReplicationRun(RecoveryRun):
    """One run's tools and counts.

    Args:
        dms: the gateway.
        request: the order.
        latencies: CloudWatch; None: no latency is read.
        tools: see `recovery.run.Tools`.

    Attributes:
        seen: ARNs of the replications that this run has taken up.
        outside: names of failed replications outside the request, by ARN.
    """

    path = PATH

    def __init__(
        self,
        dms: ReplicationGateway,
        request: ReplicationRequest,
        latencies: Latencies | None = None,
        **tools: Unpack[Tools],
    ) -> None:
        super().__init__(request, **tools)
        self.dms = dms
        self.latencies = latencies
        self.request = request
        self.policy = request.policy
        self.seen: set[str] = set()
        self.outside: dict[str, str] = {}

    @property
    def passes(self) -> int:
        """Looks of this run, at most: what fails while an event's run is at work starts no second run."""
        return PASSES if self.request.started_by is StartedBy.EVENT else 1

    def enter(self, entry: Entry, row: dict[str, Any]) -> None:
        """Count an entry, and show its row among the first of the artifact."""
        self.note([entry])
        if len(self.rows) < SHOWN:
            self.rows.append(row)

    def conclude(self) -> None:
        """Name the failed replications that are out of scope."""
        if not self.outside:
            return
        names = ", ".join(sorted(self.outside.values())[:LISTED])
        line = f"{len(self.outside)} failed replications are outside the request, and not touched: {names}"
        # Every sweep finds them: by themselves they are worth no page every ten minutes.
        busy = self.tally.found or self.problems or self.warnings
        (self.warnings if busy or self.request.started_by is StartedBy.BY_HAND else self.facts).append(line)
