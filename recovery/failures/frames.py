"""Stack frames, and statements that were being run: where a failure happened, not what it is."""

from __future__ import annotations

import re

# One stack frame, or a place in a file, that does not begin with a plain "at" or "File": in German, Spanish, French,
# Portuguese, Russian and Chinese .NET, Java's ellipsis, Ruby, PHP, Go, and the marks under a line of source.
_FRAME = re.compile(
    r"""(?:
        (?:bei|en|à|в|在|em)\ (?:async\ |[\w$.<>`\[\]@/\-]{1,200}[.:/])[^\n]{0,2000}
      | \.{3}\ \d{1,5}\ (?:more|common\ frames)[^\n]{0,60}
      | (?:from\ )?[\w./\\\-@+~<>\ ()]{1,200}\.rb:\d{1,6}:in\ [^\n]{0,2000}
      | \#\d{1,4}\ (?:/|\{main\}|\[internal|[A-Za-z]:\\|\d|0x|thrown)[^\n]{0,2000}
      | (?:created\ by\ |goroutine\ \d)[^\n]{0,2000}
      | /[^\n]{1,1000}\.go:\d{1,6}[^\n]{0,40}
      | ---\ (?:End\ of|Ende\ der)[^\n]{0,200}
      | [\^~]{1,2000}
    )\s{0,40}""",
    re.VERBOSE,
)
_GO_FUNCTION = re.compile(r"[\w./*()\-\[\]{}]{1,200}\([0-9a-fx, .?{}]{0,200}\)")
_RAISED = re.compile(r"[\w.]{1,120}(?:Error|Exception|Warning|Exit|Interrupt)\b")
_INDENT = " \t|>"
_FIRSTS = frozenset("aFbeàв在.#cg-^~/fS")
"""First characters of the lines that may be frames, but for those of Ruby."""
_STARTS = ("bei ", "en ", "à ", "в ", "在", "em ", "... ", "#", "created by", "goroutine", "---", "^", "~")


_INLINE: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    ('File "', ('File "',), re.compile(r'File "[^"\n]{0,300}", line \d{1,7}(?:, in [^\s\n]{1,100})?')),
    (
        "at ",
        (
            ".java:",
            ".js:",
            ".ts:",
            ".kt:",
            ".scala:",
            ".mjs:",
            ".cs:",
            "Native Method",
            "<anonymous>",
            "Unknown Source",
        ),
        re.compile(r"(?<![\w.])at (?:async |new )?[\w$.<>`\[\]@/\-]{1,200} ?\([^()\n]{0,250}\)"),
    ),
    (".rb:", (".rb:",), re.compile(r"[\w./\-@+~]{1,200}\.rb:\d{1,6}:in [`'][^'\n]{0,100}'")),
    (
        "/",
        (".php(", ".php:", ".php on", ".py:", ".go:", ".js:", ".ts:", ".java:", ".cs:", ".rb:"),
        re.compile(
            r"(?<= )(?:in )?/[\w./\-@+]{1,200}\.(?:php|py|go|js|ts|java|cs|rb)"
            r"(?:\(\d{1,6}\)|:\d{1,6}| on line \d{1,6})(?::\d{1,6})?"
        ),
    ),
    ("[", ("[SQL: ", "[parameters: "), re.compile(r"\[(?:SQL|parameters): [^\n]{0,2000}")),
    ("SQL: ", ("SQL: ",), re.compile(r"\((?:Connection: [\w\-]{1,40}, )?SQL: [^\n]{0,2000}")),
)
"""Frames and statements inside a line, each with what must stand in a text that has one, and of what one must."""


def strip_frames(text: str) -> str:
    """The text without its stack frames and without the statements that were being run."""
    if "\n" in text:
        text = "\n".join(_kept(text.split("\n")))
    for needed, hints, pattern in _INLINE:
        if needed in text:
            for hint in hints:
                if hint in text:
                    text = pattern.sub(" ", text)
                    break
    return text


def _kept(lines: list[str]) -> list[str]:
    kept: list[str] = []
    source = False
    suppressed = -1
    for line in lines:
        start = line.lstrip(_INDENT)
        if suppressed >= 0:
            # A failure while a resource was closed is not why the work failed; nor are its own causes.
            indent = len(line) - len(start)
            if indent > suppressed or (indent == suppressed and start.startswith(("Caused by", "..."))):
                continue
            suppressed = -1
        if start[:1] == "S" and start.startswith("Suppressed: "):
            suppressed = len(line) - len(start)
            continue
        if start[:1] not in _FIRSTS and not source and ".rb:" not in line:
            kept.append(line)
            continue
        if source:
            # The line of source that Python prints under a frame; an exception's own line is not indented so far.
            source = False
            if line[:4].isspace() and len(line) > 4 and not _RAISED.match(start):
                continue
        if start.startswith("at ") and ("(" in start or "." in start or "/" in start) and start[3:8] != "line ":
            continue
        if start.startswith('File "') and '", line ' in start:
            source = True
            continue
        if (start.startswith(_STARTS) or ".rb:" in line or ".go:" in line) and _FRAME.fullmatch(start):
            if ".go:" in line and kept and _GO_FUNCTION.fullmatch(kept[-1]):
                kept.pop()
            continue
        kept.append(line)
    return kept
