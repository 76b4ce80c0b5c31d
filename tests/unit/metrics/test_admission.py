"""At most 200 series, whatever queues, tables and kinds there are."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recovery.metrics.admission import FORGET, MOST, admit, fold, reserved, taken
from recovery.metrics.series import OTHER, Datum, names
from recovery.paths import PATHS

TODAY = date(2026, 3, 4)


def healed(source: str, value: float = 1.0, path: str = "dead_letters") -> Datum:
    return Datum("Healed", path, value, dimension="Source", key=source)


def test_there_is_room_for_kinds_and_sources() -> None:
    """The series that are always there leave more than half for the rest."""
    assert reserved() < MOST / 2


def test_what_was_admitted_stays_admitted() -> None:
    """A queue keeps its series while others come."""
    first = admit({}, [healed("a")], TODAY)
    many = [healed(f"q{n}", 100.0) for n in range(100)]
    assert "dead_letters|Source|a" in admit(first, many, TODAY)


def test_the_larger_come_first_then_the_alphabet() -> None:
    """The same run decides alike, whatever order its groups have."""
    data = [healed(f"q{n:02}", float(n // 2)) for n in range(60)]
    listed = admit({}, data, TODAY)
    assert listed == admit({}, data[::-1], TODAY)
    assert "dead_letters|Source|q59" in listed
    assert "dead_letters|Source|q00" not in listed


def test_the_rest_is_counted_as_other() -> None:
    """Nothing is lost: what has no series of its own is added up."""
    data = [healed(f"q{n:02}") for n in range(60)]
    folded = fold(data, admit({}, data, TODAY))
    assert sum(datum.value for datum in folded) == 60
    [other] = [datum for datum in folded if datum.key == OTHER]
    assert other.value > 30


def test_who_was_not_seen_for_a_month_makes_room() -> None:
    """A list that is full of queues that are gone takes up new ones."""
    full = admit({}, [healed(f"old{n}") for n in range(100)], TODAY)
    soon = admit(full, [healed("new")], TODAY + FORGET - timedelta(days=1))
    later = admit(full, [healed("new")], TODAY + FORGET)
    assert "dead_letters|Source|new" not in soon
    assert "dead_letters|Source|new" in later


def test_a_place_is_dated_by_the_last_day_it_was_counted() -> None:
    """So that what is still there is not pushed out."""
    listed = admit({}, [healed("a")], TODAY)
    assert admit(listed, [healed("a")], TODAY + timedelta(days=3)) == {"dead_letters|Source|a": "2026-03-07"}


def test_series_by_path_are_never_folded() -> None:
    """They have their room reserved."""
    plain = Datum("Healed", "dead_letters", 3.0)
    assert fold([plain], {}) == [plain]


sources = st.lists(
    st.tuples(st.sampled_from(sorted(PATHS)), st.sampled_from(["Kind", "Source"]), st.text(min_size=1, max_size=3)),
    max_size=120,
)


@given(runs=st.lists(sources, max_size=4))
def test_there_are_never_more_series_than_allowed(runs: list[list[tuple[str, str, str]]]) -> None:
    """Over any number of runs of all paths: what is admitted, what is always there and the others fit."""
    listed: dict[str, str] = {}
    for number, run in enumerate(runs):
        data = [
            Datum(name, path, 1.0, dimension=dimension, key=key)
            for path, dimension, key in run
            for name in names(PATHS[path].counts, dimension)
        ]
        listed = admit(listed, data, TODAY + timedelta(days=number))
        assert reserved() + taken(listed) <= MOST
        own = {datum.dimensions()[1] for datum in fold(data, listed) if datum.key != OTHER}
        assert len(own) <= len(listed)
