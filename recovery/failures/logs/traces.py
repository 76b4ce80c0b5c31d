"""Lines of a stack trace: which begin one, and which belong to the record before them. Pure."""

from __future__ import annotations

import re

CLASS_LINE = re.compile(
    r"(?:[A-Za-z_$][\w$]{0,80}(?:\.|::|\\|/)){0,14}[A-Za-z_$][\w$]{0,100}"
    r"(?:Error|Exception|Fault|Failure|Timeout|Interrupt|Rejection|Panic|Throwable|Warning)\w{0,12}"
    r"(?:<[^<>\n]{1,80}>)?(?:\s?[\[(][^\])\n]{0,120}[\])])?\s?(?::|$|;|-|\()"
)
_BEGINS = re.compile(
    r"Traceback \(most recent call last\)|panic: |fatal error: |thread '[^'\n]{0,100}' (?:\(\d{1,9}\) )?panicked at|"
    r"Exception in thread \"|Unhandled [Ee]xception|Uncaught |(?:PHP )?(?:Fatal|Parse|Recoverable fatal) error: |"
    r"\*\* \(|Fatal error: |Invoke Error|Unhandled Promise|UnhandledPromiseRejection|(?:terminate called|"
    r"libc\+\+abi)|"
    r"Error: |Runtime exited|Task timed out|\[?cause\]?: |Process finished with|Killed$|Segmentation fault|"
    r"  \+ Exception Group Traceback|SIG[A-Z]{3,5}: |=(?:ERROR|CRASH) REPORT===|\*\*\* Terminating"
)
_CAUSED = re.compile(
    r"Caused by|Suppressed: |\.{3} \d|at |Traceback \(|File \"|During handling of|The above exception|--- End of|"
    r"--- Ende|---> |goroutine \d|created by |\[signal |exit status \d|#\d{1,4} |stack backtrace|\[stacktrace\]|"
    r"\[previous exception\]|\"\}|note: |"
    r"from /|\[cause\]|"
    r"Next |thrown in|[Ss]tack ?[Tt]race:|bei |\((?:elixir|stdlib|kernel|\w{1,30} \d)|State: |Last message|Args: |"
    r"Function: |Ancestors: |Message: |Node\.js v\d|\^|[}\])]|"
    r"(?:DETAIL|HINT|CONTEXT|STATEMENT|QUERY|CAUSE|Details?|Reason|Response|Cause|Inner [Ee]xception|Root cause|"
    r"Original error|Exception|Backtrace)\b ?:|\[SQL: |\[parameters: |\(Background on this|"
    r"[\w./*()\-\[\]{}]{1,200}\((?:0x[0-9a-f]{1,16}|\.\.\.|\{|[0-9a-fx, .?{}]{0,200}\))"
)


def begins_failure(line: str) -> bool:
    """True for a line without a head of its own that starts an error: an exception's class, a panic, a traceback."""
    return _BEGINS.match(line) is not None or CLASS_LINE.match(line) is not None


def continues(line: str) -> bool:
    """True for a line that can only belong to the record before it."""
    return line[:1] in " \t|" or _CAUSED.match(line) is not None


_STACKED = re.compile(
    r"(?:^|\n)\s{0,8}(?:at [\w$.<>/\[\]]{2}|Caused by: |File \"|Traceback \(|goroutine \d|---> |#\d{1,4} |from [/\w]|"
    r"\([\w ]{1,30}[\d.]{1,12}\) )"
)


def has_stack(text: str) -> bool:
    """True when frames or causes of an exception stand in a text."""
    return _STACKED.search(text) is not None
