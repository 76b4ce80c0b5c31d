"""What a person asks of the dead-letter path: the request and its policy. These models are the form in the UI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from recovery.backoff import Backoff
from recovery.failures import Kind


class Action(StrEnum):
    """What may be done with a letter."""

    HEAL = "heal"  # send it back, with backoff
    ALERT = "alert"  # tell a person once, and keep it in the archive until the cause is mended
    ARCHIVE = "archive"  # keep it in the archive for review
    LEAVE = "leave"  # do not touch it


DEFAULT_ACTIONS: Mapping[Kind, Action] = {
    Kind.TIMEOUT: Action.HEAL,
    Kind.DEPENDENCY_FAILURE: Action.HEAL,
    Kind.THROTTLED: Action.HEAL,
    Kind.AUTH_FAILURE: Action.ALERT,
    Kind.CODE_BUG: Action.ALERT,
    Kind.VALIDATION_ERROR: Action.ARCHIVE,
    Kind.BAD_PAYLOAD: Action.ARCHIVE,
    Kind.UNKNOWN: Action.ARCHIVE,
}

QueueName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024)]


class WithoutEvidence(StrEnum):
    """What to do with a letter when nothing says why it failed."""

    LEAVE = "leave"
    ARCHIVE = "archive"


class DeadLetterPolicy(BaseModel):
    """How the letters of a queue are treated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heal: bool = Field(
        True,
        description="False for queues whose messages are not safe to process twice: what would be healed is parked"
        " with an alert instead.",
    )
    budget: int = Field(4, ge=1, le=20, description="How often a letter is sent back before it counts as exhausted.")
    backoff: Backoff = Field(
        default_factory=lambda: Backoff(),
        description="Wait before each attempt: about 1 minute, 10 minutes, 1 hour and 6 hours unless changed.",
    )
    actions: dict[Kind, Action] = Field(
        default_factory=dict, description="Action for a kind of failure, where the default is not wanted."
    )
    rule_actions: dict[str, Action] = Field(
        default_factory=dict, description="Action for letters that a certain rule decided, by rule id."
    )
    group_actions: dict[str, Action] = Field(
        default_factory=dict, description="Action for one group of alike failures, by the group's fingerprint."
    )
    destination: QueueName | None = Field(
        None,
        description="Queue (name or URL) for letters that do not say where they came from. Letters that do are sent"
        " back to their own queue.",
    )
    max_per_second: float = Field(
        500, gt=0, le=10_000, description="Most letters a second that may arrive at one destination, on average."
    )
    max_age_seconds: int | None = Field(
        None,
        ge=60,
        le=1_209_600,
        description="Letters first sent longer ago than this (seconds) are archived as stale.",
    )
    settle_seconds: int = Field(
        1800, ge=1, le=1_209_600, description="A letter that stays away this long (seconds) after its send recovered."
    )
    alert_window_seconds: int = Field(
        21_600, ge=60, le=604_800, description="One alert for each group of alike failures in this time (seconds)."
    )
    sweep_seconds: int = Field(
        300, ge=30, le=86_400, description="Time between runs (seconds): a letter that would expire before is archived."
    )
    log_group: str | None = Field(
        None,
        max_length=512,
        description="CloudWatch log group of the consumer. A plain redrive carries no error: this is where it is read.",
    )
    error_attributes: tuple[str, ...] = Field(
        (), max_length=10, description="Names of message attributes in which the consumer wrote its error."
    )
    identity_attribute: str | None = Field(
        None,
        max_length=256,
        description="Message attribute with the business id, to count comebacks of letters that a consumer itself"
        " sent to the dead-letter queue.",
    )
    identity_body_path: str | None = Field(
        None, max_length=256, description="The same, as a dotted path into a JSON body (order.id)."
    )
    body_schema: dict[str, Any] | None = Field(
        None, description="JSON Schema of the body, asked only when the error itself tells nothing."
    )
    rules_file: str | None = Field(
        None, max_length=1024, description="A file of your own diagnosis rules, tried before the built-in ones."
    )
    without_evidence: WithoutEvidence = Field(
        WithoutEvidence.LEAVE, description="What to do with letters about whose failure nothing is known."
    )

    def action_for(self, kind: Kind, rule: str, group: str, named_by_rule: str = "") -> tuple[Action, str]:
        """The action and who chose it: group before rule before the rule file's own action before kind."""
        if group in self.group_actions:
            return self.group_actions[group], f"policy for group {group}"
        if rule in self.rule_actions:
            return self.rule_actions[rule], f"policy for rule {rule}"
        if named_by_rule:
            return Action(named_by_rule), f"action named by rule {rule}"
        if kind in self.actions:
            return self.actions[kind], f"policy for {kind}"
        return DEFAULT_ACTIONS[kind], f"default for {kind}"


class DeadLetterRequest(BaseModel):
    """What a run of the dead-letter path is asked to do. No queue named: nothing is touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: tuple[QueueName, ...] = Field(
        (),
        max_length=200,
        title="Dead-letter queues",
        description="Names, URLs or globs (orders-*). A glob finds queues that are some queue's dead-letter queue; a"
        " queue named in full is taken as it is.",
    )
    policy: DeadLetterPolicy = Field(default_factory=lambda: DeadLetterPolicy(), description="How letters are treated.")
    queue_policies: dict[str, DeadLetterPolicy] = Field(
        default_factory=dict, description="A policy of their own for queues, by name or glob; the first match counts."
    )
    limit: int = Field(10_000, ge=1, le=1_000_000, description="Most letters that this run takes up.")
    time_limit_seconds: int = Field(
        240, ge=10, le=39_600, description="The run takes up nothing new after this time (seconds)."
    )
    dry_run: bool = Field(True, description="Only look, and report what would be done. Nothing in AWS is changed.")
    estate: str | None = Field(
        None, description="Name of a saved Recovery Estate block; empty: the block named default, else the environment."
    )

    @field_validator("queues", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def policy_for(self, queue: str) -> DeadLetterPolicy:
        """The policy of a queue, by its name."""
        for pattern, policy in self.queue_policies.items():
            if fnmatchcase(queue, pattern):
                return policy
        return self.policy


class ReplayRequest(BaseModel):
    """Which archived letters are sent back, unchanged and with a fresh budget. No filter named: nothing is touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: tuple[QueueName, ...] = Field(
        (), max_length=200, description="Dead-letter queues they lay in, names or globs."
    )
    kinds: tuple[Kind, ...] = Field((), description="Kinds of failure.")
    groups: tuple[str, ...] = Field((), max_length=200, description="Fingerprints of groups, as the report shows them.")
    message_ids: tuple[str, ...] = Field((), max_length=1000, description="Message ids, as the report shows them.")
    first_seen_from: datetime | None = Field(None, description="Only letters first seen at or after this time (UTC).")
    first_seen_until: datetime | None = Field(None, description="Only letters first seen before this time (UTC).")
    destination: QueueName | None = Field(
        None, description="Queue for letters that do not say where they came from, or came from AWS itself."
    )
    max_per_second: float = Field(100, gt=0, le=10_000, description="Most letters a second sent to one destination.")
    settle_seconds: int = Field(1800, ge=1, le=1_209_600, description="Away this long (seconds): recovered.")
    limit: int = Field(1_000, ge=1, le=100_000, description="Most letters that this run sends back.")
    time_limit_seconds: int = Field(
        240, ge=10, le=39_600, description="The run starts nothing new after this (seconds)."
    )
    dry_run: bool = Field(True, description="Only report what would be sent back.")
    estate: str | None = Field(None, description="Name of a saved Recovery Estate block.")

    @property
    def is_empty(self) -> bool:
        """No filter named: nothing is touched."""
        chosen = (self.queues, self.kinds, self.groups, self.message_ids, self.first_seen_from, self.first_seen_until)
        return not any(chosen)
