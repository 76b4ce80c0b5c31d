"""The simulated SNS refuses what SNS refuses, entry by entry, and the others go out."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulated_aws.server import SimulatedAws

GOOD = {"DataType": "String", "StringValue": "v"}


REFUSED: list[dict[str, Any]] = [
    {"MessageAttributes": {"AWS.trace": GOOD}},
    {"MessageAttributes": {"amazon.trace": GOOD}},
    {"MessageAttributes": {"two words": GOOD}},
    {"MessageAttributes": {"a..b": GOOD}},
    {"MessageAttributes": {"a.": GOOD}},
    {"MessageAttributes": {"n": {"DataType": "Number", "StringValue": "many"}}},
    {"MessageAttributes": {"n": {"DataType": "Date", "StringValue": "today"}}},
    {"MessageAttributes": {"n": {"DataType": "String", "StringValue": ""}}},
    {"Subject": "two\nlines"},
    {"Subject": "x" * 100},
    {"MessageGroupId": "two words"},
]
"""Faults of an entry."""


def publish(aws: SimulatedAws, *entries: dict[str, Any]) -> dict[str, Any]:
    """Publish a batch to a topic of its own."""
    sns = aws.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    numbered = [{"Id": str(n), "Message": "hello", **entry} for n, entry in enumerate(entries)]
    return dict(sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=numbered))


@pytest.mark.parametrize("entry", REFUSED)
def test_an_entry_that_sns_refuses_fails_alone(aws: SimulatedAws, entry: dict[str, Any]) -> None:
    """It comes back as the sender's fault; the entries beside it are sent, and it alone leaves nothing to send."""
    answer = publish(aws, {}, entry, {})
    assert [each["Id"] for each in answer["Successful"]] == ["0", "2"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("1", "InvalidParameter", True)
    alone = publish(aws, entry)
    assert len(alone["Failed"]) == 1
    assert not alone.get("Successful")


def test_what_sns_takes_is_taken(aws: SimulatedAws) -> None:
    """Types with a label, numbers, arrays, bytes, dots inside a name, and a tab, which a filter drops later."""
    attributes = {
        "a.b-c_d": {"DataType": "String.uuid", "StringValue": "v"},
        "n": {"DataType": "Number", "StringValue": "-1.5"},
        "list": {"DataType": "String.Array", "StringValue": '["a"]'},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x01"},
        "tab": {"DataType": "String", "StringValue": "a\tb"},
    }
    answer = publish(aws, {"MessageAttributes": attributes, "Subject": "Order", "MessageGroupId": "tenant-1"})
    assert not answer.get("Failed")
    assert len(answer["Successful"]) == 1


@pytest.mark.parametrize("more", REFUSED)
def test_a_single_publish_is_refused_for_the_same(aws: SimulatedAws, more: dict[str, Any]) -> None:
    """A fault of one entry of a batch fails a `Publish` as a whole; without it the same message goes out."""
    sns = aws.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    with pytest.raises(ClientError, match="Invalid parameter") as refused:
        sns.publish(TopicArn=topic, Message="hello", **more)
    assert refused.value.response["Error"]["Code"] == "InvalidParameter"
    assert sns.publish(TopicArn=topic, Message="hello")["MessageId"]


def listen(aws: SimulatedAws, queue: str, **settings: str) -> str:
    """Subscribe a queue of its own to the topic."""
    sns = aws.client("sns")
    topic = str(sns.create_topic(Name="orders")["TopicArn"])
    aws.client("sqs").create_queue(QueueName=queue)
    endpoint = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint, Attributes=settings)
    return queue


RAW = {"RawMessageDelivery": "true"}
BY_KIND = {"FilterPolicy": '{"kind": ["order"]}'}
KIND = {"kind": {"DataType": "String", "StringValue": "order"}}


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize(
    ("settings", "attributes", "message"),
    [
        (RAW, {f"a{n}": GOOD for n in range(11)}, "hello"),
        (RAW, {}, "control \x07"),
        (BY_KIND, {**KIND, "trace": {"DataType": "String", "StringValue": "a\tb"}}, "hello"),
        (BY_KIND, {**KIND, "tags": {"DataType": "String.Array", "StringValue": "no array"}}, "hello"),
    ],
)
def test_what_a_subscription_drops_is_taken_and_never_arrives(
    aws: SimulatedAws, settings: dict[str, str], attributes: dict[str, Any], message: str, batch: bool
) -> None:
    """The publisher gets a message id; a plain subscription beside it delivers, the other one drops it in silence."""
    strict, plain = listen(aws, "strict", **settings), listen(aws, "plain")
    entry = {"MessageAttributes": attributes, "Message": message}
    if batch:
        assert publish(aws, entry)["Successful"][0]["MessageId"]
    else:
        sns = aws.client("sns")
        assert sns.publish(TopicArn=sns.create_topic(Name="orders")["TopicArn"], **entry)["MessageId"]
    assert aws.messages(strict) == []
    assert len(aws.messages(plain)) == 1


@pytest.mark.parametrize("settings", [RAW, BY_KIND, {**RAW, **BY_KIND}])
def test_what_nothing_is_wrong_with_arrives(aws: SimulatedAws, settings: dict[str, str]) -> None:
    """Ten attributes with raw delivery, an array, and a line break in the message are delivered."""
    queue = listen(aws, "strict", **settings)
    attributes = {**KIND, "list": {"DataType": "String.Array", "StringValue": '["a"]'}}
    attributes |= {f"a{n}": GOOD for n in range(8)}
    publish(aws, {"MessageAttributes": attributes, "Message": "two\nlines"})
    assert len(aws.messages(queue)) == 1
