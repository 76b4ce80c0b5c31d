"""The message that each record belongs to: by id, by ids that records share, by place in the batch, by order. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from recovery.failures.logs.messages import NOBODY, Directory, Names, shared_ids
from recovery.failures.logs.records import Record
from recovery.failures.logs.trouble import fails, is_success, says_something

NEAR = 40
"""Records of one stream that may belong to the message named before them, when no invocation bounds its work."""
NEAR_MILLISECONDS = 60_000
_INDEX = re.compile(
    r"(?:\brecords?|\bindex|\bitem|\bposition|recordIndex|batchIndex|record_index|"
    r"batch_index)[\"']?\s?[:=#\[(]{0,2}\s?"
    r"(?:number )?#?(\d{1,4})\b|Records\[(\d{1,4})\]"
)
_COUNTED = re.compile(r"\s?(?:/|of)\s?\d")
"""Behind a place in the batch that is counted from one, as in `record 1 of 3`."""
_BACK = 3
"""Records before the one that names a message in which the failure may stand that it only reports."""
_RESPONSE = re.compile(r"batchItemFailures|batch_item_failures|BatchItemFailures")
_IDENTIFIER = re.compile(
    r"itemIdentifier\W{1,8}([\w\-]{3,100})|item_identifier\W{1,8}([\w\-]{3,100})|ItemIdentifier\W{1,8}([\w\-]{3,100})"
)
_FOREIGN = "\0foreign"
_ANOTHER = Names(foreign=True)


class Link(StrEnum):
    """By what a record was found to belong to a message, the surest first."""

    MESSAGE = "message id"
    SHARED = "an id of the same work"
    INDEX = "its place in the batch"
    INVOCATION = "its invocation"
    ORDER = "the order of the records"
    TRACE = "the X-Ray trace"
    TIME = "the time"


@dataclass(slots=True)
class Work:
    """The records of one message in one invocation, or in one stretch of a stream.

    Attributes:
        message: its id.
        records: its records, in order.
        link: the weakest link among the records.
        faults: records of the platform about the whole invocation (time-out, crash).
        spared: true when the batch's response names others only: the message did not fail here.
    """

    message: str
    records: list[Record] = field(default_factory=list)
    link: Link = Link.MESSAGE
    faults: list[Record] = field(default_factory=list)
    spared: bool = False

    @property
    def began(self) -> tuple[int, int]:
        first = (self.records or self.faults)[0]
        return first.time, first.order


@dataclass(slots=True)
class Unit:
    """The records of one invocation, or of a stream that knows no invocations.

    Attributes:
        records: in order.
        bounded: whether it is an invocation.
        names: whom each of the records names.
    """

    records: list[Record]
    bounded: bool
    names: list[Names] = field(default_factory=list)

    @property
    def trace(self) -> str:
        return next((record.trace for record in self.records if record.trace), "")

    @property
    def messages(self) -> set[str]:
        """The messages that are named in it."""
        return {message for names in self.names for message in names.mine}

    @property
    def window(self) -> tuple[int, int]:
        return self.records[0].time, self.records[-1].time


def units_of(streams: Mapping[str, Sequence[Record]], directory: Directory) -> list[Unit]:
    """The invocations of all streams, and of each stream what belongs to none."""
    units: list[Unit] = []
    for records in streams.values():
        for record in records:
            directory.learn(record)
    for records in streams.values():
        by_request: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_request[record.request].append(record)
        for request, some in by_request.items():
            unit = Unit(some, bounded=bool(request))
            unit.names = [_names(directory, record) for record in some]
            units.append(unit)
    units.sort(key=lambda unit: (unit.records[0].time, unit.records[0].order))
    return units


def _names(directory: Directory, record: Record) -> Names:
    names = directory.named(record)
    return _ANOTHER if names is NOBODY and not record.platform and directory.is_anothers(record) else names


def works_of(unit: Unit) -> Iterator[Work]:
    """The work on each message that a unit names."""
    messages = unit.messages
    if not messages:
        return
    faults = [record for record in unit.records if record.platform and fails(record)]
    failed = _response(unit)
    foreign = any(names.foreign for names in unit.names)
    if unit.bounded and len(messages) == 1 and not foreign:
        (message,) = messages
        direct = any(names.one for names in unit.names)
        work = Work(message, list(unit.records), Link.MESSAGE if direct else Link.INVOCATION, faults)
        work.spared = failed is not None and message not in failed
        yield work
        return
    owned = _owned(unit)
    unowned = [record for record, owner in zip(unit.records, owned, strict=True) if not owner[0] and fails(record)]
    for message in messages:
        work = Work(message, faults=faults)
        for record, (owner, link) in zip(unit.records, owned, strict=True):
            if owner == message:
                work.records.append(record)
                work.link = max(work.link, link, key=_WEAKNESS.__getitem__)
        work.spared = failed is not None and message not in failed
        if failed == {message}:
            # The batch's own answer says that this one failed: what failed without a name is its failure.
            work.records = sorted([*work.records, *unowned], key=lambda record: record.order)
            work.link = Link.INVOCATION if unowned else work.link
        if work.records or (work.faults and unit.bounded):
            yield work


_WEAKNESS = {link: place for place, link in enumerate(Link)}


def _response(unit: Unit) -> set[str] | None:
    """The items that the batch's response names as failed; None when it was not written."""
    for record in reversed(unit.records):
        if _RESPONSE.search(record.raw):
            return {next(group for group in found if group) for found in _IDENTIFIER.findall(record.raw)} or None
    return None


def _owned(unit: Unit) -> list[tuple[str, Link]]:
    """Of each record, the message that it belongs to ("" when nobody can know) and by what."""
    shared = _shared(unit)
    listed: tuple[str, ...] = ()
    current: dict[str, tuple[str, int, int]] = {}
    out: list[tuple[str, Link]] = []
    for place, (record, names) in enumerate(zip(unit.records, unit.names, strict=True)):
        if _RESPONSE.search(record.raw) and names.mine:
            out.append(("", Link.ORDER))
            continue
        one = names.one
        if one:
            out.append((one, Link.MESSAGE))
            if fails(record) and not says_something(record):
                _give_back(unit, out, one)
            # After the words that a message is done, what follows is not about it.
            owner = "" if is_success(record, one) else one
            current[record.thread] = current[""] = (owner, place, record.time)
        elif names.mine or names.foreign:
            if len(names.mine) > 1:
                listed = names.mine
            current[record.thread] = current[""] = (_FOREIGN if not names.mine else "", place, record.time)
            out.append(("", Link.ORDER))
        else:
            out.append(_by_others(unit, record, place, shared, listed, current))
    return _without_ambiguous(unit, out)


def _give_back(unit: Unit, out: list[tuple[str, Link]], message: str) -> None:
    """Give a message the failures directly before a record that only says that the message failed."""
    named = unit.records[len(out) - 1]
    for place in range(len(out) - 2, max(-1, len(out) - 2 - _BACK), -1):
        record = unit.records[place]
        if out[place][0] or not fails(record) or record.platform or named.time - record.time > NEAR_MILLISECONDS:
            return
        if record.thread == named.thread and unit.names[place] is NOBODY:
            out[place] = (message, Link.ORDER)


def _by_others(
    unit: Unit,
    record: Record,
    place: int,
    shared: Mapping[str, str],
    listed: Sequence[str],
    current: Mapping[str, tuple[str, int, int]],
) -> tuple[str, Link]:
    for token in shared_ids(record.raw):
        if owner := shared.get(token):
            return owner, Link.SHARED
    if listed and (found := _INDEX.search(record.text[:600])):
        number = int(found[1] or found[2]) - (1 if _COUNTED.match(record.text, found.end()) else 0)
        if 0 <= number < len(listed):
            return listed[number], Link.INDEX
    threads = len(current) - ("" in current)
    if record.thread and record.thread not in current and threads:
        return "", Link.ORDER  # a thread of its own, in which no message was named
    owner, since, time = current.get(record.thread) or current.get("", ("", 0, 0))
    if owner in ("", _FOREIGN) or record.platform:
        return "", Link.ORDER
    if not unit.bounded and (place - since > NEAR or record.time - time > NEAR_MILLISECONDS):
        return "", Link.ORDER
    return owner, Link.SHARED if record.thread and threads > 1 else Link.ORDER


def _shared(unit: Unit) -> dict[str, str]:
    """Ids that stand in records of one message only."""
    owners: dict[str, set[str]] = defaultdict(set)
    for record, names in zip(unit.records, unit.names, strict=True):
        if names is not NOBODY:
            for token in shared_ids(record.raw):
                owners[token].update(names.mine or {_FOREIGN})
                if names.foreign:
                    owners[token].add(_FOREIGN)
    return {token: next(iter(found)) for token, found in owners.items() if len(found) == 1 and _FOREIGN not in found}


def _without_ambiguous(unit: Unit, owned: list[tuple[str, Link]]) -> list[tuple[str, Link]]:
    """The same, without owners by order where several messages were worked on at once.

    Two messages that begin one right after the other, and two failures without a name behind both: nobody can know.
    """
    starts: list[int] = [place for place, names in enumerate(unit.names) if names.one]
    out = list(owned)
    for first, second in pairwise(starts):
        if unit.names[first].one == unit.names[second].one or second != first + 1:
            continue
        following = next((place for place in starts if place > second), len(owned))
        unnamed = [
            place
            for place in range(second + 1, following)
            if owned[place][1] is Link.ORDER and owned[place][0] and fails(unit.records[place])
        ]
        together = unit.records[first].time == unit.records[second].time and unit.records[first].time > 0
        if len(unnamed) > 1 or (unnamed and together):
            for place in unnamed:
                out[place] = ("", Link.ORDER)
    return out
