"""Conditional changes of a row, as values and as PartiQL statements. Pure.

Every change names what it expects to find, so of two workers one gets a refusal. `is_done` recognises a refusal that
is only the echo of our own first request, whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.outbox_records.models import (
    EXHAUSTED_LINE,
    OPEN_LINE,
    Item,
    Row,
    Status,
    Value,
    at_once,
    line_of,
    seconds,
)
from recovery.outbox_records.policy import RowNames


@dataclass(frozen=True, slots=True)
class Change:
    """One conditional change.

    Attributes:
        key: which row.
        sets: attributes to write.
        removes: attributes to remove.
        expects: what must stand in the row; None: the attribute must be missing.
    """

    key: Item
    sets: Mapping[str, Value]
    removes: tuple[str, ...]
    expects: Mapping[str, Value | None]


def statement(table: str, change: Change) -> dict[str, Any]:
    """The change as a statement for BatchExecuteStatement. Values are parameters; names cannot hold a double quote."""
    sets = "".join(f' SET "{name}"=?' for name in change.sets)
    removes = "".join(f' REMOVE "{name}"' for name in change.removes)
    where = [f'"{name}"=?' for name in change.key]
    where += [f'"{name}" IS MISSING' if value is None else f'"{name}"=?' for name, value in change.expects.items()]
    parameters = [*change.sets.values(), *change.key.values(), *(v for v in change.expects.values() if v is not None)]
    return {
        "Statement": f'UPDATE "{table}"{sets}{removes} WHERE {" AND ".join(where)}',
        "Parameters": [dict(value) for value in parameters],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def is_done(change: Change, item: Item) -> bool:
    """True when the row already is as the change would leave it: our own first request, whose answer was lost."""
    return all(item.get(name) == value for name, value in change.sets.items()) and not any(
        name in item for name in change.removes
    )


def as_read(row: Row, names: RowNames) -> dict[str, Value | None]:
    """Values that must still stand in the row for a decision about it to hold. Each claim has a token of its own."""
    return {name: row.item.get(name) for name in (names.status, names.next_attempt, names.claim)}


def claim(row: Row, names: RowNames, token: str, lease_ends: datetime) -> Change:
    """Take the row for one attempt. The index's sort key becomes the end of the lease: a row whose worker died falls
    due by itself. The attempt is counted now, so that a row that kills its workers is bounded too."""
    return Change(
        key=row.key,
        sets={
            names.status: {"S": Status.IN_FLIGHT},
            names.claim: {"S": token},
            names.next_attempt: seconds(lease_ends),
            names.attempts: {"N": str(row.attempts + 1)},
        },
        removes=_present(row, names.expires),  # while it is unfinished, TTL must not delete it
        expects=as_read(row, names),
    )


def _ours(names: RowNames, token: str) -> dict[str, Value | None]:
    return {names.status: {"S": Status.IN_FLIGHT}, names.claim: {"S": token}}


def _present(row: Row, *wanted: str) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in row.item)


def delivered(row: Row, names: RowNames, token: str, message_id: str, now: datetime, keep: timedelta | None) -> Change:
    """It is published: out of the line, and removed by TTL after `keep`."""
    sets: dict[str, Value] = {names.status: {"S": Status.SUCCESSFUL}, names.message_id: {"S": message_id}}
    if keep:
        sets[names.expires] = seconds(now + keep)
    gone = (names.next_attempt, names.claim, *_present(row, names.line, names.group_line, names.error, names.kind))
    return Change(row.key, sets, gone, _ours(names, token))


def failed(row: Row, names: RowNames, token: str, *, error: str, kind: str, due: datetime, attempts: int) -> Change:
    """It did not go out and is due again later.

    Args:
        token: the claim that we hold; "" for a row that was not claimed.
        error: normalised text.
        attempts: one more than as it was read; or the same, when the attempt does not count.
    """
    sets: dict[str, Value] = {
        names.status: {"S": Status.FAILURE},
        names.attempts: {"N": str(attempts)},
        names.next_attempt: seconds(due),
        names.error: {"S": error or "-"},
        names.kind: {"S": kind},
    }
    gone = (names.claim,) if token else _present(row, names.claim)
    return Change(
        row.key,
        sets,
        (*gone, *_present(row, names.expires)),
        _ours(names, token) if token else as_read(row, names),
    )


def exhausted(
    row: Row, names: RowNames, token: str, *, error: str, kind: str, attempts: int, now: datetime, leave_group: bool
) -> Change:
    """No more attempts. It stays in the index, under `Exhausted`, until a person has decided.

    Args:
        token: the claim that we hold; "" for a row that was not claimed.
        leave_group: whether the rows behind it in its FIFO group may go out.
    """
    sets: dict[str, Value] = {
        names.status: {"S": Status.EXHAUSTED},
        names.attempts: {"N": str(attempts)},
        names.line: {"S": f"{EXHAUSTED_LINE}#{row.shard}"},
        names.next_attempt: seconds(now),
        names.error: {"S": error or "-"},
        names.kind: {"S": kind},
    }
    gone = ((names.claim,) if token else _present(row, names.claim)) + _present(row, names.expires)
    if leave_group:
        gone += _present(row, names.group_line)
    return Change(row.key, sets, gone, _ours(names, token) if token else as_read(row, names))


def released(row: Row, names: RowNames, token: str) -> Change:
    """Claimed but not tried: as it was read. A lapsed claim of somebody else does not come back."""
    status = row.status
    if status in (None, Status.IN_FLIGHT):
        status = Status.FAILURE if row.attempts else Status.PENDING
    sets: dict[str, Value] = {
        names.status: {"S": status},
        names.attempts: {"N": str(row.attempts)},
        names.next_attempt: row.item[names.next_attempt],
    }
    return Change(row.key, sets, (names.claim,), _ours(names, token))


def shown(row: Row, names: RowNames, *, error: str, kind: str) -> Change:
    """It waits for its topic: the row says so. Attempts and due time stay."""
    sets: dict[str, Value] = {
        names.status: {"S": Status.FAILURE},
        names.error: {"S": error or "-"},
        names.kind: {"S": kind},
    }
    return Change(row.key, sets, _present(row, names.claim, names.expires), as_read(row, names))


def kept(row: Row, names: RowNames) -> Change:
    """Unfinished, and TTL would delete it: without a TTL until it is finished."""
    expects = {**as_read(row, names), names.expires: row.item.get(names.expires)}
    return Change(row.key, {}, (names.expires,), expects)


def tidied(row: Row, names: RowNames, now: datetime, keep: timedelta | None) -> Change:
    """Somebody else finished it while it stood in line: out of the line."""
    sets: dict[str, Value] = {names.status: {"S": Status.SUCCESSFUL}}
    if keep and names.expires not in row.item:
        sets[names.expires] = seconds(now + keep)
    gone = _present(row, names.next_attempt, names.line, names.group_line, names.claim)
    return Change(row.key, sets, gone, as_read(row, names))


def listed(row: Row, names: RowNames) -> Change:
    """Exhausted by hand while it stood in line: listed among the exhausted."""
    return Change(
        row.key, {names.line: {"S": f"{EXHAUSTED_LINE}#{row.shard}"}}, _present(row, names.expires), as_read(row, names)
    )


def grouped(row: Row, names: RowNames, group: str) -> Change:
    """In line, but not in its group's index yet."""
    return Change(
        row.key,
        {names.group_line: {"S": group}},
        (),
        {**as_read(row, names), names.group_line: row.item.get(names.group_line)},
    )


def enlisted(
    key: Item,
    names: RowNames,
    *,
    identity: str,
    shards: int,
    due: datetime,
    group: str = "",
    status: Value | None = None,
) -> Change:
    """Put a row in line, if nobody has.

    Args:
        key: the row's typed key.
        identity: the row's id, which chooses the partition.
        due: when it may go out: now, or after the grace of a service that publishes by itself; rounded down.
        group: its FIFO group, if any.
        status: the status that it has (an unfinished one without index keys); None: it has none.
    """
    sets: dict[str, Value] = {
        names.status: status if status and status.get("S") == Status.FAILURE else {"S": Status.PENDING},
        names.line: {"S": line_of(identity, shards)},
        names.next_attempt: at_once(due),
    }
    if group:
        sets[names.group_line] = {"S": group}
    return Change(key, sets, (), {names.status: status, names.line: None})


def realigned(row: Row, names: RowNames, shards: int, now: datetime) -> Change:
    """In a line that nobody reads, or due so far ahead that a clock must have been wrong: due now, where we read."""
    status = row.status if row.status in (Status.PENDING, Status.FAILURE) else Status.PENDING
    sets: dict[str, Value] = {
        names.status: {"S": status},
        names.line: {"S": line_of(row.row_id, shards)},
        names.next_attempt: at_once(now),
    }
    expects = {**as_read(row, names), names.line: row.item.get(names.line)}
    return Change(row.key, sets, _present(row, names.claim), expects)


def noticed(row: Row, names: RowNames, now: datetime) -> Change:
    """Seen by a first search, without time and status."""
    return Change(row.key, {names.seen: at_once(now)}, (), {names.status: None, names.seen: None})


def revived(row: Row, names: RowNames, now: datetime) -> Change:
    """All attempts again, due now."""
    sets: dict[str, Value] = {
        names.status: {"S": Status.PENDING},
        names.attempts: {"N": "0"},
        names.line: {"S": f"{OPEN_LINE}#{row.shard}"},
        names.next_attempt: at_once(now),
    }
    group = row.text(names.group)
    if group:
        sets[names.group_line] = {"S": group}
    gone = _present(row, names.claim, names.error, names.kind, names.expires)
    return Change(row.key, sets, gone, as_read(row, names))
