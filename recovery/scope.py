"""Fields that requests of several paths share. Pure."""

from __future__ import annotations

from enum import StrEnum


class StartedBy(StrEnum):
    """Starts of a run."""

    EVENT = "event"
    SWEEP = "sweep"
    BY_HAND = "by-hand"
