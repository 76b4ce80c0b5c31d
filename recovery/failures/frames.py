"""Stack frames, and statements that were being run: where a failure happened, not what it is."""

from __future__ import annotations

import re

# One stack frame, or a place in a file, in the languages people run. Alternatives begin with different literals.
_FRAME = re.compile(
    r"""[ \t|>]{0,60}(?:
        (?:at|bei|en|à|в|在|em)\ (?:async\ |new\ |Object\.|[\w$.<>`\[\]@/\-]{1,200}[.:/])[^\n]{0,400}
      | at\ [^\n]{0,200}(?:\([^\n]{0,200}\)|:\d{1,6}(?::\d{1,6})?)
      | \.{3}\ \d{1,5}\ (?:more|common\ frames)[^\n]{0,60}
      | File\ "[^"\n]{0,300}",\ line\ \d{1,7}[^\n]{0,200}
        (?:\n[ \t|]{4,40}(?![\w.]{1,80}(?:Error|Exception)\b)[^\n]{0,300})?
      | (?:from\ )?[\w./\\\-@+~<>\ ()]{1,200}\.rb:\d{1,6}:in\ [^\n]{0,200}
      | \#\d{1,4}\ (?:/|\{main\}|\[internal|[A-Za-z]:\\|\d|0x|thrown)[^\n]{0,400}
      | (?:created\ by\ |goroutine\ \d)[^\n]{0,200}
      | (?:[\w./*()\-]{1,200}\([0-9a-fx, .]{0,120}\)\n)?[ \t]{1,40}/[^\n]{1,200}\.go:\d{1,6}[^\n]{0,40}
      | ---\ (?:End\ of|Ende\ der)[^\n]{0,120}
      | [\^~]{1,200}
    )[ \t]{0,40}(?:\n|$)""",
    re.VERBOSE,
)
_INDENT = " \t|>"
_FRAME_STARTS = (
    "at ",
    "bei ",
    "en ",
    "à ",
    "в ",
    "在",
    "em ",
    "... ",
    'File "',
    "#",
    "created by",
    "goroutine",
    "---",
    "^",
    "~",
)
_INLINE: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (('File "',), re.compile(r'File "[^"\n]{0,300}", line \d{1,7}(?:, in [^\s\n]{1,100})?')),
    (
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
    ((".rb:",), re.compile(r"[\w./\-@+~]{1,200}\.rb:\d{1,6}:in [`'][^'\n]{0,100}'")),
    (
        (".php", ".py", ".go", ".js", ".ts", ".java", ".cs", ".rb"),
        re.compile(
            r"(?<= )(?:in )?/[\w./\-@+]{1,200}\.(?:php|py|go|js|ts|java|cs|rb)(?:\(\d{1,6}\)|:\d{1,6}|"
            r" on line \d{1,6})(?::\d{1,6})?"
        ),
    ),
    (("[SQL: ", "[parameters: "), re.compile(r"\[(?:SQL|parameters): [^\n]{0,2000}")),
    (("SQL: ",), re.compile(r"\((?:Connection: [\w\-]{1,40}, )?SQL: [^\n]{0,2000}")),
)
"""Frames and statements inside a line, each with the words without which it need not be looked for."""


def strip_frames(text: str) -> str:
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
