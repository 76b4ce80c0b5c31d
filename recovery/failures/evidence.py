"""Find the evidence of a dead letter where its origin puts it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from recovery.failures.models import Evidence
from recovery.failures.origins import MessageAttributes, Origin, envelope, recognise

_MAX_VALUE = 20_000
_EVENT_NAMES = (
    "ERROR_CODE",
    "ERROR_MESSAGE",
    "RETRY_ATTEMPTS",
    "EXHAUSTED_RETRY_CONDITION",
    "RULE_ARN",
    "SCHEDULE_ARN",
    "TARGET_ARN",
)


def evidence_for(
    body: str,
    message_attributes: MessageAttributes,
    system_attributes: Mapping[str, str],
    error_attributes: Iterable[str] = (),
    *,
    error_body_paths: Iterable[str] = (),
    origin: Origin | None = None,
) -> Evidence:
    """Gather what a dead letter itself says of its failure.

    Args:
        body: the message's body, as received.
        message_attributes: in boto3's shape.
        system_attributes: `Attributes` of the message.
        error_attributes: names of attributes in which the user's consumers write an error, the most telling first.
        error_body_paths: dotted paths into a JSON body at which the user's consumers write an error.
        origin: when the caller has recognised it already.

    Returns:
        Evidence that `is_empty` when the message says nothing (a plain SQS redrive, an SNS subscription, a pipe):
        then the consumer's logs are the next place to look.
    """
    named = list(error_attributes)
    origin = origin if origin is not None else recognise(body, message_attributes, system_attributes, named)
    stated = _named(body, message_attributes, named) or _in_body(body, error_body_paths)
    if stated is not None:
        return stated
    if origin in (Origin.EVENTBRIDGE, Origin.SCHEDULER):
        facts = {name: text for name in _EVENT_NAMES if (text := text_of(message_attributes.get(name)))}
        source = "eventbridge attributes" if origin is Origin.EVENTBRIDGE else "scheduler attributes"
        return Evidence(error=facts.get("ERROR_MESSAGE", ""), body=body, attributes=facts, source=source)
    if origin is Origin.LAMBDA_ASYNC:
        return _lambda_async(body, message_attributes)
    if origin in (Origin.LAMBDA_DESTINATION, Origin.LAMBDA_ESM):
        return _record(body)
    return Evidence(body=body)


def text_of(attribute: Mapping[str, Any] | None) -> str:
    """The text of one message attribute; binary values are read as UTF-8 where they can be."""
    if not attribute:
        return ""
    value = attribute.get("StringValue", attribute.get("Value"))
    if value is None:
        value = attribute.get("BinaryValue", "")
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("utf-8", "replace")
    return str(value)[:_MAX_VALUE]


def _named(body: str, message_attributes: MessageAttributes, names: list[str]) -> Evidence | None:
    found = {name: text for name in names if (text := text_of(message_attributes.get(name)).strip())}
    if not found:
        return None
    # All of them in the user's order: a class in one attribute and a message in the next belong together.
    return Evidence(error="\n".join(found.values()), body=body, attributes=found, source="message attributes")


def _in_body(body: str, paths: Iterable[str]) -> Evidence | None:
    wanted = list(paths)
    document = envelope(body) if wanted else None
    if document is None:
        return None
    found = {path: text for path in wanted if (text := _text_at(document, path))}
    if not found:
        return None
    return Evidence(error="\n".join(found.values()), body=body, attributes=found, source="message body")


def _text_at(value: Any, path: str) -> str:
    """The text at a dotted path; names may hold dots themselves, and JSON may stand in a string."""
    if isinstance(value, str) and path and value[:1] in ("{", "["):
        value = envelope(value)
    if isinstance(value, list):
        value = value[-1] if value else None  # the last of several is the last failure
    if not path:
        return _plain_text(value)
    if not isinstance(value, dict):
        return ""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in value and (text := _text_at(value[name], ".".join(parts[count:]))):
            return text
    return ""


def _plain_text(value: Any) -> str:
    if isinstance(value, dict):
        return _as_json(value)[:_MAX_VALUE]
    return "" if value is None or isinstance(value, bool) else str(value).strip()[:_MAX_VALUE]


def _lambda_async(body: str, message_attributes: MessageAttributes) -> Evidence:
    attributes: Mapping[str, Any] = message_attributes
    payload = body
    if "ErrorCode" not in attributes and "ErrorMessage" not in attributes:
        # A topic as the function's dead-letter target puts the attributes inside the notification.
        document = envelope(body) or {}
        inner = document.get("MessageAttributes")
        attributes = inner if isinstance(inner, dict) else {}
        payload = str(document.get("Message", body))
    facts = {
        name: text
        for name in ("ErrorCode", "ErrorMessage", "RequestID")
        if isinstance(attributes.get(name), dict) and (text := text_of(attributes.get(name)))
    }
    return Evidence(error=facts.get("ErrorMessage", ""), body=payload, attributes=facts, source="lambda attributes")


def invocation_record(body: str) -> Mapping[str, Any]:
    """Return the record of a failed invocation, taken out of an event or a notification that carries it."""
    document = envelope(body) or {}
    if document.get("source") == "lambda" and isinstance(document.get("detail"), dict):
        return dict(document["detail"])
    if document.get("Type") == "Notification":
        return envelope(str(document.get("Message", ""))) or {}
    return document


def _record(body: str) -> Evidence:
    document = invocation_record(body)
    request = document.get("requestContext")
    answer = document.get("responseContext")
    stated = document.get("responsePayload")
    facts: dict[str, str] = {}
    if isinstance(request, dict) and request.get("condition"):
        facts["condition"] = str(request["condition"])
    if isinstance(answer, dict):
        if answer.get("functionError"):
            facts["functionError"] = str(answer["functionError"])
        if answer.get("statusCode") not in (None, 200):
            facts["statusCode"] = str(answer["statusCode"])
    error = ""
    if isinstance(stated, dict):
        kind, message = stated.get("errorType"), stated.get("errorMessage")
        error = ": ".join(str(part) for part in (kind, message) if part)
        cause = stated.get("cause")
        if isinstance(cause, dict):
            error += "\nCaused by: " + ": ".join(
                str(cause[name]) for name in ("errorType", "errorMessage") if cause.get(name)
            )
        trace = stated.get("stackTrace", stated.get("trace"))
        if isinstance(trace, list) and trace:
            error += "\n" + "\n".join(str(line).rstrip("\n") for line in trace[:50])
        if kind:
            facts["errorType"] = str(kind)
    elif isinstance(stated, str):
        error = stated
    payload = document.get("requestPayload")
    return Evidence(
        error=error[:_MAX_VALUE],
        body=None if payload is None else payload if isinstance(payload, str) else _as_json(payload),
        # A bare condition ("RetriesExhausted") shows that it failed, not why: alone it is no evidence.
        attributes=facts if error or "statusCode" in facts else {},
        source="lambda destination",
    )


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
