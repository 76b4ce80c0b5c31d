"""Requests to close, to reopen and to comment. These models are the forms in the UI."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from recovery.audit import require_person
from recovery.closing.marks import How
from recovery.closing.notes import KEEP
from recovery.errors import BadInput
from recovery.histories.requests import Filters, ListRequest, Standing
from recovery.paths import Path
from recovery.scope import EstateName

_OPERATOR = "Name of the person who does this; it stands in the ledger."
_REASON = "Grounds, in a few words; they stand in the ledger."
_IDENTITY = "AWS identity of the caller; the commands fill it in."


class _Ending(Filters):
    operator: str = Field("", max_length=200, title="Operator", description=_OPERATOR)
    reason: str = Field("", max_length=500, title="Reason", description=_REASON)
    identity: str = Field("", max_length=300, title="AWS identity", description=_IDENTITY)
    limit: int = Field(100_000, ge=1, le=1_000_000, title="Most cases", description="Most cases that are changed.")
    dry_run: bool = Field(True, title="Dry run", description="Only show which cases would be changed.")

    def check(self) -> None:
        """Refuse a request that may not be carried out.

        Raises:
            BadInput: names the field.
        """
        require_person(self.operator, self.reason)
        if not self.names_any:
            raise BadInput("sources: name cases by source, group, kind, rule, id, text or age")
        if self.paths == (Path.OUTBOX_RECORDS,) and not self.outbox_tables:
            raise BadInput("outbox_tables: name the tables whose rows are to be found")

    def listed(self, *standings: Standing) -> ListRequest:
        """Return the list of the cases that it names."""
        filters = self.model_dump(include=set(Filters.model_fields))
        return ListRequest(**filters, standings=standings, limit=self.limit)


class CloseRequest(_Ending):
    """Cases to end: dismissed, resolved, or snoozed until a time."""

    how: How = Field(How.DISMISS, title="Way to end them", description="Dismiss, resolve, or snooze until a time.")
    until: datetime | None = Field(None, title="Until", description="End of the snooze (UTC).")

    def until_when(self, now: datetime) -> datetime | None:
        """Return the end of the snooze; None for another way to end.

        Raises:
            BadInput: a snooze without an end that lies ahead, or an end without a snooze.
        """
        if self.how is not How.SNOOZE:
            if self.until is not None:
                raise BadInput("until: only a snooze has an end; choose how: snooze")
            return None
        if self.until is None:
            raise BadInput("until: give the date until which these cases are snoozed")
        until = self.until if self.until.tzinfo else self.until.replace(tzinfo=UTC)
        if until <= now:
            raise BadInput(f"until: {until:%Y-%m-%d %H:%M %Z} is past; give a time that lies ahead")
        if until - now > KEEP:
            raise BadInput(f"until: the ledger forgets after {KEEP.days} days; give an earlier time, or dismiss them")
        return until


class ReopenRequest(_Ending):
    """Closed or snoozed cases that are to wait for a person again."""


class NoteRequest(BaseModel):
    """A comment on a group of alike failures, and its owner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(Path.DEAD_LETTERS, title="Path", description="Path of the group.")
    group: str = Field("", max_length=500, title="Group", description="Fingerprint of the group, as reports name it.")
    operator: str = Field("", max_length=200, title="Operator", description=_OPERATOR)
    comment: str = Field("", max_length=2_000, title="Comment", description="Comment; it stands in the ledger.")
    owner: str | None = Field(
        None, max_length=200, title="Owner", description="Person or team that cares for the group; '-' takes it off."
    )
    identity: str = Field("", max_length=300, title="AWS identity", description=_IDENTITY)
    estate: EstateName = None

    def check(self) -> None:
        """Refuse a note without a group, an author or a content.

        Raises:
            BadInput: names the field.
        """
        if not self.group.strip():
            raise BadInput("group: name the group of failures, as cases/list shows it")
        require_person(self.operator, self.comment or "an owner")
        if not self.comment.strip() and self.owner is None:
            raise BadInput("comment: write a comment, or name an owner")
