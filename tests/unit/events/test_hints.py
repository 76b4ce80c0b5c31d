"""Every shape of the events queue becomes the same few hints, and what cannot be read says so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from recovery.errors import BadInput
from recovery.events.hints import Hint, translate
from tests.unit.events.test_alarms import EVENT as ALARM
from tests.unit.events.test_alarms import MESSAGE as ALARM_MESSAGE
from tests.unit.events.test_appflow import REPORT

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FAILED: dict[str, Any] = {
    "version": "0",
    "id": "7b5ac6f4-9e5a-4a57-8d0e-0d7f5f3c2b11",
    "detail-type": "DMS Replication Task State Change",
    "source": "aws.dms",
    "time": "2026-02-22T23:40:45Z",
    "resources": ["arn:aws:dms:eu-west-1:123456789012:task:ORDERSTASK"],
    "detail": {
        "eventType": "REPLICATION_TASK_FAILED",
        "detailMessage": "Last Error  ODBC general error. {{ x }}",
        "type": "REPLICATION_TASK",
        "category": "Failure",
    },
}
NOTIFICATION: dict[str, Any] = {
    "Event Source": "replication-task",
    "Event Time": "2026-02-26 06:36:15.325",
    "Identifier Link": "https://console.aws.amazon.com/dms/v2/home?region=eu-west-1#taskDetails/orders-cdc ",
    "SourceId": "orders-cdc",
    "Event ID": "http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html#DMS-EVENT-0078 ",
    "Event Message": "Replication task has failed.\nReason: Last Error  Endpoint initialization failed.",
}


def envelope(message: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:t", "Message": json.dumps(message)}


def records(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"Records": [{"EventSource": "aws:sns", "Sns": envelope(message)} for message in messages]}


def reported(body: dict[str, Any]) -> list[Hint]:
    return translate(json.dumps(body), "sqs-1", NOW)


@pytest.mark.parametrize(
    ("body", "event", "resource"),
    [
        (FAILED, "reprise.dms.task.failed", "reprise.dms.ORDERSTASK"),
        (envelope(FAILED), "reprise.dms.task.failed", "reprise.dms.ORDERSTASK"),
        (NOTIFICATION, "reprise.dms.task.failed", "reprise.dms.orders-cdc"),
        (envelope(NOTIFICATION), "reprise.dms.task.failed", "reprise.dms.orders-cdc"),
        (records(NOTIFICATION), "reprise.dms.task.failed", "reprise.dms.orders-cdc"),
        (ALARM, "reprise.alarm.changed", "reprise.alarm.orders-dead"),
        (envelope(ALARM_MESSAGE), "reprise.alarm.changed", "reprise.alarm.orders-dead"),
        (records(ALARM_MESSAGE), "reprise.alarm.changed", "reprise.alarm.orders-dead"),
        (
            {**REPORT, "detail": {**REPORT["detail"], "status": "Something Else"}},
            "reprise.appflow.run.failed",
            "reprise.appflow.orders-to-s3",
        ),
    ],
)
def test_a_failure_is_reported_in_every_shape(body: dict[str, Any], event: str, resource: str) -> None:
    """One hint with a stable name and resource; the same message makes the same id again."""
    (hint,) = reported(body)
    assert (hint.event, hint.resource) == (event, resource)
    assert reported(body)[0].id == hint.id


def test_ids_are_aws_s_own_where_there_is_one() -> None:
    """The event's own id and time; templates in a text are broken up."""
    (hint,) = reported(FAILED)
    assert str(hint.id) == FAILED["id"]
    assert hint.occurred == datetime(2026, 2, 22, 23, 40, 45, tzinfo=UTC)
    assert "{{" not in json.dumps(hint.as_event()["payload"])


@pytest.mark.parametrize(
    "body",
    [
        REPORT,
        {**ALARM, "detail": {**ALARM["detail"], "state": {"value": "OK"}}},
        {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}},
        {"Records": [{"eventSource": "aws:s3", "s3": {}}]},
    ],
)
def test_what_did_not_fail_is_no_hint(body: dict[str, Any]) -> None:
    """A success, an alarm that is over, or an event of something else is not reported."""
    assert reported(body) == []


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        '{"hello": 1}',
        "[" * 100_000,
        json.dumps({"Type": "Notification", "Message": "hello"}),
        json.dumps({**ALARM_MESSAGE, "AlarmName": "half \ud800"}),
        json.dumps({**FAILED, "time": "0001-01-01T00:00:00+23:00"}),
        json.dumps({**REPORT, "detail-type": ["a list"]}),
    ],
    ids=range(8),
)
def test_what_cannot_be_read_says_so(body: str) -> None:
    """It is refused with a reason, never with another error that would stop the relay."""
    with pytest.raises(BadInput):
        translate(body, "sqs-1", NOW)


def depth(body: dict[str, Any]) -> dict[str, Any]:
    """The same alarm, on the visible messages of its queue."""
    return json.loads(json.dumps(body).replace('"Depth"', '"ApproximateNumberOfMessagesVisible"'))  # type: ignore[no-any-return]


@pytest.mark.parametrize("body", [depth(ALARM), envelope(depth(ALARM_MESSAGE))])
def test_an_alarm_on_a_queue_s_depth_rings_for_dead_letters(body: dict[str, Any]) -> None:
    """It gives the hint of a poller: messages wait. The alarm itself is passed on, too, under an id of its own."""
    alarm, messages = reported(body)
    assert (alarm.event, alarm.payload["queue"]) == ("reprise.alarm.changed", "orders-dlq")
    assert (messages.event, messages.resource) == ("reprise.queue.dead-letters", "reprise.queue.orders-dlq")
    assert messages.id != alarm.id
    assert [hint.id for hint in reported(body)] == [alarm.id, messages.id]


def test_no_name_makes_an_event_that_no_server_takes() -> None:
    """Names are cut far beyond what AWS allows, and NUL, which PostgreSQL does not store, is left out."""
    arn = "arn:aws:dms:eu-west-1:123456789012:task:" + "A\0" * 10_000
    (hint,) = reported({**FAILED, "resources": [arn], "detail": {**FAILED["detail"], "detailMessage": "a\0b"}})
    event = hint.as_event()
    assert len(event["resource"]["prefect.resource.id"]) <= 320
    assert "\0" not in json.dumps(event)
    assert "\\u0000" not in json.dumps(event)
