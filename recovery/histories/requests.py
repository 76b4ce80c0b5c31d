"""Requests of the histories."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from recovery.cases import State
from recovery.paths import Path
from recovery.scope import EstateName

TableName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"[A-Za-z0-9_.-]{3,255}$")]
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
    estate: EstateName = None


class Filters(BaseModel):
    """Filters for cases that wait for a person. A field that is empty lets all pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: tuple[Path, ...] = Field((), title="Paths", description="Only these; empty: all.")
    groups: tuple[str, ...] = Field(
        (), max_length=100, title="Groups", description="Only these failure groups, as reports name them; empty: all."
    )
    kinds: tuple[str, ...] = Field((), max_length=20, title="Kinds", description="Only these kinds of failure.")
    rules: tuple[str, ...] = Field((), max_length=50, title="Rules", description="Only cases that these rules named.")
    sources: tuple[str, ...] = Field(
        (),
        max_length=200,
        title="Queues and other sources",
        description="Only cases of these queues, outbox tables, DMS instances or connectors, names or globs.",
    )
    ids: tuple[str, ...] = Field(
        (), max_length=1_000, title="Ids", description="Only these message ids, row keys, tasks or flows."
    )
    text: str = Field(
        "", max_length=200, title="Text", description="Only cases with this text in their normalised error or reason."
    )
    owner: str | None = Field(None, max_length=200, title="Owner", description="Only groups of this owner; none: '-'.")
    older_than_seconds: float = Field(
        0.0, ge=0.0, le=34_560_000.0, title="Older than (seconds)", description="Only cases first seen so long ago."
    )
    since: AwareDatetime | None = Field(None, title="Since", description="Only cases first seen at or after this time.")
    before: AwareDatetime | None = Field(None, title="Before", description="Only cases first seen before this time.")
    outbox_tables: tuple[TableName, ...] = Field((), max_length=20, title="Outbox tables", description=_TABLES)
    estate: EstateName = None

    @property
    def names_any(self) -> bool:
        """True when a filter other than the path is set."""
        lists = (self.groups, self.kinds, self.rules, self.sources, self.ids, self.text, self.older_than_seconds)
        return any(lists) or (self.owner, self.since, self.before) != (None, None, None)


class Standing(StrEnum):
    """Standings of a case with people."""

    WAITING = "waiting"
    SNOOZED = "snoozed"
    DISMISSED = "dismissed"
    RESOLVED = "resolved"


class ListRequest(Filters):
    """Filters for the list of cases, and the page of it."""

    standings: tuple[Standing, ...] = Field(
        (Standing.WAITING,), min_length=1, title="Standings", description="Waiting, snoozed, dismissed or resolved."
    )
    states: tuple[State, ...] = Field((), title="States", description="Only these states, as parked or exhausted.")
    limit: int = Field(100_000, ge=1, le=1_000_000, title="Most cases", description="Most cases that are read.")
    page: int = Field(1, ge=1, le=10_000, title="Page", description="Page of the table; each has 500 rows.")
