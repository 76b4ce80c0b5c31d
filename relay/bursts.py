"""A thousand events at once should start a handful of runs, and the last of them must not be missed. Pure.

A run that an event starts takes care of its whole path. So of a burst of events of one name only two *ring* (carry the
label that deployments trigger on): the first, and one more after the last, since the first run may have looked before
the last failure happened. Each further resource of a burst is told once, without ringing, so that the event feed and
anybody's own automations see it; a repetition is not told again before the burst ends.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from recovery.events.hints import Hint

QUIET = timedelta(seconds=4)
"""A burst is over when nothing came for this long."""
LONGEST = timedelta(seconds=30)
"""A burst that never ends rings this often."""
_LAST = UUID("0b6dfc38-95f0-5a0e-9c43-6f4f0c2b7d55")
_TOLD = UUID("5f0a4c1e-7d0b-5b5e-8f53-3c8e4f6d2a90")


@dataclass(frozen=True, slots=True)
class Telling:
    """One event to post now.

    Attributes:
        hint: the event.
        rings: True when deployments trigger on it.
        tickets: receipts of queue messages to let go of once it was accepted.
        source: of the message that it was made from, None where it was made from none.
    """

    hint: Hint
    rings: bool
    tickets: tuple[Hashable, ...] = ()
    source: Hashable | None = None


@dataclass
class _Burst:
    began: datetime
    latest: datetime
    first: Hint
    told: set[str] = field(default_factory=set)
    last: Hint | None = None
    last_ticket: Hashable | None = None
    tickets: list[Hashable] = field(default_factory=list)


class Bursts:
    """Events that are held back at the moment, by name."""

    def __init__(self, quiet: timedelta = QUIET, longest: timedelta = LONGEST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._bursts: dict[str, _Burst] = {}

    @property
    def held(self) -> int:
        """Tickets that wait for the end of a burst."""
        return sum(len(burst.tickets) for burst in self._bursts.values())

    def tickets(self) -> list[Hashable]:
        """The tickets that wait."""
        return [ticket for burst in self._bursts.values() for ticket in burst.tickets]

    def add(self, hint: Hint, ticket: Hashable | None, now: datetime) -> Telling | None:
        """Take a hint in; what is to be told of it at once, or None when it waits for the end of its burst."""
        mine = () if ticket is None else (ticket,)
        burst = self._bursts.get(hint.event)
        if burst is None:
            self._bursts[hint.event] = _Burst(now, now, hint, {hint.resource})
            return Telling(hint, rings=True, tickets=mine, source=ticket)
        burst.latest = now
        burst.last, burst.last_ticket = hint, ticket
        burst.tickets += mine
        if hint.resource not in burst.told:
            burst.told.add(hint.resource)
            # Its ticket waits for the last ring, or a relay that is killed before it would have lost that ring. A
            # message that comes again may be the first to ring then: not under an id that did not ring.
            return Telling(replace(hint, id=uuid5(_TOLD, str(hint.id))), rings=False, source=ticket)
        return None

    def drop(self, ticket: Hashable) -> None:
        """A message was parked: the last ring of its burst is not about it, and does not let go of it."""
        for burst in self._bursts.values():
            burst.tickets = [other for other in burst.tickets if other != ticket]
            if burst.last is not None and burst.last_ticket == ticket:
                burst.last, burst.last_ticket = burst.first, None

    def ended(self, now: datetime) -> list[Telling]:
        """The last rings of bursts that are over, or have lasted long enough."""
        out = []
        for name, burst in list(self._bursts.items()):
            over = now - burst.latest >= self._quiet
            if not over and now - burst.began < self._longest:
                continue
            if burst.last is not None:
                # Told once already, perhaps: an id of its own, or Prefect would drop it as a repetition.
                last = replace(burst.last, id=uuid5(_LAST, str(burst.last.id)))
                out.append(Telling(last, rings=True, tickets=tuple(burst.tickets)))
            if over:
                del self._bursts[name]
            else:
                self._bursts[name] = _Burst(now, burst.latest, burst.last or burst.first)
        return out
