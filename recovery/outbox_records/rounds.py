"""Rows on their way through a round: what was read, what was decided, what became of it."""

from __future__ import annotations

from datetime import datetime

from recovery.errors import RepriseError
from recovery.outbox_records.changes import Change
from recovery.outbox_records.message import Message, Unsendable, compose
from recovery.outbox_records.models import Item as RowItem
from recovery.outbox_records.models import Outcome, Row, read_row
from recovery.outbox_records.rules import decide
from recovery.outbox_records.verdicts import Action, Verdict
from recovery.outbox_records.work import OutboxRun
from recovery.report import Entry


class RowWork:
    """A row on its way through a round.

    Attributes:
        row: as it was read.
        message: what is published, or why nothing can be.
        verdict: the decision that holds now.
        wave: its place in its group's chain; 0 for a standard topic.
        group: its FIFO group.
        token: our claim on it; "" while it is not claimed.
        wanted: whether a claim was tried.
        outcome: what became of its publish.
        change: what is to be written; made once, so that writing it again can be recognised.
        settled: whether the row's new state is written.
        trouble: why it is not.
    """

    __slots__ = (
        "change",
        "group",
        "message",
        "outcome",
        "row",
        "settled",
        "token",
        "trouble",
        "verdict",
        "wanted",
        "wave",
    )

    def __init__(self, row: Row, message: Message | Unsendable, verdict: Verdict) -> None:
        self.row = row
        self.message = message
        self.verdict = verdict
        self.group = ""
        self.wave = 0
        self.token = ""
        self.wanted = False
        self.outcome: Outcome | None = None
        self.change: Change | None = None
        self.settled = False
        self.trouble = ""

    @classmethod
    def of(cls, work: OutboxRun, item: RowItem, now: datetime) -> RowWork:
        """Read, compose, decide."""
        row = read_row(item, work.names, work.table.key_names)
        message = compose(
            row,
            work.names,
            work.table.name,
            fifo=work.request.is_fifo,
            most_bytes=work.policy.max_message_bytes,
            most_attributes=work.policy.most_attributes,
        )
        return cls(row, message, decide(row, message, work.policy, now))

    @property
    def size(self) -> int:
        """Bytes of the message."""
        return self.message.size if isinstance(self.message, Message) else 0


class Round:
    """Rows that go through the steps together."""

    def __init__(self, candidates: list[RowWork], token: str) -> None:
        self.candidates = candidates
        self.token = token
        self.lease_ends: datetime | None = None

    @property
    def count(self) -> int:
        """Rows in it."""
        return len(self.candidates)

    def of(self, *actions: Action) -> list[RowWork]:
        """Those with one of these verdicts that are not settled."""
        return [each for each in self.candidates if each.verdict.action in actions and not each.settled]

    @property
    def to_send(self) -> int:
        """Rows to be published."""
        return len(self.of(Action.DELIVER))

    @property
    def to_mark(self) -> int:
        """Rows whose mark is still to be written."""
        prepared = sum(each.change is not None and not each.settled for each in self.candidates)
        return prepared + len([each for each in self.of(Action.TIDY, Action.LIST, Action.GROUP) if not each.change])

    @property
    def to_exhaust(self) -> int:
        """Rows that are not published any more."""
        return len(self.of(Action.EXHAUST))

    def give_up(self, error: RepriseError) -> None:
        """A step could not be done: what it left unsettled says so, where nothing better is known yet."""
        for each in self.candidates:
            if not each.settled and not each.trouble:
                each.trouble = f"it stays as it is, and falls due again by itself: {error}"

    def __repr__(self) -> str:
        return f"Round({self.count} rows)"


def entry_of(work: OutboxRun, candidate: RowWork) -> Entry:
    """Return a row's entry for the report. Never its message."""
    verdict = candidate.verdict
    attempt = candidate.row.attempts + (1 if candidate.token and verdict.action is not Action.WAIT else 0)
    return entry(
        work,
        candidate.row.row_id,
        verdict,
        attempt=attempt,
        settled=candidate.settled or work.dry_run,
        trouble=candidate.trouble,
    )


def entry(
    work: OutboxRun, row_id: str, verdict: Verdict, *, attempt: int = 0, settled: bool = True, trouble: str = ""
) -> Entry:
    """Return the entry of a verdict on a row.

    Args:
        trouble: why it is not settled; reported in place of the reason.
    """
    return Entry(
        key=row_id,
        source=work.table.name,
        action=verdict.action,
        reason=trouble or verdict.reason,
        kind=verdict.kind,
        diagnosis=verdict.diagnosis,
        rule=verdict.rule,
        group=verdict.group,
        error=verdict.error,
        attempt=attempt,
        max_attempts=work.policy.max_attempts,
        settled=settled,
        next_step=verdict.next_step,
        pages=work.pages if verdict.next_step or not settled else (),
    )
