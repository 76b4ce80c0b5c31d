"""What may be done with the flows of a request. Pure."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from recovery.backoff import Backoff


class AppFlowPolicy(BaseModel):
    """What may be done with the flows of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(5, ge=0, le=100, description="Attempts for each incident; then a person is told.")
    attempts_when_unknown: int = Field(
        1, ge=0, le=100, description="Attempts when the error text does not tell whether it passes by itself."
    )
    backoff: Backoff = Field(
        Backoff(base_seconds=60, factor=4, cap_seconds=3600), description="Waits before the attempts."
    )
    near_schedule_seconds: int = Field(
        3600, ge=0, le=604_800, description="A schedule due within this time, in seconds, is waited for."
    )
    allow_twin: bool = Field(
        False,
        description="Run a full-pull scheduled flow once through a temporary on-demand twin when its schedule is far.",
    )
    allow_duplicates: bool = Field(
        False, description="Run again into a destination that inserts although records had been written."
    )
    allow_reactivate: bool = Field(False, description="Activate flows again that AppFlow switched off.")
    rerun_partial: bool = Field(False, description="Run again after a success with failed records.")
    settle_seconds: int = Field(
        3600,
        ge=0,
        le=604_800,
        description="A failure within this time after a recovery uses the same budget, in seconds.",
    )
    max_age_hours: float = Field(
        24, gt=0, le=8760, description="Older failures are told to a person instead of being run again, in hours."
    )
    warn_runs_left: int = Field(
        1, ge=0, le=100, description="Warn when so few failures are left before AppFlow switches the schedule off."
    )
    warn_seconds_left: int = Field(
        1800,
        ge=0,
        le=2_592_000,
        description="Warn when AppFlow may switch the schedule off within this time, in seconds.",
    )

    @property
    def near(self) -> timedelta:
        """`near_schedule_seconds` as a duration."""
        return timedelta(seconds=self.near_schedule_seconds)

    @property
    def settle(self) -> timedelta:
        """`settle_seconds` as a duration."""
        return timedelta(seconds=self.settle_seconds)

    @property
    def max_age(self) -> timedelta:
        """`max_age_hours` as a duration."""
        return timedelta(hours=self.max_age_hours)
