"""What one run holds in its hands: its tools, its bounds, and what it has counted so far.

Plain classes on purpose: Prefect walks through dataclasses and lists that are handed to a task, message by message.
"""

from __future__ import annotations

import gc
import gzip
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, TypeVar

from recovery.archive import encode
from recovery.aws import CONNECTIONS
from recovery.dead_letters.gateway import is_missing, queue_problem
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.send_intents import SendIntents
from recovery.errors import Refused, RepriseError
from recovery.logs import LogBudget
from recovery.report import Entry, Number, RecoveryReport, Tally

if TYPE_CHECKING:
    from recovery.alerts import Alerts
    from recovery.archive import Archive
    from recovery.consumers import Consumers, Load
    from recovery.dead_letters.consumer_logs import Place
    from recovery.dead_letters.gateway import Sqs
    from recovery.dead_letters.searched import SearchMemory
    from recovery.ledger import Ledger
    from recovery.logs import Logs
    from recovery.metrics.publication import Metrics

_T = TypeVar("_T")
_R = TypeVar("_R")

PATH = "dead_letters"
THREADS = CONNECTIONS
"""Calls under way at once: with fewer, a run would mostly wait for answers that take 15 ms each."""


class Work:
    """One run's tools and counts. Make it, use it, and close it."""

    def __init__(
        self,
        *,
        sqs: Sqs,
        ledger: Ledger,
        archive: Archive,
        alerts: Alerts,
        logs: Logs,
        now: Callable[[], datetime],
        requests: Callable[[], dict[str, int]],
        owner: str,
        limit: int,
        time_limit: timedelta,
        dry_run: bool,
        archive_keep: timedelta,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        threads: int = THREADS,
        metrics: Metrics | None = None,
        consumers: Consumers | None = None,
        log_budget: LogBudget | None = None,
    ) -> None:
        self.sqs = sqs
        self.ledger = ledger
        self.intents = SendIntents(ledger)
        self.archive = archive
        self.alerts = alerts
        self.logs = logs
        self.consumers = consumers
        self.log_budget = log_budget or LogBudget()
        self.places: dict[tuple[str, str], Place] = {}  # by dead-letter queue and ARN of the source
        self.loads: dict[str, tuple[int, int, Load]] = {}  # by function: from and until (milliseconds), and its load
        self.searches: dict[str, SearchMemory | None] = {}  # by dead-letter queue
        self.now = now
        self.requests = requests
        self.owner = owner
        self.limit = limit
        self.time_limit = time_limit
        self.dry_run = dry_run
        self.archive_keep = archive_keep
        self.jitter = jitter
        self.sleep = sleep
        self.threads = threads
        self.metrics = metrics
        self._monotonic = monotonic
        self._began = monotonic()
        self.tally = Tally()
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.recovered = 0
        self.seconds_to_recover = 0.0
        self.taken = 0
        self.taken_of: Counter[str] = Counter()
        self.largest: dict[str, int] = {}  # bytes of the largest message so far, by queue
        self.bundles = 0
        self.visible: dict[str, int] = {}  # by queue, as the run found it
        self.hidden: Counter[str] = Counter()
        self.sent_to: Counter[str] = Counter()
        self.going: set[tuple[str, str]] = set()  # queue and FIFO group whose first message is sent by this run
        self.held: list[tuple[Queue, str, datetime]] = []  # queue, receipt, end of the lease
        self._urls: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reprise")
        # A round makes tens of thousands of objects. Without this the collector would look again and again through all
        # that Python, boto3 and Prefect have loaded, which took a tenth of a run.
        gc.freeze()
        self._list: IO[bytes] | None = None
        self._lines: gzip.GzipFile | None = None

    @property
    def lease(self) -> timedelta:
        """How long messages are hidden from others: longer than the run may last."""
        return self.time_limit + timedelta(seconds=120)

    @property
    def room(self) -> int:
        """How many more messages this run may take up."""
        return max(0, self.limit - self.taken)

    @property
    def time_is_up(self) -> bool:
        """Whether nothing new may be taken up."""
        return self.seconds >= self.time_limit.total_seconds()

    @property
    def seconds(self) -> float:
        """How long the run has taken. Not by AWS's clock: the first answer may correct that by any amount."""
        return self._monotonic() - self._began

    @property
    def started(self) -> datetime:
        """When the run began, by AWS's clock as it is known by now."""
        return self.now() - timedelta(seconds=self.seconds)

    def each(self, do: Callable[[_T], _R], things: Sequence[_T]) -> list[_R]:
        """Do something with each thing on the run's threads, at most `threads` at once; results in order."""
        if len(things) <= 1:
            return [do(thing) for thing in things]
        return list(self._pool.map(do, things))

    def url_of(self, name: str) -> str:
        """The URL of a queue, or "" when there is none; asked once a run.

        Raises:
            Transient, Refused: SQS could not be asked, or does not let us ask.
        """
        if name not in self._urls:
            try:
                self._urls[name] = self.sqs.url(name)
            except Refused as error:
                if not is_missing(error):
                    raise
                self._urls[name] = ""
        return self._urls[name]

    def note_refusal(self, queue: Queue, error: RepriseError) -> None:
        """What AWS will refuse again until a person changes something is one line for each queue, not one a message."""
        line = queue_problem(queue.name, error)
        if isinstance(error, Refused) and line not in self.problems:
            self.problems.append(line)

    def note(self, entries: Iterator[Entry]) -> None:
        """Count entries and append them to the full list, which waits in a temporary file."""
        noted = list(entries)
        if not noted:
            return
        self.tally.add(noted)
        if self._lines is None:
            self._list = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
            self._lines = gzip.GzipFile(fileobj=self._list, mode="wb", compresslevel=5)
        self._lines.write(b"".join(encode(entry.as_json()) + b"\n" for entry in noted))

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
            groups=self.tally.groups(),
            problems=tuple(self.problems),
            warnings=tuple(self.warnings),
            facts=tuple(fact for fact in (self.log_budget.fact(),) if fact),
            requests=self.requests(),
            full_list=full_list,
            numbers=tuple(
                Number(name="VisibleDeadLetters", value=visible, source=queue)
                for queue, visible in self.visible.items()
            ),
        )

    def close(self) -> None:
        """Let go of threads and the temporary file."""
        gc.unfreeze()
        self._pool.shutdown(wait=True)
        if self._lines is not None:
            self._lines.close()
        if self._list is not None:
            self._list.close()
