"""Log records in JSON, of any logger: level, message, and the error in whatever field its logger puts it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from recovery.failures.logs.lambda_platform import platform_record
from recovery.failures.logs.records import NAMES, Level, Record
from recovery.failures.structure import unescape

_DECODER = json.JSONDecoder(strict=False)
_LEVEL_KEYS = (
    "level", "@l", "severity", "lvl", "levelname", "log.level", "loglevel", "logLevel", "LogLevel", "Level",
    "level_name",
    "log_level",
    "@level", "severityText", "severity_text",
    "levelName", "Severity", "s", "type",
)  # fmt: skip
_MESSAGE_KEYS = (
    "msg", "message", "@m", "@mt", "event", "RenderedMessage", "MessageTemplate", "Message", "short_message",
    "@message",
    "text", "body", "description", "log_message",
)  # fmt: skip
_REQUEST_KEYS = (
    "requestId", "function_request_id", "AWSRequestId", "awsRequestId", "aws_request_id", "lambda_request_id",
    "request_id",
    "RequestId", "awsRequestID", "faas.execution", "faas.invocation_id", "functionRequestId", "lambdaRequestId",
)  # fmt: skip
_TRACE_KEYS = ("xray_trace_id", "xRayTraceId", "XRayTraceId", "xrayTraceId", "XrayTraceId", "AWS-XRAY-TRACE-ID")
_THREAD_KEYS = ("thread", "thread_name", "threadName", "process.thread.name", "tid", "jid", "ThreadId")
_ERROR_KEYS = (
    "err", "error", "Error", "exception", "exc_info", "@x", "Exception", "thrown", "exc", "exception_info", "failure",
    "errors", "cause", "throwable", "panic", "stack_trace", "stackTrace", "stacktrace", "stack", "full_message",
    "error.stack_trace",
    "exception.stacktrace", "exceptionDetails", "traceback", "trace",
)  # fmt: skip
_FACTS = (
    "errorType", "error_type", "exception_name", "exception_class", "exc_type", "error.type", "error.kind",
    "exception.type", "errorMessage", "error_message", "error.message", "exception.message", "errorCode", "error_code",
    "code", "statusCode", "status_code", "http_status", "httpStatusCode", "http.status_code", "reason", "detail",
    "details", "error_description", "sqlState",
)  # fmt: skip
_ASKED: dict[tuple[str, ...], frozenset[str]] = {
    keys: frozenset(keys) for keys in (_REQUEST_KEYS, _TRACE_KEYS, _THREAD_KEYS, _ERROR_KEYS, _FACTS, _LEVEL_KEYS)
}
_PINO = {10: Level.DEBUG, 20: Level.DEBUG, 30: Level.INFO, 40: Level.WARN, 50: Level.ERROR, 60: Level.FATAL}
_QUIET = (Level.DEBUG, Level.INFO)
_REQUEST = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_MAX_DEPTH = 5
_MAX_TEXT = 12_000


def parse(line: str) -> tuple[dict[str, Any] | None, str]:
    """The JSON object that a line begins with and the rest of the line; None when it begins with none."""
    if line[:1] != "{":
        return None, ""
    try:
        value, end = _DECODER.raw_decode(line)
    except (ValueError, RecursionError):
        return None, ""
    return (value, line[end:].strip()) if isinstance(value, dict) else (None, "")


def unwrapped(value: Mapping[str, Any]) -> str | None:
    """The line that a container's log driver has wrapped in JSON (Docker, Fluent Bit, FireLens, journald)."""
    inner = value.get("log", value.get("MESSAGE"))
    if isinstance(inner, str) and not any(key in value for key in ("msg", "message", "level", "severity")):
        return inner
    return None


def read_object(value: Mapping[str, Any]) -> Record | None:
    """The record that a JSON object is; None when it is no log record (a payload, an answer of a service)."""
    kind = value.get("type")
    if isinstance(kind, str) and kind.startswith("platform.") and isinstance(value.get("record"), dict):
        return platform_record(kind, value["record"])
    inner = value.get("record")
    if isinstance(inner, dict) and isinstance(inner.get("level"), dict):
        return _loguru(inner, value)
    level = _level(value)
    message = _message(value)
    error = "\n".join(_errors(value)) if level not in _QUIET else ""
    if level is Level.NONE and not (error and _is_report(value)):
        return None
    stated = "" if message and message in error else message
    text = "\n".join(part for part in (stated, error) if part)[:_MAX_TEXT]
    return Record(
        level=level or Level.ERROR,
        text=text,
        request=_id(value, _REQUEST_KEYS),
        trace=_text(value, _TRACE_KEYS),
        thread=_text(value, _THREAD_KEYS),
        stack="\n" in error,
        structured=True,
    )


_CUT_LEVEL = re.compile(r"\"(?:level|severity|lvl|levelname|@l|LogLevel)\"\s?:\s?\"?(\w{3,13})")
_CUT_TEXT = re.compile(
    r"\"(?:msg|message|@mt|@m|event|error|err|errorMessage|errorType|exception|exc_info|@x|stack|stack_trace|type|name|code)\""
    r"\s?:\s?\"((?:[^\"\\\n]|\\.){1,8000})"
)


def read_cut(line: str) -> Record | None:
    """The record that a line of JSON was before it was cut off."""
    found = _CUT_LEVEL.search(line[:2_000])
    if found is None:
        return None
    name = found[1].lower()
    level = NAMES.get(name) or (_PINO.get(int(name)) if name.isdigit() else None)
    if level is None:
        return None
    texts = [unescape(text) for text in _CUT_TEXT.findall(line[:_MAX_TEXT])] if level > Level.INFO else []
    return Record(level, "\n".join(texts), structured=True)


def _is_report(value: Mapping[str, Any]) -> bool:
    """An error that a runtime prints as JSON without a level: class and message."""
    return "errorType" in value or "errorMessage" in value or "stackTrace" in value


def _level(value: Mapping[str, Any]) -> Level:
    named = value.get("level_name")
    for key in _LEVEL_KEYS if not isinstance(named, str) else ("level_name",):
        found = value.get(key)
        if isinstance(found, str):
            if level := NAMES.get(found.strip().lower()):
                return level
            if key == "s" and found in "FEWIDD12345":
                return {"F": Level.FATAL, "E": Level.ERROR, "W": Level.WARN, "I": Level.INFO}.get(found, Level.DEBUG)
            if found.isdigit():
                found = int(found)
        if isinstance(found, dict):
            found = found.get("name", found.get("level"))
            if isinstance(found, str) and (level := NAMES.get(found.lower())):
                return level
        if isinstance(found, int) and not isinstance(found, bool) and key not in ("type", "s"):
            return _by_number(found, value)
    log = value.get("log")
    if isinstance(log, dict) and isinstance(log.get("level"), str):
        return NAMES.get(log["level"].lower(), Level.NONE)
    if "@t" in value and ("@mt" in value or "@m" in value):
        return Level.INFO  # compact Serilog leaves the level out where it is Information
    if isinstance(number := value.get("severityNumber", value.get("SeverityNumber")), int):
        return Level.FATAL if number > 20 else Level.ERROR if number > 16 else Level.WARN if number > 12 else Level.INFO
    return Level.NONE


def _by_number(number: int, value: Mapping[str, Any]) -> Level:
    if number in _PINO and not ("levelno" in value or "levelname" in value):
        return _PINO[number]
    if number >= 100:  # Monolog, Google Cloud
        return (
            Level.FATAL
            if number >= 500
            else Level.ERROR
            if number >= 400
            else (Level.WARN if number >= 300 else Level.INFO)
        )
    if 0 <= number <= 7 and ("short_message" in value or "version" in value or "host" in value):  # GELF, syslog
        return Level.FATAL if number < 3 else Level.ERROR if number == 3 else Level.WARN if number == 4 else Level.INFO
    return Level.NONE


def _message(value: Mapping[str, Any]) -> str:
    for key in _MESSAGE_KEYS:
        found = value.get(key)
        if isinstance(found, str) and found:
            return _inner(found)
        if isinstance(found, dict) and found:
            return error_text(found) if _is_error(found) else ""
        if isinstance(found, list) and found:
            return "\n".join(_inner(item) for item in found if isinstance(item, str))
    fields = value.get("fields")
    if isinstance(fields, dict) and isinstance(fields.get("message"), str):  # Rust tracing
        return str(fields["message"])
    return ""


def _inner(text: str) -> str:
    """A message that is itself a JSON error, as text."""
    if text[:1] == "{" and len(text) > 2:
        value, rest = parse(text)
        if value is not None:
            return "\n".join(part for part in (error_text(value) if _is_error(value) else "", rest) if part)
    return text


def _is_error(value: Mapping[str, Any]) -> bool:
    return any(
        key in value
        for key in (
            "errorMessage",
            "errorType",
            "stack",
            "stackTrace",
            "error",
            "err",
            "exception",
            "code",
            "trace",
            "cause",
        )
    )


def _errors(value: Mapping[str, Any]) -> Iterator[str]:
    if not _ASKED[_FACTS].isdisjoint(value):
        facts = [_fact(key, value[key]) for key in _FACTS if value.get(key) not in (None, "", [], {}, True, False)]
        yield from (fact for fact in facts if fact)
    sources = [value]
    for key in ("context", "fields", "extra", "data", "metadata", "attributes", "properties", "Properties", "attr"):
        inner = value.get(key)
        if isinstance(inner, dict):
            sources.append(inner)
    for source in sources:
        for key in _ERROR_KEYS if not _ASKED[_ERROR_KEYS].isdisjoint(source) else ():
            found = source.get(key)
            if found in (None, "", [], {}, True, False):
                continue
            if isinstance(found, dict):
                yield error_text(found)
            elif isinstance(found, list):
                yield "\n".join(error_text(item) if isinstance(item, dict) else str(item) for item in found[:60])
            else:
                yield _inner(str(found))


def _fact(key: str, found: Any) -> str:
    if isinstance(found, dict | list):
        return ""
    return f"{key}: {found}"


_CLASSES = (
    "type",
    "errorType",
    "name",
    "class",
    "className",
    "ClassName",
    "kind",
    "__type",
    "exceptionClass",
    "exceptionType",
    "Type",
    "module",
)
_SAYS = ("message", "errorMessage", "Message", "msg", "value", "localizedMessage", "description", "reason")
_CODES = (
    "code", "statusCode", "status", "statusText", "errno", "errorCode", "error_code", "httpStatusCode", "sqlState",
    "sqlstate", "number", "detail", "details", "error_description", "codeName", "status_code",
)  # fmt: skip
_DEEPER = (
    "exception",
    "response",
    "body",
    "data",
    "errors",
    "error",
    "err",
    "extensions",
    "$metadata",
    "originalError",
    "details",
)
_STACKS = ("stack", "stackTrace", "stack_trace", "trace", "traceback", "extendedStackTrace", "StackTrace", "stacktrace")
_CAUSES = ("cause", "inner_exception", "innerException", "InnerException", "previous", "inner", "Cause", "causedBy")


def error_text(value: Mapping[str, Any], depth: int = 0) -> str:
    """An error object as text: class and message, codes, its stack, and its causes as `Caused by`."""
    if depth > _MAX_DEPTH:
        return ""
    kind = next((str(value[key]) for key in _CLASSES if isinstance(value.get(key), str) and value[key]), "")
    says = next((str(value[key]) for key in _SAYS if isinstance(value.get(key), str) and value[key]), "")
    stack = next((_stack(value[key]) for key in _STACKS if value.get(key)), "")
    lines: list[str] = []
    head = says if kind and kind in says else ": ".join(part for part in (kind, says) if part)
    if head and not (says and says in stack and (not kind or kind in stack)):
        lines.append(head)
    lines.extend(
        f"{key}: {value[key]}"
        for key in _CODES
        if isinstance(value.get(key), str | int) and not isinstance(value[key], bool) and str(value[key]) not in head
    )
    for key in _DEEPER:
        inner = value.get(key)
        if isinstance(inner, str) and inner and key not in _CODES:
            lines.append(_inner(inner))
        elif isinstance(inner, dict):
            lines.append(error_text(inner, depth + 1))
        elif isinstance(inner, list):
            lines.extend(error_text(item, depth + 1) if isinstance(item, dict) else str(item) for item in inner[:10])
    if stack:
        lines.append(stack)
    for key in _CAUSES:
        inner = value.get(key)
        if isinstance(inner, dict) and inner:
            lines.append("Caused by: " + error_text(inner, depth + 1))
        elif isinstance(inner, str) and inner:
            lines.append("Caused by: " + inner)
    return "\n".join(line for line in lines if line)


def _stack(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(item for item in value[:80] if isinstance(item, str))
    return value if isinstance(value, str) else ""


def _loguru(record: Mapping[str, Any], value: Mapping[str, Any]) -> Record:
    """Loguru's `serialize=True`: the record inside, with the exception as type and value."""
    level = NAMES.get(str(record["level"].get("name", "")).lower(), Level.INFO)
    message = str(record.get("message", ""))
    exception = record.get("exception")
    text = str(value.get("text", ""))
    error = ""
    if isinstance(exception, dict):
        error = text.split("\n", 1)[1] if "Traceback" in text and "\n" in text else error_text(exception)
    return Record(
        level=level,
        text="\n".join(part for part in (message, error) if part)[:_MAX_TEXT],
        stack=bool(error),
        structured=True,
    )


def _text(value: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    if _ASKED[keys].isdisjoint(value):
        return ""
    for key in keys:
        found = value.get(key)
        if isinstance(found, str | int) and found:
            return str(found)
    return ""


def _id(value: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    found = _text(value, keys)
    if not found and isinstance(inner := value.get("lambdaContext", value.get("lambda")), dict):
        found = _text(inner, keys)
    return found if _REQUEST.fullmatch(found) else ""
