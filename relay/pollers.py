"""The sources beside the events queue: each is polled in its turn, and one that fails rests alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from recovery.errors import RepriseError
from recovery.events.hints import Hint
from relay.counts import Counts

log = logging.getLogger("reprise.relay")

_RESTS = timedelta(seconds=30)


class Poller(Protocol):
    """Something that AWS does not announce and the relay looks at by itself."""

    @property
    def problems(self) -> Sequence[str]:
        """Reasons why it sees less than it should, for a person."""
        ...

    def poll(self, now: datetime) -> Sequence[Hint]:
        """Return the events to send now; reads its source only as often as it should."""
        ...

    def leave(self, now: datetime) -> None:
        """The relay stops: let go of what is held."""
        ...


class Pollers:
    """All of them.

    Args:
        pollers: in the order in which they are polled.
        now: the time by AWS's clock.
        counts: the relay's, which name what rests and what is wrong.
    """

    def __init__(self, pollers: Sequence[Poller], now: Callable[[], datetime], counts: Counts) -> None:
        self._pollers = pollers
        self._now = now
        self._counts = counts
        self._resting: dict[int, datetime] = {}  # by place

    def poll(self, add: Callable[[Hint], None], after_each: Callable[[], None]) -> None:
        """Poll each that does not rest.

        Args:
            add: takes an event.
            after_each: called after each, since AWS may be slow to answer it.
        """
        for place, poller in enumerate(self._pollers):
            now = self._now()
            name = f"{type(poller).__name__} {place}"
            if now < self._resting.get(place, now):
                continue
            try:
                for hint in poller.poll(now):
                    self._counts.polled += 1
                    add(hint)
            except Exception as error:
                # The other pollers and the events queue go on, whatever it is.
                log.warning(
                    "a poller rests for %d s: %s",
                    _RESTS.total_seconds(),
                    error,
                    exc_info=not isinstance(error, RepriseError),
                )
                self._resting[place] = now + _RESTS
                self._counts.wrong(name, f"{name} rests: {type(error).__name__}: {error}")
            else:
                self._resting.pop(place, None)
                self._counts.wrong(name, "; ".join(poller.problems))
            after_each()
        self._counts.resting = len(self._resting)

    def leave(self) -> None:
        """Let each go of what it holds; one that cannot stops no other."""
        for poller in self._pollers:
            try:
                poller.leave(self._now())
            except Exception as error:
                log.warning("a poller could not let go of what it had claimed: %s", error, exc_info=True)
