"""A failure's text, read: bounded, out of its JSON, without stack frames, and cut into the errors it reports.

What a chain of causes means depends on the language: in Java and .NET the last cause is the root; in Python the first
traceback is the root when it is "the direct cause" of the next, and only context when "another exception occurred".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from recovery.failures.frames import strip_frames
from recovery.failures.logs.lines import read_line
from recovery.failures.logs.records import Level
from recovery.failures.logs.texts import failure_in
from recovery.failures.structure import unescape, unfold

HEAD = 6_000
TAIL = 6_000
"""Characters that are read of a long text: the error stands at its head, its root cause at its tail."""

_OPENS = frozenset('{["\t\r\n ')
_MAX_CAUSES = 8
_ROOT = 30
_WORD = re.compile(r"[^\W_]+")
_ANSI = re.compile(r"\x1b\[[0-9;]{0,12}[A-Za-z]")
_BLANKS = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))


@dataclass(slots=True)
class Segment:
    """One error of the chain.

    Attributes:
        text: its words with single blanks, as written.
        lower: the same in lower case; positions agree with `text` except after characters whose lower case is longer.
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
    """A text without everything but its errors.

    Attributes:
        segments: the errors of the chain, as they stand in the text.
        raw: the bounded text.
        context: the whole bounded text, stack frames too: shows where an error arose.
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
    raw, found, facts = _read(error)
    segments, fields = list(found), dict(facts)
    if attributes:
        stated = {segment.lower for segment in segments} | {" ".join(raw.split()).lower()}
        for name, value in attributes.items():
            fields[name.lower()] = value[:HEAD]
            if _ERROR_NAME.search(name):
                logged = failure_in(value)
                cut = bounded(value if logged is None else logged)
                if " ".join(cut.split()).lower() not in stated:
                    segments.extend(_attribute(name, cut))
    return Reading(segments=segments, raw=raw, fields=fields)


@lru_cache(maxsize=4)  # one text is diagnosed, and then normalised
def _read(error: str) -> tuple[str, tuple[Segment, ...], dict[str, str]]:
    logged = failure_in(error)
    raw = bounded(error if logged is None else logged)
    fields: dict[str, str] = {}
    text = _ANSI.sub("", raw) if "\x1b" in raw else raw
    if text[:1] in _HEADS:
        text = _headless(text)
    if text[:1] in _OPENS:
        text = unfold(text.lstrip(), fields) or text
    if "\\" in text:
        text = unescape(text)
    if "%20" in text or "%C3%" in text:
        text = unquote(text, errors="replace")
    return raw, tuple(segment for segment in _segments(text) if segment.text), fields


_HEADS = frozenset("0123456789[<")


def _headless(text: str) -> str:
    """The text without the time, level and logger that stand before its first line."""
    first, line_end, rest = text.partition("\n")
    record = read_line(first)
    if record is None or not record.structured or record.level is Level.NONE or not record.text.strip():
        return text
    return record.text + line_end + rest


# Names of attributes that consumers use for an error; others are the producer's business and say nothing.
_ERROR_NAME = re.compile(
    r"(?:^|[^a-z])(?:error|exception|fault|failure|cause|stack|sql_?state|http_?status|status_?code|"
    r"response_?code|x-death)"
    r"|(?:Error|Exception|Fault|Failure|Cause|StatusCode|SqlState|HttpStatus)|^(?:ERROR|EXCEPTION|FAILURE|"
    r"CAUSE|REASON)|^reason$|_reason$|Reason$",
)


def _attribute(name: str, value: str) -> list[Segment]:
    text = value.strip()
    if not text:
        return []
    text = unfold(text, {}) or text
    if "\n" in text or len(text) > 80:
        return [segment for segment in _segments(text) if segment.text]
    # A bare number is a status only by its name; words speak for themselves.
    return [Segment(f"{name}: {text}" if text.isdigit() else text)]


_DIRECT = "The above exception was the direct cause of the following exception"
_DURING = "During handling of the above exception, another exception occurred"
_CHAIN = re.compile(
    r"(?:^|[\s|;>)\]])(?:Caused by|caused by|Root cause|root cause|Wrapped by|Previous exception)\s?:\s{0,4}(?=\S)"
    r"|\s--->\s|;?\snested exception is:?\s|;\snested:\s|\[cause\]:\s|"
    r"\bInner ?Exception(?: \d{1,3})?\s?:\s{0,4}(?=\S)|\[previous exception\]"
)


def _segments(text: str) -> list[Segment]:
    text = strip_frames(text)
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
