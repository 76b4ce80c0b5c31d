"""Polls an outbox: rows that a service has just written, and the row that falls due next."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.aws import calling, require_field
from recovery.errors import BadInput, Conflict, RepriseError
from recovery.events.hints import OUTBOX_DUE, OUTBOX_INSERTED, Hint, hint
from recovery.ledger import Ledger
from recovery.outbox_records import stream
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.policy import OutboxRequest
from recovery.records import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

log = logging.getLogger("reprise.relay")

READ_EVERY = timedelta(seconds=1)
FOLLOW_EVERY = timedelta(minutes=1)
DUE_EVERY = timedelta(seconds=5)
CLOCKS_DIFFER = timedelta(minutes=1)
"""Records are dated by AWS: one that comes after the end of the stream may be so much older than our clock."""
LEASE = timedelta(seconds=60)
"""A shard serves two readers at most, and the user may have one: of several relays one reads, by this lease."""


class OutboxPoller:
    """Reads one table's stream, queues new rows, and sends triggers.

    Args:
        dynamodb, streams: boto3 clients.
        ledger: holds the lease on the stream.
        request: names of the table and its attributes, as the deployments have them.
        owner: names this relay in the lease.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        streams: DynamoDBStreamsClient,
        ledger: Ledger,
        request: OutboxRequest,
        owner: str,
    ) -> None:
        self._dynamodb = dynamodb
        self._streams = streams
        self._ledger = ledger
        self._request = request
        self._owner = owner
        self._table = OutboxTable(dynamodb, request)
        self._positions: stream.Positions | None = None
        self._place: Mapping[str, Any] | None = (
            None  # the position up to which rows are in line, for the relay that takes over
        )
        self._in_hand: list[stream.Record] = []  # read, and not in line yet
        self._is_placed = False  # the lease holds a place of this relay's own
        self._leased_until: datetime | None = None
        self._followed: datetime | None = None
        self._read: datetime | None = None
        self._asked: datetime | None = None
        self._sent_due: datetime | None = None

    @property
    def problems(self) -> Sequence[str]:
        """None beyond what `listen` raises."""
        return ()

    def poll(self, now: datetime) -> Sequence[Hint]:
        """The triggers of this table now.

        Raises:
            Transient, Refused: the table or its stream could not be read.
        """
        if self._positions is None:
            self._begin()
        triggered: list[Hint] = []
        if self._asked is None or now - self._asked >= DUE_EVERY:
            self._asked = now
            triggered += self._due_hints(now)
        try:
            if self._holds_lease(now):
                triggered += self._stream_hints(now)
                self._holds_lease(now)  # the first place is kept at once: who takes over must know where this one began
        except RepriseError as error:
            if not triggered:
                raise
            log.warning("table %s: its stream could not be read: %s", self._request.table, error)
        return triggered

    def _begin(self) -> None:
        self._table.describe()
        with calling("dynamodb:DescribeTable"):
            answer = self._dynamodb.describe_table(TableName=self._request.table)
        table = require_field(answer, "Table", "dynamodb:DescribeTable")
        if "LatestStreamArn" not in table:
            raise BadInput(f"table {self._request.table}: has no stream; switch one on with NEW_IMAGE")
        self._positions = stream.Positions(table["LatestStreamArn"])

    def _is_another(self) -> bool:
        """True when the table has another stream by now: it was switched off and on, or the table was made anew."""
        assert self._positions is not None
        with calling("dynamodb:DescribeTable"):
            answer = self._dynamodb.describe_table(TableName=self._request.table)
        arn = require_field(answer, "Table", "dynamodb:DescribeTable").get("LatestStreamArn")
        if arn in (None, self._positions.arn):
            return False
        log.warning("table %s has a new stream; find-lost finds what no relay reads", self._request.table)
        self._positions, self._place, self._in_hand = stream.Positions(arn), None, []
        self._leased_until, self._followed, self._is_placed = None, None, False
        return True

    def _stream_hints(self, now: datetime) -> Sequence[Hint]:
        assert self._positions is not None
        if self._read is not None and now - self._read < READ_EVERY:
            return ()
        self._read = now
        if self._followed is None or now - self._followed >= FOLLOW_EVERY:
            if self._followed is not None and self._is_another():
                return ()
            stream.follow(self._streams, self._positions)
            self._followed = now
        if not self._in_hand:
            ended = len(self._positions.done)
            self._in_hand = stream.read(self._streams, self._positions)
            if len(self._positions.done) > ended:
                self._followed = None  # a shard ended: its children are looked for in the next round
        # Rows that could not be queued stay in hand, and nothing more is read until they are.
        enlisted = stream.enlist(self._table, self._request, self._in_hand, now)
        records, self._in_hand = self._in_hand, []
        self._place = stream.place(self._positions)
        for code, rows in enlisted.refused.items():
            log.error("table %s: %d new row(s) could not be put in line: %s", self._request.table, rows, code)
        if not enlisted.inserted:
            return ()
        newest = records[-1]["dynamodb"]["SequenceNumber"]
        return (
            hint(OUTBOX_INSERTED, self._request.table, newest, now, table=self._request.table, rows=enlisted.inserted),
        )

    def _due_hints(self, now: datetime) -> Sequence[Hint]:
        due = stream.earliest_due(self._table, self._request)
        if due is None or due > now:
            self._sent_due = None
            return ()
        if self._sent_due == due:
            return ()  # a run was called for this row; if it could not be sent, its due time moves on
        self._sent_due = due
        return (hint(OUTBOX_DUE, self._request.table, due.isoformat(), now, table=self._request.table),)

    def _holds_lease(self, now: datetime) -> bool:
        """True when this relay reads the stream; renews the lease when half of its time is over."""
        is_fresh = self._leased_until is not None and self._leased_until - now > LEASE / 2
        if is_fresh and (self._is_placed or self._place is None):
            return True
        assert self._positions is not None
        record = self._ledger.read_record("relay#stream", self._positions.arn)
        taken = record.data.get("owner") not in (None, self._owner)
        if taken and _lasts(record.data.get("until"), now):
            self._leased_until = None
            return False
        until = now + LEASE
        takes_over = self._leased_until is None
        stood = record.data.get("place") if takes_over else self._place
        if not self._lease(record, until, stood, now):
            self._leased_until = None
            return False
        if takes_over:
            self._positions, self._place = _stands(self._positions.arn, stood, now), stood
            self._in_hand, self._followed = [], None
        self._is_placed = stood is not None
        self._leased_until = until
        return True

    def _lease(self, record: Record, until: datetime, stood: Mapping[str, Any] | None, now: datetime) -> bool:
        """Write the lease down, unless another relay has just done so."""
        data = {"owner": self._owner, "until": until.isoformat(), "place": stood}
        try:
            self._ledger.write_record(Record(record.pk, record.sk, data, record.version), now + timedelta(days=1))
        except Conflict:
            return False
        return True

    def leave(self, now: datetime) -> None:
        """Let the next relay have the stream at once, from where this one stood.

        Raises:
            Transient, Refused: the lease could not be given back; it ends by itself.
        """
        if self._leased_until is None or self._positions is None:
            return
        self._leased_until = None
        record = self._ledger.read_record("relay#stream", self._positions.arn)
        if record.data.get("owner") == self._owner:
            self._lease(record, now, self._place or record.data.get("place"), now)


def _lasts(until: object, now: datetime) -> bool:
    """True while a lease lasts. One whose end cannot be read is over: it must not keep every relay from starting."""
    try:
        return datetime.fromisoformat(str(until)) > now
    except (TypeError, ValueError):
        return False


def _stands(arn: str, stood: Mapping[str, Any] | None, now: datetime) -> stream.Positions:
    """Return the place at which a new reader begins: the last one's; else the end, and find-lost finds the rest."""
    if stood:
        try:
            return stream.resumed(arn, stood)
        except (KeyError, TypeError, ValueError, AttributeError):
            log.warning("stream %s: what is written down of its reader is no place; it is read from its end", arn)
    return stream.Positions(arn, began=now - CLOCKS_DIFFER)
