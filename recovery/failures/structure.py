"""JSON in a failure's text: unfolded, nested strings too, and freed of what does not speak of the failure."""

from __future__ import annotations

import json
import re
from typing import Any

_MAX_DEPTH = 6
_MAX_LINES = 200
_MAX_VALUE = 6_000
_MAX_ITEMS = 20
# Keys whose values describe the request or the place, not the failure.
_BESIDE = frozenset(
    [
        "requestid",
        "request_id",
        "headers",
        "config",
        "request",
        "input",
        "payload",
        "requestpayload",
        "event",
        "body_sent",
        "file",
        "filename",
        "line",
        "lineno",
        "linenumber",
        "column",
        "timestamp",
        "time",
        "date",
        "environment",
        "env",
        "user",
        "tags",
        "sql",
        "query",
        "parameters",
        "params",
        "command",
        "args",
        "arguments",
        "kwargs",
        "documentation_url",
        "doc_url",
        "help_url",
        "moreinfo",
        "more_info",
        "traceid",
        "trace_id",
        "span_id",
        "spanid",
        "logger",
        "thread",
        "hostname",
        "host",
    ]
)
_STACKS = frozenset("stacktrace stack trace stack_trace errorstack backtrace traceback".split())  # noqa: SIM905
_ERROR_LIST = re.compile(
    r"(?i)(?:errors|(?:error|validation)_?messages|error_?details|violations|rejections|faults|invalid[-_]?params|"
    r"errores|erros|erreurs|errori|fehler|fouten|b[lł][eę]dy|hatalar|anomalies|incidencias|rejets)$"
)
"""Names of lists that hold what was refused: they say more than the items that stand in them."""
_DECODER = json.JSONDecoder(strict=False)
_ESCAPES = re.compile(r'\\{1,8}(?:([nrt"\'/])|u([0-9a-fA-F]{4}))')
_ESCAPED = {"n": "\n", "r": "\n", "t": "\t"}


def unfold(text: str, fields: dict[str, str]) -> str | None:
    """Write the JSON that a text begins with as `key: value` lines; None when it begins with none.

    Args:
        text: a text without blanks before it.
        fields: gets the values by lower-case key, the first of each name.
    """
    if text[:1] not in ("{", "[", '"'):
        return None
    value, rest = _json(text)
    if value is None or (isinstance(value, str) and rest):
        return None
    lines: list[str] = []
    _write(value, "", lines, fields, 0)
    return "\n".join([*lines, rest])


def unescape(text: str) -> str:
    r"""Undo JSON escapes of any depth in a text that is no JSON as a whole.

    A Windows path with `\n` in it is changed too, which does no harm here.
    """
    return _ESCAPES.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    if found[2]:
        code = int(found[2], 16)
        return chr(code) if code >= 32 and not 0xD800 <= code < 0xE000 else " "
    return _ESCAPED.get(found[1], found[1])


def _json(text: str) -> tuple[Any, str]:
    """The JSON that a text begins with, and what stands after it; (None, "") when it begins with none."""
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None, ""
    return (value, text[end:].strip()) if isinstance(value, dict | list | str) else (None, "")


def _write(value: Any, key: str, lines: list[str], fields: dict[str, str], depth: int) -> None:
    if len(lines) > _MAX_LINES:
        return
    if isinstance(value, dict):
        if depth < _MAX_DEPTH:
            for name, inner in value.items():
                _write_member(str(name), inner, lines, fields, depth)
    elif isinstance(value, list):
        if depth < _MAX_DEPTH:
            if value and isinstance(value[0], dict) and _ERROR_LIST.search(key):
                lines.append(f"{key}:")
            for item in value[:_MAX_ITEMS]:
                _write(item, key, lines, fields, depth + 1)
    elif value is None or isinstance(value, bool):
        if key:
            lines.append(f"{key}: {str(value).lower()}")
    else:
        _write_text(str(value), key, lines, fields, depth)


def _write_member(name: str, inner: Any, lines: list[str], fields: dict[str, str], depth: int) -> None:
    lower = name.lower()
    if lower in _BESIDE:
        return
    if lower in _STACKS:
        # A stack as one text begins with the error itself; a list holds frames alone.
        if isinstance(inner, str):
            lines.append(inner)
        return
    _write(inner, name, lines, fields, depth + 1)


def _write_text(text: str, key: str, lines: list[str], fields: dict[str, str], depth: int) -> None:
    stripped = text.strip()
    if depth < _MAX_DEPTH and stripped[:1] in ("{", "[") and len(stripped) > 2:
        inner, rest = _json(stripped)
        if inner is not None:
            _write(inner, key, lines, fields, depth + 1)
            if rest:
                lines.append(rest)
            return
    if key:
        fields.setdefault(key.lower(), text[:_MAX_VALUE])
        lines.append(f"{key}: {text}")
    else:
        lines.append(text)
