"""Times at which the consumer of a message may have written about it. Pure.

SQS reports when a message was first received; from then on it was received again one visibility timeout apart, until it
was moved. A consumer that sets the visibility itself is later than that, so a search without a known function goes on
for hours behind.
"""

from __future__ import annotations

from dataclasses import dataclass

from recovery.dead_letters.messages import Message
from recovery.logs.windows import Window

LATE_MILLISECONDS = 900_000
"""Time after the work on a message until its last log lines are surely there."""
SOON_MILLISECONDS = 60_000
"""Time after the work on a message until nearly all of its lines are there: from then on it is looked for by time."""
CLOCKS_MILLISECONDS = 120_000
"""Difference between the clock of whoever writes lines and that of AWS, at most: windows are wider by it."""
DELAYED_MILLISECONDS = 21_600_000
"""Time behind the expected receives in which a consumer that sets the visibility itself may still have failed."""
RECEIVES = 10
"""Receives of a message by which it may be looked for; with more, too much of the log would be read."""
BATCHING_SECONDS = 5
"""Longest wait for a batch to fill with which an invocation still begins at a receive."""
_START_MILLISECONDS = 5_000


@dataclass(frozen=True, slots=True)
class Source:
    """The queue that a message came from.

    Attributes:
        visibility_seconds: its visibility timeout.
        max_receives: receives after which a message is moved; 1 when unknown.
    """

    visibility_seconds: int = 30
    max_receives: int = 1


@dataclass(frozen=True, slots=True)
class Times:
    """Return the times at which lines about a message may have been written, in milliseconds since 1970.

    Attributes:
        start, end: from its first receive to its last lines.
        ended: when the work on it was over.
        receives: its receives; empty when they are not known.
        around: windows that hold every invocation at one of them.
    """

    start: int
    end: int
    ended: int
    receives: tuple[int, ...] = ()
    around: tuple[Window, ...] = ()

    @property
    def settled(self) -> int:
        """From then on no line is late."""
        return self.ended + LATE_MILLISECONDS


def times_of(message: Message, source: Source | None, function_seconds: int | None, batching_seconds: int = 0) -> Times:
    """Return the times of one message.

    Args:
        message: as received from the dead-letter queue.
        source: its source queue; None when it is not known.
        function_seconds: time-out of the Lambda function that consumes it; None when no function is known.
        batching_seconds: time for which its event source mapping waits for a batch to fill.
    """
    known = source or Source()
    apart = known.visibility_seconds * 1000
    work = (function_seconds if function_seconds is not None else known.visibility_seconds) * 1000
    behind = 0 if function_seconds is not None and source is not None else DELAYED_MILLISECONDS
    if message.sequence:  # FIFO: the time of its send is that of its move, and its first receive may be ours
        moved = round(message.sent_at.timestamp() * 1000)
        start = moved - apart * known.max_receives - work - CLOCKS_MILLISECONDS
        return Times(max(0, start), moved + LATE_MILLISECONDS + CLOCKS_MILLISECONDS, moved)
    first = round(message.first_received_at.timestamp() * 1000)
    ended = first + apart * (known.max_receives - 1) + work
    receives: tuple[int, ...] = ()
    around: tuple[Window, ...] = ()
    if source is not None and known.max_receives <= RECEIVES and batching_seconds <= BATCHING_SECONDS:
        receives = tuple(first + apart * number for number in range(known.max_receives))
        around = tuple((receive - work, receive + work + 2 * _START_MILLISECONDS) for receive in receives)
    return Times(
        max(0, first - CLOCKS_MILLISECONDS),
        ended + behind + LATE_MILLISECONDS + CLOCKS_MILLISECONDS,
        ended,
        receives,
        around,
    )


def is_due(times: Times, until: int, now: int) -> bool:
    """True when the log is to be searched (on) for a message.

    Args:
        times: of the message.
        until: up to when it was searched; 0 for never.
        now: the present.
    """
    if not until:
        return True
    if until >= times.settled:
        return False
    if now >= times.settled:
        return True
    # Twice as late each time: lines come within seconds, and hardly ever after minutes.
    return now - times.ended >= 2 * max(SOON_MILLISECONDS // 2, until - times.ended)
