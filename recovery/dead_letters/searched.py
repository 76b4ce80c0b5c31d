"""The ledger's memory of logs that were searched: nothing is asked twice of the same log for the same message.

One record holds many messages of a queue: thousands without a log line cost a few requests each run, not one each.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.failures import Diagnosis, Kind
from recovery.ledger import Ledger
from recovery.ledger_writes import delete, put
from recovery.logs import Unfinished
from recovery.records import DamagedRecord, Record, record_item

BUCKETS = 64
MOST = 4_000
"""Messages in one record, which DynamoDB keeps below 400 KB; what is forgotten is searched again."""
MOST_CONCLUDED = 50
"""Conclusions in one record: messages that fail together share theirs."""
_SHORTEST = 3
TOKEN_KEEP = timedelta(days=1)
"""FilterLogEvents takes its tokens for a day."""
_OPEN = "open#"
KEEP = timedelta(days=16)
"""SQS keeps no message longer than 14 days."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """The conclusion from a log about a message that stays: its lines need not be read again.

    Attributes:
        diagnosis: without its quote.
        error: the normalised text; the full one is in the log alone.
        by_time: the failure was found by the time of the message's receives.
        mark: of the rules that concluded it.
    """

    diagnosis: Diagnosis
    error: str
    by_time: bool
    mark: int


@dataclass(frozen=True, slots=True)
class Search:
    """Reach of the log's search for one message.

    Attributes:
        until: lines up to this time were read (milliseconds since 1970); 0 for none.
        timed: all lines at the times of its receives were read.
        concluded: the conclusion from them, of a message that stays; None when there was none.
    """

    until: int = 0
    timed: bool = False
    concluded: Concluded | None = None


class SearchMemory:
    """Searches for the messages of one queue; read once a run, by one query.

    Args:
        ledger: the ledger.
        queue: ARN of the dead-letter queue.

    Raises:
        Transient, Refused: the ledger could not be read.
    """

    def __init__(self, ledger: Ledger, queue: str) -> None:
        self._ledger = ledger
        self._pk = f"searched#dead_letters#{queue}"
        damaged: list[DamagedRecord] = []  # what cannot be read is searched again, and written anew
        self._buckets: dict[str, dict[str, list[int]]] = {}
        self._concluded: dict[int, Concluded] = {}
        self._changed: set[str] = set()
        self._open: dict[str, Unfinished] = {}
        for record in ledger.query(self._pk, damaged=damaged):
            if record.sk.startswith(_OPEN):
                if (read := _unfinished(record.data)) is not None:
                    self._open[record.sk] = read
                continue
            ids = record.data.get("ids")
            if isinstance(ids, dict):
                self._buckets[record.sk] = {key: value for key, value in ids.items() if _is_sound(value)}
            for each in _listed(record.data.get("concluded")):
                if (concluded := _concluded(each)) is not None:
                    self._concluded[_number(concluded)] = concluded

    def of(self, group: str, message_id: str) -> Search:
        """The search of a log group for a message."""
        found = self._buckets.get(_bucket(message_id), {}).get(message_id)
        if not found or found[2] != _short(group):
            return Search()
        if len(found) == _SHORTEST:
            return Search(found[0], bool(found[1]))
        concluded = self._concluded.get(found[3])
        # Without its conclusion a search would mean that the log had no answer: it is made again.
        return Search(found[0], bool(found[1]), concluded) if concluded is not None else Search()

    def note(self, group: str, message_id: str, search: Search) -> None:
        """Remember a search, until `save`."""
        bucket = _bucket(message_id)
        ids = self._buckets.setdefault(bucket, {})
        ids.pop(message_id, None)
        ids[message_id] = [search.until, int(search.timed), _short(group)]
        if search.concluded is not None:
            number = _number(search.concluded)
            ids[message_id].append(number)
            self._concluded[number] = search.concluded
        self._changed.add(bucket)

    def unfinished(self, group: str) -> Unfinished | None:
        """A read of a log group that a limit ended."""
        return self._open.get(f"{_OPEN}{_short(group)}")

    def note_unfinished(self, group: str, read: Unfinished | None) -> None:
        """Remember a read to go on from (None: there is none any more), until `save`."""
        key = f"{_OPEN}{_short(group)}"
        if read is not None:
            self._open[key] = read
            self._changed.add(key)
        elif self._open.pop(key, None) is not None:
            self._changed.add(key)

    def save(self, now: datetime) -> None:
        """Write what changed.

        Raises:
            Transient, Refused: it was not written; the next run then searches again.
        """
        oldest = (now - KEEP).timestamp() * 1000
        writes = []
        for bucket in sorted(self._changed):
            if bucket.startswith(_OPEN):
                read = self._open.get(bucket)
                if read is None:
                    writes.append(delete(self._pk, bucket))
                else:
                    kept_read = Record(self._pk, bucket, asdict(read), 0)
                    writes.append(put(record_item(kept_read, now + TOKEN_KEEP)))
                continue
            kept = {key: value for key, value in self._buckets[bucket].items() if value[0] >= oldest}
            self._buckets[bucket] = dict(list(kept.items())[-MOST:])
            numbers = dict.fromkeys(value[3] for value in self._buckets[bucket].values() if len(value) > _SHORTEST)
            concluded = [_written(self._concluded[each]) for each in list(numbers)[-MOST_CONCLUDED:]]
            record = Record(self._pk, bucket, {"ids": self._buckets[bucket], "concluded": concluded}, 0)
            writes.append(put(record_item(record, now + KEEP)))
        if writes:
            self._ledger.write_items(writes)
        self._changed.clear()


def _written(concluded: Concluded) -> dict[str, Any]:
    diagnosis = asdict(concluded.diagnosis) | {"quote": ""}
    return {"diagnosis": diagnosis, "error": concluded.error, "by_time": concluded.by_time, "mark": concluded.mark}


def _concluded(data: object) -> Concluded | None:
    """A conclusion as it was written; None for anything else."""
    if not isinstance(data, dict):
        return None
    try:
        known = data["diagnosis"]
        texts = {name: str(known[name]) for name in ("rule", "reason", "action", "kind_action")}
        diagnosis = Diagnosis(kind=Kind(known["kind"]), transient=known["transient"] is True, **texts)
        return Concluded(diagnosis, str(data["error"]), data["by_time"] is True, int(data["mark"]))
    except (KeyError, TypeError, ValueError):
        return None


def _number(concluded: Concluded) -> int:
    return _short(repr((concluded.diagnosis.kind, concluded.diagnosis.rule, concluded.error, concluded.by_time)))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _unfinished(data: Mapping[str, Any]) -> Unfinished | None:
    """A read as `asdict` kept it; None for anything else."""
    try:
        (start, end), streams = data["window"], data["streams"]
        return Unfinished(
            (int(start), int(end)),
            tuple(str(each) for each in data["ids"]),
            str(data["token"]),
            {str(name): (int(first), int(last)) for name, (first, last) in streams.items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _bucket(message_id: str) -> str:
    return f"{_short(message_id) % BUCKETS:02}"


def _short(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _is_sound(value: object) -> bool:
    if not isinstance(value, list) or len(value) not in (_SHORTEST, _SHORTEST + 1):
        return False
    return all(isinstance(part, int) for part in value)
