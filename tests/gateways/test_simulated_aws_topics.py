"""The simulated SNS refuses what SNS refuses, entry by entry, and the others go out."""

from __future__ import annotations

from typing import Any

import pytest

from simulated_aws.server import SimulatedAws

GOOD = {"DataType": "String", "StringValue": "v"}


def publish(aws: SimulatedAws, *entries: dict[str, Any]) -> dict[str, Any]:
    """Publish a batch to a topic of its own."""
    sns = aws.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    numbered = [{"Id": str(n), "Message": "hello", **entry} for n, entry in enumerate(entries)]
    return dict(sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=numbered))


@pytest.mark.parametrize(
    "entry",
    [
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
    ],
)
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
