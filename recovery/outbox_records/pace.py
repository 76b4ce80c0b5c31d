"""How fast things may go: so many a second, over all threads of a run; slower for a while after a throttle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GROWTH_SECONDS = 60
"""From nothing to the full rate: what a throttle has halved is whole again after half of it."""
SLOWEST = 64
"""The rate is never less than the full one divided by this."""


class Pace:
    """Spaces out what is done: after `n` things the next may begin n / per_second later.

    Args:
        per_second: the full rate.
        clock: seconds that only grow; tests replace it.
        pause: waits for seconds; tests replace it.
    """

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._full = per_second
        self._rate = per_second
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._next = float("-inf")
        self._slowed = float("-inf")
        self._grown = float("-inf")

    @property
    def rate(self) -> float:
        """Things a second at present."""
        return self._rate

    def take(self, count: float) -> None:
        """Wait until `count` more things may be done."""
        with self._lock:
            now = self._clock()
            if self._rate < self._full:
                self._rate = min(self._full, self._rate + (now - self._grown) * self._full / GROWTH_SECONDS)
            self._grown = now
            begin = max(now, self._next)
            self._next = begin + count / self._rate
        if begin > now:
            self._pause(begin - now)

    def slow_down(self) -> None:
        """Halve the rate, once a second at most: all threads meet the same throttle."""
        with self._lock:
            now = self._clock()
            if now - self._slowed < 1:
                return
            self._slowed = self._grown = now
            self._rate = max(self._full / SLOWEST, self._rate / 2)
