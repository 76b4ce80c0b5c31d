"""The request of a replay from the archive. This model is the form in the UI."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from recovery.dead_letters.actions import KindName
from recovery.dead_letters.policy import QueueName
from recovery.scope import DryRun, EstateName


class ReplayRequest(BaseModel):
    """Archived messages to send back, unchanged and with all attempts again. No filter named: nothing is touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: tuple[QueueName, ...] = Field(
        (), max_length=200, title="Dead-letter queues", description="Dead-letter queues they lay in, names or globs."
    )
    kinds: tuple[KindName, ...] = Field((), title="Kinds of failure", description="Kinds of failure.")
    groups: tuple[str, ...] = Field(
        (), max_length=200, title="Groups", description="Fingerprints of groups, as the report shows them."
    )
    message_ids: tuple[str, ...] = Field(
        (), max_length=1000, title="Message ids", description="Message ids, as the report shows them."
    )
    first_seen_from: datetime | None = Field(
        None, title="First seen from", description="Only messages first seen at or after this time (UTC)."
    )
    first_seen_until: datetime | None = Field(
        None, title="First seen until", description="Only messages first seen before this time (UTC)."
    )
    dry_run: DryRun = True
    destination: QueueName | None = Field(
        None,
        title="Destination for messages without a source",
        description="Queue for messages that do not say where they came from, or came from AWS itself.",
    )
    max_per_second: float = Field(
        100,
        gt=0,
        le=10_000,
        title="Most messages a second",
        description="Most messages a second sent to one destination.",
    )
    settle_seconds: int = Field(
        1800, ge=1, le=1_209_600, title="Settle time (seconds)", description="Away this long (seconds): recovered."
    )
    limit: int = Field(
        1_000, ge=1, le=100_000, title="Most messages", description="Most messages that this run sends back."
    )
    time_limit_seconds: int = Field(
        240,
        ge=10,
        le=39_600,
        title="Time limit (seconds)",
        description="The run starts nothing new after this (seconds).",
    )
    estate: EstateName = None

    @property
    def subject(self) -> str:
        """Subject of a run, for its name."""
        return "replay"

    @property
    def run_name(self) -> str:
        """The name of a run that has just begun."""
        return "replay archived messages"

    @property
    def is_empty(self) -> bool:
        """No filter named: nothing is touched."""
        chosen = (self.queues, self.kinds, self.groups, self.message_ids, self.first_seen_from, self.first_seen_until)
        return not any(chosen)
