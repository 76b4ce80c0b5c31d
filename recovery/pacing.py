"""The pace of a run: so many calls, messages or read units a second over all its threads, slower after a throttle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GROWTH_SECONDS = 60
"""From nothing to the full rate: what a throttle has halved is whole again after half of it."""
SLOWEST = 64
"""The rate is never less than the full one divided by this."""
_ROUNDING = 1e-9
"""Tokens come back in fractions, and their sum is a little short of a whole one."""


class Pace:
    """A token bucket: at most `burst` calls at once, and `per_second` in the long run. Safe to share between threads.

    With a burst of one, calls are evenly apart, and no second sees more than its rate. What takes many tokens at once
    begins as soon as there is one, and the next waits until they have come back.

    Args:
        per_second: tokens that come back in a second, at the full rate.
        burst: tokens that the bucket holds, and begins with.
        clock: seconds that only grow; tests replace it.
        sleep: waits for seconds; tests replace it.

    Attributes:
        rate: tokens a second at present.
        taken: calls that were let through.
    """

    def __init__(
        self,
        per_second: float,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._full = per_second
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(burst)
        self._filled = clock()
        self._slowed = float("-inf")
        self._lock = threading.Lock()
        self.rate = per_second
        self.taken = 0

    def take(self, count: float = 1) -> None:
        """Wait until the next call may be made; it uses so many tokens."""
        with self._lock:  # held while waiting, so that calls go out in the order in which they asked
            self._fill()
            if self._tokens < 1 - _ROUNDING:
                wait = (1 - self._tokens) / self.rate
                self._sleep(wait)
                self._tokens, self._filled = 1.0, self._filled + wait
            self._tokens -= count
            self.taken += 1

    def rest(self, seconds: float) -> None:
        """Let no call through for so long: the API has just refused calls as too many."""
        with self._lock:
            self._sleep(seconds)

    def slow_down(self) -> None:
        """Halve the rate, once a second at most: all threads meet the same throttle."""
        with self._lock:
            now = self._clock()
            if now - self._slowed >= 1:
                self._fill()
                self._slowed = now
                self.rate = max(self._full / SLOWEST, self.rate / 2)

    def _fill(self) -> None:
        now = self._clock()
        since = now - self._filled
        if self.rate < self._full:
            self.rate = min(self._full, self.rate + max(0.0, since) * self._full / GROWTH_SECONDS)
        self._tokens = min(float(self._burst), self._tokens + since * self.rate)
        self._filled = now
