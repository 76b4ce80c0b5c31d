"""Times at which a dead-letter queue triggers: on the rise, then more and more rarely while it stays as it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST = timedelta(seconds=10)
"""The second trigger of a queue that stays as it is comes after this long; each further one after twice as long."""


@dataclass
class DepthTrigger:
    """The trigger of one queue.

    A message that may not be sent yet stays visible to the count, and must not start a run every few seconds: after a
    trigger the queue is left alone for 10, 20, 40 ... seconds, at most the sweep's interval, unless its depth rises.

    Attributes:
        longest: the sweep's interval, the longest wait that still helps.
    """

    longest: timedelta = timedelta(minutes=5)
    _depth: int = 0
    _wait: timedelta = FIRST
    _next: datetime | None = None

    def triggers(self, depth: int, now: datetime) -> bool:
        """True when it triggers, now that SQS counts about so many visible messages."""
        rose = depth > self._depth
        self._depth = depth
        if depth == 0:
            self._wait, self._next = FIRST, None
            return False
        if rose:
            self._wait, self._next = FIRST, now + FIRST
            return True
        if self._next is not None and now >= self._next:
            self._wait = min(self.longest, self._wait * 2)
            self._next = now + self._wait
            return True
        return False
