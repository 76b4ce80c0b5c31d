"""Flights: what is about to be sent, written down before it is sent.

A flight holds up to 100 letters. It is opened before the sends, confirmed once the new cases are written, and closed
after the originals are removed. What is confirmed is counted as recovered if it stays away, whichever run removes its
originals. A flight that stays open tells the next run which sends are unconfirmed, so that no crash resets a budget:
the letter is sent again as the same attempt (with the same FIFO deduplication id), and an unknown letter with the
content of an unconfirmed send inherits its attempt.

Three small items a flight, in the ledger:
    pk `flight#<queue>`  sk `open#<id>`         the letters; removed when the flight is closed
    pk `flight#<queue>`  sk `sent#<id>`         the cases are written; names the letters for which that is not so, and
                                                those that certainly were not sent
    pk `settle#<queue>`  sk `<due>#<id>`        with the cases: the new ones, until their settle time has passed and a
                                                run has counted them; names that run until it is removed
A letter that certainly was not sent (refused, throttled) leaves nothing open: it does not use up a try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from recovery.dead_letters.letters import Letter, Queue
from recovery.dead_letters.rules import Unconfirmed
from recovery.errors import Conflict
from recovery.failures import Origin
from recovery.fields import Fields
from recovery.ledger import Item, Ledger, delete, put
from recovery.records import DamagedRecord, Record, record_item

SIZE = 100
"""Letters in one flight: about 10 KB, and one read of the ledger finds all their cases."""
KEEP = timedelta(days=16)
"""SQS keeps a message 14 days at most; a copy of an unconfirmed send may come back until then."""
SENDS = timedelta(hours=1)
"""From the opening of a flight to its last send, the repetitions of throttled ones included."""
CLOCKS = timedelta(minutes=2)
"""How far apart a flight's time and SQS's may be."""


@dataclass(frozen=True, slots=True)
class Passenger:
    """One letter of a flight.

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
class Flight:
    """A flight as it was opened."""

    id: str
    queue: str
    passengers: tuple[Passenger, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that may be on its way, because its send was not confirmed.

    Attributes:
        attempt: which attempt it was.
        opened: when its flight was opened; the send came right after.
    """

    attempt: Unconfirmed
    opened: datetime

    def may_be(self, letter: Letter, *, fifo: bool) -> bool:
        """Whether a letter with the same content may be this copy: it was sent when the copy was.

        Otherwise a queue whose messages all say the same would lose an attempt of each. A redrive on a standard queue
        keeps the time of the send; on FIFO, and when a consumer sends to the dead-letter queue itself, it is later.
        """
        if letter.sent_at < self.opened - CLOCKS:
            return False
        kept = letter.origin is Origin.SQS_REDRIVE and not fifo
        return not kept or letter.sent_at <= self.opened + SENDS


@dataclass(frozen=True, slots=True)
class Open:
    """What open flights say about letters.

    Attributes:
        fifo: whether it is a FIFO queue.
        by_letter: by message id of the original.
        by_content: by content hash, only sends that are unconfirmed.
        unreadable: flights that cannot be understood: with any of these, what is not named above may be open as well.
    """

    fifo: bool
    by_letter: Mapping[str, Unconfirmed]
    by_content: Mapping[str, Sequence[Copy]]
    unreadable: Sequence[DamagedRecord] = ()

    def about(self, letter: Letter, content: str) -> Unconfirmed | None:
        """What is open about a letter that has this content."""
        if letter.message_id in self.by_letter:
            return self.by_letter[letter.message_id]
        found: Unconfirmed | None = None
        for copy in self.by_content.get(content, ()):
            if copy.may_be(letter, fifo=self.fifo):
                found = _further(found, copy.attempt)
        return found


@dataclass(frozen=True, slots=True)
class Settling:
    """A flight whose settle time has passed.

    Attributes:
        sk: its key in the ledger.
        keys: keys of the cases that were written for it.
        arrived: when the last of its letters could be received: a case that changed later speaks of a later send.
        version: of its item in the ledger.
        taken: a run has counted it, or died over it.
    """

    sk: str
    keys: tuple[str, ...]
    arrived: datetime
    version: int
    taken: bool


class Flights:
    """The flights of all queues, in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def open(self, flights: Sequence[Flight], now: datetime) -> None:
        """Write flights down; repeating it is safe.

        Raises:
            Transient: some may not stand there, so nothing of them may be sent.
        """
        self._ledger.write_items(
            [
                put(
                    record_item(
                        Record(
                            _pk(flight.queue),
                            f"open#{flight.id}",
                            {
                                "at": now.isoformat(),
                                "letters": [[p.message_id, p.content, p.attempt, p.tries] for p in flight.passengers],
                            },
                            0,
                        ),
                        now + KEEP,
                    )
                )
                for flight in flights
            ]
        )

    def open_of(self, queue: Queue) -> Open:
        """What is open of a queue's flights (of interrupted runs, and of those under way right now)."""
        times: dict[str, datetime] = {}
        opened: dict[str, list[Passenger]] = {}
        unsaid: dict[str, frozenset[str]] = {}
        unsent: dict[str, frozenset[str]] = {}
        unreadable: list[DamagedRecord] = []
        for record in self._ledger.query(_pk(queue.name), damaged=unreadable):
            what, _, flight = record.sk.partition("#")
            try:
                if what == "open":
                    fields = Fields(record.data, "at", "letters")
                    times[flight] = _time(fields, "at")
                    opened[flight] = [_aboard(letter) for letter in fields.many("letters")]
                else:
                    fields = Fields(record.data, "not", "unsent")
                    unsaid[flight] = frozenset(fields.texts("not"))
                    unsent[flight] = frozenset(fields.texts("unsent"))
            except ValueError:
                unreadable.append(DamagedRecord(record.pk, record.sk))
        by_letter: dict[str, Unconfirmed] = {}
        by_content: dict[str, list[Copy]] = {}
        for flight, passengers in opened.items():
            for p in passengers:
                if p.message_id in unsent.get(flight, ()):
                    continue
                sent = flight in unsaid and p.message_id not in unsaid[flight]
                own = Unconfirmed(p.attempt, p.tries, sent, same_letter=True)
                by_letter[p.message_id] = _further(by_letter.get(p.message_id), own)
                if not sent:
                    copy = Unconfirmed(p.attempt, p.tries, False, same_letter=False)
                    by_content.setdefault(p.content, []).append(Copy(copy, times[flight]))
        return Open(queue.fifo, by_letter, by_content, unreadable)

    def confirmation(self, flight: Flight, unconfirmed: Sequence[str], unsent: Sequence[str], now: datetime) -> Item:
        """The write that says that the cases of a flight stand in the ledger, and for which originals that is not so.

        Args:
            flight: the flight.
            unconfirmed: originals whose send was not answered.
            unsent: originals that certainly were not sent.
            now: the time.
        """
        data = {"not": sorted(unconfirmed), "unsent": sorted(unsent)}
        record = Record(_pk(flight.queue), f"sent#{flight.id}", data, 0)
        return put(record_item(record, now + KEEP))

    def settling(self, flight: Flight, keys: Sequence[str], arrived: datetime, settle: timedelta) -> list[Item]:
        """The write that lets a flight be counted as recovered, whoever removes its originals.

        Args:
            flight: the flight.
            keys: the cases to look at once they have settled; none for a flight of which nothing was sent.
            arrived: when the last of its letters can be received.
            settle: how long they must then stay away.
        """
        if not keys:
            return []
        settled = arrived + settle
        data = {"keys": list(keys), "arrived": arrived.isoformat()}
        record = Record(_settle_pk(flight.queue), f"{settled.isoformat()}#{flight.id}", data, 0)
        return [put(record_item(record, settled + KEEP))]

    def closing(self, flight: Flight) -> list[Item]:
        """The writes that close a flight about which nothing is open any more."""
        return [
            delete(_pk(flight.queue), f"open#{flight.id}"),
            delete(_pk(flight.queue), f"sent#{flight.id}"),
        ]

    def settled(self, queue: str, now: datetime, most: int, damaged: list[DamagedRecord]) -> Iterator[Settling]:
        """Flights of a queue whose settle time has passed, the oldest first.

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
                flight = Settling(record.sk, fields.texts("keys"), arrived, record.version, "by" in record.data)
            except ValueError:
                damaged.append(DamagedRecord(record.pk, record.sk))
            else:
                yield flight

    def take(self, queue: str, flight: Settling, owner: str, now: datetime) -> bool:
        """Whether this run (`owner`) is the one that counts a settled flight; of several runs one is.

        Raises:
            Transient: not known; then this run must not count it.
        """
        data = {"keys": [], "arrived": flight.arrived.isoformat(), "by": owner}
        try:
            self._ledger.write_record(Record(_settle_pk(queue), flight.sk, data, flight.version), now + KEEP)
        except Conflict:
            return False
        return True

    def forget(self, queue: str, settled: Sequence[Settling]) -> None:
        """Remove settled flights that were counted."""
        self._ledger.write_items([delete(_settle_pk(queue), flight.sk) for flight in settled])


def _time(fields: Fields, name: str) -> datetime:
    found = fields.time(name)
    if found is None:
        raise ValueError(name)
    return found


def _aboard(letter: object) -> Passenger:
    match letter:
        case [str(message_id), str(content), int(attempt), int(tries)]:
            return Passenger(message_id, content, attempt, tries)
    raise ValueError("letters")


def _further(one: Unconfirmed | None, other: Unconfirmed) -> Unconfirmed:
    # A later flight of the same letter says more than an earlier one, and a confirmed send says most.
    if one is None:
        return other
    return max(one, other, key=lambda u: (u.sent, u.attempt, u.tries))


def _pk(queue: str) -> str:
    return f"flight#{queue}"


def _settle_pk(queue: str) -> str:
    return f"settle#{queue}"
