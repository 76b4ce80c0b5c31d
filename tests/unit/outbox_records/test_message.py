"""A row as an SNS message: JSON, attributes, sizes, ids and batches."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.outbox_records.message import (
    Message,
    Unsendable,
    batches,
    compose,
    default_deduplication,
    plain_subject,
    to_json,
)
from recovery.outbox_records.policy import RowNames
from tests.unit.outbox_records.rows import NAMES, ORDERED, row, typed

LIMIT = 262_144

_SCALARS: Any = st.one_of(st.text(), st.integers(-(10**37), 10**37), st.booleans(), st.none())
VALUES: Any = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(VALUES)
def test_nested_values_survive_as_json(value: Any) -> None:
    """A JSON reader gets the row's value back."""
    assert json.loads(to_json(typed(value))) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_numbers_keep_their_digits(number: Decimal) -> None:
    """A number is valid JSON and exactly the row's number, whatever its notation."""
    assert json.loads(to_json({"N": str(number)}), parse_float=Decimal, parse_int=Decimal) == number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"N": ".5"}, "0.5"),
        ({"N": "-.5"}, "-0.5"),
        ({"N": "+3"}, "3"),
        ({"N": "007"}, "7"),
        ({"N": "1E+30"}, "1E+30"),
        ({"SS": ["b", "a"]}, '["a","b"]'),
        ({"NS": ["10", "9", "-1"]}, "[-1,9,10]"),
        ({"BS": [b"\x01"]}, '["AQ=="]'),
        ({"B": b""}, '""'),
    ],
)
def test_awkward_values(value: dict[str, Any], expected: str) -> None:
    """Sets are sorted arrays, binary is base64, and numbers are what JSON calls numbers."""
    assert to_json(value) == expected


def message_of(names: RowNames = NAMES, *, fifo: bool = False, **attributes: Any) -> Message:
    found = compose(row(names, **attributes), names, "t", fifo=fifo, most_bytes=LIMIT)
    assert isinstance(found, Message)
    return found


def test_a_message_carries_its_rows_id() -> None:
    """As an attribute, beside those that the row names."""
    assert message_of().attributes == {"outbox_row_id": {"DataType": "String", "StringValue": "r1"}}


@pytest.mark.parametrize(("count", "carries"), [(0, True), (9, True), (10, False)])
def test_an_eleventh_attribute_is_never_added(count: int, carries: bool) -> None:
    """Raw delivery discards a message with more than ten: with ten there is no room for the id."""
    names = RowNames(attributes=tuple(f"a{n}" for n in range(count)))
    found = message_of(names, **dict[str, Any]({f"a{n}": n for n in range(count)}))
    assert found.carries_id is carries
    assert len(found.attributes) == count + carries


def test_a_row_with_more_than_ten_attributes_is_refused() -> None:
    """Raw delivery would discard its message unseen; a policy for topics without it lets it go, with the row's id."""
    names = RowNames(attributes=("headers",))
    given = row(names, headers={f"a{n}": n for n in range(11)})
    refused = compose(given, names, "t", fifo=False, most_bytes=LIMIT)
    assert isinstance(refused, Unsendable)
    assert refused.rule == "too-many-attributes"
    assert "most_attributes" in refused.reason
    taken = compose(given, names, "t", fifo=False, most_bytes=LIMIT, most_attributes=20)
    assert isinstance(taken, Message)
    assert len(taken.attributes) == 12


def test_the_size_counts_everything_that_sns_counts() -> None:
    """Body in UTF-8, and name, type and value of each attribute: at the limit it goes, one byte more it does not."""
    overhead = message_of(message="x").size - 1
    assert overhead == len("outbox_row_id") + len("String") + len("r1")
    assert message_of(message="ü" * 100).size == 200 + overhead
    fits = compose(row(message="x" * (LIMIT - overhead)), NAMES, "t", fifo=False, most_bytes=LIMIT)
    assert isinstance(fits, Message)
    assert fits.size == LIMIT
    too_large = compose(row(message="x" * (LIMIT - overhead + 1)), NAMES, "t", fifo=False, most_bytes=LIMIT)
    assert isinstance(too_large, Unsendable)
    assert "262,145" in too_large.reason


def test_the_deduplication_id_is_stable_and_unlike() -> None:
    """The same for every attempt of a row; another one for another row or table; the row's own where it names one."""
    first = message_of(ORDERED, fifo=True, group="g", outbox_attempts=1)
    again = message_of(ORDERED, fifo=True, group="g", outbox_attempts=7, message="changed")
    assert first.deduplication == again.deduplication == default_deduplication("t", "r1")
    assert len({default_deduplication(*pair) for pair in (("t", "r1"), ("t", "r2"), ("u", "r1"))}) == 3
    assert message_of(ORDERED, fifo=True, group="g", deduplication="own").deduplication == "own"


def test_a_standard_topic_takes_a_group_for_fair_queues() -> None:
    """The group goes along, a deduplication id does not."""
    entry = message_of(ORDERED, group="tenant", deduplication="d").entry("0")
    assert entry["MessageGroupId"] == "tenant"
    assert "MessageDeduplicationId" not in entry


@given(st.text(max_size=300))
def test_every_subject_is_one_that_sns_takes(text: str) -> None:
    """Under 100 characters, no line breaks, no control characters; a plain short one is not changed."""
    subject = plain_subject(text)
    assert len(subject) < 100
    assert all(char.isprintable() for char in subject)
    assert plain_subject(subject) == subject


def test_a_standard_topic_gets_no_group_that_sns_refuses() -> None:
    """Fair queues need none: it is left out, and the report says so."""
    found = message_of(ORDERED, group="two words")
    assert found.group == ""
    assert any("group" in note for note in found.notes)


def test_half_a_character_is_refused_before_it_is_sent() -> None:
    """Half a surrogate pair has no UTF-8 form, so no request could carry it."""
    found = compose(row(message="a\ud800b"), NAMES, "t", fifo=False, most_bytes=LIMIT)
    assert isinstance(found, Unsendable)
    assert found.rule == "not-unicode"


def test_a_body_that_a_raw_queue_does_not_take_is_noted() -> None:
    """The body is never changed; people are notified that a queue with raw delivery refuses such characters."""
    assert message_of(message="a\tb\r\nc").notes == ()
    found = message_of(message="a\x01b")
    assert found.body == "a\x01b"
    assert any("raw delivery" in note for note in found.notes)


def test_an_id_with_control_characters_goes_out_in_words() -> None:
    """A subscription with a filter would discard a message with a tab in an attribute; two such ids stay two."""
    plain, tabbed = message_of(id="a key"), message_of(id="a\tkey")
    values = [each.attributes["outbox_row_id"]["StringValue"] for each in (plain, tabbed)]
    assert all(value.isprintable() for value in values)
    assert values[0] != values[1]


@given(st.lists(st.integers(1, 1_000), max_size=60), st.integers(1_000, 3_000))
def test_batches_hold_ten_and_no_more_bytes_than_allowed(sizes: list[int], most: int) -> None:
    """Every message is in one batch, in order; no batch is over ten entries or the bytes, or needlessly small."""
    messages = {n: Message("", size=size) for n, size in enumerate(sizes)}
    found = list(batches(messages, most))
    assert [n for batch in found for n in batch] == list(range(len(sizes)))
    for batch, following in zip(found, [*found[1:], []], strict=False):
        total = sum(sizes[n] for n in batch)
        assert 0 < len(batch) <= 10
        assert total <= most
        if following:
            assert len(batch) == 10 or total + sizes[following[0]] > most


def test_a_message_of_any_size_gets_a_batch() -> None:
    """One that alone is over the bytes stands alone, and the others are not held up."""
    assert list(batches({0: Message("", size=9), 1: Message("", size=1)}, 5)) == [[0], [1]]


def test_nothing_shows_the_body() -> None:
    """The text form of a message, which a log might hold, leaves body and attributes out."""
    assert "hello" not in repr(message_of())
