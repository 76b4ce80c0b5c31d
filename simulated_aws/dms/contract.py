"""Reads contract.yaml, and says for one request whether DMS takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

CONDITIONS = frozenset(
    {
        "status",
        "past",
        "migration",
        "start_type",
        "position",
        "connection",
        "instance",
        "deprovisioned",
        "tables",
        "duplicates",
        "unknown_tables",
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the contract: under these conditions, this error.

    Attributes:
        key: names it.
        operation: the API operation.
        when: condition by name; any of the values.
        code, message: the error; `{status}`, `{name}` and `{start_type}` are filled in.
        source: the document or case that it comes from.
        assumed: True when the code itself is an assumption.
    """

    key: str
    operation: str
    when: Mapping[str, tuple[Any, ...]]
    code: str
    message: str
    source: str
    assumed: bool


@dataclass(frozen=True, slots=True)
class Contract:
    """All lines by operation, with the filters and page sizes of the describe operations."""

    lines: Mapping[str, Sequence[Line]]
    filters: Mapping[str, Sequence[str]]
    pages: Mapping[str, tuple[int, int]]

    def refusal(self, operation: str, situation: Mapping[str, Any]) -> Line | None:
        """The first line that holds in this situation, or None where DMS takes the request."""
        for line in self.lines.get(operation, ()):
            if all(_holds(values, situation.get(name)) for name, values in line.when.items()):
                return line
        return None


@cache
def load() -> Contract:
    """The contract as it is shipped.

    Raises:
        ValueError: a line names a condition that does not exist, or lacks a field.
    """
    raw = yaml.safe_load(files(__package__).joinpath("contract.yaml").read_text(encoding="utf-8"))
    filters = raw.pop("filters")
    pages = {operation: (low, high) for operation, (low, high) in raw.pop("pages").items()}
    return Contract(
        {operation: [_line(operation, each) for each in lines] for operation, lines in raw.items()}, filters, pages
    )


def _line(operation: str, raw: Mapping[str, Any]) -> Line:
    unknown = set(raw["when"]) - CONDITIONS
    if unknown:
        raise ValueError(f"{raw['id']}: unknown conditions {sorted(unknown)}")
    return Line(
        key=raw["id"],
        operation=operation,
        when={name: tuple(values) for name, values in raw["when"].items()},
        code=raw["refuse"]["code"],
        message=raw["refuse"]["message"],
        source=raw["source"],
        assumed=raw.get("assumed", False),
    )


def _holds(values: Sequence[Any], found: Any) -> bool:
    for value in values:
        if isinstance(value, str) and value.startswith("over:"):
            if isinstance(found, int) and found > int(value.removeprefix("over:")):
                return True
        elif value == found:
            return True
    return False
