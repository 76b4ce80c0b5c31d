"""Lines put together to records: one event may hold several records, and one record may come as many events. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from recovery.failures.logs.lambda_platform import read_platform
from recovery.failures.logs.lines import read_line, read_pairs, read_usual
from recovery.failures.logs.records import Level, LogEvent, Record
from recovery.failures.logs.structured import parse, read_cut, read_object, unwrapped
from recovery.failures.logs.traces import CLASS_LINE, begins_failure, continues, has_stack

_CRI = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+\-]\d\d:\d\d) (?:stdout|stderr) [FP] ")
_PREFIX = re.compile(r"(?:\[pod/[^\]\n]{1,200}\] |[\w.\-]{1,60}-\d{1,3}\s{1,6}\| )")
"""Names of pods and containers that tools write before each line."""
_WRAPPED = re.compile(r"\"(?:log|MESSAGE)\"\s?:\s?\"")
_ANSI = re.compile(r"\x1b\[[0-9;]{0,12}[A-Za-z]")
_REQUEST = re.compile(
    r"(?:RequestId:? ?|request_?id[\"']?[:=]\s?[\"']?|\t)"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
    re.IGNORECASE,
)
GAP = 2_000
"""Milliseconds between the lines of one record, at most, when each line is an event of its own."""
_DUMPS = ("panic: ", "fatal error: ", "thread '")
"""Beginnings of texts that end a program: everything behind them belongs to them."""
_MOST_LINES = 300
_MOST_TEXT = 12_000
_TAIL = 8_000
"""Characters that a record keeps: its beginning, and the end of what follows, where the root cause stands."""


def records_of(events: Iterable[LogEvent]) -> dict[str, list[Record]]:
    """The records of each stream, in order.

    Args:
        events: any order; of one stream and one time they are taken in the order given.
    """
    streams: dict[str, list[Record]] = {}
    assemblers: dict[str, _Assembler] = {}
    ordered = sorted(enumerate(events), key=lambda item: (item[1].time, item[0]))
    for order, (_, event) in enumerate(ordered):
        assembler = assemblers.get(event.stream)
        if assembler is None:
            assembler = assemblers[event.stream] = _Assembler(streams.setdefault(event.stream, []))
        assembler.add(event, order)
    for assembler in assemblers.values():
        assembler.close()
    return streams


def records_in(lines: Iterable[str]) -> list[Record]:
    """The records of one long text; their invocations are not distinguished."""
    records: list[Record] = []
    assembler = _Assembler(records, marks=False)
    for order, line in enumerate(lines):
        assembler.line(line, 0, "", order, first=None)
    assembler.close()
    return records


class _Assembler:
    """Reads the lines of one stream in order."""

    def __init__(self, records: list[Record], *, marks: bool = True) -> None:
        self._marks = marks
        self._records = records
        self._lines: list[str] = []
        self._raws: list[str] = []
        self._last = 0
        self._blank = 0
        self._request = ""

    def add(self, event: LogEvent, order: int) -> None:
        text = event.text.rstrip("\n")
        if not text.strip():
            self._blank += 1
            return
        lines = text.split("\n")
        if len(lines) > 1 and text[:1] == "{" and (whole := parse(text))[0] is not None and not whole[1]:
            lines = [text]
        for number, line in enumerate(lines):
            self.line(line, event.time, event.stream, order, first=number == 0)

    def line(self, line: str, time: int, stream: str, order: int, *, first: bool | None) -> None:
        """Take the next line; `first` when it begins an event, None when there are no events."""
        if "\r" in line:
            line = line.rstrip("\r")
        if "\x1b" in line:
            line = _ANSI.sub("", line)
        first_sign = line[:1]
        if first_sign == "2":
            if usual := read_usual(line):
                self._begin(usual, line, time, stream, order)
                return
            if line[18:40].find(" std") >= 0 and (wrapped := _CRI.match(line)):
                line = line[wrapped.end() :]
        elif first_sign == "{":
            if _WRAPPED.search(line) and (inner := _inner(line)) is not None:
                for number, part in enumerate(inner.rstrip("\n").split("\n")):
                    self.line(part, time, stream, order, first=first and number == 0)
                return
        elif (first_sign == "[" or " | " in line[:70]) and (prefix := _PREFIX.match(line)):
            line = line[prefix.end() :]
        if not line or line.isspace():
            self._blank += 1
            return
        record = read_record(line.lstrip() if line[:1] in " \t" and line.lstrip()[:1] == "{" else line)
        previous = self._records[-1] if self._records else None
        if record is None:
            if previous is not None and self._joins(line, previous, time, first=first):
                self._lines.append(line)
                self._raws.append(line)
                self._last = time
                self._blank = 0
                return
            begins = begins_failure(line)
            record = Record(Level.ERROR if begins else Level.NONE, line, headed=False, stack=begins)
        self._begin(record, line, time, stream, order)

    def _begin(self, record: Record, line: str, time: int, stream: str, order: int) -> None:
        if self._lines:
            self.close()
        record.raw = line
        record.order = order
        if self._marks:
            record.time, record.stream = time, stream
            self._mark(record)
        self._records.append(record)
        self._last = time
        self._blank = 0

    def close(self) -> None:
        """Give the last record the lines that followed it."""
        if self._lines and self._records:
            record = self._records[-1]
            more = "\n".join(self._lines)
            record.raw += "\n" + "\n".join(self._raws)[:_MOST_TEXT]
            kept = more if len(more) <= _TAIL else more[:2_000] + "\n" + more[-_TAIL + 2_000 :]
            record.text = f"{record.text[:_MOST_TEXT]}\n{kept}" if record.text else kept
            record.stack = record.stack or has_stack(record.text)
            if record.level is Level.NONE and record.stack:
                record.level = Level.ERROR
        self._lines = []
        self._raws = []

    def _joins(self, line: str, previous: Record, time: int, *, first: bool | None) -> bool:
        if first is None:
            first = not previous.headed
        if not first and not previous.platform:
            # An event's own further lines; but what a program prints in between may be the failure itself.
            return previous.level > Level.INFO or time > 0 or not begins_failure(line)
        if previous.platform or time - self._last > GAP or len(self._lines) > _MOST_LINES:
            return False
        if continues(line):
            return True
        if previous.level < Level.WARN and not previous.stack:
            return False
        before = self._lines[-1] if self._lines else previous.text
        if previous.text.startswith(_DUMPS) or any(line.startswith("goroutine ") for line in self._lines[-3:]):
            return not before.startswith("exit status")
        if "Traceback (most recent" in previous.text or any("Traceback (" in line for line in self._lines[:400]):
            return before[:1] in " \t|" or (len(self._lines) < 2 and not previous.headed)
        # An exception's line beneath the record that announces it; a second one is a failure of its own.
        return begins_failure(line) and previous.headed and not self._lines and not CLASS_LINE.search(previous.text)

    def _mark(self, record: Record) -> None:
        """Give a record its invocation: its own id, or that of the start before it."""
        if record.platform == "start":
            self._request = record.request
        elif record.platform == "end":
            self._request = ""
        elif not record.request and record.platform in ("", "other", "fault"):
            record.request = self._request or _request(record.raw)


def _inner(line: str) -> str | None:
    value, _ = parse(line)
    return unwrapped(value) if value is not None else None


def _request(raw: str) -> str:
    """The id of an invocation that a record names, when no start was seen before it."""
    if "equest" not in raw and "\t" not in raw:
        return ""
    found = _REQUEST.search(raw[:2_000])
    return found[1].lower() if found else ""


def read_record(line: str) -> Record | None:
    """The record that a line begins, of whatever format."""
    if line[:1] == "{":
        value, rest = parse(line)
        if value is None:
            return read_cut(line)
        inner = unwrapped(value)
        if inner is not None:
            return read_record(inner.rstrip("\n")) or Record(structured=True)
        record = read_object(value)
        if record is not None and rest:
            record.text += "\n" + rest
        return record
    return read_platform(line) or read_pairs(line) or read_line(line)
