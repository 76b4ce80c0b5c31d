"""Requests of the operations flows, and the choice of runs that show no sign of life. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Notice(BaseModel):
    """A notice to people through the alert topic, once a window."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    estate: str | None = Field(None, description="Name of a Recovery Estate block; empty: the one named default.")
    subject: str = Field("", max_length=500, description="One line; SNS shows its first 99 characters.")
    text: str = Field("", max_length=20_000, description="The event, and the action to take.")
    source: str = Field("prefect", max_length=200, description="Its subject: one notice for each in a window.")
    group: str = Field("notice", max_length=200, description="The kind of notice; part of the same key.")
    window_minutes: int = Field(
        60, ge=0, le=10_080, description="Minutes within which the same notice is not published again."
    )
    dry_run: bool = Field(True, description="Only report what would be published.")


class TidyRequest(BaseModel):
    """Bounds for giving up silent runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    work_pool: str = Field("reprise", description="Only runs of this work pool are inspected.")
    silent_minutes: int = Field(
        10,
        ge=10,
        le=1_440,
        description="Minutes without a sign of life after which a run is marked as crashed. A run gives one every 3.",
    )
    dry_run: bool = Field(True, description="Only report which runs would be marked.")


class Stage(StrEnum):
    """The states in which a run can be stuck, by Prefect's name of the state's type."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"


def silence(stage: Stage, since: datetime, last_sign: datetime | None, now: datetime, limit: timedelta) -> str | None:
    """Return the reason to give a run up for dead, or None while there is hope.

    Args:
        stage: the run's state.
        since: the time at which it entered that state (aware).
        last_sign: the time of its latest event, heartbeats included; None when there is none on record.
        now: the present (aware).
        limit: the longest silence of a run. A live one sends a heartbeat every three minutes.
    """
    quiet_since = max(since, last_sign) if last_sign else since
    quiet = now - quiet_since
    if quiet < limit:
        return None
    minutes = int(quiet.total_seconds() // 60)
    what = {
        Stage.PENDING: "never began: its worker ended before it started a process",
        Stage.RUNNING: "gave no sign of life: its process is gone",
        Stage.CANCELLING: "was to be cancelled, and nobody is left to do it",
    }[stage]
    return f"For {minutes} minutes it {what}. Its work is found again by the next run."
