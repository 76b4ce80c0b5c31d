"""How fast AppFlow may be called."""

from __future__ import annotations

import time
from collections.abc import Callable

CALLS_PER_SECOND = 10.0
"""AppFlow publishes no rate of its API: ten calls a second is our assumption."""


class Pace:
    """A token bucket that holds one token: calls are evenly apart, so that no second sees more than its rate.

    Args:
        per_second: tokens that come back in a second.
        clock: seconds that only grow; tests replace it.
        sleep: waits for seconds; tests replace it.
    """

    def __init__(
        self,
        per_second: float = CALLS_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next = float("-inf")

    def take(self) -> None:
        """Wait until the next call may be made."""
        now = self._clock()
        if now < self._next:
            self._sleep(self._next - now)
            now = self._next
        self._next = now + self._interval
