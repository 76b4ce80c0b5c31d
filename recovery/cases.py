"""A case: what the ledger knows about one failed item, on every path. Pure values and their JSON form."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from recovery.errors import BadInput
from recovery.fields import Fields, moment
from recovery.paths import info

SHARDS = 8
"""Partitions of the index of waiting cases for each path: one partition takes about 1,000 writes a second."""


class State(StrEnum):
    """States of a case."""

    SENT = "sent"  # the work was sent, restarted or rerun, and has not been away for the settle time yet
    BACK = "back"  # it came back and was not acted upon yet
    BACKOFF = "backoff"  # the next attempt is due later; the item waits where it is
    PARKED = "parked"  # in the archive until a person has fixed the cause
    ARCHIVED = "archived"  # in the archive for review: the same item cannot succeed unchanged
    EXHAUSTED = "exhausted"  # in the archive (or given up): its attempts are used up
    WAITING = "waiting"  # in the archive until its own target is asked again
    STALE = "stale"  # in the archive because it was older than the policy's max_age, or about to expire
    ESCALATED = "escalated"  # a person was notified; nothing is done until the facts change
    REPLAYING = "replaying"  # a replay has claimed it, until the lease ends
    REPLAYED = "replayed"  # sent back from the archive
    SUPERSEDED = "superseded"  # the item came back and has a newer case
    RECOVERED = "recovered"  # proven to have worked


WAITS_FOR_A_PERSON = frozenset(
    {State.PARKED, State.ARCHIVED, State.EXHAUSTED, State.WAITING, State.STALE, State.ESCALATED, State.REPLAYING}
)
"""States that stay until somebody acts: only these carry the keys of the index."""

CLOSING = "closing"
"""The field of a case's detail that holds the mark of whoever closed it. The state stays, so that it can be reopened
exactly, and whatever a path writes anew about the item opens it again."""
CLOSED = frozenset({"dismissed", "resolved"})


@dataclass(frozen=True, slots=True)
class Case:
    """The case of one failed item.

    Attributes:
        path: the recovery path, as "dead_letters".
        key: what finds the item: message id, row key, task or flow name.
        source: queue, table, instance or connector that it belongs to, for reports and metrics.
        state: where it stands.
        kind: the diagnosis, as in `recovery.failures.Kind`.
        rule: the rule that decided.
        group: fingerprint of alike failures.
        attempts: how often it was brought back so far, across restarts and comebacks.
        tries: how often the present attempt was begun (more than one after a crash between send and record).
        first_seen: when it was first found, aware, UTC.
        changed: when this state was entered, aware, UTC.
        due: when the next attempt may be made, or None.
        reason: the sentence of the verdict, already normalised.
        expires: when the ledger may forget it.
        detail: what only this path needs (archive pointer, history ...); plain JSON values.
        stored: its JSON as the ledger holds it, where it was read: a person may have put it right by hand.
    """

    path: str
    key: str
    source: str
    state: State
    kind: str
    rule: str
    group: str
    first_seen: datetime
    changed: datetime
    expires: datetime
    attempts: int = 0
    tries: int = 0
    due: datetime | None = None
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    stored: str = field(default="", compare=False, repr=False)

    @property
    def closing(self) -> Mapping[str, Any]:
        """The mark of the person who closed or snoozed it; empty where nobody did (see `recovery.closing.marks`)."""
        found = self.detail.get(CLOSING)
        return found if isinstance(found, Mapping) else {}

    @property
    def is_closed(self) -> bool:
        """True when a person (or a policy) has ended it: it waits for nobody until it is reopened."""
        return self.closing.get("how") in CLOSED

    @property
    def waits(self) -> bool:
        """True when it stays as it is until a person acts."""
        return self.state in WAITS_FOR_A_PERSON and not self.is_closed

    def shard(self) -> str:
        """Its partition in the index of waiting cases, or of closed ones."""
        shard = zlib.crc32(self.key.encode("utf-8", "surrogatepass")) % SHARDS
        return wait_partition(self.path, shard, closed=self.is_closed)


def case_key(path: str, key: str) -> str:
    """The ledger's partition key of a case."""
    return f"case#{path}#{key}"


def to_json(case: Case) -> str:
    """The one JSON attribute of a case. Times are whole milliseconds since 1970, which keeps it short."""
    return json.dumps(
        {
            "path": case.path,
            "key": case.key,
            "source": case.source,
            "kind": case.kind,
            "rule": case.rule,
            "group": case.group,
            "first": _stamp(case.first_seen),
            "changed": _stamp(case.changed),
            "attempts": case.attempts,
            "tries": case.tries,
            "due": _stamp(case.due) if case.due else None,
            "reason": case.reason,
            "detail": dict(case.detail),
        },
        separators=(",", ":"),
    )


def from_json(state: str, data: str, expires: int) -> Case:
    """The case that `to_json` wrote; `expires` in seconds since 1970.

    Raises:
        ValueError: it is damaged; names the field and no value.
    """
    try:
        raw = json.loads(data)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("data is no JSON") from None
    if state not in _STATES:
        raise ValueError("state")
    read = Fields(raw, *_FIELDS)
    return Case(
        path=read.text("path"),
        key=read.text("key"),
        source=read.text("source"),
        state=State(state),
        kind=read.text("kind"),
        rule=read.text("rule"),
        group=read.text("group"),
        first_seen=moment(raw["first"], "first"),
        changed=moment(raw["changed"], "changed"),
        attempts=read.count("attempts"),
        tries=read.count("tries"),
        due=read.stamp("due"),
        reason=read.text("reason"),
        expires=moment(expires * 1000, "expires"),
        detail=read.mapping("detail"),
    )


class DamagedCase(BadInput):
    """A case of the ledger that cannot be read, so that what was done about its item is not known.

    Nothing may be done on that item: without its case it would begin anew with all its attempts.

    Attributes:
        path, key: whose case it is.
        damage: the field that is wrong, never its value.
        kept: the ledger's item as it stands; it may hold an error text, so it goes nowhere but into the archive.
    """

    def __init__(self, path: str, key: str, damage: str, kept: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"the ledger's case of {key} is damaged ({damage})")
        self.path = path
        self.key = key
        self.damage = damage
        self.kept = kept or {}

    def place(self, table: str) -> str:
        """The place where a person finds it."""
        return f"the item with pk {case_key(self.path, self.key)!r} and sk 'case' of the table {table!r}"


def case_item(case: Case) -> Mapping[str, Any]:
    """A case as the table keeps it. The keys of the index stand on one that waits for a person, and on one whose next
    attempt the relay is to start."""
    item: dict[str, Any] = {
        "pk": {"S": case_key(case.path, case.key)},
        "sk": {"S": "case"},
        "state": {"S": case.state.value},
        "data": {"S": to_json(case)},
        "expires": {"N": str(int(case.expires.timestamp()))},
    }
    if case.state in WAITS_FOR_A_PERSON:
        item["wait"] = {"S": case.shard()}
        item["since"] = {"S": f"{case.group}#{case.first_seen.isoformat(timespec='seconds')}#{case.source}"}
    elif case.due is not None and info(case.path).due_event:
        item["wait"] = {"S": due_partition(case.path)}
        item["since"] = {"S": due_key(case.due)}
    return item


def wait_partition(path: str, shard: int, *, closed: bool) -> str:
    """Return a partition of the index: of cases that wait, or of those that were closed, to be found and reopened."""
    return f"{path}#{shard}#closed" if closed else f"{path}#{shard}"


def due_partition(path: str) -> str:
    """Return the partition of the index in which cases of a path stand by the time of their next attempt."""
    return f"{path}#due"


def due_key(moment: datetime) -> str:
    """Return a time as a sort key of that partition."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def from_item(path: str, item: Mapping[str, Any]) -> Case:
    """The case that stands in an item of the ledger, as DynamoDB gives it.

    Raises:
        DamagedCase: it is not what the ledger wrote for a case of this path.
    """
    key = item["pk"]["S"].removeprefix(case_key(path, ""))
    try:
        text = _attribute(item, "data", "S")
        case = replace(from_json(_attribute(item, "state", "S"), text, _seconds(item)), stored=text)
        if (case.path, case.key) != (path, key):
            raise ValueError("path or key")
    except ValueError as error:
        raise DamagedCase(path, key, str(error), item) from None
    return case


def sound(cases: Iterable[Case], check: Callable[[Case], object], damaged: list[DamagedCase]) -> Iterator[Case]:
    """The cases whose detail is as their path writes it.

    Args:
        cases: cases that could be read.
        check: raises ValueError, which names the field that is wrong.
        damaged: takes the others.
    """
    for case in cases:
        try:
            check(case)
        except ValueError as error:
            kept = {"state": case.state.value, "data": to_json(case)}
            damaged.append(DamagedCase(case.path, case.key, str(error), kept))
        else:
            yield case


def _attribute(item: Mapping[str, Any], name: str, kind: str) -> str:
    found = item.get(name, {}).get(kind)
    if found is None:
        raise ValueError(name)
    return str(found)


def _seconds(item: Mapping[str, Any]) -> int:
    try:
        return int(_attribute(item, "expires", "N"))
    except ValueError:
        raise ValueError("expires") from None


def _stamp(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


_STATES = frozenset(state.value for state in State)
_FIELDS = (
    "path",
    "key",
    "source",
    "kind",
    "rule",
    "group",
    "first",
    "changed",
    "attempts",
    "tries",
    "due",
    "reason",
    "detail",
)
