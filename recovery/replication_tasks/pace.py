"""How fast DMS may be called. Safe to share between threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

CALLS_PER_SECOND = 8.0
"""DMS publishes no rate of its API, and throttles whole accounts: eight calls a second leave room for others."""


class Pace:
    """A token bucket: at most `burst` calls at once, and `per_second` in the long run.

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
        per_second: float = CALLS_PER_SECOND,
        burst: int = 8,
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
            while self._tokens < 1 - 1e-9:
                self._sleep((1 - self._tokens) / self._per_second)
                self._fill()
            self._tokens -= 1
            self.taken += 1

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(float(self._burst), self._tokens + (now - self._filled) * self._per_second)
        self._filled = now
