"""Whose fault it is that a publish did not go through."""

from __future__ import annotations

import pytest

from recovery.outbox_records.faults import blame_batch, blame_call, blame_entry
from recovery.outbox_records.models import Fault, NotSent, Sent


@pytest.mark.parametrize(
    ("code", "text", "unread", "entries", "expected"),
    [
        ("NotFound", "Topic does not exist", False, 10, Fault.TOPIC),
        ("AuthorizationError", "no", False, 1, Fault.TOPIC),
        ("KMSDisabled", "no", False, 3, Fault.TOPIC),
        ("Throttled", "slow", False, 3, Fault.THROTTLE),
        ("KMSThrottling", "slow", False, 1, Fault.THROTTLE),
        ("TooManyRequestsException", "slow", False, 1, Fault.THROTTLE),
        ("EndpointConnectionError", "no route", False, 3, Fault.TOPIC),
        ("InvalidParameter", "Invalid parameter: TopicArn Reason: no valid topic", False, 1, Fault.TOPIC),
        ("InvalidParameter", "Invalid parameter: TopicArn Reason: no valid topic", False, 3, None),
        ("InvalidParameter", "Invalid parameter: Message too long", False, 1, Fault.ROW),
        ("InvalidParameter", "Invalid parameter: Message too long", False, 2, None),
        ("BatchRequestTooLong", "too long", False, 4, None),
        ("InternalError", "oops", True, 4, Fault.UNKNOWN),
        ("ReadTimeoutError", "late", True, 1, Fault.UNKNOWN),
    ],
)
def test_a_refused_batch(code: str, text: str, unread: bool, entries: int, expected: Fault | None) -> None:
    """The topic's, one message's, SNS's, or nobody knows; None means each must be tried by itself."""
    assert blame_call(code, text, unread=unread, entries=entries) is expected


@pytest.mark.parametrize(
    "text",
    [
        "Invalid parameter: the attribute 'topicArn' has no value",
        'Invalid parameter: MessageAttributes Reason: "TopicArn" may not be empty',
        "Invalid parameter: Message Reason: topic arn is no name for an attribute",
    ],
)
def test_a_quoted_name_is_not_the_topic(text: str) -> None:
    """A refusal that only mentions a name of the message is that message's fault."""
    assert blame_call("InvalidParameter", text, unread=False, entries=1) is Fault.ROW
    assert blame_entry("InvalidParameter", text) is Fault.ROW


@pytest.mark.parametrize(
    ("code", "ours", "expected"),
    [
        ("InternalError", None, Fault.INCIDENT),
        ("ServiceUnavailable", None, Fault.INCIDENT),
        ("SomethingNew", False, Fault.INCIDENT),
        ("SomethingNew", True, Fault.ROW),
        ("SomethingNew", None, Fault.ROW),
        ("InvalidParameter", True, Fault.ROW),
        ("KMSThrottling", None, Fault.THROTTLE),
        ("Throttled", None, Fault.THROTTLE),
        ("KMSDisabled", None, Fault.TOPIC),
        ("NotFound", None, Fault.TOPIC),
        ("NotFoundException", None, Fault.TOPIC),
        ("AuthorizationError", None, Fault.TOPIC),
        ("InvalidSecurity", None, Fault.TOPIC),
    ],
)
def test_a_failed_entry(code: str, ours: bool | None, expected: Fault) -> None:
    """Codes about the topic are the topic's even when only one entry reports them; SNS's own trouble is no row's."""
    assert blame_entry(code, "text", ours=ours) is expected


def test_a_topic_that_takes_one_message_takes_messages() -> None:
    """Beside a message that went out, an incident or a refusal that names the topic is the fault of its message."""
    incident, topic = NotSent(Fault.INCIDENT, "InternalError", "x"), NotSent(Fault.TOPIC, "InvalidParameter", "x")
    denied = NotSent(Fault.TOPIC, "AuthorizationError", "x")
    assert blame_batch([incident, topic]) == [incident, NotSent(Fault.DOUBT, "InvalidParameter", "x")]
    assert blame_batch([topic, topic, incident]) == [topic, topic, incident]
    assert blame_batch([denied]) == [denied]
    found = blame_batch([Sent("m"), incident, topic, denied])
    assert [each.fault for each in found[1:] if isinstance(each, NotSent)] == [Fault.ROW, Fault.ROW, Fault.TOPIC]
