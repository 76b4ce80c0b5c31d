"""The relay's numbers since it started, and what is wrong now: published as metrics, and shown as its health."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


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
    _wrong: dict[str, str] = field(default_factory=dict)

    def wrong(self, what: str, problem: str) -> None:
        """Remember what is wrong with one thing, or with "" that nothing is."""
        if problem:
            self._wrong[what] = problem
        else:
            self._wrong.pop(what, None)
        self.problem = "; ".join(self._wrong.values())

    def shown(self) -> dict[str, object]:
        """The numbers, and what is wrong, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if not each.name.startswith("_")}
