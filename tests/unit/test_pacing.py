"""The rate of an API's calls: a bucket of tokens, shared by threads."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.pacing import Pace


class Clock:
    """Time that only waiting, and the test, move."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.time += seconds


def test_a_burst_and_then_the_rate() -> None:
    """The bucket's tokens go at once; then the rate holds; a pause fills the bucket, and no more than that."""
    clock = Clock()
    pace = Pace(8, burst=4, clock=clock.now, sleep=clock.sleep)
    for _ in range(4):
        pace.take()
    assert clock.time == 0
    for _ in range(16):
        pace.take()
    assert clock.time == pytest.approx(2)
    clock.time += 100
    for _ in range(5):
        pace.take()
    assert clock.time == pytest.approx(102 + 1 / 8)
    assert pace.taken == 25


@given(
    st.floats(0.5, 50),
    st.integers(1, 10),
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_no_stretch_of_time_sees_more_than_burst_and_rate(rate: float, burst: int, gaps: list[float]) -> None:
    """Whenever calls are asked for, any stretch of time sees at most the burst and what the rate gives in it."""
    clock = Clock()
    pace = Pace(rate, burst, clock=clock.now, sleep=clock.sleep)
    moments = []
    for gap in gaps:
        clock.time += gap
        pace.take()
        moments.append(clock.time)
    for first, begin in enumerate(moments):
        for last, end in enumerate(moments[first:], first):
            assert last - first + 1 <= burst + (end - begin) * rate + 1e-6


def test_a_clock_that_stands_still_does_not_hold_anybody_up() -> None:
    """The wait is asked for once for each call, and grows, when time does not seem to pass."""
    waits: list[float] = []
    pace = Pace(10, clock=lambda: 0.0, sleep=waits.append)
    for _ in range(4):
        pace.take()
    assert waits == pytest.approx([0.1, 0.2, 0.3])


def test_threads_share_it() -> None:
    """Calls of several threads are counted and paced together."""
    clock = Clock()
    pace = Pace(10, burst=2, clock=clock.now, sleep=clock.sleep)

    def call() -> None:
        for _ in range(25):
            pace.take()

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert pace.taken == 100
    assert clock.time == pytest.approx(9.8)


def test_things_are_spaced_out() -> None:
    """Ten things at five a second occupy two seconds; time that has passed by itself is not waited for again."""
    clock = [0.0]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    pace = Pace(5, clock=lambda: clock[0], sleep=wait)
    for _ in range(3):
        pace.take(10)
    assert waits == pytest.approx([2, 2])
    clock[0] += 10
    pace.take(10)
    assert waits == pytest.approx([2, 2])


def test_a_throttle_halves_the_rate_and_a_minute_restores_it() -> None:
    """All threads meet the same throttle, so it counts once a second; the rate grows again, and never is nothing."""
    clock = Clock()
    pace = Pace(64, clock=clock.now, sleep=clock.sleep)
    pace.slow_down()
    pace.slow_down()
    assert pace.rate == 32
    for _ in range(20):
        clock.time += 1
        pace.slow_down()
    assert 1 <= pace.rate <= 3
    clock.time += 60
    pace.take()
    assert pace.rate == 64
