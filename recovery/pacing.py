"""Bound on the rate of an API's calls: one pace for all calls of a run. Safe to share between threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_ROUNDING = 1e-9
"""Tokens come back in fractions, and their sum is a little short of a whole one."""


class Pace:
    """A token bucket: at most `burst` calls at once, and `per_second` in the long run.

    With a burst of one, calls are evenly apart, and no second sees more than its rate.

    Args:
        per_second: tokens that come back in a second.
        burst: tokens that the bucket holds, and begins with.
        clock: seconds that only grow; tests replace it.
        sleep: waits for seconds; tests replace it.

    Attributes:
        taken: calls that were let through.
    """

    def __init__(
        self,
        per_second: float,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(burst)
        self._filled = clock()
        self._lock = threading.Lock()
        self.taken = 0

    def take(self) -> None:
        """Wait until the next call may be made."""
        with self._lock:  # held while waiting, so that calls go out in the order in which they asked
            self._fill()
            if self._tokens < 1 - _ROUNDING:
                wait = (1 - self._tokens) / self._per_second
                self._sleep(wait)
                self._tokens, self._filled = 1.0, self._filled + wait
            self._tokens -= 1
            self.taken += 1

    def rest(self, seconds: float) -> None:
        """Let no call through for so long: the API has just refused calls as too many."""
        with self._lock:
            self._sleep(seconds)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(float(self._burst), self._tokens + (now - self._filled) * self._per_second)
        self._filled = now
