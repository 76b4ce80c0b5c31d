"""Filter patterns, queries and events of CloudWatch Logs, as it spells them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from recovery.failures import LogEvent

FILTER_LENGTH = 1024
"""Characters of a filter pattern. Source: FilterLogEvents, `filterPattern`."""
QUERY_LENGTH = 10_000
"""Characters of a query. Source: StartQuery, `queryString`."""
QUERY_ROWS = 10_000
"""Rows of a query's answer. Source: StartQuery, `limit`."""

_TERM = re.compile(r"[\w\-]{1,128}")


def patterns(terms: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Filter patterns that match any of the terms, each within the length that CloudWatch Logs takes, and its terms."""
    made: list[tuple[str, list[str]]] = []
    for term in dict.fromkeys(terms):
        piece = '?"' + term.replace('"', "") + '"'
        if made and len(made[-1][0]) + 1 + len(piece) <= FILTER_LENGTH:
            made[-1] = (made[-1][0] + " " + piece, [*made[-1][1], term])
        else:
            made.append((piece, [term]))
    return made


def queries(terms: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Queries of Logs Insights for lines with any of the terms, and the terms; those that are no ids are left out."""
    head, tail = "fields @timestamp, @message, @logStream | filter @message like /", "/ | sort @timestamp asc"
    room = QUERY_LENGTH - len(head) - len(tail)
    made: list[list[str]] = []
    length = 0
    for term in dict.fromkeys(terms):
        if not _TERM.fullmatch(term):
            continue
        if made and length + 1 + len(term) <= room:
            made[-1].append(term)
            length += 1 + len(term)
        else:
            made.append([term])
            length = len(term)
    return [(head + "|".join(names) + tail, names) for names in made]


def event_of(event: Mapping[str, Any]) -> LogEvent:
    """An event as FilterLogEvents returns it."""
    return LogEvent(int(event.get("timestamp", 0)), str(event.get("logStreamName", "")), str(event.get("message", "")))


def event_of_row(row: Iterable[Mapping[str, Any]]) -> LogEvent:
    """A row of a query's answer."""
    values = {cell.get("field", ""): cell.get("value", "") for cell in row}
    return LogEvent(_stamp(values.get("@timestamp", "")), values.get("@logStream", ""), values.get("@message", ""))


def _stamp(text: str) -> int:
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return 0
    return round(moment.timestamp() * 1000)
