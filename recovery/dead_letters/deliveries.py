"""A failed delivery of SNS, EventBridge or Scheduler, as its dead letter describes it. Pure.

Sources: "Dead-letter queues" of each service's guide, and aws-facts: SNS names the subscription only in the link to
unsubscribe; EventBridge and Scheduler name rule or schedule and target in attributes.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from recovery.dead_letters.invocations import INVOKED, failed_invocation, raw_member
from recovery.errors import Refused
from recovery.failures import Origin
from recovery.failures.evidence import text_of
from recovery.failures.origins import envelope

if TYPE_CHECKING:
    from recovery.dead_letters.messages import Message

DELIVERED = frozenset({Origin.SNS, Origin.EVENTBRIDGE, Origin.SCHEDULER})
"""Origins whose target is where the service could not deliver to."""
_SEND = ":aws-sdk:sqs:sendMessage"
CALLED = INVOKED | DELIVERED
"""Origins whose messages have a target of their own."""


def subscription_of(message: Message) -> str:
    """Return the ARN of the subscription that a notification could not be delivered to, or ""."""
    link = str((envelope(message.body) or {}).get("UnsubscribeURL") or "")
    try:
        found = parse_qs(urlsplit(link).query).get("SubscriptionArn", [])
    except ValueError:
        return ""
    return found[0] if len(found) == 1 else ""


def attribute(message: Message, name: str) -> str:
    """Return the text of an attribute, or ""."""
    return text_of(message.attributes.get(name)).strip()


def event_of(message: Message) -> str:
    """Return the event with which the origin would invoke a function; "" when the message does not hold it."""
    if message.origin in INVOKED:
        invocation = failed_invocation(message.body, message.attributes, message.origin)
        return invocation.payload if invocation is not None else ""
    if message.origin is Origin.SNS:
        return _notified(message)
    return message.body if message.origin in DELIVERED else ""


def for_queue(message: Message) -> Message:
    """Return a message as its origin would have sent it to a queue: without the attributes of the failure.

    A call that is not made here has no target of its own; to a queue that a person names it goes as it stands.
    """
    if message.origin not in (Origin.EVENTBRIDGE, Origin.SCHEDULER):
        return message
    try:
        call = call_of_schedule(message)
    except Refused:
        call = None
    return replace(message, attributes={}, body=call[1] if call else message.body)


def call_of_schedule(message: Message) -> tuple[str, str] | None:
    """Return queue URL and body of a schedule that calls SendMessage itself; None for another target.

    Raises:
        Refused: its call has parameters that are not sent here.
    """
    if message.origin is not Origin.SCHEDULER or not attribute(message, "TARGET_ARN").endswith(_SEND):
        return None
    call = envelope(message.body) or {}
    if call.keys() != {"QueueUrl", "MessageBody"} or not all(isinstance(value, str) for value in call.values()):
        names = ", ".join(sorted(call.keys() - {"QueueUrl", "MessageBody"})) or "no queue and body"
        raise Refused(f"its schedule calls SendMessage with parameters that are not sent here: {names}", code="Call")
    return call["QueueUrl"], call["MessageBody"]


def publication(message: Message) -> dict[str, Any]:
    """Return the message as boto3's `publish` takes it: a notification as it was published, another as it stands."""
    notification = envelope(message.body) if message.origin is Origin.SNS else None
    if notification is None:
        return {"Message": message.body}
    made: dict[str, Any] = {"Message": str(notification.get("Message", ""))}
    if subject := notification.get("Subject"):
        made["Subject"] = str(subject)
    given = notification.get("MessageAttributes")
    if isinstance(given, dict) and given:
        made["MessageAttributes"] = {name: _attribute(value) for name, value in given.items()}
    return made


def delivered_content(message: Message) -> str:
    """Return what stays the same when a message of these origins is sent to everybody again, and fails again."""
    document = envelope(message.body)
    if message.origin is Origin.SNS and document is not None:
        kept = {name: document.get(name) for name in ("TopicArn", "Subject", "Message", "MessageAttributes")}
        return json.dumps([subscription_of(message), kept], sort_keys=True)
    if message.origin is Origin.EVENTBRIDGE and document is not None:  # it gets another id each time
        body = json.dumps({name: value for name, value in document.items() if name != "id"}, sort_keys=True)
    else:
        body = message.body
    names = ("RULE_ARN", "SCHEDULE_ARN", "TARGET_ARN")
    return "\0".join([*(attribute(message, name) for name in names), body])


def topic_of(message: Message) -> str:
    """Return the ARN of the topic that a notification was published to, or ""."""
    return str((envelope(message.body) or {}).get("TopicArn") or "")


def put_again(message: Message) -> dict[str, Any]:
    """Return an event as boto3's `put_events` takes it; the detail as its text stands there.

    Raises:
        Refused: it is no event that anybody but AWS may put.
    """
    event = envelope(message.body) or {}
    source, kind, detail = (
        str(event.get("source", "")),
        str(event.get("detail-type", "")),
        raw_member(message.body, "detail"),
    )
    if not (source and kind and detail):
        raise Refused("the message holds no whole event: its rule passes another input", code="OtherInput")
    if source.startswith("aws."):
        raise Refused(f"its event is AWS's own ({source}), which nobody else may put on a bus", code="OtherInput")
    made: dict[str, Any] = {"Source": source, "DetailType": kind, "Detail": detail}
    if isinstance(event.get("resources"), list) and event["resources"]:
        made["Resources"] = [str(each) for each in event["resources"]]
    if time := str(event.get("time") or ""):
        made["Time"] = time
    return made


def _attribute(value: Any) -> dict[str, Any]:
    given = value if isinstance(value, dict) else {}
    kind, text = str(given.get("Type", "String")), str(given.get("Value", ""))
    if kind.startswith("Binary"):
        return {"DataType": kind, "BinaryValue": base64.b64decode(text)}
    return {"DataType": kind, "StringValue": text}


def _notified(message: Message) -> str:
    """Return the event of a subscribed function. Lambda's records spell two of the envelope's fields differently."""
    notification = envelope(message.body)
    if notification is None:
        return ""
    spelled = {"SigningCertURL": "SigningCertUrl", "UnsubscribeURL": "UnsubscribeUrl"}
    record = {spelled.get(name, name): value for name, value in notification.items()}
    record.setdefault("Subject", None)
    record.setdefault("MessageAttributes", {})
    return json.dumps(
        {
            "Records": [
                {
                    "EventSource": "aws:sns",
                    "EventVersion": "1.0",
                    "EventSubscriptionArn": subscription_of(message),
                    "Sns": record,
                }
            ]
        }
    )
