"""Requests of plans. These models are the forms in the UI."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recovery.audit import require_person
from recovery.dead_letters.actions import KindName
from recovery.dead_letters.plans.patch import Patch
from recovery.dead_letters.policy import QueueName
from recovery.errors import BadInput
from recovery.ramp import SHARE, STEPS

_OPERATOR = "Name of the person who does this; it stands in the ledger."
_REASON = "Grounds, in a few words; they stand in the ledger."
_IDENTITY = "AWS identity of the caller; the commands fill it in."
_ESTATE = "Name of a saved Recovery Estate block."


class _ByAPerson(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    operator: str = Field("", max_length=200, title="Operator", description=_OPERATOR)
    reason: str = Field("", max_length=500, title="Reason", description=_REASON)
    identity: str = Field("", max_length=300, title="AWS identity", description=_IDENTITY)
    estate: str | None = Field(None, title="Estate", description=_ESTATE)


class PlanRequest(_ByAPerson):
    """Archived messages to plan for. No filter named: nothing is planned."""

    queues: tuple[QueueName, ...] = Field(
        (), max_length=200, title="Dead-letter queues", description="Dead-letter queues they lay in, names or globs."
    )
    kinds: tuple[KindName, ...] = Field((), title="Kinds of failure", description="Kinds of failure.")
    groups: tuple[str, ...] = Field(
        (), max_length=200, title="Groups", description="Fingerprints of groups, as the report shows them."
    )
    rules: tuple[str, ...] = Field((), max_length=50, title="Rules", description="Rules that named the failure.")
    text: str = Field("", max_length=200, title="Text", description="Text in the normalised error.")
    message_ids: tuple[str, ...] = Field((), max_length=10_000, title="Message ids", description="Message ids.")
    first_seen_from: datetime | None = Field(
        None, title="First seen from", description="Only messages first seen at or after this time (UTC)."
    )
    first_seen_until: datetime | None = Field(
        None, title="First seen until", description="Only messages first seen before this time (UTC)."
    )
    patch: Patch = Field(default_factory=Patch, title="Change", description="A change to each; empty: unchanged.")
    body_schema: dict[str, Any] | None = Field(
        None, title="Schema", description="JSON Schema; changed messages that do not keep it are left out."
    )
    destination: QueueName | None = Field(
        None,
        title="Destination for messages without a source",
        description="Queue for messages that do not name their source, or came from AWS itself.",
    )
    steps: tuple[int, ...] = Field(
        STEPS, max_length=10, title="Steps", description="Messages of each step; the rest follows."
    )
    share: float = Field(
        SHARE, gt=0, le=1, title="Share", description="Share of a step that must be proven back before the next."
    )
    settle_seconds: int = Field(
        1800, ge=1, le=1_209_600, title="Settle time (seconds)", description="Away this long (seconds): recovered."
    )
    max_per_second: float = Field(
        100, gt=0, le=10_000, title="Most messages a second", description="Most messages a second to one destination."
    )
    expires_seconds: int = Field(
        259_200, ge=60, le=2_592_000, title="Expiry (seconds)", description="It must begin within this time (seconds)."
    )
    another_person: bool = Field(
        False, title="Another person carries it out", description="The person who planned it may not carry it out."
    )
    limit: int = Field(100_000, ge=1, le=1_000_000, title="Most messages", description="Most messages of the plan.")

    def check(self) -> None:
        """Refuse a request that cannot be planned.

        Raises:
            BadInput: names the field.
        """
        require_person(self.operator, self.reason)
        named = (self.queues, self.kinds, self.groups, self.rules, self.text, self.message_ids)
        if not any(named) and self.first_seen_from is None and self.first_seen_until is None:
            raise BadInput("queues: name messages by queue, kind, group, rule, text, id or time")
        if any(step < 1 for step in self.steps):
            raise BadInput("steps: each step sends at least 1 message")
        if self.body_schema is not None and self.patch.is_empty:
            raise BadInput("body_schema: only changed messages are checked; give a patch")


class CarryOutRequest(_ByAPerson):
    """A plan to carry out: exactly the set that its digest names."""

    plan_id: str = Field("", max_length=64, title="Plan", description="Id of the plan.")
    digest: str = Field("", max_length=64, title="Digest", description="Digest of the plan, as its page shows it.")
    dry_run: bool = Field(True, title="Dry run", description="Only check the plan, and show its next step.")
    limit: int = Field(100_000, ge=1, le=1_000_000, title="Most messages", description="Most messages of one run.")
    time_limit_seconds: int = Field(
        1800, ge=10, le=39_600, title="Time limit (seconds)", description="The run starts nothing new after this."
    )

    @property
    def subject(self) -> str:
        """Subject of a run, for its name."""
        return f"plan {self.plan_id}"

    @property
    def run_name(self) -> str:
        """The name of a run that has just begun."""
        return f"carry out plan {self.plan_id}"

    def check(self) -> None:
        """Refuse a request without a person, a plan or a digest.

        Raises:
            BadInput: names the field.
        """
        require_person(self.operator, self.reason)
        if not self.plan_id.strip():
            raise BadInput("plan_id: name the plan, as dead-letters/plan shows it")
        if not self.digest.strip():
            raise BadInput("digest: give the digest of the plan that you have reviewed")


class Control(StrEnum):
    """Controls of a plan that is under way."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class ControlRequest(_ByAPerson):
    """A plan to pause, to resume or to cancel."""

    plan_id: str = Field("", max_length=64, title="Plan", description="Id of the plan.")
    control: Control = Field(Control.PAUSE, title="Control", description="Pause, resume or cancel.")
    dry_run: bool = Field(True, title="Dry run", description="Only show the plan.")


def utc(moment: datetime | None) -> datetime | None:
    """Return a time with its zone; one without is UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
