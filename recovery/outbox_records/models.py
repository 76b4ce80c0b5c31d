"""An outbox row as it was read, where it stands in the index, and what became of its publish. Pure values."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from recovery.outbox_records.policy import RowNames

Value = Mapping[str, Any]
"""A typed attribute value, as boto3's low-level client reads and writes it: {"S": "text"}."""
Item = Mapping[str, Value]

OPEN_LINE = "Unfinished"
EXHAUSTED_LINE = "Exhausted"


class Status(StrEnum):
    """Status of a row. A row without a status is new."""

    PENDING = "Pending"
    IN_FLIGHT = "InFlight"
    SUCCESSFUL = "Successful"
    FAILURE = "Failure"
    EXHAUSTED = "Exhausted"


UNFINISHED = frozenset({None, Status.PENDING, Status.IN_FLIGHT, Status.FAILURE})


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read.

    Attributes:
        key: the table's key attributes, typed.
        row_id: the key as text: the value of a simple key, a JSON array for a composite one. Unique in its table.
        item: all attributes, typed.
        status: its status; None where there is none.
        known: False when the status attribute holds something that is not one of ours.
        attempts: attempts so far; 0 where it is missing or not a number.
        due: when it is due or its lease ends, in seconds since 1970; None where it is missing or not a number.
        claim: who has it in flight, or "".
        line: its place in the index, or "".
        error, kind: of its last failure, or "".
    """

    key: Item
    row_id: str
    item: Item
    status: Status | None
    known: bool
    attempts: int
    due: float | None
    claim: str
    line: str
    error: str = ""
    kind: str = ""

    @property
    def shard(self) -> int:
        """The number of its partition in the index; 0 where it has none yet."""
        number = self.line.rpartition("#")[2]
        return int(number) if number.isdecimal() and len(number) < 10 else 0

    def text(self, name: str) -> str:
        """A string attribute, or "" where it is missing or something else."""
        value = self.item.get(name, {}) if name else {}
        return str(value["S"]) if "S" in value else ""


def read_row(item: Item, names: RowNames, key_names: Sequence[str]) -> Row:
    """An item as a row. Whatever stands in it, this does not raise."""
    key = {name: item[name] for name in key_names}
    raw = item.get(names.status)
    text = raw.get("S") if raw else None
    known = raw is None or text in set(Status)
    attempts = number(item.get(names.attempts))
    return Row(
        key=key,
        row_id=row_id(key, key_names),
        item=item,
        status=Status(text) if text is not None and known else None,
        known=known,
        attempts=max(0, int(attempts)) if attempts is not None else 0,
        due=number(item.get(names.next_attempt)),
        claim=str(item.get(names.claim, {}).get("S", "")),
        line=str(item.get(names.line, {}).get("S", "")),
        error=str(item.get(names.error, {}).get("S", "")),
        kind=str(item.get(names.kind, {}).get("S", "")),
    )


def row_id(key: Item, key_names: Sequence[str]) -> str:
    """A key as text: of a simple key its value (binary as base64), of a composite one a JSON array of both."""
    parts = [_plain(key[name]) for name in key_names]
    return parts[0] if len(parts) == 1 else json.dumps(parts, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Value) -> str:
    [(kind, raw)] = value.items()
    return base64.b64encode(bytes(raw)).decode() if kind == "B" else str(raw)


def number(value: Value | None) -> float | None:
    """A number attribute; None where it is missing, something else or beyond what a float holds."""
    if value is None or "N" not in value:
        return None
    read = float(value["N"])
    return read if abs(read) < 1e300 else None


def seconds(moment: datetime) -> Value:
    """A moment as the index keeps it: whole seconds since 1970, rounded up so that nothing is early."""
    return {"N": str(-int(-moment.timestamp() // 1))}


def at_once(now: datetime) -> Value:
    """This moment as the index keeps it: whole seconds since 1970, rounded down so that it has come."""
    return {"N": str(int(now.timestamp()))}


def written_at(value: Value | None) -> datetime | None:
    """Return the time of a row's writing: ISO 8601, or seconds or milliseconds since 1970. None for anything else."""
    try:
        if value is None:
            return None
        if "S" in value:
            moment = datetime.fromisoformat(value["S"].strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        stamp = number(value)
        if stamp is None:
            return None
        # 10^11 seconds are the year 5138, 10^11 milliseconds are 1973: what is larger counts milliseconds.
        return datetime.fromtimestamp(stamp / 1000 if abs(stamp) >= 1e11 else stamp, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def lines(shards: int, name: str = OPEN_LINE) -> list[str]:
    """The partitions of the index."""
    return [f"{name}#{shard}" for shard in range(shards)]


def line_of(identity: str, shards: int, name: str = OPEN_LINE) -> str:
    """The partition of a row in the index, by its id."""
    shard = zlib.crc32(identity.encode("utf-8", "surrogatepass")) % shards
    return f"{name}#{shard}"


# -- what became of a publish ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sent:
    """SNS has stored the message."""

    message_id: str


class Fault(StrEnum):
    """Whose fault a publish that did not go through is."""

    ROW = "row"  # this message; others may go out
    TOPIC = "topic"  # the topic takes nothing: certainly not published
    DOUBT = "doubt"  # one message alone was refused with the topic's name: its own fault, or the topic's
    THROTTLE = "throttle"  # the topic takes less than it is sent: certainly not published
    INCIDENT = "incident"  # SNS's own trouble, reported for single messages: not published
    UNKNOWN = "unknown"  # the answer was not read: it may have been published


@dataclass(frozen=True, slots=True)
class NotSent:
    """A publish that did not go through.

    Attributes:
        fault: whose fault it is.
        code: the error code as SNS or the SDK spelled it.
        text: code and message. Not normalised: never to be stored or logged as it is.
    """

    fault: Fault
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """Not tried: the circuit opened, the lease is about to end, or an earlier row of the group did not go out.

    Attributes:
        rule: id of the rule.
        reason: a sentence for a person.
    """

    rule: str
    reason: str


Outcome = Sent | NotSent | Held
