"""A long text that is a log: reduced to the failure that it ends in. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.failures.logs.assembly import records_in
from recovery.failures.logs.lambda_platform import PLATFORM_STARTS
from recovery.failures.logs.lines import LEVEL_STARTS, TIMES
from recovery.failures.logs.payloads import without_payloads
from recovery.failures.logs.records import Level, Record
from recovery.failures.logs.trouble import last_failure, names_failure, repeats

LONGEST = 65_536
"""Characters of a log that are read, from its end."""
_LOOKED_AT = 40
"""Lines at the beginning and at the end of a text in which the heads of records are looked for."""
_FIRSTS = frozenset("0123456789[{<*tl")
"""First characters of lines that may be records (`t` and `l` of `time=`, `ts=`, `level=`)."""
_INSIDE = frozenset(" \t#/^}")
_HEADS = frozenset(
    (
        *(form(name) for name in LEVEL_STARTS for form in (str.lower, str.upper, str.title)),
        *(f"{level}{rest}" for level in "DIWEFUA" for rest in (", ", *(f"{month:02d}" for month in range(1, 13)))),
        *(start[:3] for start in PLATFORM_STARTS),
        *TIMES,
    )
)
"""First three characters of records that begin with A-Z or a-z."""
_MAX_TEXT = 12_000
_PLAIN = 3
"""Lines that begin with a time and have no level: more of them are a log all the same."""


def failure_in(text: str) -> str | None:
    """The last failure that a log names_failure of, "" when it names_failure of none; None when the text is no log."""
    if "\n" not in text:
        return None
    if len(text) > LONGEST:
        text = text[-LONGEST:]
        text = text[text.find("\n") + 1 :]
    lines = text.split("\n")
    if not _may_be_log(lines):
        return None
    records = records_in(lines)
    if not _is_log(records):
        return None
    causes = [each for each in records if not repeats(each)]
    failure = last_failure(causes)
    if failure is None and len(causes) < len(records):
        failure = last_failure(records)
    failure = failure or _opening(records[0])
    return without_payloads(failure.text)[:_MAX_TEXT] if failure is not None else ""


def _opening(first: Record) -> Record | None:
    """The words before the first record of a log, in no format: whoever sent the text put the error there."""
    if first.headed or first.level is not Level.NONE or names_failure(first.text):
        return None
    return first


def _may_be_log(lines: Sequence[str]) -> bool:
    """True when two lines begin as records may; most traces have none such but in their first line."""
    if len(lines) > 2 * _LOOKED_AT:
        lines = [*lines[:_LOOKED_AT], *lines[-_LOOKED_AT:]]
    found = 0
    for line in lines:
        sign = line[:1]
        if sign in _FIRSTS or (sign not in _INSIDE and line[:3] in _HEADS):
            found += 1
            if found > 1:
                return True
    return False


def _is_log(records: Sequence[Record]) -> bool:
    """True when two records are certain and one has a level, or when levels stand alone and differ.

    Levels without a time also stand before the parts of one error: only a mixture of them is a log.
    """
    found = bare = 0
    levels: set[Level] = set()
    for record in records:
        if not record.headed:
            continue
        levels.add(record.level)
        if record.structured or record.platform:
            found += 1
        else:
            bare += 1
        if found > 1 and (record.level or len(levels) > 1 or found > _PLAIN):
            return True
        if bare > 2 and len(levels) > 1 and (Level.INFO in levels or Level.DEBUG in levels):
            return True
    return False
