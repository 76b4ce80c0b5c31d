"""A record of a log: one thing that was written, with its level, its words and the ids that it carries. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The weight that its writer gave a record; NONE when the format has no level (`print`)."""

    NONE = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


NAMES = {
    **dict.fromkeys(
        ("trace", "debu", "trce", "trc", "verbose", "vrb", "debug", "dbug", "dbg", "fine", "finer"), Level.DEBUG
    ),
    **dict.fromkeys(("finest", "config", "silly"), Level.DEBUG),
    **dict.fromkeys(("info", "inf", "information", "informational", "notice", "log", "success", "http"), Level.INFO),
    **dict.fromkeys(("warn", "warning", "wrn"), Level.WARN),
    **dict.fromkeys(("error", "err", "erro", "fail", "failure", "severe"), Level.ERROR),
    **dict.fromkeys(
        ("fatal", "fata", "pani", "ftl", "critical", "crit", "panic", "dpanic", "alert", "emerg", "emergency"),
        Level.FATAL,
    ),
}
"""Names of levels in lower case, of every logger that is known here."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event of a log group.

    Attributes:
        time: milliseconds since 1970.
        stream: name of its log stream.
        text: what was written: a record, several, or one line of one.
    """

    time: int
    stream: str
    text: str


@dataclass(slots=True)
class Record:
    """One record.

    Attributes:
        level: its level.
        text: its message, and the error and stack trace beneath it; prefixes, dumps and fields beside it are left out.
        raw: all that was written, for the ids in it.
        headed: whether it began like a record of a known format (a line of a trace does not).
        structured: whether its format is certain: JSON, pairs, or a line that begins with a time.
        platform: name of the platform's own record ("start", "end", "report" ...), else "".
        request: id of the invocation, "" when unknown.
        trace: X-Ray root of the invocation, "" when unknown.
        thread: name of the thread that wrote it, "" when unknown.
        stack: whether an exception or a stack trace stands in it.
        time, stream, order: its place in the log.
    """

    level: Level = Level.NONE
    text: str = ""
    raw: str = ""
    headed: bool = True
    structured: bool = False
    platform: str = ""
    request: str = ""
    trace: str = ""
    thread: str = ""
    stack: bool = False
    time: int = 0
    stream: str = ""
    order: int = 0
