"""Origin of a dead letter, from the marks that AWS leaves on it; shapes as the developer guides have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recovery.failures import BodyShape, Evidence, Kind, Origin, body_shape, diagnose, evidence_for, recognise

REDRIVEN = {"DeadLetterQueueSourceArn": "arn:aws:sqs:eu-west-1:111122223333:orders"}


def string(**values: str) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def record(**changes: Any) -> dict[str, Any]:
    """A record of a failed asynchronous invocation."""
    return {
        "version": "1.0",
        "requestContext": {
            "requestId": "1",
            "functionArn": "arn:aws:lambda:eu-west-1:111122223333:function:orders:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"orderId": "o-1"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {
            "errorMessage": "Read timed out",
            "errorType": "ReadTimeout",
            "stackTrace": ['  File "a.py", line 1, in b\n'],
        },
        **changes,
    }


NOTIFICATION = {
    "Type": "Notification",
    "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t",
    "MessageId": "1",
    "Message": "hello",
}
STREAM = {
    "shardId": "1",
    "startSequenceNumber": "1",
    "endSequenceNumber": "1",
    "batchSize": 1,
    "streamArn": "arn:aws:kinesis:x",
}
PIPE = {
    "context": {
        "partnerResourceArn": "arn:aws:pipes:eu-west-1:111122223333:pipe/p",
        "condition": "RetryAttemptsExhausted",
    },
    "version": "1.0",
    "KinesisBatchInfo": STREAM,
}
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2024-01-01T00:00:00Z", "Bucket": "b"}
S3_RECORDS = {"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": "b"}}}]}
SUCCESS = record(requestContext={**record()["requestContext"], "condition": "Success"})
ESM = {
    key: value
    for key, value in record(KinesisBatchInfo=STREAM).items()
    if key not in ("requestPayload", "responsePayload")
}
AGED = {key: value for key, value in ESM.items() if key != "responseContext"}

ORIGINALS: dict[str, tuple[Any, dict[str, Any], dict[str, str], Origin]] = {
    "a plain redrive": ("hello", {}, REDRIVEN, Origin.SQS_REDRIVE),
    "a redriven notification of SNS": (NOTIFICATION, {}, REDRIVEN, Origin.SQS_REDRIVE),
    "a redriven S3 notification": (S3_RECORDS, {}, REDRIVEN, Origin.SQS_REDRIVE),
    "a redriven test event of S3": (TEST_EVENT, {}, REDRIVEN, Origin.S3_TEST_EVENT),
    "a function's dead-letter queue": (
        {"a": 1},
        string(RequestID="1", ErrorCode="200", ErrorMessage="boom"),
        {},
        Origin.LAMBDA_ASYNC,
    ),
    "a function's dead-letter topic": (
        {
            **NOTIFICATION,
            "MessageAttributes": {
                "RequestID": {"Type": "String", "Value": "1"},
                "ErrorCode": {"Type": "String", "Value": "200"},
            },
        },
        {},
        {},
        Origin.LAMBDA_ASYNC,
    ),
    "an on-failure destination": (record(), {}, {}, Origin.LAMBDA_DESTINATION),
    "an on-failure destination behind EventBridge": (
        {"source": "lambda", "detail-type": "x", "detail": record()},
        {},
        {},
        Origin.LAMBDA_DESTINATION,
    ),
    "a record of success": (SUCCESS, {}, {}, Origin.SUCCESS_RECORD),
    "an event source mapping": (ESM, {}, {}, Origin.LAMBDA_ESM),
    "an event source mapping whose records grew old": (AGED, {}, {}, Origin.LAMBDA_ESM),
    "a pipe": (PIPE, {}, {}, Origin.PIPES),
    "a rule's target": (
        {"detail-type": "x", "source": "shop", "detail": {}},
        string(RULE_ARN="arn:aws:events:x", TARGET_ARN="y", ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="no"),
        {},
        Origin.EVENTBRIDGE,
    ),
    "a schedule": (
        {"QueueUrl": "x"},
        string(SCHEDULE_ARN="x", TARGET_ARN="y", ERROR_CODE="AWS.SimpleQueueService.NonExistentQueue"),
        {},
        Origin.SCHEDULER,
    ),
    "a subscription": (NOTIFICATION, {}, {}, Origin.SNS),
    "a test event of S3": (TEST_EVENT, {}, {}, Origin.S3_TEST_EVENT),
    "a test event of S3 behind a topic": (
        {**NOTIFICATION, "Message": json.dumps(TEST_EVENT)},
        {},
        {},
        Origin.S3_TEST_EVENT,
    ),
    "a redriven test event behind a topic": (
        {**NOTIFICATION, "Message": json.dumps(TEST_EVENT)},
        {},
        REDRIVEN,
        Origin.S3_TEST_EVENT,
    ),
    "a redriven notification that speaks of test events": (
        {**NOTIFICATION, "Message": "an s3:TestEvent was seen"},
        {},
        REDRIVEN,
        Origin.SQS_REDRIVE,
    ),
    "a consumer that writes its error": ({"a": 1}, string(error="boom"), {}, Origin.UNKNOWN),
    "a consumer that sends a notification on": (NOTIFICATION, string(error="boom"), {}, Origin.UNKNOWN),
    "anything else": ("hello", {}, {}, Origin.UNKNOWN),
    "JSON that resembles nothing": ({"requestContext": "web"}, {}, {}, Origin.UNKNOWN),
}


@pytest.mark.parametrize("letter", ORIGINALS.values(), ids=list(ORIGINALS))
def test_the_origin_is_told_from_what_the_letter_carries(
    letter: tuple[Any, dict[str, Any], dict[str, str], Origin],
) -> None:
    """One origin for each way into a dead-letter queue."""
    body, attributes, system, origin = letter
    text = body if isinstance(body, str) else json.dumps(body)
    assert recognise(text, attributes, system, ["error"]) is origin


SHAPES = {
    "current pointer": (
        json.dumps(["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "b", "s3Key": "k"}]),
        BodyShape.EXTENDED_POINTER,
    ),
    "older pointer": (
        json.dumps(["com.amazon.sqs.javamessaging.MessageS3Pointer", {"s3BucketName": "b", "s3Key": "k"}]),
        BodyShape.EXTENDED_POINTER,
    ),
    "S3 notification": (json.dumps(S3_RECORDS), BodyShape.S3_NOTIFICATION),
    "S3 event of EventBridge": (
        json.dumps({"detail-type": "Object Created", "source": "aws.s3", "detail": {}}),
        BodyShape.S3_NOTIFICATION,
    ),
    "S3 test event": (json.dumps(TEST_EVENT), BodyShape.S3_TEST_EVENT),
    "SNS": (json.dumps(NOTIFICATION), BodyShape.SNS_ENVELOPE),
    "event": (json.dumps({"detail-type": "x", "source": "shop", "detail": {}}), BodyShape.EVENTBRIDGE_EVENT),
    "JSON": ('{"a": 1}', BodyShape.JSON),
    "a list that is no pointer": ('["software.amazon.payloadoffloading.PayloadS3Pointer"]', BodyShape.JSON),
    "text": ("hello", BodyShape.OTHER),
    "nothing": ("  ", BodyShape.EMPTY),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_the_shape_of_a_body_is_told_whoever_sent_it(shape: tuple[str, BodyShape]) -> None:
    """A pointer or an S3 notification is a body, not an origin of failure."""
    assert body_shape(shape[0]) is shape[1]


def test_the_error_of_a_function_stands_in_its_attributes() -> None:
    """`ErrorCode` 200 is no success: it is the status of an invocation that raised."""
    evidence = evidence_for(
        '{"a":1}', string(RequestID="1", ErrorCode="200", ErrorMessage="Task timed out after 3.00 seconds"), {}
    )
    assert evidence.error == "Task timed out after 3.00 seconds"
    assert evidence.body == '{"a":1}'
    assert diagnose(evidence).kind is Kind.TIMEOUT


@pytest.mark.parametrize(
    ("code", "kind"),
    [("429", Kind.THROTTLED), ("403", Kind.AUTH_FAILURE), ("500", Kind.DEPENDENCY_FAILURE), ("200", Kind.UNKNOWN)],
)
def test_other_codes_of_a_function_tell_what_lambda_itself_met(code: str, kind: Kind) -> None:
    """Without words, only the status speaks."""
    evidence = evidence_for("{}", string(RequestID="1", ErrorCode=code, ErrorMessage="Invocation failed"), {})
    assert diagnose(evidence).kind is kind


def test_the_error_of_a_destination_is_its_payload() -> None:
    """Type, message, cause and trace; the original event is the body."""
    payload = {
        "errorType": "OrderError",
        "errorMessage": "failed",
        "cause": {"errorType": "ConnectException", "errorMessage": "Connection refused"},
    }
    evidence = evidence_for(json.dumps(record(responsePayload=payload)), {}, {})
    assert evidence.error.startswith("OrderError: failed\nCaused by: ConnectException: Connection refused")
    assert evidence.body == '{"orderId":"o-1"}'
    assert evidence.source == "lambda destination"
    assert diagnose(evidence).kind is Kind.DEPENDENCY_FAILURE


@pytest.mark.parametrize(
    "body", [record(responsePayload=None), AGED, PIPE, NOTIFICATION], ids=["no payload", "aged", "pipe", "sns"]
)
def test_a_record_without_an_error_is_no_evidence(body: dict[str, Any]) -> None:
    """That retries ran out is known of every dead letter: it says nothing of why."""
    assert evidence_for(json.dumps(body), {}, {}).is_empty


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("NO_PERMISSIONS", "x", Kind.AUTH_FAILURE),
        ("FAILED_TO_ASSUME_ROLE", "x", Kind.AUTH_FAILURE),
        ("THROTTLING", "x", Kind.THROTTLED),
        ("TIMEOUT", "x", Kind.TIMEOUT),
        ("INTERNAL_ERROR", "x", Kind.DEPENDENCY_FAILURE),
        ("TRANSIENT_ASSUME_ROLE", "x", Kind.DEPENDENCY_FAILURE),
        ("NO_RESOURCE", "x", Kind.VALIDATION_ERROR),
        ("INVALID_JSON", "x", Kind.BAD_PAYLOAD),
        ("SDK_CLIENT_ERROR", "x", Kind.UNKNOWN),
        ("UNKNOWN", "x", Kind.UNKNOWN),
        ("ERROR_FROM_TARGET", "Rate exceeded", Kind.THROTTLED),
        ("SDK_CLIENT_ERROR", "User is not authorized to perform: sqs:SendMessage", Kind.AUTH_FAILURE),
    ],
)
def test_codes_of_eventbridge_speak_unless_the_message_says_more(code: str, message: str, kind: Kind) -> None:
    """Codes as the guide lists them for a rule's dead-letter queue."""
    attributes = string(RULE_ARN="r", TARGET_ARN="t", ERROR_CODE=code, ERROR_MESSAGE=message)
    assert diagnose(evidence_for("{}", attributes, {})).kind is kind


def test_a_schedule_carries_the_code_of_its_target() -> None:
    """Scheduler writes the called API's own code."""
    attributes = string(
        SCHEDULE_ARN="s", TARGET_ARN="t", ERROR_CODE="AWS.SimpleQueueService.NonExistentQueue", ERROR_MESSAGE="x"
    )
    assert diagnose(evidence_for("{}", attributes, {})).kind is Kind.VALIDATION_ERROR


def test_a_consumers_own_attributes_come_first_and_in_order() -> None:
    """A class in one attribute and a message in the next belong together; binary values are read."""
    attributes: dict[str, dict[str, Any]] = {
        **string(errorClass="java.net.SocketTimeoutException"),
        "errorText": {"DataType": "Binary", "BinaryValue": b"lookup failed"},
    }
    evidence = evidence_for("{}", attributes, REDRIVEN, ["errorClass", "errorText"])
    assert evidence.error == "java.net.SocketTimeoutException\nlookup failed"
    assert evidence.source == "message attributes"
    assert diagnose(evidence).kind is Kind.TIMEOUT


def test_a_plain_redrive_has_no_evidence() -> None:
    """SQS moves a message and says nothing: then the consumer's log is asked."""
    assert evidence_for('{"note":"Unauthorized"}', string(tenant="a"), REDRIVEN) == Evidence(
        body='{"note":"Unauthorized"}'
    )
    assert evidence_for("x", {}, REDRIVEN, ["error"]).is_empty


def test_a_producers_attributes_are_no_evidence() -> None:
    """Only names that the policy lists, or that AWS itself sets, tell of a failure."""
    assert evidence_for("x", string(reason="timeout", ERROR="503"), REDRIVEN).is_empty


def test_a_test_event_through_a_topic_is_no_failure() -> None:
    """S3 sends it when a notification is set up; a topic wraps it, and a queue's redrive moves it."""
    wrapped = json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(TEST_EVENT)})
    assert recognise(wrapped, {}, {}) is Origin.S3_TEST_EVENT
    assert recognise(wrapped, {}, {"DeadLetterQueueSourceArn": "arn:aws:sqs:x"}) is Origin.S3_TEST_EVENT
