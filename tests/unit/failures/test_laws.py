"""Laws of every text, body and attribute."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.failures import (
    TRANSIENT_KINDS,
    Evidence,
    body_shape,
    diagnose,
    evidence_for,
    evidence_from_logs,
    explain,
    fingerprint,
    mask,
    normalise,
    recognise,
    violates_schema,
)
from recovery.failures.groups import CAP
from tests.unit.failures.texts import TEXTS

OWN = [text.error for texts in TEXTS.values() for text in texts]
PIECES = [
    *OWN[::7],
    '{"error": "',
    "\\n",
    '\\"',
    "Caused by: ",
    "\x00",
    "\ud800",
    "401",
    "}",
    "[" * 50,
    "\tat a.b(C.java:1)\n",
    "$",
    "§",
    "\ue000",
    "Bearer ",
]


def own(number: int) -> str:
    return OWN[number]


def piece(number: int) -> str:
    return PIECES[number]


texts = st.one_of(
    st.text(max_size=400),
    st.lists(st.integers(0, len(PIECES) - 1).map(piece), max_size=6).map("".join),
    st.builds(
        lambda text, at, more: text[:at] + more + text[at:],
        st.integers(0, len(OWN) - 1).map(own),
        st.integers(0, 80),
        st.text(max_size=20),
    ),
)
attributes = st.dictionaries(
    st.one_of(
        st.sampled_from(["ERROR_CODE", "RULE_ARN", "ErrorCode", "ErrorMessage", "errorType", "statusCode", "x"]),
        st.text(max_size=12),
    ),
    texts,
    max_size=4,
)
shaped = st.dictionaries(
    st.one_of(
        st.sampled_from(["ERROR_CODE", "RULE_ARN", "SCHEDULE_ARN", "RequestID", "ErrorCode", "ErrorMessage", "error"]),
        st.text(max_size=8),
    ),
    st.one_of(
        st.fixed_dictionaries({"DataType": st.just("String"), "StringValue": texts}),
        st.fixed_dictionaries({"DataType": st.just("Binary"), "BinaryValue": st.binary(max_size=40)}),
        st.just({}),
    ),
    max_size=5,
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "requestContext",
                    "responsePayload",
                    "condition",
                    "functionArn",
                    "errorType",
                    "errorMessage",
                    "cause",
                    "detail",
                    "source",
                    "Type",
                    "Message",
                    "TopicArn",
                    "MessageAttributes",
                    "context",
                    "partnerResourceArn",
                    "Records",
                    "stackTrace",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(error=texts, body=st.one_of(st.none(), texts), facts=attributes)
def test_nothing_makes_a_diagnosis_raise(error: str, body: str | None, facts: dict[str, str]) -> None:
    """Every failure gets an answer, with its flag and a reason."""
    evidence = Evidence(error=error, body=body, attributes=facts)
    said = diagnose(evidence)
    assert said.transient == (said.kind in TRANSIENT_KINDS)
    assert said.reason
    assert diagnose(evidence) == said
    matches = explain(evidence)
    assert not matches or matches[0].rule.id == said.rule


@settings(max_examples=300, deadline=None)
@given(error=texts, body=st.one_of(st.none(), texts))
def test_a_body_never_changes_what_the_error_told(error: str, body: str | None) -> None:
    """The payload of a customer is no evidence against itself."""
    alone = diagnose(Evidence(error=error))
    if alone.rule != "none":
        assert diagnose(Evidence(error=error, body=body)) == alone


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_what_leaves_the_process_is_bounded(text: str) -> None:
    """Masking and normalising take any text, and a group is always found."""
    assert len(normalise(text)) <= CAP
    assert len(fingerprint("TIMEOUT", text)) == 16
    assert mask(mask(text)) == mask(text)


@settings(max_examples=300, deadline=None)
@given(
    body=st.one_of(texts, values.map(lambda value: json.dumps(value))),
    given_attributes=shaped,
    names=st.lists(st.sampled_from(["error", "x"]), max_size=2),
)
def test_any_letter_has_an_origin_and_evidence(
    body: str, given_attributes: dict[str, dict[str, object]], names: list[str]
) -> None:
    """Recognition and gathering take whatever a queue holds."""
    for system in ({}, {"DeadLetterQueueSourceArn": "arn:aws:sqs:eu-west-1:1:q"}):
        recognise(body, given_attributes, system, names)
        diagnose(evidence_for(body, given_attributes, system, names))
    body_shape(body)
    violates_schema(body, {"type": "object", "required": ["x"]})


events = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "message": st.one_of(
                texts,
                st.sampled_from(
                    [
                        "START RequestId: 11111111-1111-1111-1111-111111111111",
                        "m-1 failed",
                        "END RequestId: 11111111-1111-1111-1111-111111111111",
                        "REPORT RequestId: 11111111-1111-1111-1111-111111111111 Status: timeout",
                    ]
                ),
            ),
            "timestamp": st.integers(0, 10**13),
            "logStreamName": st.sampled_from(["a", "b"]),
        },
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(found=events)
def test_any_log_can_be_read(found: list[dict[str, object]]) -> None:
    """Lines that are not about the messages are no evidence of them."""
    told = evidence_from_logs(found, ["m-1", "m-2", ""])
    assert set(told) <= {"m-1", "m-2"}
    assert all(evidence.error for evidence in told.values())
