"""Own-written failure texts with the kind that an operator would give them, one JSON line each in `cases/`.

`also` lists kinds that an operator could defend as well. The sets were written one after another, each before its
first run, and each run led to rules; docs/diagnosis.md has the figures of those first runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

SETS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "later",
)


@dataclass(frozen=True)
class Text:
    """One failure text."""

    ecosystem: str
    kind: str
    also: tuple[str, ...]
    error: str


def read(name: str) -> list[Text]:
    """The texts of one set."""
    lines = (Path(__file__).parent / "cases" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Text(**{**entry, "also": tuple(entry["also"])}) for entry in map(json.loads, lines)]


TEXTS = {name: read(name) for name in SETS}
