"""What one run holds in its hands: its tools, its bounds, and what it has counted so far.

Plain classes on purpose: Prefect walks through dataclasses and lists that are handed to a task, item by item.
"""

from __future__ import annotations

import gzip
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from recovery.archive import encode
from recovery.cases import Case, State
from recovery.errors import RepriseError
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import PATH, Facts
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.verdicts import Decision, Leave
from recovery.report import Entry, RecoveryReport, Tally

if TYPE_CHECKING:
    from recovery.alerts import Alerts
    from recovery.archive import Archive
    from recovery.ledger import Ledger
    from recovery.metrics.publication import Metrics
    from recovery.replication_tasks.gateway import ReplicationGateway

SHOWN = 200
"""Replications that the artifact lists one by one; the full list lies in S3."""


class Item:
    """One replication on its way through a run; each step fills in what it finds.

    Attributes:
        facts: what DMS says of it.
        asked: when DMS was asked for the facts, by AWS's time; None: just now.
        case: its case as the ledger holds it now; None: none yet.
        memory: what is to be remembered of it.
        decision: what was decided.
        state: where its case stands after this run; None: it is not written.
        kind, cause, group, error: the diagnosis, its rule, its fingerprint, and the normalised failure text.
        was: its status when this run found it.
        did: what was done, for people.
        recovered_seconds: time to recover, when this run found that it has recovered.
        missed: this run found a failure of which no event had told.
        failure: why something did not go through.
        quiet: nothing is new about it since the last run.
        acted: a restart was asked for in this run.
        mended: a person says that what the failure names has been mended.
    """

    __slots__ = (
        "acted",
        "asked",
        "case",
        "cause",
        "decision",
        "did",
        "error",
        "facts",
        "failure",
        "group",
        "kind",
        "memory",
        "mended",
        "missed",
        "quiet",
        "recovered_seconds",
        "state",
        "was",
    )

    def __init__(self, facts: Facts, case: Case | None) -> None:
        self.facts = facts
        self.case = case
        self.asked: datetime | None = None
        self.memory = Memory()
        self.decision: Decision = Leave(rule="", reason="not looked at")
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
        self.mended = False

    def __repr__(self) -> str:
        return f"<{self.facts.name}: {type(self.decision).__name__}>"


class Batch:
    """Replications that one task takes care of."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = list(items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<{len(self.items)} replications>"

    @property
    def count(self) -> int:
        """Replications in it, for task run names."""
        return len(self.items)


class Work:
    """One run's tools and counts. Make it, use it, and close it.

    Args:
        dms: the gateway.
        ledger, archive, alerts: of the estate.
        now: the time, aware, as AWS sees it.
        requests: requests sent so far, by service.
        request: what the run is asked to do.
        owner: names this run in what it claims.
        draw: a number from 0 to 1, for the jitter of waits.
        clock: seconds that only grow, for the run's own bounds: `now` jumps when AWS first corrects it.
        metrics: where the run's numbers go; None: nowhere.
    """

    def __init__(
        self,
        *,
        dms: ReplicationGateway,
        ledger: Ledger,
        archive: Archive,
        alerts: Alerts,
        now: Callable[[], datetime],
        requests: Callable[[], Mapping[str, int]],
        request: ReplicationRequest,
        owner: str = "",
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.dms = dms
        self.ledger = ledger
        self.archive = archive
        self.alerts = alerts
        self.now = now
        self.requests = requests
        self.request = request
        self.policy = request.policy
        self.dry_run = request.dry_run
        self.metrics = metrics
        self.owner = owner or uuid4().hex
        self.draw = draw
        self._clock = clock
        self._began = clock()
        self.tally = Tally()
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.facts: list[str] = []
        self.seen: set[str] = set()
        self.outside: dict[str, str] = {}
        self.recovered = 0
        self.seconds_to_recover = 0.0
        self.missed_events = 0
        self.rows: list[dict[str, Any]] = []
        self._list: IO[bytes] | None = None
        self._lines: gzip.GzipFile | None = None

    @property
    def time_is_up(self) -> bool:
        """Whether no further replication may be begun."""
        return self.seconds >= self.request.time_limit_seconds

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return self._clock() - self._began

    @property
    def started(self) -> datetime:
        """When the run began, by the time that AWS has told since."""
        return self.now() - timedelta(seconds=self.seconds)

    def note(self, entry: Entry, row: dict[str, Any]) -> None:
        """Count an entry and append it to the full list, which waits in a temporary file."""
        self.tally.add([entry])
        if len(self.rows) < SHOWN:
            self.rows.append(row)
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
            facts=tuple(self.facts),
            requests=dict(self.requests()),
            full_list=full_list,
        )

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._lines is not None:
            self._lines.close()
        if self._list is not None:
            self._list.close()
