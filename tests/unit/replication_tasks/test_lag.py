"""Latency that only grows, and standing still for longer than ever, are no busy hours and no quiet nights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.replication_tasks.lag import LATENCY_GROWS, MOVES_NOTHING, Lag, Series, slow

LOW = (1.0,) * 12
GROWING = tuple(300.0 * step for step in range(12))
DAY: Series = (0.0,) * 8 + (5.0,) * 16


def found(source: Series = LOW, target: Series = LOW, moved: Series = (), known: str = "") -> str:
    one = slow(Lag(source, target, moved), 900, 3_600, known)
    return one.rule if one else ""


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (GROWING, GROWING, LATENCY_GROWS),
        (LOW, GROWING, LATENCY_GROWS),
        (LOW, LOW, ""),
        ((5_000.0,) * 12, (5_000.0,) * 12, ""),
        (tuple(reversed(GROWING)), LOW, ""),
        ((*GROWING[:8], 100.0, 400.0, 700.0, 1_000.0), LOW, ""),
        (tuple(60.0 * step for step in range(12)), LOW, ""),
        (tuple(1_000 + 10.0 * step for step in range(12)), LOW, ""),
        ((None,) * 4 + GROWING[4:], LOW, ""),
        ((None,) * 3 + GROWING[3:], LOW, LATENCY_GROWS),
        ((None,) * 12, (None,) * 12, ""),
        ((), (), ""),
    ],
    ids=[
        "both",
        "target",
        "low",
        "high and steady",
        "worked off",
        "dropped once",
        "below the least",
        "grows slowly",
        "too little known",
        "enough known",
        "nothing known",
        "never asked",
    ],
)
def test_only_growth_is_a_finding(source: Series, target: Series, expected: str) -> None:
    """A latency that was worked off at any time, is low, steady, or not known, is none."""
    assert found(source, target) == expected


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ((5.0,) * 80 + (0.0,) * 3, MOVES_NOTHING),
        ((5.0,) * 80 + (0.0,) * 2, ""),
        (DAY * 5 + (0.0,) * 16, ""),
        (DAY * 5 + (0.0,) * 17, MOVES_NOTHING),
        ((5.0,) * 60 + (0.0,) * 9, ""),
        ((0.0,) * 168, ""),
        ((5.0,) * 80 + (None,) * 9, ""),
        ((5.0,) * 80 + (0.0,) * 9 + (None,), ""),
        ((), ""),
    ],
    ids=[
        "always moved",
        "an hour",
        "a long night",
        "too long a night",
        "young",
        "never moved",
        "gone",
        "not now",
        "no",
    ],
)
def test_standing_still_is_measured_by_its_own_habit(moved: Series, expected: str) -> None:
    """Only a task with days of known movement can stand still for longer than ever."""
    assert found(moved=moved) == expected


def test_a_known_finding_stands_until_it_is_over() -> None:
    """A plateau is no recovery, and neither is a habit that has got used to standing still."""
    high = (5_000.0,) * 12
    assert found(high, high, known=LATENCY_GROWS) == LATENCY_GROWS
    assert found(high, high) == ""
    assert found(known=LATENCY_GROWS) == ""
    assert found(moved=(0.0,) * 168, known=MOVES_NOTHING) == MOVES_NOTHING
    assert found(moved=(0.0,) * 167 + (1.0,), known=MOVES_NOTHING) == ""


def test_the_numbers_are_named() -> None:
    """The reason names both ends and the side that is slow."""
    both = slow(Lag(GROWING, GROWING), 900, 3_600)
    assert both is not None
    assert both.reads
    assert both.reason == "its source latency has only grown for 60 minutes, from 0 s to 3,300 s"
    target = slow(Lag(LOW, GROWING), 900, 3_600)
    assert target is not None
    assert not target.reads


series = st.lists(st.none() | st.floats(0, 1e7), max_size=170).map(tuple)


@given(series, series, series, st.sampled_from(["", LATENCY_GROWS, MOVES_NOTHING, "validation-failed"]))
def test_any_numbers_are_read(source: Series, target: Series, moved: Series, known: str) -> None:
    """No numbers make the reading fail, and a finding has a reason."""
    one = slow(Lag(source, target, moved), 900, 3_600, known)
    assert one is None or one.reason
