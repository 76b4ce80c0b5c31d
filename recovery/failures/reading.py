"""A failure's text, read: bounded, out of its JSON, without stack frames, and cut into the errors it tells of.

What a chain of causes means depends on the language: in Java and .NET the last cause is the root; in Python the first
traceback is the root when it is "the direct cause" of the next, and only context when "another exception occurred".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HEAD = 6_000
TAIL = 6_000
"""Characters that are read of a long text: the error stands at its head, its root cause at its tail."""

_MAX_CAUSES = 8
_MAX_DEPTH = 6
_ROOT = 30
_WORD = re.compile(r"[^\W_]+")
_BLANKS = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))


@dataclass(slots=True)
class Segment:
    """One error of the chain.

    Attributes:
        text: its words with single blanks, as written.
        lower: the same in lower case; positions agree with `text` except after letters whose lower case is longer.
        words: the set of its words, lower case, without underscores.
        bonus: what a match here gains (a root cause outranks the errors that wrap it).
    """

    text: str
    bonus: int = 0
    lower: str = ""
    words: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.text = " ".join(self.text.split())
        self.lower = self.text.lower()
        lower = self.lower
        # Three times as fast as the expression, for the text that nearly all failures are made of.
        self.words = frozenset(lower.translate(_BLANKS).split() if lower.isascii() else _WORD.findall(lower))


@dataclass(slots=True)
class Reading:
    """What is left of a text when everything but its errors is gone.

    Attributes:
        segments: the errors of the chain, as they stand in the text.
        raw: the bounded text.
        context: the whole bounded text, stack frames too: tells where an error arose.
        fields: structured facts by lower-case name, from attributes and from the JSON of the text.
    """

    segments: list[Segment]
    raw: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    _context: Segment | None = None

    @property
    def context(self) -> Segment:
        if self._context is None:
            self._context = Segment(self.raw)
        return self._context


def bounded(text: str) -> str:
    """The head, every `Caused by` line in the middle (at most 8), and the tail of a long text."""
    if len(text) <= HEAD + TAIL:
        return text
    middle: list[str] = []
    position = HEAD
    end = len(text) - TAIL
    for _ in range(_MAX_CAUSES):
        position = text.find("Caused by: ", position, end)
        if position < 0:
            break
        middle.append(text[position : position + 400].split("\n", 1)[0])
        position += 10
    return "\n".join([text[:HEAD], *middle, text[-TAIL:]])


def read(error: str, attributes: Mapping[str, str]) -> Reading:
    """Read an error's text and the structured facts beside it."""
    raw = bounded(error)
    fields: dict[str, str] = {}
    text = _without_control(raw)
    stripped = text.lstrip()
    parsed = False
    if stripped[:1] in ("{", "[", '"'):
        value, rest = _json(stripped)
        if value is not None and not (isinstance(value, str) and rest):
            lines: list[str] = []
            _flatten(value, "", lines, fields, 0)
            text = "\n".join([*lines, rest])
            parsed = not rest
    if not parsed and "\\" in text:
        text = _unescape(text)
    segments = [segment for segment in _segments(text) if segment.text]
    said = {segment.lower for segment in segments}
    for name, value in attributes.items():
        fields[name.lower()] = value[:HEAD]
        if _TELLING.search(name):
            cut = bounded(value)
            if " ".join(cut.split()).lower() not in said:
                segments.extend(_attribute(name, cut))
    return Reading(segments=segments, raw=raw, fields=fields)


# Names of attributes that consumers use for an error; others are the producer's business and say nothing.
_TELLING = re.compile(
    r"(?:^|[^a-z])(?:error|exception|fault|failure|cause|stack|sql_?state|http_?status|status_?code|response_?code|x-death)"
    r"|(?:Error|Exception|Fault|Failure|Cause|StatusCode|SqlState|HttpStatus)|^(?:ERROR|EXCEPTION|FAILURE|CAUSE|REASON)|^reason$|_reason$|Reason$",
)


def _attribute(name: str, value: str) -> list[Segment]:
    text = value.strip()
    if not text:
        return []
    if text[:1] in ("{", "["):
        parsed, rest = _json(text)
        if parsed is not None:
            lines: list[str] = []
            _flatten(parsed, "", lines, {}, 0)
            text = "\n".join([*lines, rest])
    if "\n" in text or len(text) > 80:
        return [segment for segment in _segments(text) if segment.text]
    return [Segment(f"{name}: {text}")]


# Keys whose values describe the request or the place, not the failure.
_BESIDE = frozenset(
    "stacktrace stack trace stack_trace errorstack backtrace traceback requestid request_id headers config request input payload requestpayload "
    "event body_sent file filename line lineno linenumber column timestamp time date environment env user tags sql query parameters params "
    "command args arguments kwargs documentation_url doc_url help_url moreinfo more_info traceid trace_id span_id spanid logger thread hostname host".split()
)


def _json(text: str) -> tuple[Any, str]:
    """The JSON that a text begins with, and what stands after it; (None, "") when it begins with none."""
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None, ""
    return (value, text[end:].strip()) if isinstance(value, dict | list | str) else (None, "")


_DECODER = json.JSONDecoder(strict=False)


def _flatten(value: Any, key: str, lines: list[str], fields: dict[str, str], depth: int) -> None:
    """Write JSON as `key: value` lines, strings that hold JSON too, errors' own keys before the rest."""
    if len(lines) > 200:
        return
    if isinstance(value, dict):
        if depth >= _MAX_DEPTH:
            return
        for name, inner in value.items():
            name = str(name)
            if name.lower() not in _BESIDE or not isinstance(inner, str | list | dict):
                _flatten(inner, name, lines, fields, depth + 1)
            elif isinstance(inner, dict) and name.lower() in ("body", "response"):
                _flatten(inner, name, lines, fields, depth + 1)
        return
    if isinstance(value, list):
        if depth >= _MAX_DEPTH:
            return
        if value and all(isinstance(item, str) and _FRAME.match(item.strip() + "\n") for item in value):
            return
        for item in value[:20]:
            _flatten(item, key, lines, fields, depth + 1)
        return
    if value is None or value is True or value is False:
        if key:
            lines.append(f"{key}: {str(value).lower()}")
        return
    text = str(value)
    if isinstance(value, str) and depth < _MAX_DEPTH:
        inner_text = text.strip()
        if inner_text[:1] in ("{", "[") and len(inner_text) > 2:
            inner, rest = _json(inner_text)
            if inner is not None:
                _flatten(inner, key, lines, fields, depth + 1)
                if rest:
                    lines.append(rest)
                return
    if key:
        fields.setdefault(key.lower(), text[:HEAD])
        lines.append(f"{key}: {text}")
    else:
        lines.append(text)


def _without_control(text: str) -> str:
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    return text


_ANSI = re.compile(r"\x1b\[[0-9;]{0,12}[A-Za-z]")
_ESCAPES = re.compile(r'\\{1,8}([nrt"\'/])')
_ESCAPED = {"n": "\n", "r": "\n", "t": "\t"}


def _unescape(text: str) -> str:
    r"""Undo JSON escapes of any depth in text that is not JSON as a whole. `\n` in a Windows path is rare, and harmless here."""
    return _ESCAPES.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


# One stack frame, or a place in a file, in the languages people run. Alternatives begin with different literals.
_FRAME = re.compile(
    r"""[ \t|>]*(?:
        (?:at|bei|en|à|в|在|em)\ (?:async\ |new\ |Object\.|[\w$.<>`\[\]@/\-]{1,200}[.:/])[^\n]{0,400}
      | at\ [^\n]{0,200}(?:\([^\n]{0,200}\)|:\d{1,6}(?::\d{1,6})?)
      | \.{3}\ \d{1,5}\ (?:more|common\ frames)[^\n]{0,60}
      | File\ "[^"\n]{0,300}",\ line\ \d{1,7}[^\n]{0,200}(?:\n[ \t|]{4,40}(?![\w.]{1,80}(?:Error|Exception)\b)[^\n]{0,300})?
      | (?:from\ )?[\w./\\\-@+~<>\ ()]{1,200}\.rb:\d{1,6}:in\ [^\n]{0,200}
      | \#\d{1,4}\ (?:/|\{main\}|\[internal|[A-Za-z]:\\|\d|0x|thrown)[^\n]{0,400}
      | (?:created\ by\ |goroutine\ \d)[^\n]{0,200}
      | (?:[\w./*()\-]{1,200}\([0-9a-fx, .]{0,120}\)\n)?[ \t]+/[^\n]{1,200}\.go:\d{1,6}[^\n]{0,40}
      | ---\ (?:End\ of|Ende\ der)[^\n]{0,120}
      | [\^~]{1,200}
    )[ \t]*(?:\n|$)""",
    re.VERBOSE,
)
_INDENT = " \t|>"
_FRAME_STARTS = ("at ", "bei ", "en ", "à ", "в ", "在", "em ", "... ", 'File "', "#", "created by", "goroutine", "---", "^", "~")
_INLINE: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (('File "',), re.compile(r'File "[^"\n]{0,300}", line \d{1,7}(?:, in [^\s\n]{1,100})?')),
    (
        (".java:", ".js:", ".ts:", ".kt:", ".scala:", ".mjs:", ".cs:", "Native Method", "<anonymous>", "Unknown Source"),
        re.compile(r"(?<![\w.])at (?:async |new )?[\w$.<>`\[\]@/\-]{1,200} ?\([^()\n]{0,250}\)"),
    ),
    ((".rb:",), re.compile(r"[\w./\-@+~]{1,200}\.rb:\d{1,6}:in [`'][^'\n]{0,100}'")),
    (
        (".php", ".py", ".go", ".js", ".ts", ".java", ".cs", ".rb"),
        re.compile(
            r"(?<= )(?:in )?/[\w./\-@+]{1,200}\.(?:php|py|go|js|ts|java|cs|rb)(?:\(\d{1,6}\)|:\d{1,6}| on line \d{1,6})(?::\d{1,6})?"
        ),
    ),
    (("[SQL: ", "[parameters: "), re.compile(r"\[(?:SQL|parameters): [^\n]{0,2000}")),
    (("SQL: ",), re.compile(r"\((?:Connection: [\w\-]{1,40}, )?SQL: [^\n]{0,2000}")),
)
"""Frames and statements inside a line, each with the words without which it need not be looked for."""


def _strip_frames(text: str) -> str:
    if "\n" in text and (
        "\n " in text or "\n\t" in text or ".rb:" in text or ".go:" in text or "\nat " in text or "\n#" in text
        or "\nFile " in text or "\ngoroutine" in text or ")\n" in text or "\n|" in text or text[:1].isspace()
        or text.startswith(("at ", "#", "File "))
    ):  # fmt: skip
        kept: list[str] = []
        position = 0
        length = len(text)
        while position < length:
            end = text.find("\n", position)
            end = length if end < 0 else end + 1
            line = text[position:end]
            start = line.lstrip(_INDENT)
            if start.startswith("at ") and ("(" in start or "." in start or "/" in start) and start[3:8] != "line ":
                position = end
                continue
            if start.startswith(_FRAME_STARTS) or ".rb:" in line or ".go:" in line or line.endswith(")\n"):
                found = _FRAME.match(text, position)
                if found is not None and found.end() > position:
                    position = found.end()
                    continue
            kept.append(line)
            position = end
        text = "".join(kept)
    for hints, pattern in _INLINE:
        for hint in hints:
            if hint in text:
                text = pattern.sub(" ", text)
                break
    return text


_DIRECT = "The above exception was the direct cause of the following exception"
_DURING = "During handling of the above exception, another exception occurred"
_CHAIN = re.compile(
    r"(?:^|[\s|;>)\]])(?:Caused by|caused by|Root cause|root cause|Wrapped by|Previous exception)\s?:\s{0,4}(?=\S)"
    r"|\s--->\s|;?\snested exception is:?\s|;\snested:\s|\[cause\]:\s|\bInner ?Exception(?: \d{1,3})?\s?:\s{0,4}(?=\S)|\[previous exception\]"
)


def _segments(text: str) -> list[Segment]:
    text = _strip_frames(text)
    if _DIRECT in text:
        parts = text.split(_DIRECT)
        # The first traceback is the root: everything after it was raised from it.
        return [Segment(parts[0], _ROOT), *(Segment(part) for part in parts[1 : _MAX_CAUSES + 1])]
    if _DURING in text:
        parts = text.split(_DURING)[-_MAX_CAUSES:]
        return [*(Segment(part) for part in parts[:-1]), Segment(parts[-1], _ROOT)]
    if "\nNext " in text:
        # PHP prints the previous exception, the root, first.
        parts = text.split("\nNext ")[:_MAX_CAUSES]
        return [Segment(parts[0], _ROOT), *(Segment(part) for part in parts[1:])]
    if not (
        "aused by" in text or "--->" in text or "nested" in text or "oot cause" in text or "[cause]" in text
        or "nner" in text or "rapped by" in text or "revious exception" in text
    ):  # fmt: skip
        return [Segment(text)]
    parts = _CHAIN.split(text, maxsplit=40)
    if len(parts) == 1:
        return [Segment(text)]
    if len(parts) > _MAX_CAUSES:
        parts = [*parts[:2], *parts[-(_MAX_CAUSES - 2) :]]
    step = _ROOT // len(parts)
    last = len(parts) - 1
    return [Segment(part, _ROOT if place == last else place * step) for place, part in enumerate(parts)]
