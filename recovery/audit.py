"""The audit: everything that a person started, with a name and a reason, by day.

One record for each act: pk `audit#<day>`, sk its time and an id of its own. It is written before the act: what could
not be written down is not done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import uuid4

from recovery.errors import BadInput
from recovery.fields import Fields
from recovery.ledger import Ledger
from recovery.records import DamagedRecord, Record

KEEP = timedelta(days=430)


@dataclass(frozen=True, slots=True)
class Act:
    """One act of a person.

    Attributes:
        at: its time, aware, UTC.
        operator: the name that the person gave.
        identity: the AWS identity of the caller, where a command knows it.
        action: as "close", "plan", "carry out", "show".
        reason: the person's grounds.
        subject: what it was done to, in one line without any value of a message.
        count: items in scope.
    """

    at: datetime
    operator: str
    action: str
    reason: str
    subject: str
    count: int = 0
    identity: str = ""

    def line(self) -> str:
        """Return a one-line description of the act: nothing that a person typed begins another line."""
        who = f"{self.operator} ({self.identity})" if self.identity else self.operator
        return one_line(
            f"{self.at:%Y-%m-%d %H:%M:%S} {who}: {self.action} {self.subject} ({self.count}): {self.reason}"
        )


def one_line(text: str) -> str:
    """Return a text on one line, without characters that control a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def require_person(operator: str, reason: str) -> None:
    """Refuse an act without a name or a reason.

    Raises:
        BadInput: names the field.
    """
    if not operator.strip():
        raise BadInput("operator: name the person who does this")
    if not reason.strip():
        raise BadInput("reason: give the reason in a few words")


class Audit:
    """Writes and reads acts.

    Args:
        ledger: of the estate.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def write(self, act: Act) -> None:
        """Write an act down, before it is done.

        Raises:
            Transient, Refused: it does not stand there, so nothing may be done.
        """
        data = {
            "operator": act.operator,
            "identity": act.identity,
            "action": act.action,
            "reason": act.reason,
            "subject": act.subject[:500],
            "count": act.count,
        }
        key = f"{act.at.isoformat(timespec='milliseconds')}#{uuid4().hex[:12]}"
        self._ledger.write_record(Record(_pk(act.at.date()), key, data, 0), act.at + KEEP)

    def of_day(self, day: date, damaged: list[DamagedRecord]) -> Iterator[Act]:
        """Yield the acts of a day (UTC) in their order; `damaged` takes those that cannot be read."""
        for record in self._ledger.query(_pk(day), damaged=damaged):
            try:
                at = datetime.fromisoformat(record.sk.partition("#")[0])
                read = Fields(record.data, "operator", "action", "reason")
                texts = {name: read.text(name) for name in ("operator", "identity", "action", "reason", "subject")}
                yield Act(at=at, count=read.count("count"), **texts)
            except ValueError:
                damaged.append(DamagedRecord(record.pk, record.sk))


def _pk(day: date) -> str:
    return f"audit#{day.isoformat()}"
