"""Faults on demand: what goes wrong between a client and AWS, for the next requests of an operation.

A rule says which requests (service, operation, a text in path or body), how many, and what happens:

- `error`: the request is not carried out; the client gets `code` with `status`.
- `lose_ack`: the request is carried out, and the connection is closed without an answer.
- `refuse_connection`: the request is not carried out, and the connection is closed without an answer.
- `delay`: carried out after `seconds` of real time (for measuring against a distant AWS).
- `hold`: carried out after the rule is lifted (a request in flight while a test looks around).
- `partial`: `entries` of the batch are reported as failed with `code`, or left unprocessed (DynamoDB); they are not
  carried out unless `executed`.

Errors are spelled in the protocol that the request came in.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from simulated_aws.requests import SimulatedResponse

Kind = Literal["error", "lose_ack", "refuse_connection", "delay", "hold", "partial"]


@dataclass(slots=True)
class Fault:
    """One rule; see the module docstring.

    Attributes:
        kind: the effect, as in the module docstring.
        service: as signed for ("sqs", "dynamodb", "sns", "s3", "monitoring" for CloudWatch), or "*".
        operation: "SendMessageBatch", or "*".
        times: number of requests that it hits; None for all until it is lifted.
        after: number of matching requests that pass unharmed before.
        containing: a text that path or body must contain, "" for any (a queue's name, a table's).
        code: the error code, as the client sees it.
        message: the error's text.
        status: the HTTP status of `error`.
        seconds: of `delay`.
        entries: of `partial`: the positions in the batch that fail.
        executed: of `partial`: True when the failed entries are carried out all the same.
    """

    kind: Kind
    service: str = "*"
    operation: str = "*"
    times: int | None = 1
    after: int = 0
    containing: str = ""
    code: str = "InternalFailure"
    message: str = "Injected by a test"
    status: int = 500
    seconds: float = 0.0
    entries: tuple[int, ...] = (0,)
    executed: bool = False
    hits: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in ("error", "lose_ack", "refuse_connection", "delay", "hold", "partial"):
            raise ValueError(f"unknown kind of fault {self.kind!r}")
        self.entries = tuple(self.entries)

    def matches(self, service: str, operation: str, path: str, body: bytes) -> bool:
        """Count this request; True when the rule matches it and has hits left."""
        if self.service not in ("*", service) or self.operation not in ("*", operation):
            return False
        if self.containing and self.containing.encode() not in body and self.containing not in path:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.hits += 1
        return True


class Faults:
    """The rules in force. Rules are tried in order; the first that matches applies."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lifted = threading.Event()

    def add(self, rule: Fault) -> None:
        self._rules.append(rule)

    def lift(self) -> list[Fault]:
        """Remove all rules, let held requests go on, and return the rules with their counts of hits."""
        rules, self._rules = self._rules, []
        lifted, self._lifted = self._lifted, threading.Event()
        lifted.set()
        return rules

    @property
    def rules(self) -> list[Fault]:
        return list(self._rules)

    def choose(self, service: str, operation: str, path: str, body: bytes) -> Fault | None:
        """The rule that applies to a request, if any."""
        return next((rule for rule in self._rules if rule.matches(service, operation, path, body)), None)

    async def held(self) -> None:
        """Return when the rules are lifted."""
        lifted = self._lifted
        while not lifted.is_set():
            await asyncio.sleep(0.005)


_REST_JSON = frozenset({"lambda"})
"""Services whose requests without a body do not show that their answers are JSON."""


def error_answer(rule: Fault, service: str, headers: Mapping[str, str]) -> SimulatedResponse:
    """The rule's error in the protocol of the request."""
    code, message = escape(rule.code), escape(rule.message)
    if "cbor" in headers.get("content-type", "") or "cbor" in headers.get("smithy-protocol", ""):
        body = _cbor({"__type": rule.code, "message": rule.message})
        cbor = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return SimulatedResponse(rule.status, {**cbor, "x-amzn-query-error": f"{rule.code};Sender"}, body)
    # The content type of an S3 object is its own, not the protocol's.
    written = "x-amz-target" in headers or "json" in headers.get("content-type", "") or service in _REST_JSON
    if service != "s3" and written:
        answer = SimulatedResponse.error(rule.code, rule.message, status=rule.status)
        if service == "sqs":
            answer.headers["x-amzn-query-error"] = f"{rule.code};{'Sender' if rule.status < 500 else 'Receiver'}"
        return answer
    if service == "s3":
        xml = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    else:
        xml = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        xml += "<RequestId>injected</RequestId></ErrorResponse>"
    return SimulatedResponse(rule.status, {"Content-Type": "text/xml"}, xml.encode())


def _cbor(texts: Mapping[str, str]) -> bytes:
    """A CBOR map of short texts (RFC 8949, major types 5 and 3)."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return (bytes([0x60 + len(raw)]) if len(raw) < 24 else b"\x79" + len(raw).to_bytes(2, "big")) + raw

    return bytes([0xA0 + len(texts)]) + b"".join(text(name) + text(value) for name, value in texts.items())


# -- partial failures ----------------------------------------------------------------------------------------------

Split = tuple[bytes, Callable[[bytes], bytes]]
"""The body that is carried out, and what the answer to it becomes."""


def split(rule: Fault, operation: str, body: bytes) -> Split:
    """Take the failing entries out of a batch and put them into its answer.

    Raises:
        ValueError: the operation has no partial failures.
    """
    if operation in ("SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"):
        return _split_sqs(rule, body)
    if operation == "PublishBatch":
        return _split_sns(rule, body)
    if operation in _UNPROCESSED:
        return _split_dynamodb(rule, operation, body)
    raise ValueError(f"{operation} has no partial failures")


def _failures(rule: Fault, ids: Iterable[str]) -> list[dict[str, Any]]:
    fault = {"Code": rule.code, "Message": rule.message, "SenderFault": rule.status < 500}
    return [{"Id": entry, **fault} for entry in ids]


def _split_sqs(rule: Fault, body: bytes) -> Split:
    request = json.loads(body)
    entries = request["Entries"]
    failing = [entry["Id"] for position, entry in enumerate(entries) if position in rule.entries]
    kept = entries if rule.executed else [entry for entry in entries if entry["Id"] not in failing]

    def answer(carried_out: bytes) -> bytes:
        result = json.loads(carried_out) if kept else {}
        done = [entry for entry in result.get("Successful", []) if entry["Id"] not in failing]
        return json.dumps({"Successful": done, "Failed": result.get("Failed", []) + _failures(rule, failing)}).encode()

    return (json.dumps({**request, "Entries": kept}).encode() if kept else b""), answer


def _split_sns(rule: Fault, body: bytes) -> Split:
    prefix = "PublishBatchRequestEntries.member."
    fields = parse_qsl(body.decode(), keep_blank_values=True)
    failing = {position + 1 for position in rule.entries}
    ids: list[str] = []
    kept: list[tuple[str, str]] = []
    numbers: dict[int, int] = {}
    for name, value in fields:
        if not name.startswith(prefix):
            kept.append((name, value))
            continue
        number, _, rest = name[len(prefix) :].partition(".")
        if int(number) in failing and rest == "Id":
            ids.append(value)
        if int(number) in failing and not rule.executed:
            continue
        new = numbers.setdefault(int(number), len(numbers) + 1)
        kept.append((f"{prefix}{new}.{rest}", value))

    def answer(carried_out: bytes) -> bytes:
        text = carried_out.decode() or (
            '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful/>'
            "<Failed/></PublishBatchResult><ResponseMetadata><RequestId>injected</RequestId></ResponseMetadata>"
            "</PublishBatchResponse>"
        )
        for entry in ids:
            start = text.find(f"<member><Id>{escape(entry)}</Id>")
            if start >= 0:
                end = text.index("</member>", start) + len("</member>")
                text = text[:start] + text[end:]
        sender = str(rule.status < 500).lower()
        members = "".join(
            f"<member><Id>{escape(entry)}</Id><Code>{escape(rule.code)}</Code>"
            f"<Message>{escape(rule.message)}</Message><SenderFault>{sender}</SenderFault></member>"
            for entry in ids
        )
        return text.replace("<Failed/>", "<Failed></Failed>").replace("</Failed>", members + "</Failed>").encode()

    return (urlencode(kept).encode() if numbers else b""), answer


_UNPROCESSED: Final[Mapping[str, str]] = {"BatchWriteItem": "UnprocessedItems", "BatchGetItem": "UnprocessedKeys"}


def _split_dynamodb(rule: Fault, operation: str, body: bytes) -> Split:
    request = json.loads(body)
    left: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    position = 0
    for table, wanted in request["RequestItems"].items():
        items = wanted if operation == "BatchWriteItem" else wanted["Keys"]
        failing = [item for number, item in enumerate(items, position) if number in rule.entries]
        passing = items if rule.executed else [i for n, i in enumerate(items, position) if n not in rule.entries]
        position += len(items)
        for target, chosen in ((left, failing), (kept, passing)):
            if chosen:
                target[table] = chosen if operation == "BatchWriteItem" else {**wanted, "Keys": chosen}

    def answer(carried_out: bytes) -> bytes:
        result = json.loads(carried_out) if kept else {"Responses": {}} if operation == "BatchGetItem" else {}
        result[_UNPROCESSED[operation]] = {**result.get(_UNPROCESSED[operation], {}), **left}
        return json.dumps(result).encode()

    return (json.dumps({**request, "RequestItems": kept}).encode() if kept else b""), answer
