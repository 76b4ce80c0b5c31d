"""How fast things may go: so many a second, over all threads of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Spaces out what is done: after `n` things the next may begin n / per_second later.

    Args:
        per_second: the rate.
        clock: seconds that only grow; tests replace it.
        pause: waits for seconds; tests replace it.
    """

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._next = float("-inf")

    def take(self, count: float) -> None:
        """Wait until `count` more things may be done."""
        with self._lock:
            now = self._clock()
            begin = max(now, self._next)
            self._next = begin + count / self._per_second
        if begin > now:
            self._pause(begin - now)
