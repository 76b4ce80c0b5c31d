"""Dead letters that SQS did not move itself, in the shapes that AWS documents or was recorded to send.

Lambda, EventBridge, Scheduler, SNS, Pipes and S3 put their own kind of message into a dead-letter queue: each says what
failed in a place of its own, or nowhere. The shapes are AWS's (developer guides of the services: asynchronous
invocation records, dead-letter queues of rules, schedules and subscriptions); the values are the sample shop's.

    for message in messages(now):
        put(sqs, queue_url, [message])
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

ACCOUNT: Final = "000000000000"
REGION: Final = "us-east-1"
_FUNCTION: Final = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:send-receipt"
_TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:order-shipped"


@dataclass(frozen=True)
class Message:
    """A dead letter as a service sends it.

    Attributes:
        name: its name in tests and tables.
        origin: the service that sends it: "lambda", "lambda-destination", "eventbridge", "scheduler", "sns", "pipes",
            "lambda-stream" or "s3".
        body: the message's body.
        attributes: its message attributes, by name: DataType and value.
    """

    name: str
    origin: str
    body: str
    attributes: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def messages(now: datetime) -> tuple[Message, ...]:
    """Every recorded shape once.

    Args:
        now: aware; the messages are a few minutes old.
    """
    return (
        *_of_lambda(now),
        *_of_destinations(now),
        *_of_rules(now),
        *_of_schedules(now),
        *_of_subscriptions(now),
        *_of_streams(now),
        *_of_buckets(now),
    )


def put(sqs: Any, queue_url: str, chosen: Iterable[Message]) -> list[str]:
    """Send messages into a dead-letter queue, and return their message ids.

    Raises:
        RuntimeError: SQS did not take one of them.
    """
    ids: list[str] = []
    everything = list(chosen)
    for first in range(0, len(everything), 10):
        entries = [
            {
                "Id": str(at),
                "MessageBody": message.body,
                "MessageAttributes": {
                    name: {"DataType": kind, "StringValue": value} for name, (kind, value) in message.attributes.items()
                },
            }
            for at, message in enumerate(everything[first : first + 10])
        ]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        if failed := answer.get("Failed"):
            raise RuntimeError(f"message {everything[first + int(failed[0]['Id'])].name}: {failed[0]['Message']}")
        sent = {done["Id"]: done["MessageId"] for done in answer["Successful"]}
        ids += [sent[entry["Id"]] for entry in entries]
    return ids


def _of_lambda(now: datetime) -> Iterable[Message]:
    """The dead-letter queue of a function: the event itself, and the error in three attributes.

    An ErrorCode of 200 is an ordinary exception of the function; another one is Lambda's own.
    """
    event = json.dumps({"order_id": "order-700101", "account": "acme", "placed": _iso(now)})

    def failed(name: str, code: str, message: str) -> Message:
        request = ("String", str(uuid5(NAMESPACE_URL, name)))
        attributes = {"RequestID": request, "ErrorCode": ("Number", code), "ErrorMessage": ("String", message)}
        return Message(name, "lambda", event, attributes)

    yield failed("lambda-timeout", "200", f"{_iso(now)} 5b1f Task timed out after 3.00 seconds")
    yield failed("lambda-exception", "200", "'NoneType' object has no attribute 'email'")
    yield failed(
        "lambda-denied", "200", "An error occurred (AccessDeniedException) when calling the SendEmail operation"
    )
    yield failed("lambda-throttled", "429", "Rate Exceeded.")


def _of_destinations(now: datetime) -> Iterable[Message]:
    """An on-failure destination: an envelope with the event, the context and the function's last answer."""

    def record(name: str, condition: str, payload: Mapping[str, Any] | None, function_error: str | None) -> Message:
        envelope: dict[str, Any] = {
            "version": "1.0",
            "timestamp": _iso(now - timedelta(minutes=3)),
            "requestContext": {
                "requestId": "6f0d1f64-93a5-4d0d-a1a0-3f7c2c9d7b11",
                "functionArn": f"{_FUNCTION}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": 1 if condition == "Success" else 3,
            },
            "requestPayload": {"order_id": "order-700202", "account": "vandelay"},
        }
        if payload is not None:
            envelope["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST"}
            envelope["responsePayload"] = payload
            if function_error:
                envelope["responseContext"]["functionError"] = function_error
        return Message(name, "lambda-destination", json.dumps(envelope))

    failure = {
        "errorMessage": "HTTPSConnectionPool(host='mail.internal', port=443): Read timed out. (read timeout=2)",
        "errorType": "ReadTimeout",
        "requestId": "6f0d1f64-93a5-4d0d-a1a0-3f7c2c9d7b11",
        "stackTrace": ['  File "/var/task/receipt.py", line 31, in handler\n    mail.post("/send", json=receipt)\n'],
    }
    killed = {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: 6f0d1f64 Error: Task timed out after 3.00 seconds",
    }
    yield record("destination-exception", "RetriesExhausted", failure, "Unhandled")
    yield record("destination-timeout", "RetriesExhausted", killed, "Unhandled")
    yield record("destination-too-old", "EventAgeExceeded", None, None)
    yield record("destination-success", "Success", {"sent": True}, None)


def _of_rules(now: datetime) -> Iterable[Message]:
    """The dead-letter queue of a rule's target: the event, and what EventBridge met in attributes."""
    event = {
        "version": "0",
        "id": "0b0d6a52-8f7e-4d5e-9c5b-2c1d63f0a001",
        "detail-type": "Order Shipped",
        "source": "shop.warehouse",
        "account": ACCOUNT,
        "time": _iso(now - timedelta(hours=1)),
        "region": REGION,
        "resources": [],
        "detail": {"order_id": "order-700303", "carrier": "parcel"},
    }

    def failed(name: str, code: str, message: str, attempts: int) -> Message:
        attributes = {
            "RULE_ARN": ("String", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/shipped"),
            "TARGET_ARN": ("String", _FUNCTION),
            "ERROR_CODE": ("String", code),
            "ERROR_MESSAGE": ("String", message),
            "RETRY_ATTEMPTS": ("String", str(attempts)),
        }
        if attempts:
            attributes["EXHAUSTED_RETRY_CONDITION"] = ("String", "MaximumRetryAttempts")
        return Message(name, "eventbridge", json.dumps(event), attributes)

    yield failed("rule-no-permission", "NO_PERMISSIONS", "User is not authorized to perform lambda:InvokeFunction", 0)
    yield failed("rule-throttled", "THROTTLING", "Rate exceeded", 185)
    yield failed("rule-target-failed", "ERROR_FROM_TARGET", "The target answered with status 503", 24)


def _of_schedules(now: datetime) -> Iterable[Message]:
    """The dead-letter queue of a schedule: the input of the target's API call, and its error in attributes."""
    stamp = (now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:00Z")

    def failed(name: str, code: str, message: str, *, exhausted: bool) -> Message:
        attributes = {
            "ERROR_CODE": ("String", code),
            "ERROR_MESSAGE": ("String", message),
            "EXECUTION_ID": ("String", "c1a94b6f2d3e4a57"),
            "IS_PAYLOAD_TRUNCATED": ("String", "false"),
            "RETRY_ATTEMPTS": ("String", "185" if exhausted else "0"),
            "SCHEDULED_TIME": ("String", stamp),
            "SCHEDULE_ARN": ("String", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/dunning"),
            "TARGET_ARN": ("String", "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"),
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = ("String", "MaximumEventAgeInSeconds")
        body = {"QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/dunning", "MessageBody": '{"run": "weekly"}'}
        return Message(name, "scheduler", json.dumps(body), attributes)

    missing = "The specified queue does not exist for this wsdl version."
    yield failed("schedule-no-queue", "AWS.SimpleQueueService.NonExistentQueue", missing, exhausted=False)
    internal = "Unexpected error occurred while processing the request"
    yield failed("schedule-internal", "AWS.Scheduler.InternalServerError", internal, exhausted=True)


def _of_subscriptions(now: datetime) -> Iterable[Message]:
    """The dead-letter queue of a subscription: the envelope, or the bare message. The error is nowhere."""
    text = json.dumps({"order_id": "order-700404", "status": "shipped"})
    envelope = {
        "Type": "Notification",
        "MessageId": "3f3c2d1e-5a7b-5c6d-8e9f-0a1b2c3d4e5f",
        "TopicArn": _TOPIC,
        "Subject": "Order shipped",
        "Message": text,
        "Timestamp": _iso(now - timedelta(minutes=20)),
        "SignatureVersion": "1",
        "Signature": "c2lnbmF0dXJlIG9mIHRoZSBzYW1wbGUgc2hvcA==",
        "SigningCertURL": f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "UnsubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={_TOPIC}:9d4c1f6a",
        "MessageAttributes": {"channel": {"Type": "String", "Value": "web"}},
    }
    yield Message("subscription-envelope", "sns", json.dumps(envelope))
    yield Message("subscription-raw", "sns", text, {"channel": ("String", "web")})


def _of_streams(now: datetime) -> Iterable[Message]:
    """Stream readers that gave up: where in the stream the records are, and not the records."""
    batch = {
        "shardId": "shardId-00000001772439000000-1f2e3d4c",
        "startSequenceNumber": "900000000001234567890",
        "endSequenceNumber": "900000000001234567899",
        "approximateArrivalOfFirstRecord": (now - timedelta(minutes=9)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "approximateArrivalOfLastRecord": (now - timedelta(minutes=8)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "batchSize": 10,
        "streamArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/outbox/stream/2026-03-01T00:00:00.000",
    }
    context = {
        "requestId": "a2b8c0de-1111-4222-8333-444455556666",
        "functionArn": f"{_FUNCTION}:live",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 3,
    }
    reader = {
        "requestContext": context,
        "responseContext": {"statusCode": 200, "executedVersion": "4", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _iso(now),
        "DDBStreamBatchInfo": batch,
    }
    yield Message("stream-reader", "lambda-stream", json.dumps(reader))
    pipe = {
        "context": {
            "partnerResourceArn": f"arn:aws:pipes:{REGION}:{ACCOUNT}:pipe/outbox-to-shop",
            "condition": "RetryAttemptsExhausted",
        },
        "version": "1.0",
        "timestamp": _iso(now),
        "DDBStreamBatchInfo": batch,
    }
    yield Message("pipe", "pipes", json.dumps(pipe))


def _of_buckets(now: datetime) -> Iterable[Message]:
    """Notifications of S3: the test message of a new configuration, and one about an object."""
    test = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": _iso(now),
        "Bucket": "shop-invoices",
        "RequestId": "9D2A7C41B6E0F358",
        "HostId": "c2FtcGxlLWhvc3QtaWQ=",
    }
    yield Message("s3-test-event", "s3", json.dumps(test))
    created = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": _iso(now - timedelta(minutes=2)),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "SAMPLE"},
        "requestParameters": {"sourceIPAddress": "10.0.0.7"},
        "responseElements": {"x-amz-request-id": "1B2C3D4E5F607182"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "invoices",
            "bucket": {
                "name": "shop-invoices",
                "ownerIdentity": {"principalId": "SAMPLE"},
                "arn": "arn:aws:s3:::shop-invoices",
            },
            "object": {"key": "2026/03/invoice+700505.pdf", "size": 48213, "sequencer": "0065E2B7A1C4D5E6F7"},
        },
    }
    yield Message("s3-object-created", "s3", json.dumps({"Records": [created]}))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
