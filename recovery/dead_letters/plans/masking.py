"""Structure and types of JSON without its values. A key that reads like a value is hidden as one. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

DEPTH = 100
"""Levels of nesting that a person is shown."""
_NAME = re.compile(r"[A-Za-z_$@](?:[A-Za-z_$.:-]|\d{1,3}(?!\d)){0,39}")
_HEX = re.compile(r"[0-9a-fA-F-]{8,}")


def kind_of(value: object) -> str:
    """Return the JSON type of a value, with its size where it has one."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return f"string of {len(value)}"
        case list():
            return f"array of {len(value)}"
        case _:
            return "object"


def name_of_key(key: str) -> str:
    """Return a key as people may see it: a name as it is; an address, a number, an id or a date by its length."""
    is_name = _NAME.fullmatch(key) is not None and "@" not in key[1:] and _HEX.fullmatch(key) is None
    return key if is_name else f"<key of {len(key)}>"


def masked(value: Any, show: Collection[str] = (), path: str = "", depth: int = 0) -> Any:
    """Return a JSON value with its structure and types; values are hidden but for those at the pointers."""
    if path in show and path:
        return value
    if depth >= DEPTH:
        return f"<{kind_of(value)}>"
    if isinstance(value, dict):
        hidden: dict[str, Any] = {}
        for key, inner in value.items():
            place = f"{path}/{pointed(key)}"
            name = key if any(one == place or one.startswith(f"{place}/") for one in show) else name_of_key(key)
            while name in hidden:
                name += "'"
            hidden[name] = masked(inner, show, place, depth + 1)
        return hidden
    if isinstance(value, list):
        return [masked(inner, show, f"{path}/{n}", depth + 1) for n, inner in enumerate(value)]
    return f"<{kind_of(value)}>"


def compared(before: Any, after: Any, path: str = "", depth: int = 0) -> list[str]:
    """Return the differences of two JSON values, a line each: places and types, no value."""
    if depth >= DEPTH:
        return [] if before == after else [f"{path or '/'}: {kind_of(before)} becomes {kind_of(after)}"]
    if type(before) is type(after) is dict:
        lines = []
        for key in dict.fromkeys([*before, *after]):
            place = f"{path}/{name_of_key(key)}"
            if key not in after:
                lines.append(f"{place}: {kind_of(before[key])} removed")
            elif key not in before:
                lines.append(f"{place}: {kind_of(after[key])} added")
            else:
                lines += compared(before[key], after[key], place, depth + 1)
        return lines
    if type(before) is type(after) is list and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for n, (old, new) in pairs for line in compared(old, new, f"{path}/{n}", depth + 1)]
    if type(before) is type(after) and before == after:
        return []
    return [f"{path or '/'}: {kind_of(before)} becomes {kind_of(after)}"]


def pointed(key: str) -> str:
    """Return a key as a JSON Pointer holds it."""
    return key.replace("~", "~0").replace("/", "~1")
