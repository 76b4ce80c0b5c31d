"""The request of the dead-letter path and its policy. These models are the form in the UI."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from recovery.backoff import Backoff
from recovery.dead_letters.actions import DEFAULT_ACTIONS, Action, KindName, Target, WithoutEvidence
from recovery.dead_letters.names import matches, name_of, parsed
from recovery.errors import BadInput
from recovery.failures import Kind
from recovery.scope import DryRun, EstateName, Runbooks

QueueName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024)]


class DeadLetterPolicy(BaseModel):
    """Treatment of the messages of a queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heal: bool = Field(
        True,
        title="Safe to heal",
        description="Off for queues whose messages are not safe to process twice: what would be healed is parked, with"
        " an alert.",
    )
    log_group: str | None = Field(
        None,
        max_length=512,
        title="Log group of the consumer",
        description="CloudWatch log group of the consumer. A plain redrive carries no error: this is where it is read."
        " Empty: the Lambda function that consumes the source queue is looked up.",
    )
    find_consumer: bool = Field(
        True,
        title="Find the consumer",
        description="Without a log group, ask Lambda which function consumes the source queue, and read its log.",
    )
    match_by_time: bool = Field(
        True,
        title="Match by time",
        description="A message that no line names may take the failure of the invocations that ran when it was"
        " received, if all of them failed alike. Its diagnosis says so.",
    )
    error_attributes: tuple[str, ...] = Field(
        (),
        max_length=10,
        title="Attributes with the error",
        description="Names of message attributes in which the consumer wrote its error.",
    )
    error_body_paths: tuple[str, ...] = Field(
        (),
        max_length=10,
        title="Error in the body",
        description="Dotted paths into a JSON body at which the consumer wrote its error, class before text"
        " (Headers.NServiceBus.ExceptionInfo.Message).",
    )
    destination: QueueName | None = Field(
        None,
        title="Destination for messages without a source",
        description="Queue (name or URL) for messages that do not say where they came from. Messages that do are sent"
        " back to their own queue.",
    )
    targets: tuple[Target, ...] = Field(
        (),
        title="Own targets",
        description="Targets that messages of Lambda, EventBridge, Scheduler and SNS go back to: lambda, sqs, sns,"
        " http, step-functions and event-bus, each alone as its service would call it. Where that is not possible:"
        " all-rules puts the event on its bus again, and every rule that matches fires again; all-subscribers publishes"
        " the notification again to every subscriber. Without them such messages are archived and wait.",
    )
    function: str | None = Field(
        None,
        max_length=200,
        pattern=r"^(arn:[^:\s]+:lambda:[^:\s]+:\d+:function:)?[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?$",
        title="Function of a dead-letter queue",
        description="Lambda function (name or ARN, with version or alias) for messages of its dead-letter queue, which"
        " do not name it. Empty: the one function that has this queue as its dead-letter queue.",
    )
    max_attempts: int = Field(
        4,
        ge=1,
        le=20,
        title="Most attempts",
        description="Most times that a message is sent back before it counts as exhausted.",
    )
    backoff: Backoff = Field(
        default_factory=lambda: Backoff(),
        title="Backoff",
        description="Wait before each attempt: about 1 minute, 10 minutes, 1 hour and 6 hours unless changed.",
    )
    actions: dict[KindName, Action] = Field(
        default_factory=dict,
        title="Actions by kind",
        description='Actions in place of the defaults: {"VALIDATION_ERROR": "alert"}. heal, alert, archive or leave.',
    )
    rule_actions: dict[str, Action] = Field(
        default_factory=dict,
        title="Actions by rule",
        description="The same for messages that a certain rule decided, by the rule's id.",
    )
    group_actions: dict[str, Action] = Field(
        default_factory=dict,
        title="Actions by group",
        description="The same for one group of alike failures, by its fingerprint as the report shows it.",
    )
    without_evidence: WithoutEvidence = Field(
        WithoutEvidence.LEAVE,
        title="Messages without evidence",
        description="Action on messages about whose failure nothing is known: leave, archive, heal (within the"
        " attempts; only where a message may be processed again whatever its failure was), or probe: of those of one"
        " source, day and shape one is sent back, then ten, then the rest, each once the ones before stayed away.",
    )
    max_per_second: float = Field(
        500,
        gt=0,
        le=10_000,
        title="Most messages a second",
        description="Most messages a second that may arrive at one destination, on average.",
    )
    max_age_seconds: int | None = Field(
        None,
        ge=60,
        le=1_209_600,
        title="Longest age (seconds)",
        description="Messages first sent longer ago than this (seconds) are archived as stale.",
    )
    circuit_opens_after: int = Field(
        100,
        ge=0,
        le=1000,
        title="Comebacks that open a circuit",
        description="Once so many messages of a failure group came back and hardly any stayed away, a few probe and the"
        " others wait, without using attempts; each step of probes lasts until it is proven. 0: never.",
    )
    circuit_alarm: str | None = Field(
        None,
        max_length=255,
        title="Alarm that stops all sends",
        description="A CloudWatch alarm: while it is in ALARM, nothing is sent. Empty: none.",
    )
    settle_seconds: int = Field(
        1800,
        ge=1,
        le=1_209_600,
        title="Settle time (seconds)",
        description="A message that stays away this long (seconds) after its send recovered.",
    )
    archived_waits: bool = Field(
        True,
        title="Archived messages wait for a person",
        description="Switched off, messages that cannot succeed unchanged wait for nobody: they are archived, dismissed"
        " at once, and can be reopened.",
    )
    notify: bool = Field(
        False,
        title="Notify of archived messages",
        description="For critical queues: what is archived for review notifies a person as well, once for each group.",
    )
    alert_window_seconds: int = Field(
        21_600,
        ge=60,
        le=604_800,
        title="Alert window (seconds)",
        description="One alert for each group of alike failures in this time (seconds).",
    )
    sweep_seconds: int = Field(
        300,
        ge=30,
        le=86_400,
        title="Time between runs (seconds)",
        description="Time between runs (seconds): a message that would expire before is archived.",
    )
    identity_attribute: str | None = Field(
        None,
        max_length=256,
        title="Attribute with the business id",
        description="Message attribute with the business id, to count comebacks of messages that a consumer itself"
        " sent to the dead-letter queue.",
    )
    identity_body_path: str | None = Field(
        None,
        max_length=256,
        title="Path of the business id in the body",
        description="The same, as a dotted path into a JSON body (order.id).",
    )
    changing_attributes: tuple[str, ...] = Field(
        (),
        max_length=20,
        title="Attributes that change each time",
        description="Message attributes that differ each time that the same work fails (a time, a count of retries),"
        " so that comebacks are counted without them. Those with the error are left out anyway.",
    )
    body_schema: dict[str, Any] | None = Field(
        None,
        title="Schema of the body",
        description="JSON Schema of the body, checked only when the error itself gives no cause.",
    )
    runbooks: Runbooks = Field(default_factory=dict)
    rules_file: str | None = Field(
        None,
        max_length=1024,
        title="File of rules",
        description="A file of your own diagnosis rules, tried before the built-in ones.",
    )

    @property
    def changing(self) -> frozenset[str]:
        """Attributes that say nothing of which work a message is."""
        return frozenset(self.error_attributes) | frozenset(self.changing_attributes)

    @model_validator(mode="after")
    def _known_kinds(self) -> DeadLetterPolicy:
        added = [kind for kind in self.actions if kind not in set(Kind)]
        if added and self.rules_file is None:
            raise ValueError(f"actions: {added[0]}: expected one of {', '.join(Kind)}, or a rules_file that adds it")
        return self

    @model_validator(mode="after")
    def _probes_have_circuits(self) -> DeadLetterPolicy:
        if self.without_evidence is WithoutEvidence.PROBE and not self.circuit_opens_after:
            raise ValueError("without_evidence: probe needs circuits: expected circuit_opens_after of at least 1")
        return self

    def action_for(
        self, kind: Kind, rule: str, group: str, named_by_rule: str = "", kind_action: str = ""
    ) -> tuple[Action, str]:
        """The action and who chose it: group before rule before the rule file's own action before kind.

        Args:
            kind, rule, group: of the failure.
            named_by_rule: the action that a rule of the rule file names, or "".
            kind_action: the default action of a kind that the rule file adds, or "".
        """
        if group in self.group_actions:
            return self.group_actions[group], f"policy for group {group}"
        if rule in self.rule_actions:
            return self.rule_actions[rule], f"policy for rule {rule}"
        if named_by_rule:
            return Action(named_by_rule), f"action named by rule {rule}"
        if kind in self.actions:
            return self.actions[kind], f"policy for {kind}"
        if kind_action:
            return Action(kind_action), f"default for {kind}, by the rules file"
        return DEFAULT_ACTIONS.get(kind, Action.ARCHIVE), f"default for {kind}"


_WILDCARD = re.compile(r"\*|\?|\[.[^]]*\]")


def _specificity(pattern: str) -> tuple[bool, int, int, str]:
    """Order globs: a name, then more literal characters, then fewer wildcards; the text itself breaks ties."""
    wildcards = _WILDCARD.findall(pattern)
    return not wildcards, len(pattern) - sum(map(len, wildcards)), -len(wildcards), pattern


class DeadLetterRequest(BaseModel):
    """The request of a run. No queue named: nothing is touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: tuple[QueueName, ...] = Field(
        (),
        max_length=200,
        title="Dead-letter queues",
        description="Names, URLs or globs (orders-*). A glob finds queues that are some queue's dead-letter queue; a"
        " queue named in full is taken as it is.",
    )
    dry_run: DryRun = True
    limit: int = Field(
        10_000, ge=1, le=1_000_000, title="Most messages", description="Most messages that this run takes up."
    )
    time_limit_seconds: int = Field(
        240,
        ge=10,
        le=39_600,
        title="Time limit (seconds)",
        description="The run takes up nothing new after this time (seconds).",
    )
    log_requests: int = Field(
        300,
        ge=0,
        le=10_000,
        title="Most requests to logs",
        description="Most requests to CloudWatch Logs that this run makes.",
    )
    log_seconds: int = Field(
        172_800,
        ge=0,
        le=31_536_000,
        title="Most log time (seconds)",
        description="Most time of logs that this run scans (seconds): the sum of the windows that it asks for.",
    )
    policy: DeadLetterPolicy = Field(
        default_factory=lambda: DeadLetterPolicy(), title="Policy", description="Treatment of the messages."
    )
    queue_policies: dict[str, DeadLetterPolicy] = Field(
        default_factory=dict,
        title="Policies of single queues",
        description="A policy of their own for queues, by name, URL, ARN or glob of these; of several matches the most"
        " specific counts: one in full before a glob, then the glob with more characters that are no wildcards.",
    )
    estate: EstateName = None

    @field_validator("queues", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("queue_policies")
    @classmethod
    def _names_of_queues(cls, value: dict[str, DeadLetterPolicy]) -> dict[str, DeadLetterPolicy]:
        for pattern in value:
            try:
                parsed(pattern)
            except BadInput as error:
                raise ValueError(str(error)) from None
        return value

    @property
    def subject(self) -> str:
        """Subject of a run, for its name; short, so that the counts behind it are seen."""
        if not self.queues:
            return "no queue named"
        more = len(self.queues) - 1
        return name_of(self.queues[0]) + (f" and {more} more" if more else "")

    @property
    def run_name(self) -> str:
        """The name of a run that has just begun."""
        return f"recover {self.subject}"

    def policy_for(self, queue: str) -> DeadLetterPolicy:
        """Return the policy of a queue (name, URL or ARN): the most specific match, whatever the order of the keys."""
        matching = [pattern for pattern in self.queue_policies if matches(pattern, queue)]
        return self.queue_policies[max(matching, key=_specificity)] if matching else self.policy
