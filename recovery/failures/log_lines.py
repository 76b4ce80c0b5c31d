"""The evidence of messages in their consumer's log events. Pure: `recovery.logs` reads the events.

A log says nothing of a message by itself: the lines of one request of a Lambda function are those between its START
and END, or those that bear its request id; elsewhere they are the lines of one stream near the message id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recovery.failures.models import Evidence

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_REQUEST = re.compile(
    rf"(?:RequestId:? ?|request_?id[\"']?[:=]\s?[\"']?|requestId[\"']?[:=]\s?[\"']?|\t)({_UUID})", re.IGNORECASE
)
_START = re.compile(rf"^START RequestId: ({_UUID})")
_END = re.compile(rf"^END RequestId: ({_UUID})")
_REPORT = re.compile(rf"^REPORT RequestId: ({_UUID})")
_STATUS = re.compile(r"\bStatus: (timeout|error)\b(?:[^\n]{0,80}?Error Type: ([\w.]{1,120}))?")
_FAILED = re.compile(
    r"\b(?:ERROR|FATAL|CRITICAL|SEVERE|Traceback|panic:|Exception|Unhandled|Task timed out|Runtime exited|"
    r"errorMessage|errorType|Caused by)\b"
    r"|(?:[\w.$]{1,120}(?:Error|Exception|Fault|Timeout))\b|\b(?:failed|failure)\b|timed out|"
    r"[\"']level[\"']\s?:\s?[\"'](?:error|fatal|critical)",
)
_NOISE = re.compile(r"^(?:INIT_START|EXTENSION|TELEMETRY|LOGS|XRAY|START|END|REPORT)\b")
_CONTINUES = re.compile(r"^(?:\s|Caused by|\.\.\. \d|at |Traceback|File \"|During handling|The above exception|[}\])])")
_MAX_LINES = 60
_MAX_TEXT = 12_000
_NEAR = 40
"""Events of one stream, before and after the message id, that may belong to its work when no request id tells."""


@dataclass(slots=True)
class _Event:
    stream: str
    timestamp: int
    text: str
    order: int
    request: str = ""
    parts: Mapping[str, Any] | None = field(default=None)


def evidence_from_logs(events: Iterable[Mapping[str, Any]], message_ids: Iterable[str]) -> Mapping[str, Evidence]:
    """Find what the log says of each message.

    Args:
        events: as FilterLogEvents returns them (`message`, `timestamp` in milliseconds, `logStreamName`), any order.
        message_ids: ids of the messages.

    Returns:
        Evidence by message id, only for messages of which the log tells a failure. When one message failed several
        times, the last failure counts.
    """
    ordered = _ordered(events)
    if not ordered:
        return {}
    streams: dict[str, list[_Event]] = {}
    for event in ordered:
        streams.setdefault(event.stream, []).append(event)
    for stream in streams.values():
        _mark_requests(stream)
    found: dict[str, Evidence] = {}
    for message_id in message_ids:
        if message_id and message_id not in found:
            text = _last_failure(message_id, ordered, streams)
            if text:
                found[message_id] = Evidence(error=text, source="logs")
    return found


def _ordered(events: Iterable[Mapping[str, Any]]) -> list[_Event]:
    out: list[_Event] = []
    for order, event in enumerate(events):
        text = event.get("message")
        if not isinstance(text, str) or not text.strip():
            continue
        stamp = event.get("timestamp")
        out.append(
            _Event(
                str(event.get("logStreamName", "")), stamp if isinstance(stamp, int) else 0, text.rstrip("\n"), order
            )
        )
    out.sort(key=lambda event: (event.timestamp, event.order))
    return out


def _mark_requests(stream: Sequence[_Event]) -> None:
    """Give every event of a stream its request: its own id, or that of the START before it."""
    current = ""
    for event in stream:
        if begun := _START.match(event.text):
            current = event.request = begun[1].lower()
        elif ended := _END.match(event.text):
            event.request = ended[1].lower()
            current = ""
        elif reported := _REPORT.match(event.text):
            event.request = reported[1].lower()
        else:
            own = _REQUEST.search(event.text[:2_000])
            event.request = own[1].lower() if own else current


def _last_failure(message_id: str, ordered: Sequence[_Event], streams: Mapping[str, Sequence[_Event]]) -> str:
    texts: list[tuple[int, int, str]] = []
    seen: set[tuple[str, str]] = set()
    for event in ordered:
        if message_id not in event.text:
            continue
        if event.request:
            key = (event.stream, event.request)
            if key in seen:
                continue
            seen.add(key)
            related = [other for other in streams[event.stream] if other.request == event.request]
        else:
            related = _neighbours(event, streams[event.stream], message_id)
        text, stamp, order = _failure_in(related, message_id)
        if text:
            texts.append((stamp, order, text))
    return max(texts)[2] if texts else ""


def _neighbours(event: _Event, stream: Sequence[_Event], message_id: str) -> list[_Event]:
    """The lines after a line with the id, until another message's line begins."""
    start = next(place for place, other in enumerate(stream) if other is event)
    out = [event]
    for other in stream[start + 1 : start + 1 + _NEAR]:
        if other.timestamp - event.timestamp > 60_000 or (
            message_id not in other.text and re.search(_UUID, other.text[:400])
        ):
            break
        out.append(other)
    return out


def _failure_in(events: Sequence[_Event], message_id: str) -> tuple[str, int, int]:
    """The last failure that these lines tell, with the time and order of its first line."""
    first: _Event | None = None
    lines: list[str] = []
    status = ""
    # Where several messages share a request, lines that name this one count before lines that name none.
    telling = [e for e in events if _tells(e.text)]
    mine = [e for e in telling if message_id in e.text]
    others = [e for e in telling if message_id not in e.text and not _names_another(e.text, message_id)]
    chosen = mine or others
    for event in events:
        if (report := _REPORT.match(event.text)) and (state := _STATUS.search(event.text, report.end())):
            status = "Task timed out" if state[1] == "timeout" else (state[2] or "")
            status_event = event
    if chosen:
        first = chosen[-1]
        place = next(n for n, e in enumerate(events) if e is first)
        lines = [_line(first.text)]
        for event in events[place + 1 : place + _MAX_LINES]:
            if _NOISE.match(event.text) or not _CONTINUES.match(event.text):
                break
            lines.append(event.text)
        text = "\n".join(lines)
        if status and status not in text:
            text += "\n" + status
        return text[:_MAX_TEXT], first.timestamp, first.order
    if status:
        return status, status_event.timestamp, status_event.order
    return "", 0, 0


def _tells(text: str) -> bool:
    return not _NOISE.match(text) and _FAILED.search(text[:_MAX_TEXT]) is not None


def _names_another(text: str, message_id: str) -> bool:
    return re.search(r"message_?id", text, re.IGNORECASE) is not None and message_id not in text


def _line(text: str) -> str:
    """A JSON log line reduced to what it says of the error; other lines as they are, without time and request id."""
    stripped = text.strip()
    if stripped[:1] == "{":
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            return text
        if isinstance(value, dict):
            return _from_json(value) or text
    parts = stripped.split("\t", 3)
    if len(parts) == 4 and re.fullmatch(_UUID, parts[1]):
        return f"{parts[2]} {parts[3]}"
    return text


_SAID = (
    "errorType",
    "error_type",
    "exception_name",
    "exception_class",
    "exc_type",
    "name",
    "code",
    "errorCode",
    "error_code",
    "status",
    "statusCode",
)
_TEXTS = (
    "errorMessage",
    "error_message",
    "error",
    "err",
    "exception",
    "exc_info",
    "stack_trace",
    "stackTrace",
    "stack",
    "msg",
    "message",
    "reason",
    "detail",
    "cause",
)


def _from_json(value: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for name in (*_SAID, *_TEXTS):
        inner = value.get(name)
        if inner in (None, "", [], {}):
            continue
        if isinstance(inner, dict):
            inner = _from_json(inner) or json.dumps(inner)
        elif isinstance(inner, list):
            inner = "\n".join(str(item) for item in inner)
        parts.append(str(inner) if name in _TEXTS else f"{name}: {inner}")
    return "\n".join(parts)
