"""The request of a run, and the policy of its flows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from recovery.backoff import Backoff
from recovery.scope import DryRun, EstateName, Runbooks, StartedBy

Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
"""A flow's name, a glob over it (`orders-*`), or a tag: `tag:name=value` (globs allowed), `tag:name`."""


def matches(name: str, tags: Mapping[str, str], patterns: Iterable[str]) -> bool:
    """True when a flow is in scope by any of the patterns; no pattern means none."""
    return any(_in_scope(name, tags, pattern) for pattern in patterns)


def is_name(pattern: str) -> bool:
    """True when a pattern names one flow."""
    return not pattern.startswith("tag:") and not any(sign in pattern for sign in "*?[")


def _in_scope(name: str, tags: Mapping[str, str], pattern: str) -> bool:
    if not pattern.startswith("tag:"):
        return fnmatchcase(name, pattern)
    key, has_value, value = pattern.removeprefix("tag:").partition("=")
    return any(fnmatchcase(tag, key) and (not has_value or fnmatchcase(given, value)) for tag, given in tags.items())


class AppFlowPolicy(BaseModel):
    """Policy of the flows of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: int = Field(5, ge=0, le=100, description="Attempts for each incident; then a person is notified.")
    max_attempts_when_unknown: int = Field(
        1, ge=0, le=100, description="Attempts when the error text does not show whether it passes by itself."
    )
    backoff: Backoff = Field(
        Backoff(base_seconds=60, factor=4, cap_seconds=3600), description="Waits before the attempts."
    )
    near_schedule_seconds: int = Field(
        3600, ge=0, le=604_800, description="A schedule due within this time, in seconds, is waited for."
    )
    far_schedule_seconds: int = Field(
        86_400,
        ge=3_600,
        le=31_536_000,
        description="A person is notified once when a failed flow waits longer for its schedule, in seconds.",
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
        description="A failure within this time after a recovery uses the same attempts, in seconds.",
    )
    max_age_hours: float = Field(
        24, gt=0, le=8760, description="Older failures go to a person instead of being run again, in hours."
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

    event_grace_seconds: int = Field(
        180,
        ge=0,
        le=86_400,
        description="Seconds that an event may take; a sweep that is slower has found a missed one.",
    )
    runbooks: Runbooks = Field(default_factory=dict)
    rules_file: str | None = Field(
        None, max_length=1024, description="A file of your own diagnosis rules, tried before the built-in ones."
    )

    @property
    def far(self) -> timedelta:
        """`far_schedule_seconds` as a duration."""
        return timedelta(seconds=self.far_schedule_seconds)

    @property
    def near(self) -> timedelta:
        """`near_schedule_seconds` as a duration."""
        return timedelta(seconds=self.near_schedule_seconds)

    @property
    def event_grace(self) -> timedelta:
        """`event_grace_seconds` as a duration."""
        return timedelta(seconds=self.event_grace_seconds)

    @property
    def settle(self) -> timedelta:
        """`settle_seconds` as a duration."""
        return timedelta(seconds=self.settle_seconds)

    @property
    def max_age(self) -> timedelta:
        """`max_age_hours` as a duration."""
        return timedelta(hours=self.max_age_hours)


class AppFlowRequest(BaseModel):
    """The request of a run of the AppFlow path. No flow named: nothing is touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flows: tuple[Pattern, ...] = Field(
        (),
        max_length=200,
        title="Flows",
        description="Names, globs (orders-*) or tags (`tag:name=value`) of AppFlow flows. Failures of others are listed"
        " in the report and not touched.",
    )
    policy: AppFlowPolicy = Field(
        default_factory=lambda: AppFlowPolicy(), title="Policy", description="Policy of the flows."
    )
    flow_policies: dict[str, AppFlowPolicy] = Field(
        default_factory=dict, description="A policy of their own for flows, by name or glob; the first match counts."
    )
    limit: int = Field(1_000, ge=1, le=10_000, description="Most flows that this run looks at.")
    time_limit_seconds: int = Field(
        480, ge=10, le=21_600, description="The run takes up no further flow after this time, in seconds."
    )
    dry_run: DryRun = True
    cause_fixed: bool = Field(
        False,
        title="The cause is fixed",
        description="Run flows again that wait for a person, and count their attempts anew.",
    )
    started_by: StartedBy = Field(
        StartedBy.BY_HAND, title="Started by", description="Start of this run; a sweep counts missed events."
    )
    estate: EstateName = None

    @field_validator("flows", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def subject(self) -> str:
        """The subject of a run, for its name."""
        return ", ".join((*self.flows[:3], *(["..."] if len(self.flows) > 3 else []))) or "no flow named"

    @property
    def run_name(self) -> str:
        """The name of a run that has just begun."""
        return f"recover {self.subject}"

    def policy_for(self, flow: str) -> AppFlowPolicy:
        """The policy of a flow, by its name."""
        for pattern, policy in self.flow_policies.items():
            if fnmatchcase(flow, pattern):
                return policy
        return self.policy
