"""The shapes in which DMS speaks, as they were recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.errors import BadInput
from recovery.events.dms import DmsEvent, read

GUIDE = "http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html"
FAILED_TEXT = (
    "Replication task has failed.\nReason: Last Error  Endpoint initialization failed.\nTask error notification"
    " received from subtask 0, thread 1 [reptask/replicationtask.c:2883] [1020401]\nServer name must be supplied;"
    " Failed while preparing stream component 'st_0_AQIP'.\n Stop Reason FATAL_ERROR Error Level FATAL."
)
FAILED_NOTIFICATION = {
    "Event Source": "replication-task",
    "Event Time": "2023-07-26 06:36:15.325",
    "Identifier Link": "https://console.aws.amazon.com/dms/v2/home?region=eu-west-1#taskDetails/hub4-full-load-cdc ",
    "SourceId": "hub4-full-load-cdc",
    "Event ID": f"{GUIDE}#DMS-EVENT-0078 ",
    "Event Message": FAILED_TEXT,
    "Notification time": "2023-07-25 11:24:46.624",
}
STOPPED_NOTIFICATION = {
    "Event Source": "replication-task",
    "Event Time": "2019-02-12 15:45:24.091",
    "Identifier Link": "https://console.aws.amazon.com/dms/home?region=us-east-1#tasks:ids=hello-world",
    "SourceId": "hello-world",
    "Event ID": f"{GUIDE}#DMS-EVENT-0079 ",
    "Event Message": "Replication task has stopped.",
}
OLDER_NOTIFICATION = {
    **{key: value for key, value in STOPPED_NOTIFICATION.items() if key != "SourceId"},
    "Identifier Link": "https://console.aws.amazon.com/dms/home?region=us-east-1#tasks:ids=hello-world\n"
    "SourceId: hello-world ",
}
TASK_ARN = "arn:aws:dms:us-east-1:123456789012:task:dmsreplicationtask01"
FAILED_EVENT = {
    "version": "0",
    "id": "f22b3ffd-5812-a762-c41f-d06c6de67d3e",
    "detail-type": "DMS Replication Task State Change",
    "source": "aws.dms",
    "account": "123456789012",
    "time": "2023-08-22T23:40:45Z",
    "region": "us-east-1",
    "resources": [TASK_ARN],
    "detail": {
        "eventType": "REPLICATION_TASK_FAILED",
        "detailMessage": "Last Error  ODBC general error. Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE",
        "type": "REPLICATION_TASK",
        "category": "Failure",
    },
}
STOPPED_EVENT = {
    **FAILED_EVENT,
    "id": "d3817571-08e8-94c9-36ec-beac509b35cc",
    "detail": {
        "eventId": "DMS-EVENT-0079",
        "eventType": "REPLICATION_TASK_STOPPED",
        "detailMessage": "Replication task stopped",
        "type": "REPLICATION_TASK",
        "category": "StateChange",
    },
}
SERVERLESS_ARN = "arn:aws:dms:ap-northeast-1:123456789012:replication-config:ABCDEFGH"
SERVERLESS_EVENT = {
    **FAILED_EVENT,
    "detail-type": "DMS Replication State Change",
    "resources": [SERVERLESS_ARN],
    "detail": {
        "type": "REPLICATION_CONFIG",
        "category": "StateChange",
        "eventType": "REPLICATION_INITIALIZING",
        "detailMessage": "Replication with resource id, 'ABCDEFGH', is initializing.",
    },
}


def in_sns(message: Any, **envelope: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "f86e3c5b-cd17-1ab8-80e9-c0776d4f1e7a",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:dms",
        "Subject": "DMS Notification Message",
        "Message": message if isinstance(message, str) else json.dumps(message),
        **envelope,
    }


def in_lambda(*messages: Any) -> dict[str, Any]:
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": in_sns(each)} for each in messages]}


def only(body: dict[str, Any]) -> DmsEvent:
    [event] = read(body)
    return event


def test_failure_by_sns() -> None:
    """A failed task's notification names the task, the failure and the time, although its id ends with a blank."""
    event = only(in_sns(FAILED_NOTIFICATION))
    assert (event.name, event.arn, event.type) == ("hub4-full-load-cdc", "", "DMS-EVENT-0078")
    assert event.is_failure
    assert not event.is_stop
    assert event.message == FAILED_TEXT
    assert event.time == datetime(2023, 7, 26, 6, 36, 15, 325000, tzinfo=UTC)
    assert event.region == "eu-west-1"
    assert event.id == "f86e3c5b-cd17-1ab8-80e9-c0776d4f1e7a"
    assert event.resource == "hub4-full-load-cdc"


def test_notification_without_its_envelope() -> None:
    """With raw delivery, the notification itself arrives."""
    assert only(dict(FAILED_NOTIFICATION)).name == "hub4-full-load-cdc"


def test_older_notification_without_source_id() -> None:
    """The older shape has the task's name at the end of its link."""
    event = only(in_sns(OLDER_NOTIFICATION))
    assert (event.name, event.is_stop, event.is_failure) == ("hello-world", True, False)


def test_name_from_the_link_alone() -> None:
    """If neither key nor line has the name, the link's own address has it."""
    bare = {**OLDER_NOTIFICATION, "Identifier Link": STOPPED_NOTIFICATION["Identifier Link"]}
    assert only(in_sns(bare)).name == "hello-world"


def test_records_of_a_lambda_event() -> None:
    """Each record of a Lambda-shaped body is one event."""
    events = read(in_lambda(STOPPED_NOTIFICATION, FAILED_NOTIFICATION))
    assert [event.name for event in events] == ["hello-world", "hub4-full-load-cdc"]


def test_failure_by_eventbridge_has_no_event_id() -> None:
    """The failed event is known by its type; `resources` hold the task's ARN."""
    event = only(FAILED_EVENT)
    assert event.is_failure
    assert (event.arn, event.resource, event.serverless) == (TASK_ARN, TASK_ARN, False)
    assert event.id == FAILED_EVENT["id"]


def test_stop_by_eventbridge() -> None:
    """A stop says nothing about its reason: it is no failure, but worth a look."""
    event = only(STOPPED_EVENT)
    assert (event.is_stop, event.is_failure) == (True, False)


def test_eventbridge_event_through_sns() -> None:
    """A rule may have a topic as its target."""
    assert only(in_sns(FAILED_EVENT, Subject=None)).arn == TASK_ARN


@pytest.mark.parametrize(("event_type", "failure"), [("REPLICATION_FAILED", True), ("REPLICATION_INITIALIZING", False)])
def test_serverless(event_type: str, failure: bool) -> None:
    """A serverless replication is named by its config's ARN, and its failure by another type."""
    event = only({**SERVERLESS_EVENT, "detail": {**SERVERLESS_EVENT["detail"], "eventType": event_type}})  # type: ignore[dict-item]
    assert (event.arn, event.serverless, event.is_failure) == (SERVERLESS_ARN, True, failure)


def test_inner_task_of_a_serverless_replication() -> None:
    """A serverless replication's inner task says nothing that the replication does not say itself."""
    inner = "arn:aws:dms:us-east-1:123456789012:task:serv-res-id-1700000000-abc"
    assert read({**STOPPED_EVENT, "resources": [inner]}) == ()


def test_instance_is_no_task() -> None:
    """A notification of a replication instance is read, and is no task's failure."""
    event = only(
        in_sns({**STOPPED_NOTIFICATION, "Event Source": "replication-instance", "Event ID": f"{GUIDE}#DMS-EVENT-0031 "})
    )
    assert (event.instance, event.is_failure, event.is_stop) == (True, False, False)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"source": "aws.appflow", "detail-type": "AppFlow End Flow Run Report"},
        {"source": "aws.dms", "detail-type": "DMS Replication Endpoint State Change", "detail": {}},
        in_sns("not json", Subject="another"),
        in_sns({"AlarmName": "depth"}),
        in_sns([1]),
        {"Records": [{"eventSource": "aws:s3"}]},
        {"Records": [None]},
    ],
)
def test_other_bodies(body: dict[str, Any]) -> None:
    """An event that is not of a replication is left to others."""
    assert read(body) == ()


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({**FAILED_EVENT, "resources": []}, "resources"),
        ({**FAILED_EVENT, "resources": "arn"}, "resources"),
        ({**FAILED_EVENT, "detail": "text"}, "detail"),
        (in_sns({**FAILED_NOTIFICATION, "SourceId": "", "Identifier Link": "nowhere"}), "SourceId"),
        (in_sns("not json"), "Message"),
    ],
)
def test_unreadable_events_name_the_field(body: dict[str, Any], names: str) -> None:
    """An event of DMS that does not say what it is about is refused, and the field is named."""
    with pytest.raises(BadInput, match=names):
        read(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from([FAILED_EVENT, SERVERLESS_EVENT, in_sns(FAILED_NOTIFICATION), in_lambda(FAILED_NOTIFICATION)]),
    st.data(),
)
def test_no_body_breaks_the_reader(body: dict[str, Any], data: st.DataObject) -> None:
    """Whatever stands in place of any value, the answer is events or a refusal that names a field."""
    key = data.draw(st.sampled_from(sorted(body)))
    changed = {**body, key: data.draw(JSON)}
    try:
        events = read(changed)
    except BadInput as refusal:
        reported = str(refusal)
    else:
        reported = "".join(event.resource for event in events) + ":"
    assert ":" in reported


BARE = {
    "Event Message": "Replication task has failed. Reason: Last Error  ODBC general error.",
    "Identifier Link": "https://console.aws.amazon.com/dms/v2/home?region=eu-west-1#taskDetails/orders",
    "SourceId": "orders",
}


def eventbridge(arn: str = TASK_ARN, kind: str = "DMS Replication Task State Change", **detail: str) -> dict[str, Any]:
    return {**FAILED_EVENT, "detail-type": kind, "resources": [arn], "detail": {"type": "REPLICATION_TASK", **detail}}


@pytest.mark.parametrize(
    "detail",
    [
        {"eventId": "DMS-EVENT-0078", "category": "StateChange"},
        {"eventId": "DMS-EVENT-0078", "eventType": "REPLICATION_TASK_STATE_CHANGE", "category": "StateChange"},
        {"eventType": "REPLICATION_TASK_MOVE_FAILED", "category": "StateChange"},
        {"category": "failure"},
        {"category": "StateChange", "detailMessage": "Replication task has failed."},
        # The id of a failed move is documented nowhere: whatever it is, the event's text or category shows it.
        {"eventId": "DMS-EVENT-0999", "category": "StateChange", "detailMessage": "The task move has failed."},
        {"eventId": "DMS-EVENT-0999", "category": "StateChange", "detailMessage": "Replication task failed to move."},
        {"eventId": "DMS-EVENT-0999", "category": "Failure"},
    ],
)
def test_a_failure_is_reported_by_id_type_category_or_text(detail: dict[str, str]) -> None:
    """Whichever of them an event has, a failure is a failure; it is no stop beside that."""
    event = only(eventbridge(**detail))
    assert event.is_failure
    assert not event.is_stop
    assert event.type or event.message or event.category == "failure"


@pytest.mark.parametrize(
    "detail",
    [
        {"eventId": "DMS-EVENT-0069", "eventType": "REPLICATION_TASK_STARTED", "category": "StateChange"},
        {"eventId": "DMS-EVENT-0080", "category": "ConfigurationChange"},
        {"eventId": "DMS-EVENT-0999", "category": "StateChange", "detailMessage": "The task was moved."},
        {
            "eventId": "DMS-EVENT-0091",
            "category": "StateChange",
            "detailMessage": "Reading paused, swap files limit reached.",
        },
        {"eventType": "REPLICATION_TASK_COPY_FAILED", "category": "StateChange"},
        {
            "eventId": "DMS-EVENT-0069",
            "category": "StateChange",
            "detailMessage": "Replication task started, after it has failed",
        },
    ],
)
def test_what_is_no_failure_is_none(detail: dict[str, str]) -> None:
    """A start, a change and a copy that failed are no failures of the task."""
    assert not only(eventbridge(**detail)).is_failure


def test_a_stop_is_reported_by_its_id_alone() -> None:
    """An event without a type, but with the id of a stop, is one."""
    assert only(eventbridge(eventId="DMS-EVENT-0079", category="StateChange")).is_stop


def test_the_inner_task_of_a_serverless_replication_speaks_only_of_failures() -> None:
    """Its starts and stops say nothing of their own; a failure may be all that is reported."""
    inner = "arn:aws:dms:us-east-1:123456789012:task:serv-res-id-1712345678901-abc"
    assert read(eventbridge(inner, eventType="REPLICATION_TASK_STOPPED", category="StateChange")) == ()
    event = only(eventbridge(inner, eventType="REPLICATION_TASK_FAILED", category="Failure"))
    assert (event.serverless, event.is_failure) == (True, True)


@pytest.mark.parametrize(
    "body",
    [
        {"Records": [BARE]},
        {"Records": [{"EventSource": "aws:sns", "Sns": {**in_sns(""), "Message": BARE}}]},
        {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(in_sns(BARE))}]},
        {"Records": [{"Sns": {"Message": json.dumps(BARE), "MessageId": "1"}}]},
        BARE,
    ],
)
def test_records_as_tutorials_print_them(body: dict[str, Any]) -> None:
    """The notification may lie bare in the list, as an object, in an SQS body, or without source and id."""
    event = only(body)
    assert (event.name, event.region, event.is_failure) == ("orders", "eu-west-1", True)


def test_notifications_of_others_are_not_dms() -> None:
    """RDS speaks in the same form."""
    rds = {"Event Source": "db-instance", "Source ID": "db-1", "Event Message": "DB instance has failed over"}
    assert read({"Records": [rds]}) == ()
    assert read(in_sns(rds)) == ()
