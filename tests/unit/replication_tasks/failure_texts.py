"""The failure texts of failure_texts.yaml, and tasks that failed with a text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from recovery.replication_tasks.models import Facts, Migration
from tests.unit.replication_tasks.situations import both, load


@dataclass(frozen=True)
class FailureText:
    """One text of the file."""

    engine: str
    text: str
    natures: tuple[str, ...]
    source: str
    migration: Migration


def failed_with(text: str, migration: Migration = Migration.FULL_LOAD_AND_CDC) -> Facts:
    """A task that failed with this text; all tables are loaded, and change capture has a checkpoint."""
    return load("failed", text) if migration is Migration.FULL_LOAD else both("failed", text)


TEXTS = tuple(
    FailureText(
        raw["engine"],
        raw["text"],
        tuple(raw["natures"]),
        raw["source"],
        Migration.FULL_LOAD if raw.get("load") else Migration.FULL_LOAD_AND_CDC,
    )
    for raw in yaml.safe_load((Path(__file__).parent / "failure_texts.yaml").read_text(encoding="utf-8"))
)
