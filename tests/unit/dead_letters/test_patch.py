"""A change to a message: exactly what it names differs, and what it does not fit says why, without a value."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from recovery.dead_letters.messages import Message
from recovery.dead_letters.plans.patch import Patch, Unfit, apply, differences
from recovery.failures import Origin

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GROWING = tuple({"op": "copy", "from": "", "path": f"/{name}"} for name in "cd" * 30)
REPLACE = ({"op": "replace", "path": "/a", "value": 2},)


def message(body: str, **attributes: str) -> Message:
    kept = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    return Message("orders-dlq", "m1", "", body, kept, {}, NOW, Origin.SQS_REDRIVE)


@pytest.mark.parametrize(
    ("patch", "body", "after"),
    [
        ({"body": REPLACE}, '{"a": 1, "n": 12345678901234567890123}', '{"a": 2, "n": 12345678901234567890123}'),
        ({"body": REPLACE}, '{"a":1,"ü":"é"}', '{"a":2,"ü":"é"}'),
        ({"body": REPLACE}, '{"a":1,"b":"\\ud800"}', '{"a":2,"b":"\\ud800"}'),
        ({"body": REPLACE}, '{"a":1,"b":"\\u00fc"}', '{"a":2,"b":"\\u00fc"}'),
        ({"body": REPLACE}, '{"a":1,"b":"\\ud800ü"}', '{"a":2,"b":"\\ud800\\u00fc"}'),
        ({"body": ({"op": "replace", "path": "/0", "value": 2},)}, "[1, 7]", "[2, 7]"),
        ({"body": ({"op": "add", "path": "/-", "value": "\x00"},)}, "[1, 7]", '[1, 7, "\\u0000"]'),
        ({"body": ({"op": "replace", "path": "", "value": {"b": 1}},)}, "7", '{"b": 1}'),
        ({"body": REPLACE}, '{"a":1,"b":"{\\"c\\": 1}"}', '{"a":2,"b":"{\\"c\\": 1}"}'),
        ({"body": ({"op": "test", "path": "/a", "value": 1.0}, *REPLACE)}, '{"a": 1}', '{"a": 2}'),
        ({"pattern": r"tenant=(\w+)", "replacement": r"tenant=\1-new"}, "x tenant=a y", "x tenant=a-new y"),
    ],
)
def test_only_the_named_part_changes(patch: dict[str, Any], body: str, after: str) -> None:
    """Large numbers, other alphabets and half a character survive; the separators are the body's own."""
    assert apply(Patch.model_validate(patch), message(body)).body == after


@pytest.mark.parametrize(
    ("patch", "body", "why"),
    [
        ({"body": REPLACE}, '{"a": 1, "n": 0.12345678901234567890}', "kept exactly"),
        ({"body": REPLACE}, '{"a": 1, "n": 1e999}', "kept exactly"),
        ({"body": REPLACE}, '{"a": 1, "a": 3}', "a key twice"),
        ({"body": REPLACE}, '{"a": NaN}', "NaN"),
        ({"body": REPLACE}, '{"b": 1}', "names a place"),
        ({"body": REPLACE}, "[1]", "names a place"),
        ({"body": REPLACE}, "SECRET", "not JSON"),
        ({"body": REPLACE}, "[" * 100_000, "too deeply"),
        ({"body": REPLACE}, '{"a": 2}', "leaves it as it is"),
        ({"body": ({"op": "test", "path": "/a", "value": 9}, *REPLACE)}, '{"a": 1}', "a test of the patch failed"),
        ({"pattern": "z", "replacement": ""}, "abc", "matches nowhere"),
        ({"pattern": ".+", "replacement": ""}, "abc", "empty"),
        ({"pattern": "(a|aa)+$", "replacement": "x"}, "a" * 60 + "b", "takes too long|matches nowhere"),
        ({"pattern": "(a)", "replacement": r"\7"}, "abc", "a group"),
        ({"remove_attributes": ("x",)}, "abc", "no attribute x"),
        ({"set_attributes": {f"n{n}": "v" for n in range(10)}}, "abc", "more than 10"),
        ({"pattern": "a", "replacement": "b" * 9_999}, "a" * 200, "too large"),
        ({"pattern": "a", "replacement": "b" * 9_999}, "a" * 1_000_000, "too large"),
        ({"body": GROWING}, '{"a": 1}', "too large"),
        ({"body": GROWING}, "[" * 900 + "]" * 900, "names a place|too deeply"),
        ({"body": ({"op": "test", "path": "/paid", "value": 1},)}, '{"paid": true}', "a test of the patch failed"),
        (
            {"body": ({"op": "test", "path": "/p", "value": [{"a": 0}]},)},
            '{"p": [{"a": false}]}',
            "a test of the patch",
        ),
        ({"body": ({"op": "remove", "path": ""},)}, '{"a": 1}', "names a place"),
        ({"body": ({"op": "remove", "path": "/9"},)}, "[1]", "names a place"),
        ({"body": ({"op": "replace", "path": "/-", "value": 1},)}, "[1]", "names a place"),
        ({"pattern": '"', "replacement": ""}, '{"a": 1}', "JSON and would be none"),
        ({"pattern": "b", "replacement": "\x00"}, "abc", "does not take"),
        ({"pattern": "b", "replacement": "\uffff"}, "abc", "does not take"),
    ],
)
def test_what_it_does_not_fit_is_left_out_with_its_reason(patch: dict[str, Any], body: str, why: str) -> None:
    """A number that would change, a key that would be lost, a missing place, a failed test, a slow pattern."""
    with pytest.raises(Unfit, match=why) as caught:
        apply(Patch.model_validate(patch), message(body, tenant="SECRET"))
    assert "SECRET" not in str(caught.value)


def test_attributes_are_set_and_removed() -> None:
    """Others stay, and the differences name no value."""
    before = message('{"a": 1}', tenant="SECRET", old="x")
    after = apply(Patch(set_attributes={"tenant": "b"}, remove_attributes=("old",), body=REPLACE), before)
    assert after.attributes == {"tenant": {"DataType": "String", "StringValue": "b"}}
    assert json.loads(after.body) == {"a": 2}
    assert apply(Patch(), before) is before
    changed = differences(before, after)
    assert changed == ["/a: number becomes number", "attribute old: removed", "attribute tenant: set"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"body": [{"op": "fly", "path": "/a"}]}, "body"),
        ({"body": [{"path": "/a"}]}, "body"),
        ({"body": [{"op": "add", "path": "a", "value": 1}]}, "body"),
        ({"body": [{"op": "add", "path": "/a"}]}, "body"),
        ({"pattern": "("}, "pattern"),
        ({"set_attributes": {"tenant": ""}}, "tenant: SQS takes no empty value"),
        ({"set_attributes": {"AWS.x": "a"}}, "no name of an SQS attribute"),
        ({"set_attributes": {"a b": "a"}}, "no name of an SQS attribute"),
        ({"set_attributes": {"a..b": "a"}}, "no name of an SQS attribute"),
        ({"set_attributes": {"a": "\x1b"}}, "control character"),
    ],
)
def test_a_change_that_is_none_is_refused_at_once(given: dict[str, Any], field: str) -> None:
    """Before a plan is made, and naming the field."""
    with pytest.raises(ValidationError, match=field):
        Patch.model_validate(given)


def test_differences_hide_keys_that_are_values() -> None:
    """They stand on the plan's page: an address, a number or an id is no name."""
    before = message('{"ann@example.org": {"total": 1}, "n": true}')
    after = apply(
        Patch(body=({"op": "replace", "path": "/n", "value": 1}, {"op": "remove", "path": "/ann@example.org/total"})),
        before,
    )
    assert differences(before, after) == ["/<key of 15>/total: number removed", "/n: boolean becomes number"]
