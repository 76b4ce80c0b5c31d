"""Send intents: what is about to be sent, written down before it is sent.

A send intent holds up to 100 messages. It is opened before the sends, confirmed once the new cases are written, and
closed after the originals are removed. What is confirmed is counted as recovered if it stays away, whichever run
removes its originals. A send intent that stays open tells the next run which sends are unconfirmed, so that no crash
resets the count of attempts: the message is sent again as the same attempt (with the same FIFO deduplication id), and
an unknown message with the content of an unconfirmed send inherits its attempt.

Three small items a send intent, in the ledger:
    pk `intent#<queue>`  sk `open#<id>`         the messages; removed when the send intent is closed
    pk `intent#<queue>`  sk `sent#<id>`         the cases are written; names the messages for which that is not so, and
                                                those that certainly were not sent
    pk `settle#<queue>`  sk `<due>#<id>`        with the cases: the new ones, until their settle time has passed and a
                                                run has counted them; names that run until it is removed
A message that certainly was not sent (refused, throttled) leaves nothing open: it does not use up a try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from recovery.dead_letters.messages import Message, Queue
from recovery.dead_letters.rules import Unconfirmed
from recovery.errors import Conflict
from recovery.failures import Origin
from recovery.fields import Fields
from recovery.ledger import Ledger, LedgerWrite, delete, put
from recovery.records import DamagedRecord, Record, record_item

SIZE = 100
"""Messages in one send intent: about 10 KB, and one read of the ledger finds all their cases."""
KEEP = timedelta(days=16)
"""SQS keeps a message 14 days at most; a copy of an unconfirmed send may come back until then."""
SENDS = timedelta(hours=1)
"""From the opening of a send intent to its last send, the repetitions of throttled ones included."""
CLOCKS = timedelta(minutes=2)
"""How far apart a send intent's time and SQS's may be."""


@dataclass(frozen=True, slots=True)
class PendingSend:
    """One message of a send intent.

    Attributes:
        message_id: of the original.
        content: its content hash.
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
        """Whether a message with the same content may be this copy: it was sent when the copy was.

        Otherwise a queue whose messages all say the same would lose an attempt of each. A redrive on a standard queue
        keeps the time of the send; on FIFO, and when a consumer sends to the dead-letter queue itself, it is later.
        """
        if message.sent_at < self.opened - CLOCKS:
            return False
        kept = message.origin is Origin.SQS_REDRIVE and not fifo
        return not kept or message.sent_at <= self.opened + SENDS


@dataclass(frozen=True, slots=True)
class Open:
    """What open send intents say about messages.

    Attributes:
        fifo: whether it is a FIFO queue.
        by_message: by message id of the original.
        by_content: by content hash, only sends that are unconfirmed.
        unreadable: send intents that cannot be understood: with any of these, what is not named above may be open as
            well.
    """

    fifo: bool
    by_message: Mapping[str, Unconfirmed]
    by_content: Mapping[str, Sequence[Copy]]
    unreadable: Sequence[DamagedRecord] = ()

    def about(self, message: Message, content: str) -> Unconfirmed | None:
        """What is open about a message that has this content."""
        if message.message_id in self.by_message:
            return self.by_message[message.message_id]
        found: Unconfirmed | None = None
        for copy in self.by_content.get(content, ()):
            if copy.may_be(message, fifo=self.fifo):
                found = _further(found, copy.attempt)
        return found


@dataclass(frozen=True, slots=True)
class Settling:
    """A send intent whose settle time has passed.

    Attributes:
        sk: its key in the ledger.
        keys: keys of the cases that were written for it.
        arrived: when the last of its messages could be received: a case that changed later speaks of a later send.
        version: of its item in the ledger.
        taken: a run has counted it, or died over it.
    """

    sk: str
    keys: tuple[str, ...]
    arrived: datetime
    version: int
    taken: bool


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
                            _pk(intent.queue),
                            f"open#{intent.id}",
                            {
                                "at": now.isoformat(),
                                "messages": [[p.message_id, p.content, p.attempt, p.tries] for p in intent.pending],
                            },
                            0,
                        ),
                        now + KEEP,
                    )
                )
                for intent in intents
            ]
        )

    def open_of(self, queue: Queue) -> Open:
        """What is open of a queue's send intents (of interrupted runs, and of those under way right now)."""
        times: dict[str, datetime] = {}
        opened: dict[str, list[PendingSend]] = {}
        unsaid: dict[str, frozenset[str]] = {}
        unsent: dict[str, frozenset[str]] = {}
        unreadable: list[DamagedRecord] = []
        for record in self._ledger.query(_pk(queue.name), damaged=unreadable):
            what, _, intent = record.sk.partition("#")
            try:
                if what == "open":
                    fields = Fields(record.data, "at", "messages")
                    times[intent] = _time(fields, "at")
                    opened[intent] = [_pending_send(message) for message in fields.many("messages")]
                else:
                    fields = Fields(record.data, "not", "unsent")
                    unsaid[intent] = frozenset(fields.texts("not"))
                    unsent[intent] = frozenset(fields.texts("unsent"))
            except ValueError:
                unreadable.append(DamagedRecord(record.pk, record.sk))
        by_message: dict[str, Unconfirmed] = {}
        by_content: dict[str, list[Copy]] = {}
        for intent, pending in opened.items():
            for p in pending:
                if p.message_id in unsent.get(intent, ()):
                    continue
                sent = intent in unsaid and p.message_id not in unsaid[intent]
                own = Unconfirmed(p.attempt, p.tries, sent, same_message=True)
                by_message[p.message_id] = _further(by_message.get(p.message_id), own)
                if not sent:
                    copy = Unconfirmed(p.attempt, p.tries, False, same_message=False)
                    by_content.setdefault(p.content, []).append(Copy(copy, times[intent]))
        return Open(queue.fifo, by_message, by_content, unreadable)

    def confirmation(
        self, intent: SendIntent, unconfirmed: Sequence[str], unsent: Sequence[str], now: datetime
    ) -> LedgerWrite:
        """The write that says that the cases of a send intent stand in the ledger, and for which originals that is not
        so.

        Args:
            send intent: the send intent.
            unconfirmed: originals whose send was not answered.
            unsent: originals that certainly were not sent.
            now: the time.
        """
        data = {"not": sorted(unconfirmed), "unsent": sorted(unsent)}
        record = Record(_pk(intent.queue), f"sent#{intent.id}", data, 0)
        return put(record_item(record, now + KEEP))

    def settling(
        self, intent: SendIntent, keys: Sequence[str], arrived: datetime, settle: timedelta
    ) -> list[LedgerWrite]:
        """The write that lets a send intent be counted as recovered, whoever removes its originals.

        Args:
            send intent: the send intent.
            keys: the cases to look at once they have settled; none for a send intent of which nothing was sent.
            arrived: when the last of its messages can be received.
            settle: how long they must then stay away.
        """
        if not keys:
            return []
        settled = arrived + settle
        data = {"keys": list(keys), "arrived": arrived.isoformat()}
        record = Record(_settle_pk(intent.queue), f"{settled.isoformat()}#{intent.id}", data, 0)
        return [put(record_item(record, settled + KEEP))]

    def closing(self, intent: SendIntent) -> list[LedgerWrite]:
        """The writes that close a send intent about which nothing is open any more."""
        return [
            delete(_pk(intent.queue), f"open#{intent.id}"),
            delete(_pk(intent.queue), f"sent#{intent.id}"),
        ]

    def settled(self, queue: str, now: datetime, most: int, damaged: list[DamagedRecord]) -> Iterator[Settling]:
        """Send intents of a queue whose settle time has passed, the oldest first.

        Args:
            queue: name of the queue.
            now: the time.
            most: at most so many.
            damaged: takes those that cannot be understood.
        """
        found = self._ledger.query(_settle_pk(queue), up_to=f"{now.isoformat()}#~", damaged=damaged)
        for record in islice(found, most):
            try:
                fields = Fields(record.data, "keys", "arrived")
                arrived = _time(fields, "arrived")
                intent = Settling(record.sk, fields.texts("keys"), arrived, record.version, "by" in record.data)
            except ValueError:
                damaged.append(DamagedRecord(record.pk, record.sk))
            else:
                yield intent

    def take(self, queue: str, intent: Settling, owner: str, now: datetime) -> bool:
        """Whether this run (`owner`) is the one that counts a settled send intent; of several runs one is.

        Raises:
            Transient: not known; then this run must not count it.
        """
        data = {"keys": [], "arrived": intent.arrived.isoformat(), "by": owner}
        try:
            self._ledger.write_record(Record(_settle_pk(queue), intent.sk, data, intent.version), now + KEEP)
        except Conflict:
            return False
        return True

    def forget(self, queue: str, settled: Sequence[Settling]) -> None:
        """Remove settled send intents that were counted."""
        self._ledger.write_items([delete(_settle_pk(queue), intent.sk) for intent in settled])


def _time(fields: Fields, name: str) -> datetime:
    found = fields.time(name)
    if found is None:
        raise ValueError(name)
    return found


def _pending_send(message: object) -> PendingSend:
    match message:
        case [str(message_id), str(content), int(attempt), int(tries)]:
            return PendingSend(message_id, content, attempt, tries)
    raise ValueError("messages")


def _further(one: Unconfirmed | None, other: Unconfirmed) -> Unconfirmed:
    # A later send intent of the same message says more than an earlier one, and a confirmed send says most.
    if one is None:
        return other
    return max(one, other, key=lambda u: (u.sent, u.attempt, u.tries))


def _pk(queue: str) -> str:
    return f"intent#{queue}"


def _settle_pk(queue: str) -> str:
    return f"settle#{queue}"
