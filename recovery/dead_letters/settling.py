"""Sends that are not proven yet: what was sent back stays `sent` until its consumer took it and it stayed away.

Items of the ledger, per dead-letter queue and destination:
    pk `settle#<queue>|<destination>`  sk `<due>#<intent>`   the cases of one send intent, until they are counted; names
                                                             the run that counts them until it is removed. Of a FIFO
                                                             queue one item for each group of the intent
    pk `awaited#dead_letters`  sk `<queue>|<destination>`    when the last of these is due: one query finds all pairs
                                                             about which anything is open
    pk `awaited#dead_letters`  sk `taken|<destination>`      when runs saw that all that had arrived by some time was
                                                             taken by the consumer; and up to when was counted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recovery.errors import Conflict
from recovery.fields import Fields
from recovery.ledger import Ledger
from recovery.ledger_writes import LedgerWrite, delete, put
from recovery.records import DamagedRecord, Record, record_item

KEEP = timedelta(days=16)
"""Time for which the ledger keeps sends that nobody counted."""
PROOFS = 100
"""Proofs that are kept of one destination: one for each run that saw its consumer get ahead."""
_AWAITED = "awaited#dead_letters"
_TAKEN = "taken|"


@dataclass(frozen=True, slots=True)
class Settling:
    """The sends of one intent to one destination.

    Attributes:
        sk: its key in the ledger.
        keys: keys of the cases that were written for it.
        arrived: when the last of its messages could be received: a case that changed later speaks of a later send.
        version: of its item in the ledger.
        taken: a run has counted it, or died over it.
        by, since: that run, and when it began.
        count: cases that it was about to count.
        group: the FIFO group in which they would come back; "": not known.
        heard: circuits know already that they stayed away for their time.
    """

    sk: str
    keys: tuple[str, ...]
    arrived: datetime
    version: int
    taken: bool
    by: str = ""
    since: datetime | None = None
    count: int = 0
    group: str = ""
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Awaited:
    """A dead-letter queue and a destination between which something is open.

    Attributes:
        queue: ARN of the dead-letter queue.
        destination: URL of the destination.
        arrived, due: when the last of what was sent arrived, and when it will have stayed away for its time.
        version: of its item in the ledger.
    """

    queue: str
    destination: str
    arrived: datetime
    due: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Proof of a destination's consumer.

    An empty queue proves all. An age proves less: from its third receive on CloudWatch leaves a message out, so it may
    still lie there, at the back, until its last receive is over. Each later look that sees the consumer past what had
    arrived since it could be received again stands for one receive more.

    Attributes:
        proofs: pairs of a time and an earlier one: at the first it was seen that all that had arrived by the second was
            taken. Both are the same when the queue was empty.
        counted: arrivals up to this time were counted as recovered; None: none.
        version: of its item in the ledger.
        receives: after which a message dies there; 0: none dies, or that is not known.
        visibility: time for which each receive hides it.
    """

    proofs: tuple[tuple[datetime, datetime], ...] = ()
    counted: datetime | None = None
    version: int = 0
    receives: int = 0
    visibility: timedelta = timedelta(0)

    @property
    def looks(self) -> int:
        """Ages that prove a message gone; 0: none do."""
        return max(1, self.receives - 1) if self.receives else 0

    def seen_at(self, arrived: datetime) -> datetime | None:
        """Return when it was first seen that what had arrived by then was taken, or received three times; None: never
        yet."""
        return min((seen for seen, until in self.proofs if until >= arrived), default=None)

    def proven_at(self, arrived: datetime) -> datetime | None:
        """Return when it was first proven that nothing that had arrived by then was there any more; None: never yet."""
        empty = min((seen for seen, until in self.proofs if seen == until >= arrived), default=None)
        last: datetime | None = None
        for _ in range(self.looks):
            last = self.seen_at(arrived)
            if last is None:
                break
            arrived = last + self.visibility
        return min((time for time in (empty, last) if time is not None), default=None)

    def with_proof(self, seen: datetime, until: datetime) -> Taken:
        """Return it with one proof more, unless that says nothing new."""
        if any(known >= until for _, known in self.proofs):
            return self
        return replace(self, proofs=(*self.proofs, (seen, until))[-PROOFS:])


class Unproven:
    """Reads and writes these items."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def writes(
        self,
        intent: str,
        queue: str,
        destination: str,
        keys: Sequence[str],
        arrived: datetime,
        settle: timedelta,
        group: str = "",
    ) -> list[LedgerWrite]:
        """Return the writes that let sends be counted as recovered, whoever removes their originals.

        Args:
            intent: id of the send intent.
            queue: ARN of the dead-letter queue.
            destination: URL that they were sent to.
            keys: the cases to look at once they have settled.
            arrived: when the last of them can be received.
            settle: how long they must then stay away.
            group: their FIFO group, where they would come back in it.
        """
        due = arrived + settle
        data = {"keys": list(keys), "arrived": arrived.isoformat(), **({"group": group} if group else {})}
        sends = Record(_pk(queue, destination), f"{due.isoformat()}#{intent}", data, 0)
        times = {"arrived": arrived.isoformat(), "due": due.isoformat()}
        # A version of its own for each send, so that who is done with the pair notices a later one.
        version = round(arrived.timestamp() * 1000)
        pair = Record(_AWAITED, f"{queue}|{destination}", times, version)
        return [put(record_item(sends, due + KEEP)), put(record_item(pair, due + KEEP))]

    def awaited(self, damaged: list[DamagedRecord]) -> tuple[list[Awaited], dict[str, Taken]]:
        """Return the pairs about which anything is open, and what is proven, by destination.

        Args:
            damaged: takes the items that cannot be understood.
        """
        pairs: list[Awaited] = []
        taken: dict[str, Taken] = {}
        for record in self._ledger.query(_AWAITED, damaged=damaged):
            try:
                if record.sk.startswith(_TAKEN):
                    taken[record.sk.removeprefix(_TAKEN)] = _taken(record)
                    continue
                fields = Fields(record.data, "arrived", "due")
                queue, _, destination = record.sk.partition("|")
                if not fields.flag("done"):
                    times = fields.required_time("arrived"), fields.required_time("due")
                    pairs.append(Awaited(queue, destination, *times, record.version))
            except ValueError:
                damaged.append(DamagedRecord(record.pk, record.sk))
        return pairs, taken

    def settled(self, pair: Awaited, now: datetime, damaged: list[DamagedRecord]) -> Iterator[Settling]:
        """Yield the sends between a pair that have stayed away for their time, the oldest first.

        Args:
            pair: dead-letter queue and destination.
            now: the time.
            damaged: takes those that cannot be understood.
        """
        up_to = f"{now.isoformat()}#~"
        for record in self._ledger.query(_pk(pair.queue, pair.destination), up_to=up_to, damaged=damaged):
            try:
                fields = Fields(record.data, "keys", "arrived")
                arrived = fields.required_time("arrived")
                yield Settling(
                    record.sk,
                    fields.texts("keys"),
                    arrived,
                    record.version,
                    "by" in record.data,
                    fields.text("by"),
                    fields.time("since"),
                    fields.count("count"),
                    fields.text("group"),
                    fields.flag("heard"),
                )
            except ValueError:
                damaged.append(DamagedRecord(record.pk, record.sk))

    def take(self, pair: Awaited, sends: Settling, owner: str, now: datetime) -> bool:
        """Become the one run (`owner`) that counts settled sends; of several runs one is.

        Raises:
            Transient: not known; then this run must not count them.
        """
        data = {
            "keys": [],
            "arrived": sends.arrived.isoformat(),
            "by": owner,
            "since": now.isoformat(),
            "count": len(sends.keys),
        }
        pk = _pk(pair.queue, pair.destination)
        try:
            self._ledger.write_record(Record(pk, sends.sk, data, sends.version), now + KEEP)
        except Conflict:
            return False
        return True

    def hear(self, pair: Awaited, sends: Settling, now: datetime) -> bool:
        """Note that circuits know of sends that cannot be counted yet; of several runs one passes it on."""
        data = {"keys": list(sends.keys), "arrived": sends.arrived.isoformat(), "group": sends.group, "heard": True}
        try:
            record = Record(_pk(pair.queue, pair.destination), sends.sk, data, sends.version)
            self._ledger.write_record(record, now + KEEP)
        except Conflict:
            return False
        return True

    def forget(self, pair: Awaited, settled: Sequence[Settling]) -> None:
        """Remove settled sends that were counted."""
        self._ledger.write_items([delete(_pk(pair.queue, pair.destination), sends.sk) for sends in settled])

    def close(self, pair: Awaited, now: datetime) -> None:
        """Note that nothing is open between a pair; a send since then keeps it open."""
        data = {"arrived": pair.arrived.isoformat(), "due": pair.due.isoformat(), "done": True}
        record = Record(_AWAITED, f"{pair.queue}|{pair.destination}", data, pair.version)
        try:
            self._ledger.write_record(record, now + timedelta(hours=1))
        except Conflict:
            return

    def prove(self, destination: str, taken: Taken, now: datetime) -> None:
        """Keep what is proven of a destination; another run that does so at the same time is as good."""
        data = {
            "proofs": [[seen.isoformat(), until.isoformat()] for seen, until in taken.proofs],
            "receives": taken.receives,
            "visibility": int(taken.visibility.total_seconds()),
            **({"counted": taken.counted.isoformat()} if taken.counted else {}),
        }
        try:
            self._ledger.write_record(Record(_AWAITED, _TAKEN + destination, data, taken.version), now + KEEP)
        except Conflict:
            return


def _taken(record: Record) -> Taken:
    fields = Fields(record.data, "proofs")
    proofs = []
    for proof in fields.many("proofs"):
        if not isinstance(proof, list) or len(proof) != 2:
            raise ValueError("proofs")
        seen, until = (Fields({"proofs": part}).required_time("proofs") for part in proof)
        proofs.append((seen, until))
    visibility = timedelta(seconds=fields.count("visibility"))
    return Taken(tuple(proofs), fields.time("counted"), record.version, fields.count("receives"), visibility)


def _pk(queue: str, destination: str) -> str:
    return f"settle#{queue}|{destination}"
