"""The messages whose failures are looked for in a log, and the ids by which a record names them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recovery.failures.logs.records import Record

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_FOREIGN = re.compile(
    r"(?:message_?id|sqs_message_id|message|msg|msg_?id)[\"'\\]{0,3}\s{0,2}[:=#(\[]{0,2}\s{0,2}[\"'\\]{0,3}"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
    re.IGNORECASE,
)
_WORD_BEFORE = re.compile(r"([A-Za-z_]{2,40})[^A-Za-z0-9]{0,8}$")
_HANDLE = re.compile(r"AQEB[\w+/=\-]{30,2000}")
_HANDLE_KEPT = 40
_DASHES = 4
"""Dashes in an id."""
_ROOT = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})")
# Ids that a record shares with the one that names the message; ids of places and of people show nothing.
_SHARED = re.compile(
    r"\b([A-Za-z][\w.\-]{0,30}?(?:[Ii]d|ID|_id|-id|\.id))[\"'\\]{0,3}\s?[:=]\s?[\"'\\]{0,3}([\w\-.:/]{3,100})"
)
_PLACES = re.compile(
    r"(?i)(?:^|[._\-])(?:p|t|pp|u|g|thread|process|host|instance|container|client|tenant|account|user|"
    r"customer|group|app|"
    r"span|parent|device|region|task|pod|node|worker|function_request|aws_?request|lambda_request|request|"
    r"message|msg|"
    r"service|owner|session|merchant|shop|store|partition|cluster|project|consumer)[_\-.]?id$"
)
_TAG = re.compile(r"\[([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """A message whose failure is looked for.

    Attributes:
        id: its SQS message id.
        receipt_handle: of a receive that its consumer made, when known.
        trace_header: its `AWSTraceHeader`.
        receives: milliseconds since 1970 at which its consumer has received it, as far as known: the first receive,
            and one visibility timeout apart from then on. Only these let a failure be found by time.
    """

    id: str
    receipt_handle: str = ""
    trace_header: str = ""
    receives: tuple[int, ...] = ()

    @property
    def trace(self) -> str:
        """The root of its X-Ray trace, "" when it has none."""
        found = _ROOT.search(self.trace_header)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Names:
    """The messages that a record names.

    Attributes:
        mine: messages that are looked for, in the order in which they are named.
        foreign: true when it names another message.
    """

    mine: tuple[str, ...] = ()
    foreign: bool = False

    @property
    def one(self) -> str:
        """The message, when the record names exactly one."""
        return self.mine[0] if len(self.mine) == 1 and not self.foreign else ""


NOBODY = Names()


class Directory:
    """Finds messages by the ids in a record.

    Args:
        messages: those that are looked for.
    """

    def __init__(self, messages: Iterable[LoggedMessage]) -> None:
        self._ids: dict[str, str] = {}
        self._odd: list[str] = []
        self._handles: dict[str, str] = {}
        self._words: set[str] = set()
        for message in messages:
            if not message.id:
                continue
            if _UUID.fullmatch(message.id):
                self._ids[message.id.lower()] = message.id
            else:
                self._odd.append(message.id)
            if len(message.receipt_handle) > _HANDLE_KEPT:
                self._handles[message.receipt_handle[:_HANDLE_KEPT]] = message.id

    def learn(self, record: Record) -> None:
        """Learn the words behind which a log names messages: an id unknown behind one of them is another message's."""
        if record.raw.count("-") >= _DASHES:
            for match in _UUID.finditer(record.raw):
                if match[0].lower() in self._ids and (word := _word_before(record.raw, match.start())):
                    self._words.add(word)

    def is_anothers(self, record: Record) -> bool:
        """True when a record that names none of the messages names another one, as the log names those."""
        return bool(self._words) and any(
            _word_before(record.raw, match.start()) in self._words for match in _UUID.finditer(record.raw)
        )

    def named(self, record: Record) -> Names:
        """The messages that a record names."""
        raw = record.raw
        found: dict[str, None] = {}
        foreign = False
        if raw.count("-") >= _DASHES:
            for match in _UUID.finditer(raw):
                if (mine := self._ids.get(match[0].lower())) is not None:
                    found[mine] = None
            foreign = any(match[1].lower() not in self._ids for match in _FOREIGN.finditer(raw))
        for odd in self._odd:
            if odd in raw:
                found[odd] = None
        if self._handles and "AQEB" in raw:
            for match in _HANDLE.finditer(raw):
                if (mine := self._handles.get(match[0][:_HANDLE_KEPT])) is not None:
                    found[mine] = None
        return Names(tuple(found), foreign) if found or foreign else NOBODY


def _word_before(raw: str, start: int) -> str:
    found = _WORD_BEFORE.search(raw, max(0, start - 50), start)
    return found[1].lower() if found else ""


def shared_ids(raw: str) -> Iterator[str]:
    """Ids in a record by which other records of the same work are known."""
    if "id" in raw or "ID" in raw or "Id" in raw:
        for match in _SHARED.finditer(raw[:4_000]):
            if not _PLACES.search(match[1]):
                yield f"{match[1].lower()}={match[2]}"
    if "[" in raw and raw.count("-") >= _DASHES:
        for match in _TAG.finditer(raw[:1_000]):
            yield match[1].lower()
