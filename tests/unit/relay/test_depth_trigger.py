"""A dead-letter queue triggers on the rise, then more and more rarely."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relay.depth_trigger import DepthTrigger

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def triggers(poller: DepthTrigger, depths: dict[int, int]) -> list[int]:
    return [second for second, depth in depths.items() if poller.triggers(depth, NOW + timedelta(seconds=second))]


def test_a_queue_that_stays_rings_more_and_more_rarely() -> None:
    """After the rise it waits 10, 20, 40 ... seconds, at most the sweep's interval."""
    poller = DepthTrigger(timedelta(seconds=60))
    assert triggers(poller, dict.fromkeys(range(0, 260, 5), 3)) == [0, 10, 30, 70, 130, 190, 250]


def test_a_rise_rings_at_once_and_an_empty_queue_never() -> None:
    """More messages trigger at once; fewer do not; an emptied queue begins anew."""
    assert triggers(DepthTrigger(), {0: 0, 1: 1, 2: 2, 3: 1, 4: 0, 60: 0, 61: 1}) == [1, 2, 61]
