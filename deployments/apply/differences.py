"""Comparing what is there with what should be, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not as it should be.

    Attributes:
        field: its path, as "trigger.within".
        there: the value on the server; None where it is absent.
        wanted: the value that it should have; None where it should be absent.
    """

    field: str
    there: Any
    wanted: Any

    def __str__(self) -> str:
        return f"{self.field}: {_short(self.there)} -> {_short(self.wanted)}"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing on the server that is not as it should be.

    Attributes:
        kind: "automation", "deployment" and so on.
        name: its name.
        differences: its fields; empty when the whole thing is missing.
    """

    kind: str
    name: str
    differences: tuple[Difference, ...] = ()

    def lines(self) -> list[str]:
        """Return lines for a person: the thing, then each field."""
        head = f"{self.kind} {self.name}"
        return [f"{head}: missing"] if not self.differences else [head, *(f"    {line}" for line in self.differences)]


def compare(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The fields in which two things differ; nested mappings are compared key by key, everything else as a whole."""
    return tuple(_differences(wanted, there, ""))


def changed(kind: str, name: str, wanted: Mapping[str, Any], there: Mapping[str, Any] | None) -> list[Change]:
    """The change that makes `there` what is wanted: none, or one.

    Args:
        kind, name: as in `Change`.
        wanted: the value that it should have.
        there: the value on the server; None when it does not exist.
    """
    if there is None:
        return [Change(kind, name)]
    found = compare(wanted, there)
    return [Change(kind, name, found)] if found else []


def _differences(wanted: Mapping[str, Any], there: Mapping[str, Any], prefix: str) -> Iterator[Difference]:
    for key in sorted({*wanted, *there}):
        should, is_now = _keyed(wanted.get(key)), _keyed(there.get(key))
        if isinstance(should, Mapping) and isinstance(is_now, Mapping):
            yield from _differences(should, is_now, f"{prefix}{key}.")
        elif should != is_now:
            yield Difference(f"{prefix}{key}", is_now, should)


def _keyed(value: Any) -> Any:
    """A list of things under their positions, so that they are compared one by one."""
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        return {str(position): each for position, each in enumerate(value)}
    return value


def _short(value: Any) -> str:
    if value is None:
        return "(none)"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
