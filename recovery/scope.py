"""Fields that requests of several paths share. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

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


RunbookAddress = Annotated[
    str,
    # A character that could end a link in an artifact's markdown is written as %28 and the like.
    StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^https?://[^\s<>()\[\]{}\"'`|\\]+$"),
]
Runbooks = Annotated[
    dict[str, RunbookAddress],
    Field(
        max_length=200,
        title="Runbooks",
        description="Addresses of your own instructions, for links in reports and alerts, by group, source (name or"
        ' glob), kind, or * for all: {"AUTH_FAILURE": "https://wiki.example.com/keys"}. The nearest counts, in that'
        " order.",
    ),
]
"""The runbooks of every policy."""


class StartedBy(StrEnum):
    """Starts of a run."""

    EVENT = "event"
    SWEEP = "sweep"
    BY_HAND = "by-hand"
