"""The template makes what the request's defaults name."""

from __future__ import annotations

from typing import Any

from recovery.metrics.series import BY_SOURCE, names
from recovery.outbox_records.policy import OutboxRequest
from recovery.outbox_records.shape import check
from recovery.paths import OUTBOX_RECORDS
from simulated_aws import estate
from tests.unit.outbox_records.rows import ORDERED

TEMPLATE = estate.load(estate.TEMPLATES / "outbox.yaml")
RESOURCES = TEMPLATE["Resources"]
TABLE = RESOURCES["Table"]["Properties"]


def made(node: Any, *, ordered: bool) -> Any:
    """A property as CloudFormation makes it: parameters by their defaults, one side of each condition."""
    if isinstance(node, list):
        return [value for value in (made(each, ordered=ordered) for each in node) if value is not None]
    if not isinstance(node, dict):
        return node
    if "Fn::If" in node:
        _, chosen, other = node["Fn::If"]
        return made(chosen if ordered else other, ordered=ordered)
    if "Ref" in node:
        return TEMPLATE["Parameters"].get(node["Ref"], {}).get("Default")
    return {name: made(value, ordered=ordered) for name, value in node.items()}


def test_the_default_names_are_the_templates() -> None:
    """A request with nothing but table and topic fits the template's table, ordered or not."""
    topic = "arn:aws:sns:us-east-1:000000000000:orders"
    for ordered, request in (
        (False, OutboxRequest(table="orders-outbox", topic_arn=topic)),
        (True, OutboxRequest(table="orders-outbox", topic_arn=f"{topic}.fifo", names=ORDERED)),
    ):
        assert check(made(TABLE, ordered=ordered), request) == ("id",)


def test_the_template_is_what_it_promises() -> None:
    """A stream with new images, sparse indexes, TTL for finished rows, and one key for table and topic."""
    names = OutboxRequest().names
    assert TABLE["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    assert TABLE["TimeToLiveSpecification"] == {"AttributeName": names.expires, "Enabled": True}
    for ordered, shown in ((True, [names.expires, names.group_line]), (False, [names.expires])):
        due, *groups = made(TABLE["GlobalSecondaryIndexes"], ordered=ordered)
        assert due["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": shown}
        assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in groups)
    assert TABLE["SSESpecification"]["KMSMasterKeyId"] == {"Fn::GetAtt": "Key.Arn"}
    assert RESOURCES["Topic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "Key"}


def test_subscribers_are_taken_and_the_alarm_is_handed_on() -> None:
    """A queue and an e-mail address may be named; the output names the alarm for `circuit_alarm`."""
    queue, mail = RESOURCES["QueueSubscription"], RESOURCES["EmailSubscription"]
    assert (queue["Condition"], queue["Properties"]["Protocol"]) == ("HasQueue", "sqs")
    assert queue["Properties"]["Endpoint"] == {"Ref": "SubscriberQueueArn"}
    assert (mail["Condition"], mail["Properties"]["Protocol"]) == ("HasEmail", "email")
    assert mail["Properties"]["Endpoint"] == {"Ref": "SubscriberEmail"}
    alarm = TEMPLATE["Outputs"]["CircuitAlarm"]
    assert "`circuit_alarm`" in alarm["Description"]
    assert RESOURCES[alarm["Value"]["Ref"]]["Type"] == "AWS::CloudWatch::Alarm"
    assert TEMPLATE["Parameters"]["SubscriberEmail"]["Default"] == ""


def test_the_alarms_watch_metrics_that_are_published() -> None:
    """Each alarm's metric is one that the path shows by source, under the path's own name."""
    alarms = [each["Properties"] for each in RESOURCES.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    assert len(alarms) == 3
    for alarm in alarms:
        assert alarm["MetricName"] in names(OUTBOX_RECORDS.counts, BY_SOURCE)
        assert alarm["Dimensions"] == [
            {"Name": "Path", "Value": "outbox_records"},
            {"Name": BY_SOURCE, "Value": {"Ref": "Table"}},
        ]
