"""The request of a run, and the policy that limits it."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from recovery.backoff import Backoff
from recovery.replication_tasks.models import Facts
from recovery.scope import DryRun, EstateName, Runbooks, StartedBy

Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
"""A task's name or ARN, a glob over either (`orders-*`), or a tag: `tag:name=value` (globs allowed), `tag:name`."""


def matches(facts: Facts, patterns: Iterable[str]) -> bool:
    """True when a replication is in scope of any of the patterns; no pattern means none."""
    return any(_in_scope(facts, pattern) for pattern in patterns)


def asks_for_tags(patterns: Iterable[str]) -> bool:
    """True when the patterns ask for tags."""
    return any(pattern.startswith("tag:") for pattern in patterns)


def _in_scope(facts: Facts, pattern: str) -> bool:
    if pattern.startswith("tag:"):
        name, has_value, value = pattern.removeprefix("tag:").partition("=")
        return any(fnmatchcase(key, name) and (not has_value or fnmatchcase(given, value)) for key, given in facts.tags)
    return fnmatchcase(facts.name, pattern) or fnmatchcase(facts.arn, pattern)


class ReplicationPolicy(BaseModel):
    """Permissions and limits for the replications in scope, and when they count as recovered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow_reload: tuple[Pattern, ...] = Field(
        (),
        title="May be reloaded",
        description="Names, ARNs, globs or `tag:name=value` of replications whose target may be dropped, truncated and"
        " loaded again. Nothing named: no target is ever emptied.",
    )
    max_attempts: int = Field(
        5, ge=1, le=50, description="Restarts of one replication within the window, then a person."
    )
    window_seconds: int = Field(21_600, ge=60, le=604_800, description="The window of max_attempts, in seconds.")
    backoff: Backoff = Field(
        # Not a factory: the form in the UI shows this object, and would show Backoff's own defaults without it.
        Backoff(base_seconds=60, factor=3, cap_seconds=3_600),
        description="Waits between the restarts of one replication.",
    )
    flaps: int = Field(
        3, ge=1, le=50, description="Restarts in a row that failed again within `flap_seconds`, then a person."
    )
    flap_seconds: int = Field(300, ge=1, le=3_600, description="A restart that fails again this soon did not help.")
    unsure_restarts: int = Field(
        1,
        ge=0,
        le=10,
        description="Restarts of one incident whose cause is not known, or is memory, disk or swap pressure.",
    )
    settle_seconds: int = Field(
        600, ge=1, le=86_400, description="Time that a restarted replication must run before it counts as recovered."
    )
    quiet_seconds: int = Field(
        3_600,
        ge=1,
        le=172_800,
        description="Time that a change capture that replicates nothing may run until it is taken for a quiet source,"
        " and a full load that loads nothing for a stalled one.",
    )
    start_limit_seconds: int = Field(
        3_600,
        ge=10,
        le=86_400,
        description="Most time for a start. Setting up a serverless replication takes up to 40 minutes.",
    )
    recycle_seconds: int = Field(
        1_800, ge=60, le=86_400, description="Most time for DMS to start a task again that it recycles itself."
    )
    starts_per_instance: int = Field(
        20,
        ge=1,
        le=1_000,
        description="Replications of one instance that a run starts at most; the next run goes on.",
    )
    findings: bool = Field(
        True,
        title="Report findings",
        description="Notify people once of what DMS calls no failure: loads that ended with tables in error, validation"
        " that failed, latency that only grows, and tasks that stand still for longer than ever.",
    )
    latency_seconds: int = Field(
        900, ge=60, le=604_800, description="Latency of change capture from which growth is reported."
    )
    runbooks: Runbooks = Field(default_factory=dict)
    event_grace_seconds: int = Field(
        120,
        ge=0,
        le=3_600,
        description="Most time for an event to arrive. A sweep that finds an older failure found it without an event.",
    )

    @model_validator(mode="after")
    def _window_holds_bound(self) -> ReplicationPolicy:
        # The shortest waits that the backoff may choose: half of its ceilings.
        waits = sum(wait.total_seconds() for wait in self.backoff.ceilings(self.max_attempts)[1:]) / 2
        if self.window_seconds <= waits:
            raise ValueError(
                f"window_seconds must exceed the shortest waits of {self.max_attempts} restarts ({waits:.0f} s),"
                " or max_attempts is never reached and nobody is notified"
            )
        return self


class ReplicationRequest(BaseModel):
    """The order to a run. Nothing named: nothing is touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[Pattern, ...] = Field(
        (),
        title="Replications",
        description="Names, ARNs, globs or `tag:name=value` of DMS tasks and serverless replications. Failures of"
        " others are listed in the report and not touched.",
    )
    policy: ReplicationPolicy = Field(
        default_factory=ReplicationPolicy,
        title="Policy",
        description="Actions that are allowed, their number and their patience.",
    )
    limit: int = Field(1_000, ge=1, le=10_000, description="Replications acted on in one run, at most.")
    time_limit_seconds: int = Field(1_500, ge=10, le=21_600, description="No further replication is begun after this.")
    dry_run: DryRun = True
    cause_fixed: bool = Field(
        False,
        title="The cause is fixed",
        description="Act on replications that wait for a person, and count their restarts anew.",
    )
    started_by: StartedBy = Field(
        StartedBy.BY_HAND, title="Started by", description="Cause of this run; a sweep counts missed events."
    )
    estate: EstateName = None

    @field_validator("tasks", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def subject(self) -> str:
        """Names of what a run is about, for its own name."""
        named = [*self.tasks[:3], *(["..."] if len(self.tasks) > 3 else [])]
        return ", ".join(n.rsplit(":", 1)[-1] if n.startswith("arn:") else n for n in named) or "nothing named"

    @property
    def run_name(self) -> str:
        """The name of a run that has just begun."""
        return f"recover {self.subject}"
