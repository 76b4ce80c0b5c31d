"""One run of the path: its table, its topic, how fast it may go, and what it has counted so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Unpack

from recovery.console import region_of, table
from recovery.outbox_records.circuit import Circuit
from recovery.outbox_records.due import DueKeys
from recovery.outbox_records.groups import Groups
from recovery.outbox_records.models import Fault, NotSent
from recovery.outbox_records.policy import Mode, OutboxRequest
from recovery.pacing import Pace
from recovery.report import Entry, Number
from recovery.run import RecoveryRun, Tools

if TYPE_CHECKING:
    from recovery.alarms import Watch
    from recovery.outbox_records.gateway import OutboxTable
    from recovery.outbox_records.topic import Topic

PATH = "outbox_records"
ROUND = 1_000
"""Rows that are in memory and in flight at once."""
ROUND_BYTES = 32 * 1024 * 1024
"""Bytes of messages in memory at once, about."""


class OutboxRun(RecoveryRun):
    """One run of the path.

    Args:
        table, topic, watch: the gateways.
        request: what the run is asked to do.
        tools: see `recovery.run.Tools`.
    """

    path = PATH

    def __init__(
        self, table: OutboxTable, topic: Topic, watch: Watch, request: OutboxRequest, **tools: Unpack[Tools]
    ) -> None:
        super().__init__(request, **tools)
        self.request = request
        self.names = request.names
        self.policy = request.policy
        self.table = table
        self.topic = topic
        self.watch = watch
        self.circuit = Circuit(self.ledger, request.topic_arn, self.owner)
        self.pace = Pace(request.policy.messages_per_second, sleep=self.sleep)
        self.pace_scan = Pace(request.policy.scan_units_per_second, sleep=self.sleep)
        # Claimed rows must be sent before the lease ends, at the allowed rate.
        affordable = int(request.policy.messages_per_second * (request.policy.lease_seconds - 60))
        self.round_rows = max(1, min(ROUND, affordable))
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
        self._doubted: set[str] = set()

    @property
    def keep(self) -> timedelta | None:
        """Time for which a finished row is kept; None: for ever."""
        return timedelta(days=self.policy.finished_days) if self.policy.finished_days else None

    @property
    def pages(self) -> tuple[tuple[str, str], ...]:
        """Label and address of the table's page in the AWS console."""
        # The alert topic is of the region in which the run works: SNS takes no other.
        address = table(self.table.name, region_of(self.alerts.topic_arn))
        return (("table", address),) if address else ()

    # -- the topic -----------------------------------------------------------------------------------------------

    @property
    def stopped(self) -> NotSent | None:
        """The topic's error that has stopped this run's sends."""
        return self._stop

    def stop(self, failure: NotSent) -> None:
        """Stop this run's sends; the first error counts."""
        with self._lock:
            self._stop = self._stop or failure

    def doubt(self, failure: NotSent | None, row: str = "") -> None:
        """Note a row that was refused with the topic's name; a second one, with nothing sent between, is the topic.

        Args:
            failure: None: a message went out, so the topic takes messages.
            row: the row's label.
        """
        with self._lock:
            self._doubted = {*self._doubted, row} if failure else set()
            if failure and len(self._doubted) > 1:
                self._stop = self._stop or replace(failure, fault=Fault.TOPIC)

    def count_answer(self, unread: NotSent | None) -> None:
        """Note whether a whole publish was answered; too many unread answers in a row stop the sends."""
        with self._lock:
            self._unread = self._unread + 1 if unread else 0
            if unread and self._unread >= self.policy.opens_after:
                self._stop = self._stop or unread

    def go_on(self) -> None:
        """Sends may begin (again)."""
        self._stop, self._unread = None, 0

    # -- the report ----------------------------------------------------------------------------------------------

    def conclude(self) -> None:
        """Count the rows that wait, and give the run's rate, the age of the oldest row, and the table's numbers."""
        self.note(self.waiting)
        self.waiting = []
        self.missed_events = self.lost
        if self.sent and self.seconds > 0:
            self.facts.append(f"{self.sent} rows published, {self.sent / self.seconds:,.0f} a second")
        age = max((self.now() - self.oldest).total_seconds(), 0.0) if self.oldest else 0.0
        if age:
            self.facts.append(
                f"the oldest unfinished row among the first in line has waited {age:,.0f} s,"
                f" since {self.oldest:%Y-%m-%d %H:%M:%S} UTC"
            )
        for note, rows in sorted(self.notes.items()):
            self.warn(f"{rows} row(s) with {note}")
        if self.without_id:
            self.warn(
                f"{self.without_id} messages had ten attributes or more and carry no row id, since raw delivery would"
                " discard a message with eleven; their subscribers cannot know a duplicate by it"
            )
        if self.table.name:
            self.numbers += self._numbers(age)

    def _numbers(self, age: float) -> list[Number]:
        counted: dict[str, float] = {}
        if self.request.mode is Mode.FIND_LOST:
            counted = {"OutboxLost": self.lost}
        elif self.request.mode is Mode.DELIVER:
            counted = {
                "OutboxPublished": self.sent,
                "OutboxFailed": self.failed,
                "OutboxExhausted": self.exhausted,
                "OutboxCircuitOpen": self.circuit_open,
            }
        source = self.table.name
        numbers = [Number(name=name, value=value, source=source) for name, value in counted.items()]
        if self.request.mode is Mode.DELIVER:
            worst = Number(name="OutboxOldestUnfinished", value=age, unit="Seconds", source=source, is_worst=True)
            numbers.append(worst)
        return numbers
