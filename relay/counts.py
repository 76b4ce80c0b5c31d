"""The relay's numbers since it started, and what is wrong now: published as metrics, and shown as its health."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Counts of a relay since it started.

    Attributes:
        received, posted, parked, polled: events.
        away: times that the server did not accept.
        queue_errors: times that the events queue could not be read.
        resting: pollers that rest now because they failed.
        unacknowledged: triggers of which the server made nothing, to the last repetition.
        lag: seconds that the last accepted event had waited in the queue.
        held: messages in hand now.
        problem: everything that keeps events from becoming runs now, "" when nothing does.
    """

    received: int = 0
    posted: int = 0
    parked: int = 0
    polled: int = 0
    away: int = 0
    queue_errors: int = 0
    resting: int = 0
    unacknowledged: int = 0
    lag: float = 0.0
    held: int = 0
    problem: str = ""
