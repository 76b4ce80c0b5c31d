"""Requests of the histories."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from recovery.paths import Path

TableName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"[A-Za-z0-9_.-]{3,255}$")]
_ESTATE = "Name of a saved Recovery Estate block; empty: the block named default, else the environment."
_TABLES = "Outbox tables to search: a row's history is on the row itself, not in the ledger."


class CaseRequest(BaseModel):
    """The item whose history is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(
        "",
        max_length=2_048,
        title="Key",
        description="A message id (any that it ever had), the key of an outbox row (a JSON array of both values"
        " where it has two), the name or ARN of a DMS task or serverless replication, or the name of an AppFlow flow.",
    )
    path: Path | None = Field(None, title="Path", description="The path on which it failed; empty: search all.")
    outbox_tables: tuple[TableName, ...] = Field((), max_length=20, title="Outbox tables", description=_TABLES)
    days: int = Field(
        3,
        ge=0,
        le=60,
        title="Days",
        description="Days whose lists of runs are searched if the ledger knows nothing, today included.",
    )
    estate: str | None = Field(None, title="Estate", description=_ESTATE)


class ListRequest(BaseModel):
    """Filters for the list of open cases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: tuple[Path, ...] = Field((), title="Paths", description="Only these; empty: all.")
    groups: tuple[str, ...] = Field(
        (), max_length=100, title="Groups", description="Only these failure groups, as reports name them; empty: all."
    )
    older_than_hours: float = Field(
        0.0, ge=0.0, le=9_600.0, title="Older than (hours)", description="Only cases first seen at least so long ago."
    )
    limit: int = Field(500, ge=1, le=5_000, title="Most cases", description="Most cases that are read and listed.")
    outbox_tables: tuple[TableName, ...] = Field((), max_length=20, title="Outbox tables", description=_TABLES)
    estate: str | None = Field(None, title="Estate", description=_ESTATE)
