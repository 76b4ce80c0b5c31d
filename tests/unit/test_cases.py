"""A case and its JSON form."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.cases import SHARDS, WAITS_FOR_A_PERSON, Case, State, case_key, from_json, to_json

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CASE = Case("dead_letters", "m-1", "orders-dlq", State.SENT, "TIMEOUT", "http.504", "g", NOW, NOW, NOW, attempts=1)

# Hypothesis takes bounds without a zone.
_EARLIEST, _LATEST = (datetime.fromisoformat(text) for text in ("1990-01-01", "2100-01-01"))
moments = st.datetimes(_EARLIEST, _LATEST, timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
cases = st.builds(
    Case,
    path=st.text(min_size=1),
    key=st.text(min_size=1),
    source=st.text(),
    state=st.sampled_from(State),
    kind=st.text(),
    rule=st.text(),
    group=st.text(),
    first_seen=moments,
    changed=moments,
    expires=moments.map(lambda moment: moment.replace(microsecond=0)),
    attempts=st.integers(0, 30),
    tries=st.integers(0, 5),
    due=st.none() | moments,
    reason=st.text(),
    detail=st.dictionaries(st.text(), plain, max_size=3),
)


@given(cases)
def test_a_case_survives_its_json(case: Case) -> None:
    """Every field comes back, to the millisecond, whatever characters stand in it; the form is pure ASCII."""
    data = to_json(case)
    assert data.isascii()
    assert from_json(case.state.value, data, int(case.expires.timestamp())) == case


@given(cases)
def test_the_json_is_the_same_again(case: Case) -> None:
    """A conditional write compares it, so reading and writing back must not change it."""
    again = from_json(case.state.value, to_json(case), int(case.expires.timestamp()))
    assert to_json(again) == to_json(case)


def test_microseconds_do_not_matter() -> None:
    """Times are whole milliseconds: what was written a moment ago compares equal to what is read."""
    written = replace(CASE, changed=NOW + timedelta(microseconds=123_456))
    read = from_json(State.SENT, to_json(written), int(NOW.timestamp()))
    assert to_json(read) == to_json(written)
    assert abs(read.changed - written.changed) < timedelta(milliseconds=1)


@pytest.mark.parametrize("data", ["", "{", "null", "[]", "3", '"text"', "[" * 200_000])
def test_what_is_no_case_is_a_value_error(data: str) -> None:
    """Never another error, however it is broken."""
    with pytest.raises(ValueError, match=r"data is no JSON|not an object"):
        from_json(State.SENT, data, 0)


_ODD: tuple[Any, ...] = ("x", 1.5, True, [1], {"a": 1}, -1, 10**30, None)
_TAKES = {
    "first": (-1,),
    "changed": (-1,),
    "due": (-1, None),
    "detail": ({"a": 1},),
    **dict.fromkeys(("path", "key", "source", "kind", "rule", "group", "reason"), ("x",)),
}


@pytest.mark.parametrize("name", sorted(json.loads(to_json(CASE))))
def test_each_field_is_taken_only_in_its_own_type(name: str) -> None:
    """A field that is missing, or holds another type, is named; its value is not, and nothing is guessed for it."""
    raw = json.loads(to_json(CASE))
    takes = (10**30,) if name in ("attempts", "tries") else _TAKES[name]
    broken = [raw | {name: odd} for odd in _ODD if odd not in takes or isinstance(odd, bool)]
    for data in [*broken, {field: value for field, value in raw.items() if field != name}]:
        with pytest.raises(ValueError, match=f"^{name}"):
            from_json(State.SENT, json.dumps(data), 0)


@pytest.mark.parametrize(("state", "expires"), [("lost", 0), ("", 0), ("sent", 10**20)])
def test_a_state_of_tomorrow_and_a_time_beyond_all_are_damage(state: str, expires: int) -> None:
    """Another version may know more; this one does not act on what it does not understand."""
    with pytest.raises(ValueError, match=r"^(state|expires)$"):
        from_json(state, to_json(CASE), expires)


def test_waiting_cases_are_spread_over_all_shards() -> None:
    """The index has eight partitions a path, and each gets its share."""
    shards = [replace(CASE, key=f"m-{n}").shard() for n in range(800)]
    assert {shards.count(f"dead_letters#{n}") > 50 for n in range(SHARDS)} == {True}
    assert replace(CASE, path="outbox_records").shard().startswith("outbox_records#")


def test_what_passes_by_itself_waits_for_nobody() -> None:
    """Only states that last until somebody acts are in the index."""
    passing = {State.SENT, State.BACK, State.BACKOFF, State.REPLAYED, State.SUPERSEDED, State.RECOVERED}
    assert set(State) - WAITS_FOR_A_PERSON == passing


def test_keys_of_paths_do_not_meet() -> None:
    """The same id on two paths is two cases."""
    assert case_key("dead_letters", "1") != case_key("outbox_records", "1")
