"""Fields that requests of several paths share. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

DryRun = Annotated[
    bool, Field(title="Dry run", description="Only look, and report what would be done. Nothing in AWS is changed.")
]
"""The switch of every request that changes something in AWS."""
EstateName = Annotated[
    str | None,
    Field(
        title="Estate",
        description="Name of a saved Recovery Estate block; empty: the block named default, else the environment.",
    ),
]
"""The estate of every request."""


class StartedBy(StrEnum):
    """Starts of a run."""

    EVENT = "event"
    SWEEP = "sweep"
    BY_HAND = "by-hand"
