"""Rings that nobody has heard yet: rung again, a few times, until the server says that a run was made. Pure.

The server accepts an event before it acts on it. A server that has just started accepts for a moment before its
triggers listen, and one that is killed forgets what it had accepted (its broker is in memory). So a ring is believed
only when the server has an event of its own that says what it did because of it. A ring whose run was cancelled behind
another one rings again as well: that run may have looked before the failure happened. A run takes care of its whole
path, so of each event name only the latest ring counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from uuid import UUID, uuid5

from recovery.events.hints import Hint
from relay.bursts import Telling

LOOK_AFTER = tuple(timedelta(seconds=seconds) for seconds in (8, 16, 32, 64, 64, 64))
"""Between a ring and the looks for what it did. The server writes its events down every five seconds; after four
minutes the next sweep is near."""
MOST_UNHEARD = 3
"""Rings of which the server made nothing at all, after which no more are sent."""
_AGAIN = UUID("a2f7c2f1-5f7c-5c64-8d1b-0c5c4cf8b0aa")


class Outcome(IntEnum):
    """The server's reactions to a trigger, by the work that is left."""

    FAILED = 0
    """No run could be made."""
    MADE = 1
    """A run that has started, or another action."""
    WAITS = 2
    """A run that has not started."""
    BEHIND = 3
    """A run that was cancelled because another one of its deployment was at work, which may have looked already."""


@dataclass(frozen=True, slots=True)
class _Ring:
    hint: Hint
    id: UUID
    looks: int
    unheard: int
    look: datetime


class Unheard:
    """The latest ring of each event name, until it was heard."""

    def __init__(self) -> None:
        self._rings: dict[str, _Ring] = {}

    @property
    def count(self) -> int:
        """Rings that were not heard yet."""
        return len(self._rings)

    def rang(self, hint: Hint, now: datetime) -> None:
        """The server accepted a ring."""
        known = self._rings.get(hint.event)
        if known is None or known.id != hint.id:
            self._rings[hint.event] = _Ring(hint, hint.id, 0, 0, now + LOOK_AFTER[0])

    def due(self, now: datetime) -> dict[str, UUID]:
        """The rings to look for now: id of the latest, by event name."""
        return {name: ring.id for name, ring in self._rings.items() if ring.look <= now}

    def later(self, now: datetime) -> None:
        """The server could not be asked: look again later."""
        for name in self.due(now):
            self._rings[name] = replace(self._rings[name], look=now + LOOK_AFTER[0])

    def settle(
        self, acted_on: Mapping[UUID, Outcome], triggers: Collection[str], now: datetime
    ) -> tuple[list[Telling], list[str]]:
        """Take in the server's reactions.

        Args:
            acted_on: its reactions, by event.
            triggers: event names that something waits for; a ring of another name needs no answer.
            now: the time of this look.

        Returns:
            Rings to ring again, and names whose rings stayed unheard to the end.
        """
        again: list[Telling] = []
        lost: list[str] = []
        for name, identity in self.due(now).items():
            ring = self._rings.pop(name)
            outcome = acted_on.get(identity)
            if outcome in (Outcome.MADE, Outcome.FAILED) or (outcome is None and name not in triggers):
                continue
            looks, unheard = ring.looks + 1, ring.unheard + (outcome is None)
            if unheard >= MOST_UNHEARD:
                lost.append(name)
                continue
            if looks >= len(LOOK_AFTER):
                continue  # it waits for a worker, or behind a run of minutes: the sweep comes sooner
            later = replace(ring, looks=looks, unheard=unheard, look=now + LOOK_AFTER[looks])
            if outcome is not Outcome.WAITS:
                # An id of its own: the server drops a repetition of one that it remembers.
                later = replace(later, id=uuid5(_AGAIN, f"{ring.hint.id}:{looks}"))
                again.append(Telling(replace(ring.hint, id=later.id), rings=True))
            self._rings[name] = later
        return again, lost
