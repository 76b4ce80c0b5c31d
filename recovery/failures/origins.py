"""The origin of a dead letter, by what it carries (source: each service's developer guide)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

MessageAttributes = Mapping[str, Mapping[str, Any]]
"""As boto3 returns them: {"name": {"DataType": "String", "StringValue": "..."}} or with "BinaryValue"."""

_MAX_ENVELOPE = 2_000_000


class Origin(StrEnum):
    """The way of a message into the dead-letter queue."""

    SQS_REDRIVE = "SQS_REDRIVE"
    LAMBDA_ASYNC = "LAMBDA_ASYNC"
    LAMBDA_DESTINATION = "LAMBDA_DESTINATION"
    LAMBDA_ESM = "LAMBDA_ESM"
    PIPES = "PIPES"
    EVENTBRIDGE = "EVENTBRIDGE"
    SCHEDULER = "SCHEDULER"
    SNS = "SNS"
    S3_TEST_EVENT = "S3_TEST_EVENT"
    SUCCESS_RECORD = "SUCCESS_RECORD"
    UNKNOWN = "UNKNOWN"


class BodyShape(StrEnum):
    """The form of a body, whoever sent it."""

    EXTENDED_POINTER = "EXTENDED_POINTER"
    S3_NOTIFICATION = "S3_NOTIFICATION"
    S3_TEST_EVENT = "S3_TEST_EVENT"
    SNS_ENVELOPE = "SNS_ENVELOPE"
    EVENTBRIDGE_EVENT = "EVENTBRIDGE_EVENT"
    JSON = "JSON"
    EMPTY = "EMPTY"
    OTHER = "OTHER"


_POINTERS = ("software.amazon.payloadoffloading.PayloadS3Pointer", "com.amazon.sqs.javamessaging.MessageS3Pointer")


def recognise(
    body: str,
    message_attributes: MessageAttributes,
    system_attributes: Mapping[str, str],
    error_attributes: Iterable[str] = (),
) -> Origin:
    """Show where a dead letter comes from.

    Args:
        body: the message's body, as received.
        message_attributes: in boto3's shape.
        system_attributes: `Attributes` of the message, as strings.
        error_attributes: names of the attributes in which the user's own consumers write an error; a message with one
            of them was put there by a consumer, unless SQS says that it moved the message itself.

    Returns:
        `UNKNOWN` when nothing shows: sent there by a consumer, or by hand.
    """
    names = message_attributes.keys()
    # SQS sets this only on what its own redrive policy moved. A queue between EventBridge or SNS and its own
    # dead-letter queue gets it too, whatever the body looks like: the consumer of that queue is who failed.
    if "DeadLetterQueueSourceArn" in system_attributes:
        return Origin.S3_TEST_EVENT if _is_test_event(body) else Origin.SQS_REDRIVE
    if "SCHEDULE_ARN" in names and "ERROR_CODE" in names:
        return Origin.SCHEDULER
    if "RULE_ARN" in names and ("ERROR_CODE" in names or "TARGET_ARN" in names):
        return Origin.EVENTBRIDGE
    if {"RequestID", "ErrorCode"} <= names or {"RequestID", "ErrorMessage"} <= names:
        return Origin.LAMBDA_ASYNC
    if any(name in names for name in error_attributes):
        return Origin.UNKNOWN
    document = envelope(body)
    if document is None:
        return Origin.UNKNOWN
    return _by_document(document)


def _by_document(document: Mapping[str, Any]) -> Origin:
    context = document.get("requestContext")
    if isinstance(context, dict) and "condition" in context and "functionArn" in context:
        if context["condition"] == "Success":
            return Origin.SUCCESS_RECORD
        if _has_batch(document):
            return Origin.LAMBDA_ESM
        return Origin.LAMBDA_DESTINATION
    pipe = document.get("context")
    if isinstance(pipe, dict) and "partnerResourceArn" in pipe:
        return Origin.PIPES
    if document.get("source") == "lambda" and isinstance(document.get("detail"), dict):
        return _by_document(document["detail"])
    if _is_notification(document):
        inner = envelope(str(document.get("Message", "")))
        attributes = document.get("MessageAttributes")
        if isinstance(attributes, dict) and {"RequestID", "ErrorCode"} <= attributes.keys():
            return Origin.LAMBDA_ASYNC
        if (
            inner is not None
            and isinstance(inner.get("requestContext"), dict)
            and "condition" in inner["requestContext"]
        ):
            return _by_document(inner)
        if inner is not None and inner.get("Event") == "s3:TestEvent":
            return Origin.S3_TEST_EVENT
        return Origin.SNS
    if document.get("Event") == "s3:TestEvent":
        return Origin.S3_TEST_EVENT
    return Origin.UNKNOWN


def body_shape(body: str) -> BodyShape:
    """Show what a body is, by its own structure."""
    text = body.strip()
    if not text:
        return BodyShape.EMPTY
    if text[0] == "[" and any(name in text[:120] for name in _POINTERS):
        value = _parse(text)
        if isinstance(value, list) and len(value) == 2 and value[0] in _POINTERS and isinstance(value[1], dict):
            return BodyShape.EXTENDED_POINTER
    value = _parse(text)
    if isinstance(value, dict):
        if value.get("Event") == "s3:TestEvent":
            return BodyShape.S3_TEST_EVENT
        if _is_notification(value):
            return BodyShape.SNS_ENVELOPE
        records = value.get("Records")
        if (
            isinstance(records, list)
            and records
            and isinstance(records[0], dict)
            and records[0].get("eventSource") == "aws:s3"
        ):
            return BodyShape.S3_NOTIFICATION
        if "detail-type" in value and "source" in value:
            return BodyShape.S3_NOTIFICATION if value["source"] == "aws.s3" else BodyShape.EVENTBRIDGE_EVENT
    return BodyShape.OTHER if value is None else BodyShape.JSON


def envelope(text: str) -> dict[str, Any] | None:
    """The JSON object that a text holds, else None."""
    value = _parse(text) if text.lstrip()[:1] == "{" else None
    return value if isinstance(value, dict) else None


def _parse(text: str) -> Any:
    if len(text) > _MAX_ENVELOPE:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _has_batch(document: Mapping[str, Any]) -> bool:
    return any(
        name in document for name in ("KinesisBatchInfo", "DDBStreamBatchInfo", "MSKBatchInfo", "KafkaBatchInfo")
    )


def _is_notification(document: Mapping[str, Any]) -> bool:
    return document.get("Type") == "Notification" and "TopicArn" in document and "Message" in document


def _is_test_event(body: str) -> bool:
    """True for the event by which S3 tries a notification, also where a topic passed it on."""
    if "s3:TestEvent" not in body[:8_000]:
        return False
    document = envelope(body)
    if document is not None and _is_notification(document):
        document = envelope(str(document["Message"]))
    return document is not None and document.get("Event") == "s3:TestEvent"
