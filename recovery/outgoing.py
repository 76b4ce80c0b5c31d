"""Events on their way out: posted at once, or kept in the ledger until the server takes them.

A post that failed may have arrived; the id of an event is made from its fact, so a repetition is the same event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from recovery.errors import BadInput, Conflict
from recovery.events.outward import Outward
from recovery.ledger import Ledger
from recovery.ledger_writes import delete
from recovery.records import DamagedRecord, Record

MOST = 1_000
"""Kept events that one run posts."""
BATCH = 100
"""Events that the server takes in one request."""
_KEPT = "events#kept"
_KEEP = timedelta(days=14)

_T = TypeVar("_T")
Post = Callable[[Sequence[Outward]], None]
"""Posts events. Raises BadInput where the server refuses one of them for good, and anything else where it is away."""


class Outgoing:
    """Events of one run on their way to the server.

    Args:
        ledger: keeps what the server did not take.
        post: posts; None where there is no server, and then nothing is kept either.
        now: the time.
    """

    def __init__(self, ledger: Ledger, post: Post | None, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._post = post
        self._now = now
        self._is_away = False

    def emit(self, events: Sequence[Outward]) -> None:
        """Post events. Those that the server does not take are kept for a later run.

        Raises:
            Transient, Refused: the server is away, and the ledger could not keep them.
        """
        for some in _parts(events):
            if self._post is None:
                return
            if not self._is_away and self._posted(some):
                continue
            for event in some:
                self._keep(event)

    def flush(self) -> int:
        """Post what earlier runs kept; return their number. Nothing is asked of a server that was away in this run.

        Raises:
            Transient, Refused: the ledger could not be asked.
        """
        if self._post is None or self._is_away:
            return 0
        damaged: list[DamagedRecord] = []
        done = 0
        for records in _parts(list(islice(self._ledger.query(_KEPT, damaged=damaged), MOST))):
            readable = [(record, event) for record in records if (event := _read(record)) is not None]
            if not self._posted([event for _, event in readable]):
                break
            self._ledger.write_items([delete(_KEPT, record.sk) for record in records])
            done += len(records)
        return done

    def _posted(self, events: Sequence[Outward]) -> bool:
        """True when nothing is left to do: the server took them, or refuses the odd one for good."""
        assert self._post is not None
        try:
            if events:
                self._post(events)
        except BadInput:
            if len(events) > 1:
                # One of them spoils the others.
                return all(self._posted([event]) for event in events)
        except Exception:  # noqa: BLE001 - whatever it is, the event is kept and the work goes on
            self._is_away = True
            return False
        return True

    def _keep(self, event: Outward) -> None:
        try:
            self._ledger.write_record(Record(_KEPT, str(event.id), event.as_json(), 0), self._now() + _KEEP)
        except Conflict:
            return  # kept already


def _parts(things: Sequence[_T]) -> list[Sequence[_T]]:
    return [things[start : start + BATCH] for start in range(0, len(things), BATCH)]


def _read(record: Record) -> Outward | None:
    try:
        return Outward.from_json(record.data)
    except BadInput:
        return None  # nothing can be made of it: it goes with the others
