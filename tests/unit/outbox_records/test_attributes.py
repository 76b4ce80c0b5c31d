"""Message attributes: what SNS would drop unseen is cleaned, what it would refuse is named, the rest goes out."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.outbox_records.attributes import Attributes, message_attributes, printable, printable_id, wrong_name
from recovery.outbox_records.message import Unsendable, compose, to_json
from recovery.outbox_records.policy import RowNames
from simulated_aws.hooks.topics import refusal
from tests.unit.outbox_records.rows import row


def attributes(**values: Any) -> Attributes:
    return message_attributes(row(**values).item, tuple(values), to_json)


def test_empty_attributes_are_left_out() -> None:
    """SNS refuses empty values, so they are not sent; a map gives its entries, a list becomes an array."""
    found = attributes(empty="", none=None, map={"a": "1", "b": ""}, list=[1, "x"], flag=True, bytes=b"\x01")
    assert found.sent == {
        "a": {"DataType": "String", "StringValue": "1"},
        "list": {"DataType": "String.Array", "StringValue": '[1,"x"]'},
        "flag": {"DataType": "String", "StringValue": "true"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x01"},
    }
    assert not found.cleaned
    assert not found.refused


@pytest.mark.parametrize("char", ["\t", "\n", "\r", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"])
def test_control_characters_become_spaces(char: str) -> None:
    """A subscription with a filter policy discards a message over one of them; the report names the attribute."""
    found = attributes(trace=f"a{char}b")
    assert found.sent["trace"]["StringValue"] == "a b"
    assert found.cleaned == ["trace: control characters became spaces"]


@pytest.mark.parametrize("text", ["Zürich", "日本", "👩‍👩‍👧", "a b"])
def test_other_characters_stay(text: str) -> None:
    """Messages of all scripts and joined signs are no control characters."""
    found = attributes(city=text)
    assert found.sent["city"]["StringValue"] == text
    assert not found.cleaned


@given(st.text())
def test_nothing_printable_is_lost(text: str) -> None:
    """The cleaned text is as long, holds no control character, and cleaning it again changes nothing."""
    clean = printable(text)
    assert len(clean) == len(text)
    assert not [char for char in clean if unicodedata.category(char) in ("Cc", "Cs")]
    assert printable(clean) == clean


@given(st.text(max_size=6), st.text(max_size=6))
def test_two_rows_never_share_an_id(one: str, other: str) -> None:
    """Whatever their keys hold: a subscriber that drops duplicates must not drop a row."""
    halves = any(unicodedata.category(char) == "Cs" for char in one + other)
    assert one == other or halves or printable_id(one) != printable_id(other)


@pytest.mark.parametrize(
    "name",
    [
        "AWS.region",
        "aws.x",
        "Amazon.y",
        "amazon.",
        "two words",
        ":method",
        "a..b",
        ".a",
        "a.",
        "ü",
        "a/b",
        "x" * 257,
        "",
    ],
)
def test_names_that_sns_refuses(name: str) -> None:
    """The row is exhausted before it is sent, and the reason names the attribute and its map."""
    assert wrong_name(name)
    names = RowNames(attributes=("headers",))
    found = compose(row(names, headers={name: "v"}), names, "t", fifo=False, most_bytes=10_000)
    assert isinstance(found, Unsendable)
    assert found.rule == "bad-attribute"
    assert "'headers'" in found.reason


@pytest.mark.parametrize("name", ["a", "A.b-c_d.9", "Awsome", "AMAZONAS", "x" * 256, "-", "0"])
def test_names_that_sns_takes(name: str) -> None:
    """A-Z, a-z, digits, underscores, hyphens and single dots between them."""
    assert wrong_name(name) == ""


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        ("42", "Number", "42"),
        ("-0.50", "Number", "-0.5"),
        ("1E+3", "Number", "1000"),
        ("0", "Number", "0"),
        ("1000000000", "Number", "1000000000"),
        ("0.00001", "Number", "0.00001"),
        ("1E-7", "String", "0.0000001"),
        ("12345678901", "String", "12345678901"),
        ("1E+100", "String", "1E+100"),
    ],
)
def test_number_forms(number: str, kind: str, text: str) -> None:
    """Without an exponent; beyond what SNS compares (10^9, five decimals) as text, which the report says."""
    found = message_attributes({"n": {"N": number}}, ("n",), to_json)
    assert found.sent["n"] == {"DataType": kind, "StringValue": text}
    assert bool(found.cleaned) is (kind == "String")


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_number_of_a_row_has_a_form(number: Decimal) -> None:
    """Whatever DynamoDB holds, the attribute is the same number."""
    found = message_attributes({"n": {"N": str(number)}}, ("n",), to_json)
    assert Decimal(found.sent["n"]["StringValue"]) == number


def test_a_list_of_lists_is_no_array() -> None:
    """SNS compares texts, numbers, true, false and null in arrays; anything deeper goes out as text."""
    found = attributes(deep=[[1], {"a": 1}], flat=["x", 1, True, None])
    assert found.sent["deep"] == {"DataType": "String", "StringValue": '[[1],{"a":1}]'}
    assert found.sent["flat"]["DataType"] == "String.Array"


_names = st.text(st.sampled_from("aZ09_-. :äA\tWSamzon"), max_size=8)
_values: Any = st.one_of(
    st.text(max_size=6), st.integers(), st.booleans(), st.none(), st.binary(max_size=3), st.lists(st.text(max_size=2))
)


@given(st.dictionaries(_names, _values, max_size=5), st.text(max_size=120), st.text(max_size=8))
def test_whatever_goes_out_is_taken(headers: dict[str, Any], subject: str, group: str) -> None:
    """No row makes a message that SNS refuses: it is cleaned or exhausted before."""
    names = RowNames(attributes=("headers",), subject="subject", group="group")
    found = compose(row(names, headers=headers, subject=subject, group=group), names, "t", fifo=False, most_bytes=9_999)
    if isinstance(found, Unsendable):
        assert found.reason
        return
    entry = found.entry("0")
    attributes = entry.get("MessageAttributes", {})
    assert (
        refusal(
            {
                "subject": entry.get("Subject"),
                "message_group_id": entry.get("MessageGroupId"),
                "message_attributes": attributes,
            }
        )
        == ""
    )
    texts = [each["StringValue"] for each in attributes.values() if "StringValue" in each]
    assert all(printable(text) == text for text in texts)
