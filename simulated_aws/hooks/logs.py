"""FilterLogEvents as CloudWatch Logs has it: its patterns, their length, and pages.

The emulator ignores case, knows no `?term`, takes a quoted phrase apart, lets a JSON pattern match everything and never
pages. Source: the CloudWatch Logs user guide on filter pattern syntax for unstructured log events, and the API
reference of FilterLogEvents (1,024 characters, 10,000 events, 1 MB a page).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_LONGEST_PATTERN = 1024
_MOST_EVENTS = 10_000
_LARGEST_PAGE = 1_048_576
_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]*)%|([A-Za-z0-9_]+))(?:\s+|$)')

Answer = tuple[int, dict[str, str], bytes]


class StrictLogs:
    """Takes the place of the emulator's own search.

    Args:
        logs: the module `ministack.services.cloudwatch_logs`.
    """

    def __init__(self, logs: Any) -> None:
        self._logs = logs
        self._search = logs._filter_log_events

    def install(self) -> None:
        self._logs._compile_filter_pattern = compiled
        self._logs._filter_log_events = self.filter_log_events

    def filter_log_events(self, data: dict[str, Any]) -> Answer:
        """One page of matching events; the token is the number of those that went before."""
        try:
            compiled(data.get("filterPattern", ""))
        except ValueError as mistake:
            refusal: Answer = self._logs.error_response_json("InvalidParameterException", str(mistake), 400)
            return refusal
        status, headers, body = self._search({**data, "limit": _MOST_EVENTS})
        if status != 200:
            return status, headers, body
        answer = json.loads(body)
        first, limit = int(data.get("nextToken") or 0), int(data.get("limit") or _MOST_EVENTS)
        page = list(_page(answer["events"][first:], limit))
        if first + len(page) < len(answer["events"]):
            answer["nextToken"] = str(first + len(page))
        answer["events"] = page
        return status, {k: v for k, v in headers.items() if k.lower() != "content-length"}, json.dumps(answer).encode()


def _page(events: list[dict[str, Any]], limit: int) -> Iterator[dict[str, Any]]:
    size = 0
    for event in events[:limit]:
        size += len(event["message"].encode()) + 26
        if size > _LARGEST_PAGE:
            return
        yield event


def compiled(pattern: str) -> Callable[[str], bool]:
    """True when a message matches a pattern for unstructured events.

    Raises:
        ValueError: the pattern is too long or malformed, or of a kind that is not simulated (JSON, columns).
    """
    pattern = pattern.strip()
    if len(pattern) > _LONGEST_PATTERN:
        raise ValueError(
            "1 validation error detected: Value at 'filterPattern' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_LONGEST_PATTERN}"
        )
    if pattern[:1] in ("{", "["):
        raise ValueError("Invalid filter pattern: the simulated AWS knows only patterns of terms")
    required: list[re.Pattern[str]] = []
    optional: list[re.Pattern[str]] = []
    excluded: list[re.Pattern[str]] = []
    position = 0
    while position < len(pattern):
        found = _TERM.match(pattern, position)
        if found is None:
            raise ValueError(f"Invalid filter pattern at {pattern[position : position + 20]!r}: quote what is no word")
        position = found.end()
        sign, phrase, expression, word = found.groups()
        text = word if phrase is None else phrase.replace('\\"', '"').replace("\\\\", "\\")
        term = re.compile(expression if expression is not None else re.escape(text))
        {"": required, "?": optional, "-": excluded}[sign].append(term)

    def matches(message: str) -> bool:
        if any(term.search(message) for term in excluded):
            return False
        # Beside other terms those with a question mark are ignored.
        if required or excluded:
            return all(term.search(message) for term in required)
        return not optional or any(term.search(message) for term in optional)

    return matches
