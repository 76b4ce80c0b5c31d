"""A failed asynchronous invocation of Lambda, as its dead letter describes it. Pure.

A dead-letter queue of a function gets the event itself, and attributes; an on-failure destination gets a record around
it, and a topic or a bus between puts one more envelope around that. Source: "Capturing records of Lambda asynchronous
invocations", Lambda developer guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recovery.failures import Origin
from recovery.failures.evidence import text_of
from recovery.failures.origins import envelope

INVOKED = frozenset({Origin.LAMBDA_ASYNC, Origin.LAMBDA_DESTINATION})
"""Origins whose target is a function that was invoked asynchronously."""
LATEST = ":$LATEST"
_DECODER = json.JSONDecoder()
_BLANK = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation that failed.

    Attributes:
        function: ARN of the function with its version or alias; "" where the message does not say.
        payload: the event, byte for byte as it stands in the message; "" when it is not there.
        request_id: of the invocation: Lambda answers it to whoever invokes, and its records of failures repeat it.
    """

    function: str
    payload: str = field(repr=False)
    request_id: str


def failed_invocation(body: str, attributes: Mapping[str, Mapping[str, Any]], origin: Origin) -> Invocation | None:
    """Return the invocation that a message is about; None when it is about none."""
    if origin is Origin.LAMBDA_ASYNC:
        if "RequestID" in attributes:
            return Invocation("", body, text_of(attributes["RequestID"]))
        notification = envelope(body) or {}  # of the topic that is the function's dead-letter target
        inner = notification.get("MessageAttributes")
        request = inner.get("RequestID") if isinstance(inner, dict) else None
        identity = text_of(request) if isinstance(request, dict) else ""
        return Invocation("", str(notification.get("Message", "")), identity)
    if origin is not Origin.LAMBDA_DESTINATION:
        return None
    record = _record(body)
    document = envelope(record) or {}
    context = document.get("requestContext")
    context = context if isinstance(context, dict) else {}
    function = str(context.get("functionArn") or "").removesuffix(LATEST)
    return Invocation(function, raw_member(record, "requestPayload"), str(context.get("requestId") or ""))


def _record(body: str) -> str:
    document = envelope(body) or {}
    if document.get("Type") == "Notification":
        return str(document.get("Message", ""))
    return raw_member(body, "detail") if document.get("source") == "lambda" else body


def raw_member(text: str, name: str) -> str:
    """Return a member of a JSON object as its text stands there, so that no number or key is changed; "" without it.

    Args:
        text: the JSON object.
        name: of the member; of several with that name the last one counts, as for every JSON parser.
    """
    found = ""
    try:
        at = _next(text, 0)
        if text[at] != "{":
            return ""
        at = _next(text, at + 1)
        while text[at] == '"':
            member, at = _DECODER.raw_decode(text, at)
            at = _next(text, _next(text, at) + 1)  # behind the colon
            _, end = _DECODER.raw_decode(text, at)
            if member == name:
                found = text[at:end]
            at = _next(text, end)
            if text[at] == ",":
                at = _next(text, at + 1)
    except (ValueError, IndexError, RecursionError):
        return ""
    return found


def _next(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at
