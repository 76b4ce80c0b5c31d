"""Waits before the next attempt. Pure: the jitter is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Backoff(BaseModel):
    """An exponential, capped wait with equal jitter.

    The wait before attempt n lies between half and all of `base * factor ** (n - 1)`, capped: never under half,
    so that a failed dependency gets real rest, and never the same moment for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_seconds: float = Field(60, ge=1, le=86_400, description="Wait before the first attempt, in seconds.")
    factor: float = Field(10, ge=1, le=100, description="Growth of each further wait.")
    cap_seconds: float = Field(21_600, ge=1, le=1_209_600, description="The longest wait, in seconds.")

    @model_validator(mode="after")
    def _cap_holds_base(self) -> Backoff:
        if self.cap_seconds < self.base_seconds:
            raise ValueError("cap_seconds must not be smaller than base_seconds")
        return self

    def ceiling(self, attempt: int) -> timedelta:
        """The longest wait before `attempt` (1 is the first)."""
        if attempt < 1:
            raise ValueError(f"attempt counts from 1, not {attempt}")
        steps = min(attempt - 1, 64)  # a float overflows long before any limit on attempts is reached
        return timedelta(seconds=min(self.cap_seconds, self.base_seconds * self.factor**steps))

    def delay(self, attempt: int, jitter: float) -> timedelta:
        """The wait before `attempt`, for a `jitter` from 0 (half of the ceiling) to 1 (all of it)."""
        share = min(1.0, max(0.0, jitter))
        return self.ceiling(attempt) * (0.5 + 0.5 * share)

    def ceilings(self, attempts: int) -> Sequence[timedelta]:
        """The longest waits before each of the first `attempts` attempts, for people."""
        return [self.ceiling(n) for n in range(1, attempts + 1)]
