"""Notes of people on a group of alike failures: its owner, comments, and the time until which it is snoozed.

One record for each group: pk `notes#<path>`, sk the group's fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.errors import Conflict, Transient
from recovery.fields import Fields
from recovery.ledger import Ledger
from recovery.records import DamagedRecord, Record

KEEP = timedelta(days=430)
COMMENTS = 50
"""Comments that a group keeps: the latest."""
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of a person on a group."""

    at: datetime
    operator: str
    text: str


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes on one group.

    Attributes:
        path, group: whose they are.
        owner: the person or team that cares for it; "" for nobody.
        comments: the latest, the oldest first.
        snoozed_until: end of its snooze.
    """

    path: str
    group: str
    owner: str = ""
    comments: tuple[Comment, ...] = ()
    snoozed_until: datetime | None = None

    def is_snoozed(self, now: datetime) -> bool:
        """True while the group alerts nobody and its cases do not wait."""
        return self.snoozed_until is not None and now < self.snoozed_until


class NoteBook:
    """Reads and writes notes.

    Args:
        ledger: of the estate.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(self, path: str, group: str) -> Notes:
        """Return the notes on a group; empty ones where there are none.

        Raises:
            DamagedRecord: they cannot be read.
        """
        return _notes(self._ledger.read_record(_pk(path), group), path)

    def of_path(self, path: str, damaged: list[DamagedRecord]) -> dict[str, Notes]:
        """Return all notes of a path, by group; `damaged` takes those that cannot be read."""
        found: dict[str, Notes] = {}
        for record in self._ledger.query(_pk(path), damaged=damaged):
            try:
                found[record.sk] = _notes(record, path)
            except DamagedRecord as error:
                damaged.append(error)
        return found

    def comment(self, path: str, group: str, comment: Comment, owner: str | None = None) -> Notes:
        """Add a comment, and set the owner where one is given ("" takes it off).

        Raises:
            Transient, Refused: it was not added.
        """

        def add(data: dict[str, Any]) -> None:
            if owner is not None:
                data["owner"] = owner
            if comment.text:
                line = {"at": comment.at.isoformat(), "operator": comment.operator, "text": comment.text}
                data["comments"] = [*data.get("comments", []), line][-COMMENTS:]

        return self._change(path, group, comment.at, add)

    def snooze(self, path: str, group: str, until: datetime | None, now: datetime) -> Notes:
        """Put a group off until a time; None ends that."""

        def put_off(data: dict[str, Any]) -> None:
            data.pop("until", None)
            if until is not None:
                data["until"] = until.isoformat()

        return self._change(path, group, now, put_off)

    def _change(self, path: str, group: str, now: datetime, change: Any) -> Notes:
        for _ in range(_ROUNDS):
            record = self._ledger.read_record(_pk(path), group)
            _notes(record, path)  # a damaged record is never written over
            data = dict(record.data)
            change(data)
            if data == dict(record.data):
                return _notes(record, path)
            try:
                return _notes(
                    self._ledger.write_record(Record(record.pk, record.sk, data, record.version), now + KEEP), path
                )
            except Conflict:
                continue
        raise Transient(f"the notes on group {group} were written by others again and again")


def _notes(record: Record, path: str) -> Notes:
    try:
        fields = Fields(record.data)
        comments = []
        for line in fields.many("comments"):
            read = Fields(line, "at", "operator", "text")
            at = read.time("at")
            if at is None:
                raise ValueError("at")
            comments.append(Comment(at, read.text("operator"), read.text("text")))
        return Notes(path, record.sk, fields.text("owner"), tuple(comments), fields.time("until"))
    except ValueError:
        raise DamagedRecord(record.pk, record.sk) from None


def _pk(path: str) -> str:
    return f"notes#{path}"
