"""The payload as weak evidence, and the optional schema of a queue."""

from __future__ import annotations

import pytest

from recovery.errors import BadInput
from recovery.failures import Evidence, Kind, diagnose, violates_schema
from recovery.failures.schemas import check_schema

SCHEMA = {
    "type": "object",
    "required": ["orderId"],
    "properties": {
        "orderId": {"type": "string"},
        "items": {"type": "array", "items": {"properties": {"qty": {"minimum": 1}}}},
    },
}


@pytest.mark.parametrize("body", ['{"a": 1, "b": {"c": 2', "{'a': 1}", "[1, 2", '{"a": "\x00"}', "text \ufffd text"])
def test_a_payload_that_nobody_can_read_is_bad(body: str) -> None:
    """Only when the error does not tell."""
    assert diagnose(Evidence(error="handler failed", body=body)).kind is Kind.BAD_PAYLOAD
    assert diagnose(Evidence(error="Connection refused", body=body)).kind is Kind.DEPENDENCY_FAILURE


@pytest.mark.parametrize("body", [None, "", "hello", '{"note": "Unauthorized, timed out, 503"}', "<a/>", "42"])
def test_what_a_payload_says_is_no_evidence(body: str | None) -> None:
    """A customer's note that says Unauthorized is not an authentication failure."""
    assert diagnose(Evidence(error="handler failed", body=body)).kind is Kind.UNKNOWN


def test_a_letter_without_evidence_is_told_apart() -> None:
    """UNKNOWN because nothing speaks, and UNKNOWN because nobody knows these words, are different for a person."""
    assert "Nothing speaks" in diagnose(Evidence()).reason
    assert "No rule knows" in diagnose(Evidence(error="flurb")).reason


def test_a_violation_names_the_first_place_and_no_value() -> None:
    """In document order; values of the payload stay in it."""
    said = violates_schema('{"orderId": "o-1", "items": [{"qty": 2}, {"qty": 0}]}', SCHEMA)
    assert said is not None
    assert (said.kind, said.transient) == (Kind.VALIDATION_ERROR, False)
    assert "$.items[1].qty" in said.reason
    missing = violates_schema('{"secret": "hunter22"}', SCHEMA)
    assert missing is not None
    assert "hunter22" not in missing.reason


def test_a_payload_that_keeps_to_its_schema_says_nothing() -> None:
    """Then the letter stays without a diagnosis."""
    assert violates_schema('{"orderId": "o-1"}', SCHEMA) is None
    assert violates_schema(None, SCHEMA) is None


def test_no_json_where_json_is_expected_is_a_bad_payload() -> None:
    """The schema says that the queue carries JSON."""
    said = violates_schema("hello", SCHEMA)
    assert said is not None
    assert said.kind is Kind.BAD_PAYLOAD


def test_a_schema_that_is_none_is_refused() -> None:
    """Before the first letter is received."""
    check_schema(SCHEMA)
    with pytest.raises(BadInput, match="schema: properties/a/type"):
        check_schema({"properties": {"a": {"type": "nonsense"}}})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://schemas.example.com/order.json"},
        {"properties": {"lines": {"items": {"$ref": "file:///etc/hostname"}}}},
        {"$ref": "#/shared", "shared": {"$ref": "order.json#/parts"}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"$ref": "#/definitions/gone"}}},
    ],
)
def test_a_schema_that_leads_out_of_itself_is_refused_and_nothing_is_fetched(
    schema: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference to another document is refused when the schema is read."""
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("it was fetched"))
    with pytest.raises(BadInput, match="is not part of the schema, and nothing is fetched"):
        check_schema(schema)


def test_a_schema_may_refer_to_its_own_parts_and_to_the_drafts() -> None:
    """References inside the schema, and to the published drafts, are followed."""
    own = {"properties": {"qty": {"$ref": "#/$defs/count"}}, "$defs": {"count": {"type": "integer"}}}
    for schema in (own, {"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"$ref": "#"}):
        check_schema(schema)
    said = violates_schema('{"qty": "two"}', own)
    assert said is not None
    assert said.kind is Kind.VALIDATION_ERROR
