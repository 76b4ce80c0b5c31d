"""Send intents: what is about to be sent, written down before it is sent.

A send intent holds up to 100 messages. It is opened before the sends, confirmed once the new cases are written, and
closed after the originals are removed. What is confirmed is counted as recovered if it stays away, whichever run
removes its originals. A send intent that stays open shows the next run which sends are unconfirmed, so that no crash
resets the count of attempts: the message is sent again as the same attempt (with the same FIFO deduplication id), and
an unknown message with the content of an unconfirmed send inherits its attempt.

Two small items a send intent, in the ledger:
    pk `intent#<queue ARN>`  sk `open#<id>`         the messages; removed when the send intent is closed
    pk `intent#<queue ARN>`  sk `sent#<id>`         written right after the sends, before anything else: what each
    message
                                                became, in their order (its new id; "" for one that certainly was not
                                                sent; null where that is not known). Cases can be written from it
A message that certainly was not sent (refused, throttled) leaves nothing open: it does not use up a try.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recovery.dead_letters.messages import Message
from recovery.dead_letters.situation import Unconfirmed
from recovery.failures import Origin
from recovery.fields import Fields
from recovery.ledger import Ledger
from recovery.ledger_writes import LedgerWrite, delete, put
from recovery.records import DamagedRecord, Record, record_item

SIZE = 100
"""Messages in one send intent: about 6 KB, and one read of the ledger finds all their cases."""
CONTENT = 11
"""Digits of a content hash that a send intent keeps: enough to distinguish what is open in one queue, and each digit is
paid for twice, when it is written and when it is removed."""
KEEP = timedelta(days=16)
"""SQS keeps a message 14 days at most; a copy of an unconfirmed send may come back until then."""
SENDS = timedelta(hours=1)
"""From the opening of a send intent to its last send, the repetitions of throttled ones included."""
CLOCKS = timedelta(minutes=2)
"""Most time between a send intent's clock and SQS's."""


@dataclass(frozen=True, slots=True)
class PendingSend:
    """One message of a send intent.

    Attributes:
        message_id: of the original.
        content: its content hash, of which only the first digits are kept.
        attempt, tries: as in the verdict.
    """

    message_id: str
    content: str
    attempt: int
    tries: int


@dataclass(frozen=True, slots=True)
class SendIntent:
    """A send intent as it was opened."""

    id: str
    queue: str
    pending: tuple[PendingSend, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that may be on its way, because its send was not confirmed.

    Attributes:
        attempt: which attempt it was.
        opened: when its send intent was opened; the send came right after.
    """

    attempt: Unconfirmed
    opened: datetime

    def may_be(self, message: Message, *, fifo: bool) -> bool:
        """True when a message with the same content may be this copy: it was sent when the copy was.

        Otherwise a queue whose messages all say the same would lose an attempt of each. A redrive on a standard queue
        keeps the time of the send; on FIFO, and when a consumer sends to the dead-letter queue itself, it is later.
        """
        if message.sent_at < self.opened - CLOCKS:
            return False
        kept = message.origin is Origin.SQS_REDRIVE and not fifo
        return not kept or message.sent_at <= self.opened + SENDS


@dataclass(frozen=True, slots=True)
class Open:
    """Messages in open send intents.

    Attributes:
        fifo: whether it is a FIFO queue.
        by_message: by message id of the original.
        by_content: by the digits of the content hash that are kept, only sends that are unconfirmed.
        by_copy: by message id of the copy, sends that are confirmed.
        members: by id of the intent, originals that were sent, or may have been.
        times: by id of the intent, when it was opened.
        circuits: items of circuits, which stand beside them (see `recovery.dead_letters.circuits`).
        unreadable: send intents that cannot be understood: with any of these, what is not named above may be open as
            well.
    """

    fifo: bool
    by_message: Mapping[str, Unconfirmed]
    by_content: Mapping[str, Sequence[Copy]]
    unreadable: Sequence[DamagedRecord] = ()
    by_copy: Mapping[str, Unconfirmed] = field(default_factory=dict)
    members: Mapping[str, set[str]] = field(default_factory=dict)
    circuits: Sequence[Record] = ()
    times: Mapping[str, datetime] = field(default_factory=dict)

    def about(self, message: Message, content: str) -> Unconfirmed | None:
        """Return the open send of a message that has this content."""
        if message.message_id in self.by_message:
            return self.by_message[message.message_id]
        if message.message_id in self.by_copy:
            return self.by_copy[message.message_id]
        found: Unconfirmed | None = None
        for copy in self.by_content.get(content[:CONTENT], ()):
            if copy.may_be(message, fifo=self.fifo):
                found = _further(found, copy.attempt)
        return found


class SendIntents:
    """The send intents of all queues, in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def open(self, intents: Sequence[SendIntent], now: datetime) -> None:
        """Write send intents down; repeating it is safe.

        Raises:
            Transient: some may not stand there, so nothing of them may be sent.
        """
        self._ledger.write_items(
            [
                put(
                    record_item(
                        Record(
                            partition(intent.queue),
                            f"open#{intent.id}",
                            {
                                "at": now.isoformat(),
                                "messages": [
                                    [p.message_id, p.content[:CONTENT], p.attempt, p.tries] for p in intent.pending
                                ],
                            },
                            0,
                        ),
                        now + KEEP,
                    )
                )
                for intent in intents
            ]
        )

    def open_of(self, queue: str, *, fifo: bool) -> Open:
        """Return what is open of a queue's send intents (of interrupted runs, and of those under way right now).

        Args:
            queue: its ARN.
            fifo: whether it is a FIFO queue.
        """
        times: dict[str, datetime] = {}
        opened: dict[str, list[PendingSend]] = {}
        became: dict[str, list[str | None]] = {}
        unreadable: list[DamagedRecord] = []
        circuits: list[Record] = []
        for record in self._ledger.query(partition(queue), damaged=unreadable):
            what, _, intent = record.sk.partition("#")
            try:
                if what == "circuit":
                    circuits.append(record)
                elif what == "open":
                    fields = Fields(record.data, "at", "messages")
                    times[intent] = fields.required_time("at")
                    opened[intent] = [_pending_send(message) for message in fields.many("messages")]
                else:
                    became[intent] = [_new_id(new) for new in Fields(record.data, "became").many("became")]
            except ValueError:
                unreadable.append(DamagedRecord(record.pk, record.sk))
        # A damaged circuit is no damaged send: its group does without.
        circuits += [Record(error.pk, error.sk, {}, 0) for error in unreadable if error.sk.startswith("circuit#")]
        unreadable = [error for error in unreadable if not error.sk.startswith("circuit#")]
        by_message: dict[str, Unconfirmed] = {}
        by_content: dict[str, list[Copy]] = {}
        by_copy: dict[str, Unconfirmed] = {}
        members: dict[str, set[str]] = {}
        for intent, pending in opened.items():
            known = became.get(intent, [None] * len(pending))
            if len(known) != len(pending):
                unreadable.append(DamagedRecord(partition(queue), f"sent#{intent}"))
                known = [None] * len(pending)
            for p, new_id in zip(pending, known, strict=True):
                if new_id == "":
                    continue
                own = Unconfirmed(
                    p.attempt, p.tries, new_id is not None, same_message=True, new_id=new_id or "", intent=intent
                )
                by_message[p.message_id] = _further(by_message.get(p.message_id), own)
                copy = Unconfirmed(p.attempt, p.tries, False, same_message=False)
                if new_id is None:
                    by_content.setdefault(p.content, []).append(Copy(copy, times[intent]))
                else:
                    by_copy[new_id] = copy
                members.setdefault(intent, set()).add(p.message_id)
        return Open(fifo, by_message, by_content, unreadable, by_copy, members, circuits, times)

    def confirmation(self, intent: SendIntent, became: Sequence[str | None], now: datetime) -> LedgerWrite:
        """Return the write that says what the messages of an intent became.

        Args:
            intent: the send intent.
            became: in the order of its pending sends: the new id, "" when certainly not sent, None when not known.
            now: the time.
        """
        record = Record(partition(intent.queue), f"sent#{intent.id}", {"became": list(became)}, 0)
        return put(record_item(record, now + KEEP))

    def closing(self, intent: str, queue: str) -> list[LedgerWrite]:
        """The writes that close a send intent about which nothing is open any more, by its id and its queue's ARN."""
        return [delete(partition(queue), f"open#{intent}"), delete(partition(queue), f"sent#{intent}")]


def _pending_send(message: object) -> PendingSend:
    match message:
        case [str(message_id), str(content), int(attempt), int(tries)]:
            return PendingSend(message_id, content, attempt, tries)
    raise ValueError("messages")


def _new_id(new: object) -> str | None:
    if new is None or isinstance(new, str):
        return new
    raise ValueError("became")


def _further(one: Unconfirmed | None, other: Unconfirmed) -> Unconfirmed:
    # A later send intent of the same message says more than an earlier one, and a confirmed send says most.
    if one is None:
        return other
    return max(one, other, key=lambda u: (u.sent, u.attempt, u.tries))


def partition(queue: str) -> str:
    """Return the partition of a queue's send intents and circuits, by its ARN."""
    return f"intent#{queue}"
