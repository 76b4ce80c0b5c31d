"""One run of a path: its tools, its limits, its threads, and its counts so far.

A path adds what only it needs, in a class of its own. Plain classes on purpose: Prefect walks through dataclasses and
lists that are handed to a task, item by item.
"""

from __future__ import annotations

import gzip
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, ClassVar, NotRequired, Protocol, TypedDict, TypeVar, Unpack
from uuid import uuid4

from recovery.archive import encode
from recovery.aws import is_silence, silence_of
from recovery.errors import Refused, RepriseError, Transient
from recovery.events.outward import Outward
from recovery.links import NO_LINKS
from recovery.outgoing import Outgoing
from recovery.report import Entry, Number, RecoveryReport, Tally

if TYPE_CHECKING:
    from recovery.alerts import Alerts
    from recovery.archive import Archive
    from recovery.ledger import Ledger
    from recovery.metrics.publication import Metrics

_T = TypeVar("_T")
_R = TypeVar("_R")


class Tools(TypedDict):
    """Tools that every run needs; `blocks.connection.Connection.tools` makes them.

    Keys:
        ledger, archive, alerts: of the estate.
        now: the time, aware, by AWS's clock.
        requests: requests sent so far, by service.
        owner: names this run in claims and leases; a name of its own unless given.
        metrics: takes the run's numbers; None: nothing does.
        threads: calls under way at once, at most.
        jitter: a number from 0 to 1, for the spread of waits.
        sleep: waits for seconds.
        monotonic: seconds that only grow, for the run's own limits: `now` jumps when AWS first corrects it.
        is_asked_to_stop: True once the run's worker was asked to stop; False unless given.
    """

    ledger: Ledger
    archive: Archive
    alerts: Alerts
    now: Callable[[], datetime]
    requests: Callable[[], Mapping[str, int]]
    owner: NotRequired[str]
    metrics: NotRequired[Metrics | None]
    threads: NotRequired[int]
    jitter: NotRequired[Callable[[], float]]
    sleep: NotRequired[Callable[[float], None]]
    monotonic: NotRequired[Callable[[], float]]
    is_asked_to_stop: NotRequired[Callable[[], bool]]


class Bounds(Protocol):
    """The limits that every request has."""

    @property
    def dry_run(self) -> bool:
        """Nothing may be changed."""
        ...

    @property
    def limit(self) -> int:
        """Most items that a run takes up."""
        ...

    @property
    def time_limit_seconds(self) -> int:
        """Nothing new is taken up after this time."""
        ...


class RecoveryRun:
    """One run's tools and counts. Make it, use it, and close it.

    Args:
        request: of the run.
        tools: see `Tools`.

    Attributes:
        path: the path's name.
        at_close: things to do or let go of when the run ends, however it ends.
        taken: items taken up so far.
        problems, warnings, facts, numbers, rows: see `RecoveryReport`; `rows` is a table of its own.
        recovered, seconds_to_recover: items of earlier runs that are proven to be back, and the sum of their times.
        missed_events: items that only a sweep found.
        links: addresses of the forms with which a person acts.
        events: what the run did that others may want to hear of, and that its report leaves out.
        outgoing: their way out.
        silent: by service that does not answer ("s3", "sns", "cloudwatch", "lambda"), the line that says so.
    """

    path: ClassVar[str]

    def __init__(self, request: Bounds, **tools: Unpack[Tools]) -> None:
        self.ledger = tools["ledger"]
        self.archive = tools["archive"]
        self.alerts = tools["alerts"]
        self.now = tools["now"]
        self.requests = tools["requests"]
        self.owner = tools.get("owner") or uuid4().hex
        self.metrics = tools.get("metrics")
        self.threads = tools.get("threads", 1)
        self.jitter = tools.get("jitter", random.random)
        self.sleep = tools.get("sleep", time.sleep)
        self._monotonic = tools.get("monotonic", time.monotonic)
        self._is_asked_to_stop = tools.get("is_asked_to_stop", lambda: False)
        self._bounds = request
        self._began = self._monotonic()
        self.at_close = ExitStack()
        self.tally = Tally()
        self.taken = 0
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.facts: list[str] = []
        self.numbers: list[Number] = []
        self.rows: list[dict[str, Any]] = []
        self.recovered = 0
        self.seconds_to_recover = 0.0
        self.missed_events = 0
        self.links = NO_LINKS
        self.events: list[Outward] = []
        self.outgoing = Outgoing(self.ledger, None, self.now)
        self.silent: dict[str, str] = {}
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._list: IO[bytes] | None = None
        self._lines: gzip.GzipFile | None = None

    # -- bounds ----------------------------------------------------------------------------------------------------

    @property
    def dry_run(self) -> bool:
        """Nothing may be changed."""
        return self._bounds.dry_run

    @property
    def room(self) -> int:
        """Number of further items that this run may take up."""
        return max(0, self._bounds.limit - self.taken)

    @property
    def time_is_up(self) -> bool:
        """Nothing new may be taken up: the time limit is reached, or the run's worker was asked to stop."""
        if self._is_asked_to_stop():
            self.warn("the worker was asked to stop, so this run took up nothing more; a later run goes on")
            return True
        return self.seconds >= self._bounds.time_limit_seconds

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken so far."""
        return self._monotonic() - self._began

    @property
    def started(self) -> datetime:
        """Time of the run's beginning, by AWS's clock as it is known by now."""
        return self.now() - timedelta(seconds=self.seconds)

    # -- many at once ----------------------------------------------------------------------------------------------

    def each(self, do: Callable[[_T], _R], things: Sequence[_T]) -> list[_R]:
        """Do something with each thing on the run's threads, at most `threads` at once; results in order."""
        if len(things) <= 1 or self.threads <= 1:
            return [do(thing) for thing in things]
        with self._lock:
            if self._pool is None:
                self._pool = self.at_close.enter_context(ThreadPoolExecutor(self.threads, "reprise"))
                # A step at the close, after the threads have ended, may need threads again.
                self.at_close.callback(setattr, self, "_pool", None)
        return list(self._pool.map(do, things))

    # -- the report ------------------------------------------------------------------------------------------------

    def warn(self, line: str) -> None:
        """Add a line to the report's warnings, once."""
        if line not in self.warnings:
            self.warnings.append(line)

    def complain(self, line: str) -> None:
        """Add a line on what could not be done, once; the run then ends as failed."""
        if line not in self.problems:
            self.problems.append(line)

    def stop_asking(self, service: str, error: RepriseError, *, is_needed: bool = True) -> bool:
        """Ask a service that does not answer nothing more in this run; return True when it is that.

        Args:
            service: "s3", say.
            error: the last call's.
            is_needed: False where the work goes on without it, so that the run need not fail.
        """
        if not is_silence(error):
            return False
        if service not in self.silent:
            self.silent[service] = silence_of(service, error)
            (self.complain if is_needed else self.warn)(self.silent[service])
        return True

    def note(self, entries: Iterable[Entry]) -> None:
        """Count entries and append them to the full list, which waits in a temporary file."""
        noted = list(entries)
        if not noted:
            return
        with self._lock:
            self.tally.add(noted)
            if self._lines is None:
                self._list = self.at_close.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the run
                self._lines = self.at_close.enter_context(gzip.GzipFile(fileobj=self._list, mode="wb", compresslevel=5))
            self._lines.write(b"".join(encode(entry.as_json()) + b"\n" for entry in noted))

    def conclude(self) -> None:
        """Add the path's last facts, numbers and warnings, just before the report is made."""

    def report(self, name: str) -> RecoveryReport:
        """Return the report of the run; the full list is stored first, and a list that cannot be stored is a warning.

        Args:
            name: the run's name.
        """
        self.conclude()
        full_list = self._store_list(name)
        return RecoveryReport(
            path=self.path,
            run=name,
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
            numbers=tuple(self.numbers),
        )

    def close(self) -> None:
        """Do what was left for the end, and let go of threads and the temporary file."""
        self.at_close.close()

    def _store_list(self, name: str) -> str:
        """Put the full list into the archive; return its address, or "" where there is none."""
        if self._lines is None or self._list is None or self.dry_run:
            return ""
        if "s3" in self.silent:
            self.warn(f"the full list of this run could not be stored: {self.silent['s3']}")
            return ""
        self._lines.close()
        self._list.seek(0)
        plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in name)[:100]
        at = self.started
        try:
            return self.archive.put_report(
                f"reports/path={self.path}/date={at:%Y-%m-%d}/{at:%H%M%S}-{plain}.ndjson.gz", self._list
            )
        except (Transient, Refused) as error:
            self.warn(f"the full list of this run could not be stored: {error}")
            return ""
