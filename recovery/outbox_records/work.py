"""What one run holds in its hands: its tools, its bounds, and what it has counted so far.

Plain classes on purpose: Prefect walks through dataclasses and lists that are handed to a task, row by row.
"""

from __future__ import annotations

import gzip
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, TypeVar

from recovery.archive import encode
from recovery.aws import THREADS
from recovery.outbox_records.circuit import Circuit
from recovery.outbox_records.due import DueKeys
from recovery.outbox_records.groups import Groups
from recovery.outbox_records.models import NotSent
from recovery.outbox_records.pace import Pace
from recovery.outbox_records.policy import OutboxRequest
from recovery.report import Entry, Tally

if TYPE_CHECKING:
    from recovery.alerts import Alerts
    from recovery.archive import Archive
    from recovery.ledger import Ledger
    from recovery.metrics.publication import Metrics
    from recovery.outbox_records.gateway import OutboxTable
    from recovery.outbox_records.topic import Topic, Watch

_T = TypeVar("_T")
_R = TypeVar("_R")

PATH = "outbox_records"
ROUND = 1_000
"""Rows that are in memory and in flight at once."""
ROUND_BYTES = 32 * 1024 * 1024
"""Bytes of messages in memory at once, about."""


class Work:
    """One run's tools and counts. Make it, use it, and close it."""

    def __init__(
        self,
        *,
        request: OutboxRequest,
        table: OutboxTable,
        topic: Topic,
        watch: Watch,
        ledger: Ledger,
        archive: Archive,
        alerts: Alerts,
        now: Callable[[], datetime],
        requests: Callable[[], dict[str, int]],
        owner: str,
        draw: Callable[[], float] = random.random,
        pause: Callable[[float], None] = time.sleep,
        threads: int = THREADS,
        round_rows: int = ROUND,
        metrics: Metrics | None = None,
    ) -> None:
        self.request = request
        self.names = request.names
        self.policy = request.policy
        self.table = table
        self.topic = topic
        self.watch = watch
        self.metrics = metrics
        self.ledger = ledger
        self.archive = archive
        self.alerts = alerts
        self.circuit = Circuit(ledger, request.topic_arn, owner)
        self.now = now
        self.requests = requests
        self.owner = owner
        self.draw = draw
        self.pause = pause
        self.threads = threads
        self.pace = Pace(request.policy.messages_per_second, pause=pause)
        self.pace_scan = Pace(request.policy.scan_units_per_second, pause=pause)
        # What is claimed must be sent before the lease ends, at the allowed rate.
        affordable = int(request.policy.messages_per_second * (request.policy.lease_seconds - 60))
        self.round_rows = max(1, min(round_rows, affordable))
        self.started = now()
        self.tally = Tally()
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.facts: list[str] = []
        self.taken = 0
        self.rounds = 0
        self.sent = 0
        self.failed = 0
        self.exhausted = 0
        self.lost = 0
        self.without_id = 0
        self.rows_read = 0
        self.oldest: datetime | None = None
        self.due: DueKeys | None = None
        self.moved_in_pass = 0
        self.probing = False
        self.probes = 0
        self.alarmed: bool | None = None
        self.circuit_open = False
        self.waiting: list[Entry] = []
        self.groups = Groups()
        self.throttled: NotSent | None = None
        self.held_back = False
        self.throttled_since: datetime | None = None
        self.notes: Counter[str] = Counter()
        self.announced: set[str] = set()
        self._stop: NotSent | None = None
        self._unread = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reprise") if threads > 1 else None
        self._list: IO[bytes] | None = None
        self._lines: gzip.GzipFile | None = None

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be changed."""
        return self.request.dry_run

    @property
    def room(self) -> int:
        """How many more rows this run may take up."""
        return max(0, self.request.limit - self.taken)

    @property
    def time_is_up(self) -> bool:
        """Whether nothing new may be taken up."""
        return self.now() - self.started >= timedelta(seconds=self.request.time_limit_seconds)

    @property
    def keep(self) -> timedelta | None:
        """How long a finished row is kept; None: for ever."""
        return timedelta(days=self.policy.finished_days) if self.policy.finished_days else None

    # -- the topic -----------------------------------------------------------------------------------------------

    @property
    def stopped(self) -> NotSent | None:
        """The topic's error that has stopped this run's sends."""
        return self._stop

    def stop(self, failure: NotSent) -> None:
        """Stop this run's sends; the first error counts."""
        with self._lock:
            self._stop = self._stop or failure

    def count_answer(self, unread: NotSent | None) -> None:
        """Note whether a whole publish was answered; too many unread answers in a row stop the sends."""
        with self._lock:
            self._unread = self._unread + 1 if unread else 0
            if unread and self._unread >= self.policy.opens_after:
                self._stop = self._stop or unread

    def go_on(self) -> None:
        """Sends may begin (again)."""
        self._stop, self._unread = None, 0

    # -- many at once --------------------------------------------------------------------------------------------

    def each(self, do: Callable[[_T], _R], things: Sequence[_T]) -> list[_R]:
        """Do something with each thing on the run's threads, at most `threads` at once; results in order."""
        if len(things) <= 1 or self._pool is None:
            return [do(thing) for thing in things]
        return list(self._pool.map(do, things))

    # -- what people are shown -----------------------------------------------------------------------------------

    def note(self, entries: Iterable[Entry]) -> None:
        """Count entries and append them to the full list, which waits in a temporary file."""
        with self._lock:
            for entry in entries:
                self.tally.add([entry])
                if self._lines is None:
                    self._list = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
                    self._lines = gzip.GzipFile(fileobj=self._list, mode="wb", compresslevel=5)
                self._lines.write(encode(entry.as_json()) + b"\n")

    def warn(self, line: str) -> None:
        """Say something once in the report."""
        if line not in self.warnings:
            self.warnings.append(line)

    def complain(self, line: str) -> None:
        """Say once in the report what could not be done; the run then ends as failed."""
        if line not in self.problems:
            self.problems.append(line)

    def full_list(self) -> IO[bytes] | None:
        """The full list of this run, ready to be read; None when nothing was noted."""
        if self._lines is None or self._list is None:
            return None
        if not self._lines.closed:
            self._lines.close()
        self._list.seek(0)
        return self._list

    def close(self) -> None:
        """Let go of threads and the temporary file."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        if self._lines is not None:
            self._lines.close()
        if self._list is not None:
            self._list.close()
