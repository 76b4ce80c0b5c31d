"""A failed invocation is read from its dead letter, its event byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.dead_letters.callers import Callers
from recovery.dead_letters.functions import Functions
from recovery.dead_letters.invocations import Invocation, failed_invocation, raw_member
from recovery.dead_letters.messages import content_hash, identity
from recovery.dead_letters.own_targets import own_target
from recovery.errors import Refused
from recovery.failures import Origin
from tests.unit.dead_letters.samples import SOURCE_ARN, message

STOCK = "arn:aws:lambda:eu-west-1:123456789012:function:stock"
EVENT = '{"price": 1.10, "count": 12345678901234567890, "name": "Zo\\u00eb", "twice": 1, "twice": 2}'


def record(function: str = STOCK + ":$LATEST", request: str = "r-1", event: str = EVENT) -> str:
    context = json.dumps({"requestId": request, "functionArn": function, "condition": "RetriesExhausted"})
    return f'{{"version": "1.0", "requestContext": {context} , "requestPayload" :{event},"responsePayload": {{}}}}'


def attribute(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


@pytest.mark.parametrize(
    "body",
    [
        record(),
        '{"source": "lambda", "detail": ' + record() + "}",
        json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": record()}),
    ],
    ids=["queue", "bus", "topic"],
)
def test_the_event_of_a_record_is_what_stands_there(body: str) -> None:
    """Numbers, escapes and even repeated keys stay: parsed and written again they would not."""
    assert failed_invocation(body, {}, Origin.LAMBDA_DESTINATION) == Invocation(STOCK, EVENT, "r-1")


def test_a_record_names_the_version_or_alias_that_failed() -> None:
    """`$LATEST` is what an invocation without a qualifier means."""
    found = failed_invocation(record(f"{STOCK}:live"), {}, Origin.LAMBDA_DESTINATION)
    assert found is not None
    assert found.function == f"{STOCK}:live"


def test_a_dead_letter_is_the_event_itself() -> None:
    """Its attributes name the request, and nothing names the function."""
    attributes = {"RequestID": attribute("r-2"), "ErrorCode": attribute("200")}
    assert failed_invocation(EVENT, attributes, Origin.LAMBDA_ASYNC) == Invocation("", EVENT, "r-2")


def test_a_dead_letter_through_a_topic_is_read_inside_the_notification() -> None:
    """The topic is the function's dead-letter target, and the queue its subscriber."""
    attributes = {"RequestID": {"Type": "String", "Value": "r-3"}, "ErrorCode": {"Type": "Number", "Value": "200"}}
    body = json.dumps({"Type": "Notification", "TopicArn": "a", "Message": EVENT, "MessageAttributes": attributes})
    assert failed_invocation(body, {}, Origin.LAMBDA_ASYNC) == Invocation("", EVENT, "r-3")


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", '{"requestContext": 7}', '{"requestContext": {}} x', '{"a" 1}']
)
def test_a_record_that_cannot_be_read_holds_no_event(body: str) -> None:
    """Nothing is made up for what is not there."""
    found = failed_invocation(body, {}, Origin.LAMBDA_DESTINATION)
    assert found is not None
    assert found.payload == ""


@given(st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(), st.lists), max_size=4))
def test_every_member_of_an_object_is_found(document: dict[str, Any]) -> None:
    """As a JSON parser finds it, with any white space."""
    for written in (json.dumps(document), json.dumps(document, indent=1, ensure_ascii=False)):
        for name, value in document.items():
            assert json.loads(raw_member(written, name)) == value
        assert raw_member(written, "not there") == ""


def test_a_comeback_is_known_by_its_request_and_by_its_event() -> None:
    """The id of its request is the key of its case; a copy whose send was not confirmed is known by its event."""
    first = message(origin=Origin.LAMBDA_DESTINATION, body=record(request="r-1"))
    again = message(origin=Origin.LAMBDA_DESTINATION, body=record(request="r-2"), message_id="m-2")
    assert identity(first, None, None) == "r-1"
    assert identity(again, None, None) == "r-2"
    assert content_hash(first) == content_hash(again)
    other = message(origin=Origin.LAMBDA_DESTINATION, body=record(request="r-2", event='{"price": 1.1}'))
    assert content_hash(other) != content_hash(first)


class Lambda:
    """Answers as Lambda does for one function."""

    def __init__(self, **configuration: Any) -> None:
        self.configuration = configuration

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        return {"FunctionName": FunctionName, "Timeout": 60, **self.configuration}

    def get_function_event_invoke_config(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        return {
            "MaximumEventAgeInSeconds": 600,
            "DestinationConfig": {"OnFailure": {"Destination": SOURCE_ARN + "-dlq"}},
        }


CALLERS = Callers(lambda service, *, repeat=True: Lambda())


def no_queue(arn: str, home: str) -> str:
    raise AssertionError("no queue is asked for")


def test_the_time_of_a_comeback_is_the_age_of_events_and_one_run() -> None:
    """And five minutes, the longest wait between two attempts."""
    facts = Functions(Lambda(), None).describe(STOCK)
    assert facts.comeback.total_seconds() == 600 + 60 + 300


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (STOCK.replace("eu-west-1", "us-east-1"), "another account or region"),
        (STOCK.replace("123456789012", "210987654321"), "another account or region"),
    ],
)
def test_a_function_elsewhere_is_refused(function: str, words: str) -> None:
    """Another account or region, or a name that is none: the reason says which."""
    lying = message(origin=Origin.LAMBDA_DESTINATION, body=record(function))
    with pytest.raises(Refused, match=words):
        own_target(CALLERS, lying, SOURCE_ARN + "-dlq", url_of=no_queue)


def test_a_record_goes_to_its_function() -> None:
    """Its failures come to this very queue, so the next one would be seen."""
    lying = message(origin=Origin.LAMBDA_DESTINATION, body=record())
    assert own_target(CALLERS, lying, SOURCE_ARN + "-dlq", url_of=no_queue) == STOCK
    with pytest.raises(Refused, match="would not be seen"):
        own_target(CALLERS, lying, SOURCE_ARN + "-other", url_of=no_queue)
