"""Triggers without an answer yet: sent again, a few times, until the server says that a run was made. Pure.

The server accepts an event before it acts on it. A server that has just started accepts for a moment before its
automations listen, and one that is killed forgets what it had accepted (its broker is in memory). So a trigger is
believed only when the server has an event of its own that says what it did because of it. A trigger whose run was
cancelled behind
another one is sent again as well: that run may have looked before the failure happened. A run takes care of its whole
path, so of each event name only the latest trigger counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from uuid import UUID, uuid5

from recovery.events.hints import Hint
from relay.bursts import OutgoingEvent

LOOK_AFTER = tuple(timedelta(seconds=seconds) for seconds in (8, 16, 32, 64, 64, 64))
"""Between a trigger and the looks for what it did. The server writes its events down every five seconds; after four
minutes the next sweep is near."""
MOST_UNACKNOWLEDGED = 3
"""Triggers of which the server made nothing at all, after which no more are sent."""
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
class _Trigger:
    hint: Hint
    id: UUID
    looks: int
    unacknowledged: int
    look: datetime


class Unacknowledged:
    """The latest trigger of each event name, until the server acknowledges it."""

    def __init__(self) -> None:
        self._triggers: dict[str, _Trigger] = {}

    @property
    def count(self) -> int:
        """Triggers that were not acknowledged yet."""
        return len(self._triggers)

    def triggered(self, hint: Hint, now: datetime) -> None:
        """The server accepted a trigger."""
        known = self._triggers.get(hint.event)
        if known is None or known.id != hint.id:
            self._triggers[hint.event] = _Trigger(hint, hint.id, 0, 0, now + LOOK_AFTER[0])

    def due(self, now: datetime) -> dict[str, UUID]:
        """The triggers to look for now: id of the latest, by event name."""
        return {name: trigger.id for name, trigger in self._triggers.items() if trigger.look <= now}

    def later(self, now: datetime) -> None:
        """The server could not be asked: look again later."""
        for name in self.due(now):
            self._triggers[name] = replace(self._triggers[name], look=now + LOOK_AFTER[0])

    def settle(
        self, acted_on: Mapping[UUID, Outcome], awaited: Collection[str], now: datetime
    ) -> tuple[list[OutgoingEvent], list[str]]:
        """Take in the server's reactions.

        Args:
            acted_on: its reactions, by event.
            awaited: event names that an automation waits for; a trigger of another name needs no answer.
            now: the time of this look.

        Returns:
            Triggers to send again, and names whose triggers stayed unacknowledged to the end.
        """
        again: list[OutgoingEvent] = []
        lost: list[str] = []
        for name, identity in self.due(now).items():
            trigger = self._triggers.pop(name)
            outcome = acted_on.get(identity)
            if outcome in (Outcome.MADE, Outcome.FAILED) or (outcome is None and name not in awaited):
                continue
            looks, unacknowledged = trigger.looks + 1, trigger.unacknowledged + (outcome is None)
            if unacknowledged >= MOST_UNACKNOWLEDGED:
                lost.append(name)
                continue
            if looks >= len(LOOK_AFTER):
                continue  # it waits for a worker, or behind a run of minutes: the sweep comes sooner
            later = replace(trigger, looks=looks, unacknowledged=unacknowledged, look=now + LOOK_AFTER[looks])
            if outcome is not Outcome.WAITS:
                # An id of its own: the server drops a repetition of one that it remembers.
                later = replace(later, id=uuid5(_AGAIN, f"{trigger.hint.id}:{looks}"))
                again.append(OutgoingEvent(replace(trigger.hint, id=later.id), triggers=True))
            self._triggers[name] = later
        return again, lost
