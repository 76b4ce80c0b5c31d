"""The digest's request."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from recovery.scope import EstateName

TableName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"[A-Za-z0-9_.-]{3,255}$")]


class DigestRequest(BaseModel):
    """The day to report, and to whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date | None = Field(None, title="Day", description="The day (UTC) to report; empty: yesterday.")
    dry_run: bool = Field(True, title="Dry run", description="Make the artifact only; the alert topic gets nothing.")
    quiet_days: bool = Field(
        False,
        title="Report quiet days",
        description="Publish days, too, on which nothing failed and nothing waits.",
    )
    outbox_tables: tuple[TableName, ...] = Field(
        (), max_length=20, title="Outbox tables", description="Tables whose exhausted rows are counted as waiting."
    )
    most_waiting: int = Field(
        2_000, ge=1, le=5_000, title="Most waiting cases", description="Most waiting cases that are read."
    )
    estate: EstateName = None
