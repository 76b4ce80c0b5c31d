"""The wait before an attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recovery.backoff import Backoff

jitters = st.floats(0, 1)
attempts = st.integers(1, 200)


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    base = draw(st.floats(1, 86_400))
    return Backoff(base_seconds=base, factor=draw(st.floats(1, 100)), cap_seconds=draw(st.floats(base, 1_209_600)))


def test_the_waits_that_people_are_notified_of() -> None:
    """By default about a minute, ten minutes, an hour and six hours: an outage of hours leaves attempts over."""
    assert Backoff().ceilings(5) == [timedelta(seconds=s) for s in (60, 600, 6_000, 21_600, 21_600)]


@given(backoffs(), attempts, jitters)
def test_never_under_half_and_never_over_the_cap(backoff: Backoff, attempt: int, jitter: float) -> None:
    """A failed dependency gets real rest, and nobody waits longer than the cap."""
    ceiling = backoff.ceiling(attempt)
    assert ceiling * 0.5 <= backoff.delay(attempt, jitter) <= ceiling <= timedelta(seconds=backoff.cap_seconds)


@given(backoffs(), attempts, jitters)
def test_the_next_wait_is_no_shorter(backoff: Backoff, attempt: int, jitter: float) -> None:
    """For the same jitter, waits grow until they reach the cap, and stay there."""
    assert backoff.delay(attempt, jitter) <= backoff.delay(attempt + 1, jitter)


@given(backoffs(), attempts, jitters, jitters)
def test_a_larger_jitter_waits_no_less(backoff: Backoff, attempt: int, one: float, other: float) -> None:
    """The jitter moves the wait within its half."""
    assert backoff.delay(attempt, min(one, other)) <= backoff.delay(attempt, max(one, other))


@pytest.mark.parametrize(("jitter", "expected"), [(-1.0, 30.0), (0.0, 30.0), (0.5, 45.0), (1.0, 60.0), (7.0, 60.0)])
def test_a_jitter_out_of_range_counts_as_its_nearest(jitter: float, expected: float) -> None:
    """The smallest and the largest jitter give half of the wait and all of it."""
    assert Backoff().delay(1, jitter) == timedelta(seconds=expected)


def test_attempts_count_from_one() -> None:
    """There is no attempt 0."""
    with pytest.raises(ValueError, match="counts from 1"):
        Backoff().ceiling(0)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_seconds": 0},
        {"factor": 0.5},
        {"cap_seconds": 1_209_601},
        {"base_seconds": 60, "cap_seconds": 59},
        {"jitter": 1},
    ],
)
def test_a_backoff_that_makes_no_sense_is_refused(fields: dict[str, float]) -> None:
    """Bounds hold, the cap holds the base, and unknown fields are refused."""
    with pytest.raises(ValidationError):
        Backoff(**fields)
