"""Behaviour of the other simulated services, and of the hooks into the emulator, on which the project relies."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulated_aws import hooks
from simulated_aws.server import SimulatedAws


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def subscribed(aws: SimulatedAws, topic: str) -> tuple[str, str]:
    topic_arn = aws.client("sns").create_topic(Name=topic)["TopicArn"]
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=f"{topic}-inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    attributes = {"RawMessageDelivery": "true"}
    aws.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    return topic_arn, f"{topic}-inbox"


def test_the_emulator_has_every_private_name() -> None:
    """Each private name of the emulator that the hooks use is there in the pinned version."""
    assert hooks.missing() == []


def test_a_lost_private_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version without one of the names is refused with that name, not with a strange failure later."""
    monkeypatch.setattr(hooks, "REQUIRED", {"ministack.services.sqs": ("_no_such_thing",)})
    with pytest.raises(RuntimeError, match=r"ministack\.services\.sqs\._no_such_thing"):
        hooks.install({})


# -- SNS -----------------------------------------------------------------------------------------------------------


def test_sns_refuses_an_empty_message(aws: SimulatedAws) -> None:
    """An empty message is refused, alone and in a batch, and nothing is delivered."""
    sns = aws.client("sns")
    topic, inbox = subscribed(aws, "alerts")
    with pytest.raises(sns.exceptions.InvalidParameterException, match="Empty message"):
        sns.publish(TopicArn=topic, Message="")
    entries = [{"Id": "a", "Message": ""}, {"Id": "b", "Message": "x"}]
    with pytest.raises(ClientError, match="Empty message"):
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert aws.messages(inbox) == []


def test_sns_refuses_a_batch_over_256_kib(aws: SimulatedAws) -> None:
    """A batch holds 262,144 bytes in all; one byte more is refused as a whole."""
    sns = aws.client("sns")
    topic, inbox = subscribed(aws, "alerts")
    halves = [{"Id": "a", "Message": "x" * 131_072}, {"Id": "b", "Message": "x" * 131_073}]
    with pytest.raises(ClientError) as refusal:
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=halves)
    assert code_of(refusal.value) == "BatchRequestTooLong"
    halves[1]["Message"] = "x" * 131_072
    assert len(sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=halves)["Successful"]) == 2
    assert len(aws.messages(inbox)) == 2


def test_sns_spells_its_codes_without_exception(aws: SimulatedAws) -> None:
    """A missing topic is `NotFound`, as AWS spells it on the wire; the client's typed exception still fits."""
    sns = aws.client("sns")
    topic, _ = subscribed(aws, "alerts")
    with pytest.raises(sns.exceptions.NotFoundException) as refusal:
        sns.publish(TopicArn=topic + "-gone", Message="x")
    assert code_of(refusal.value) == "NotFound"


# -- EventBridge ---------------------------------------------------------------------------------------------------


def rule_into_queue(aws: SimulatedAws, source: str) -> str:
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])
    return "events"


def test_clients_may_not_send_aws_events_but_the_estate_may(aws: SimulatedAws) -> None:
    """PutEvents refuses `aws.*` sources; the hook for simulators delivers them through rules."""
    inbox = rule_into_queue(aws, "aws.dms")
    entry = {"Source": "aws.dms", "DetailType": "DMS Replication Task State Change", "Detail": "{}"}
    refused = aws.client("events").put_events(Entries=[entry])
    assert refused["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert aws.messages(inbox) == []

    aws.clock.advance(86_400)
    aws.put_event("aws.dms", "DMS Replication Task State Change", {"eventId": "DMS-EVENT-0078"}, ["arn:aws:dms:x"])

    [message] = aws.messages(inbox)
    event = json.loads(message["body"])
    assert (event["source"], event["detail"]["eventId"]) == ("aws.dms", "DMS-EVENT-0078")
    assert event["resources"] == ["arn:aws:dms:x"]
    assert event["time"][:16] == aws.clock.now().isoformat()[:16]


@pytest.mark.parametrize("detail", ["{broken", "[]", '"text"'])
def test_a_malformed_detail_fails_its_entry_only(aws: SimulatedAws, detail: str) -> None:
    """An entry whose detail is no JSON object fails; its neighbours are delivered, and the order of results holds."""
    inbox = rule_into_queue(aws, "shop")
    good = {"Source": "shop", "DetailType": "Order", "Detail": "{}"}
    answer = aws.client("events").put_events(Entries=[good, {**good, "Detail": detail}, good])
    assert answer["FailedEntryCount"] == 1
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == [None, "MalformedDetail", None]
    assert len(aws.messages(inbox)) == 2


# -- DynamoDB, the clock -------------------------------------------------------------------------------------------


def test_ttl_deletes_when_the_clock_has_passed(aws: SimulatedAws) -> None:
    """Items past their TTL go with the clock, or stay readable if the test says that AWS is late."""
    dynamodb = aws.client("dynamodb")
    key = {"AttributeName": "pk", "KeyType": "HASH"}
    attribute = {"AttributeName": "pk", "AttributeType": "S"}
    dynamodb.create_table(
        TableName="table", KeySchema=[key], AttributeDefinitions=[attribute], BillingMode="PAY_PER_REQUEST"
    )
    dynamodb.update_time_to_live(
        TableName="table", TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True}
    )
    now = int(aws.clock.now().timestamp())
    times: dict[str, dict[str, Any]] = {
        "soon": {"N": str(now + 60)},
        "late": {"N": str(now + 6000)},
        "milliseconds": {"N": str((now + 60) * 1000)},
        "text": {"S": str(now + 60)},
        "ancient": {"N": "1"},
    }
    for name, expires in times.items():
        dynamodb.put_item(TableName="table", Item={"pk": {"S": name}, "expires": expires})

    def names() -> set[str]:
        return {item["pk"]["S"] for item in dynamodb.scan(TableName="table")["Items"]}

    aws.clock.advance(61, expire=False)
    assert names() == set(times)
    aws.clock.advance(0)
    assert names() == set(times) - {"soon"}


def test_the_date_header_is_the_clock(aws: SimulatedAws) -> None:
    """Every answer carries exactly one date, the clock's: clients correct their own by it."""
    sqs = aws.client("sqs")
    before = aws.clock.now()
    aws.clock.advance(7200)
    headers = sqs.list_queues()["ResponseMetadata"]["HTTPHeaders"]
    moved = (parsedate_to_datetime(headers["date"]) - before).total_seconds()
    assert 7199 <= moved <= 7210
    with pytest.raises(ClientError) as refusal:
        sqs.get_queue_url(QueueName="gone")
    assert refusal.value.response["ResponseMetadata"]["HTTPHeaders"]["date"][:16] == headers["date"][:16]


def test_other_services_read_the_same_clock(aws: SimulatedAws) -> None:
    """S3, DynamoDB, logs and metrics date what they keep by the clock."""
    aws.clock.advance(30 * 86_400)
    now = aws.clock.now()
    s3, logs = aws.client("s3"), aws.client("logs")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    assert abs((s3.head_object(Bucket="bucket", Key="k")["LastModified"] - now).total_seconds()) < 10
    logs.create_log_group(logGroupName="g")
    created = logs.describe_log_groups()["logGroups"][0]["creationTime"] / 1000
    assert abs(created - now.timestamp()) < 10
    listed = s3.list_objects_v2(Bucket="bucket")["Contents"][0]["LastModified"]
    assert abs((listed - now).total_seconds()) < 10


def test_the_clock_does_not_go_back(aws: SimulatedAws) -> None:
    """A negative move is refused."""
    with pytest.raises(ValueError, match="forward only"):
        aws.clock.advance(-1)


# -- CloudWatch Logs -----------------------------------------------------------------------------------------------

LINES = (
    "[ERROR] messageId=aa-1 order failed",
    "[ERROR] messageId=bb-2 order failed",
    "[INFO] messageId=aa-1 order received",
    '{"message_id": "cc-3", "level": "ERROR"}',
)


def logged(aws: SimulatedAws, lines: tuple[str, ...] = LINES) -> int:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="consumer")
    logs.create_log_stream(logGroupName="consumer", logStreamName="one")
    now = int(aws.clock.now().timestamp() * 1000)
    events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines)]
    logs.put_log_events(logGroupName="consumer", logStreamName="one", logEvents=events)
    return now


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", (0, 1, 2, 3)),
        ('"aa-1"', (0, 2)),
        ('?"aa-1" ?"cc-3"', (0, 2, 3)),
        ("ERROR order", (0, 1)),
        ("error", ()),
        ('"order failed"', (0, 1)),
        ('"failed order"', ()),
        ('ERROR -"bb-2"', (0, 3)),
        ('ERROR ?"bb-2"', (0, 1, 3)),
        ('"\\"level\\""', (3,)),
        ("%[ab]{2}-[12]%", (0, 1, 2)),
    ],
)
def test_log_filters_work_as_in_aws(aws: SimulatedAws, pattern: str, expected: tuple[int, ...]) -> None:
    """Terms are all required, any of those with a question mark, exact in case; phrases stay together."""
    logged(aws)
    events = aws.client("logs").filter_log_events(logGroupName="consumer", filterPattern=pattern)["events"]
    assert [event["message"] for event in events] == [LINES[number] for number in expected]


@pytest.mark.parametrize("pattern", ["?" + '"x"' * 400, "aa-1", '"open', '{ $.level = "ERROR" }'])
def test_bad_log_filters_are_refused(aws: SimulatedAws, pattern: str) -> None:
    """More than 1,024 characters, a hyphen outside quotes or an open quote are errors, not "matches nothing"."""
    logged(aws)
    with pytest.raises(ClientError) as refusal:
        aws.client("logs").filter_log_events(logGroupName="consumer", filterPattern=pattern)
    assert code_of(refusal.value) == "InvalidParameterException"


def test_log_filters_answer_in_pages(aws: SimulatedAws) -> None:
    """A page ends at the limit or at one megabyte, and a token leads on."""
    logged(aws, tuple(f"ERROR {number} " + "x" * 200_000 for number in range(12)))
    logs = aws.client("logs")
    first = logs.filter_log_events(logGroupName="consumer", filterPattern="ERROR", limit=3)
    assert len(first["events"]) == 3
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName="consumer", filterPattern="ERROR"))
    assert [len(page["events"]) for page in pages] == [5, 5, 2]


# -- CloudWatch ----------------------------------------------------------------------------------------------------

DEPTH = "ApproximateNumberOfMessagesVisible"


def depth_alarm(aws: SimulatedAws, topic: str, **changes: Any) -> None:
    settings = {
        "AlarmName": "depth",
        "Namespace": "AWS/SQS",
        "MetricName": DEPTH,
        "Dimensions": [{"Name": "QueueName", "Value": "orders-dlq"}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 5,
        "Threshold": 10,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [topic],
        **changes,
    }
    aws.client("cloudwatch").put_metric_alarm(**settings)


def state(aws: SimulatedAws) -> str:
    found: str = aws.client("cloudwatch").describe_alarms(AlarmNames=["depth"])["MetricAlarms"][0]["StateValue"]
    return found


def fill(aws: SimulatedAws, queue: str, number: int) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    for _ in range(number):
        sqs.send_message(QueueUrl=url, MessageBody="x")


def test_depths_are_published_and_alarms_fire(aws: SimulatedAws) -> None:
    """Five minutes above the threshold, and the alarm fires into its topic and on the event bus; then it is OK."""
    topic, inbox = subscribed(aws, "alarms")
    events = rule_into_queue(aws, "aws.cloudwatch")
    fill(aws, "orders-dlq", 11)
    depth_alarm(aws, topic)
    aws.clock.advance(180)
    assert state(aws) != "ALARM"
    aws.clock.advance(180)
    assert state(aws) == "ALARM"
    assert json.loads(aws.messages(inbox)[0]["body"])["NewStateValue"] == "ALARM"
    event = json.loads(aws.messages(events)[-1]["body"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["state"]["value"] == "ALARM"
    assert event["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"] == {
        "namespace": "AWS/SQS",
        "name": DEPTH,
        "dimensions": {"QueueName": "orders-dlq"},
    }
    aws.client("sqs").purge_queue(QueueUrl=aws.queue_url("orders-dlq"))
    aws.clock.advance(120)
    assert state(aws) == "OK"


def test_an_alarm_looks_at_its_own_queue(aws: SimulatedAws) -> None:
    """Another queue's depth does not raise it."""
    topic, inbox = subscribed(aws, "alarms")
    fill(aws, "orders-dlq", 1)
    fill(aws, "other-dlq", 50)
    depth_alarm(aws, topic)
    aws.clock.advance(900)
    assert state(aws) == "OK"
    assert aws.messages(inbox) == []


def test_one_bad_minute_is_not_five(aws: SimulatedAws) -> None:
    """All periods must be above the threshold, unless fewer are asked for."""
    topic, _ = subscribed(aws, "alarms")
    depth_alarm(aws, topic)
    cloudwatch = aws.client("cloudwatch")
    datum = {"MetricName": DEPTH, "Dimensions": [{"Name": "QueueName", "Value": "orders-dlq"}]}
    for value in (0, 0, 50, 0, 0):
        cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=[{**datum, "Value": float(value)}])
        aws.clock.advance(60)
    assert state(aws) == "OK"
    depth_alarm(aws, topic, DatapointsToAlarm=1)
    aws.clock.advance(0)
    cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=[{**datum, "Value": 0.0}])
    assert state(aws) == "ALARM"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "INSUFFICIENT_DATA")],
)
def test_missing_data_is_treated_as_the_alarm_says(aws: SimulatedAws, missing: str, expected: str) -> None:
    """No data at all: the alarm's own rule decides (with `ignore` it keeps its first state)."""
    topic, _ = subscribed(aws, "alarms")
    depth_alarm(aws, topic, TreatMissingData=missing)
    aws.clock.advance(300)
    assert state(aws) == expected


def test_an_object_is_not_overwritten_unasked(aws: SimulatedAws) -> None:
    """`If-None-Match: *` refuses a key that exists, which the archive's safety rests on."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as refusal:
        s3.put_object(Bucket="bucket", Key="k", Body=b"2", IfNoneMatch="*")
    assert code_of(refusal.value) == "PreconditionFailed"
