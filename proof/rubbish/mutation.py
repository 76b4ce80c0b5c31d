"""Rubbish made of something real: a seeded stream of mutations. Plain values in, plain values out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

TEXTS = (
    "",
    " ",
    "\x00",
    "\ufeff",
    "\ud800",
    "a\udfffb",
    "\u202e\u2066x",
    "\x1b[31m\x07\x08",
    "\r\n\t\v\f",
    "\u2028\u2029",
    "\ufffd\ufffe",
    "é" * 40,
    "\U0001f9e8" * 30,
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "${jndi:ldap://h/x}",
    "'; DROP TABLE rows; --",
    "None",
    "null",
    "NaN",
    "-Infinity",
    "true",
    "-1",
    "0",
    "1e309",
    "9" * 400,
    "9" * 5000,
    "٣٤٥",
    "²",
    "0x1F",
    "1_000",
    "2026-02-30T25:61:61Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "2024-07-03T03:20:02.829Z[UTC]",
    "arn:aws:sqs",
    "arn:aws:dms:eu-west-1:123456789012:task:",
    "Failed",
    "Stop Reason FATAL_ERROR Error Level FATAL",
    "Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE",
    "Caused by: " * 60,
    "Traceback (most recent call last):\n" * 20,
    '{"a":' * 200,
    "[" * 5000,
    '{"errorMessage": "\\ud83d", "errorType": 7}',
    '{"Records": [null, 1, {"Sns": {"Message": "{"}}]}',
    "x" * 3000,
    "(" * 300,
    "=" * 300,
    "a-" * 900,
    "\\" * 999,
    '"' * 501,
    "%s%n%x",
)
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**40,
    10**400,
    0.1,
    -0.0,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
)
TIMES = (
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23))),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(-timedelta(hours=23))),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2100, 2, 28, 12, tzinfo=timezone(timedelta(hours=14))),
)


class Rubbish:
    """A seeded source of odd values and of mutations of sound ones.

    Args:
        random: the source of all choices.
        utf8: True for texts that UTF-8 can spell: without halves of surrogate pairs.
    """

    def __init__(self, random: Random, *, utf8: bool = False) -> None:
        self.random = random
        self.utf8 = utf8

    def chance(self, part: float) -> bool:
        """True in this part of all cases."""
        return self.random.random() < part

    def pick(self, things: Sequence[Any]) -> Any:
        """One of them."""
        return things[self.random.randrange(len(things))]

    def text(self) -> str:
        """Odd text: known trouble, random characters of any plane, or both."""
        made = self._text()
        if self.utf8:
            return made.encode("utf-8", "replace").decode()
        # Two halves that stand side by side are one character to whoever reads JSON.
        return made.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def _text(self) -> str:
        if self.chance(0.6):
            return str(self.pick(TEXTS))
        most = self.pick((0x20, 0x7F, 0xFF, 0xFFFF, 0x10FFFF))
        made = "".join(chr(self.random.randint(0, most)) for _ in range(self.random.randint(0, 30)))
        return made + str(self.pick(TEXTS)) if self.chance(0.2) else made

    def value(self, depth: int = 0) -> Any:
        """Anything at all."""
        choice = self.random.randrange(10 if depth < 3 else 6)
        if choice < 3:
            return self.text()
        if choice < 5:
            return self.pick(NUMBERS)
        if choice == 5:
            return self.pick((None, True, False))
        if choice == 6:
            return self.deep(self.pick((1, 5, 60)))
        if choice < 8:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
        return {self.text()[:80]: self.value(depth + 1) for _ in range(self.random.randint(0, 3))}

    def deep(self, levels: int) -> Any:
        """Lists and objects within each other."""
        made: Any = self.text()[:20]
        for _ in range(levels):
            made = [made] if self.chance(0.5) else {"a": made}
        return made

    def mutated(self, document: Any, most: int = 4) -> Any:
        """A copy of a document with up to `most` things removed, replaced, doubled, renamed or moved."""
        made = {"": copy.deepcopy(document)}
        for _ in range(self.random.randint(0, most)):
            holder, key = self.pick(list(_places(made)))
            self._mutate(holder, key, whole=holder is made)
        return made[""]

    def broken(self, text: str) -> str:
        """A text that was cut, spliced or in part overwritten."""
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(text))
            match self.random.randrange(5):
                case 0:
                    text = text[:at]
                case 1:
                    text = text[:at] + self.text() + text[at:]
                case 2:
                    text = text[:at] + text[at + self.random.randint(1, 20) :]
                case 3:
                    text = text[at:] + text[:at]
                case _:
                    text = text[:at] + text[max(0, at - 40) : at] * self.random.randint(2, 9) + text[at:]
        return text

    def _mutate(self, holder: Any, key: Any, *, whole: bool) -> None:
        old = holder[key]
        match self.random.randrange(7):
            case 0 if not whole:
                del holder[key]
            case 1 if not whole and isinstance(holder, dict):
                holder[self.text()[:80]] = holder.pop(key)
            case 2 if isinstance(old, str):
                holder[key] = self.broken(old)
            case 3 if isinstance(old, list) and old:
                old.extend(copy.deepcopy(old) * self.random.randint(1, 3))
            case 4 if isinstance(old, dict):
                old[self.text()[:80]] = self.value()
            case 5:
                holder[key] = {"a": old} if self.chance(0.5) else [old]
            case _:
                holder[key] = self.value(1)


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every place of a document as its holder and key, the root's too."""
    found: list[tuple[Any, Any]] = []
    open_: list[Any] = [document]
    while open_ and len(found) < 400:
        holder = open_.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                open_.append(holder[key])
    return found
