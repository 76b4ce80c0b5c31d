"""Text that may stand in an artifact's markdown. Pure.

AWS's texts can hold anything: each function takes any text and gives one bounded line that neither ends the place
where it stands nor starts something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_CELL = 500
"""Characters shown of one text."""
LONGEST_ADVICE = 2_000
"""Characters shown of a next step: its end may say what it destroys."""
_NAMED = 3
"""Names that a heading has room for."""
# Our own advice ends in a command or goes on behind a semicolon.
_COMMAND = re.compile(r"(?<![`\w])aws [a-z0-9-]+ [a-z0-9-]+ --(?:(?!; )[^`])+")


def cut(text: str, longest: int = LONGEST_CELL) -> str:
    """One line of at most `longest` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def cell(text: str) -> str:
    """A text: no tag, no link, no picture, no template, no end of a table's cell."""
    return _worded(_flat(text))


def code(text: str) -> str:
    """The same as a span of code."""
    return _span(_flat(text))


def advice(text: str) -> str:
    """Format a next step: in bold, with the commands in it as spans of code, to be copied as they are."""
    parts, rest = [], _flat(text, LONGEST_ADVICE)
    while command := _COMMAND.search(rest):
        before, typed, rest = rest[: command.start()], command[0].rstrip(), rest[command.end() :].lstrip()
        goes_on = rest.startswith(";")
        parts += [_bold(before), _span(typed) + ";" * goes_on]
        rest = rest[goes_on:]
    return " ".join(filter(None, [*parts, _bold(rest)]))


def subject(names: Sequence[str], count: int) -> str:
    """Items by their names, as "orders, stock and 3 more".

    Args:
        names: some of them, or all.
        count: their number.
    """
    known = list(dict.fromkeys(names))[:_NAMED]
    more = count - len(known)
    if more > 0:
        return f"{', '.join(known)} and {more} more" if known else f"{count}"
    return " and ".join(filter(None, [", ".join(known[:-1]), *known[-1:]]))


def _flat(text: str, longest: int = LONGEST_CELL) -> str:
    flat = cut(text, longest)
    for opening, apart in (("{{", "{ {"), ("}}", "} }"), ("{%", "{ %"), ("{#", "{ #")):
        while opening in flat:
            flat = flat.replace(opening, apart)
    return flat


def _worded(flat: str) -> str:
    return flat.replace("|", "\\|").replace("<", "&lt;").replace("](", "] (")


def _bold(flat: str) -> str:
    if flat.count("`") % 2:  # a lone one would pair with that of a command
        flat = flat.replace("`", "'")
    return f"**{_worded(flat.strip())}**" if flat.strip() else ""


def _span(flat: str) -> str:
    # A backtick in the text would end the span, and what follows would be read as markdown.
    return "`" + flat.replace("`", "'") + "`"
