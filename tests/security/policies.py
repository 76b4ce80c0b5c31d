"""The shipped IAM policies as statements that answer: may this call be made?

Only what the templates use is known: Allow and Deny, wildcards, StringEquals and Bool. Anything else raises, so that a
template cannot outgrow this reading of it unseen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from simulated_aws import estate
from tests.security.calls import Need

ACCOUNT, REGION = "000000000000", "us-east-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/estate"
OUTBOX_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/outbox"
FLOW_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/flow"

_SQS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
EVENTS, PARKED = f"{_SQS}reprise-events", f"{_SQS}reprise-events-parked"
LEDGER = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/reprise-ledger"
ALERTS = f"arn:aws:sns:{REGION}:{ACCOUNT}:reprise-alerts"
ARCHIVE = f"arn:aws:s3:::reprise-archive-{ACCOUNT}-{REGION}"
OUTBOX = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders-outbox"

ENCRYPTED: Mapping[str, str] = {
    EVENTS: KEY,
    PARKED: KEY,
    LEDGER: KEY,
    ALERTS: KEY,
    ARCHIVE: KEY,
    OUTBOX: OUTBOX_KEY,
    f"arn:aws:sns:{REGION}:{ACCOUNT}:orders": OUTBOX_KEY,
    f"arn:aws:sns:{REGION}:{ACCOUNT}:orders.fifo": OUTBOX_KEY,
}
"""Resources that the templates encrypt with a key of the account's own, by ARN. Each user needs rights on the key."""

_NAMES: Mapping[str, Any] = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "WorkerPolicy": "worker-policy",
    "ConsumerPolicy": "consumer-policy",
    "TargetFunctionPolicy": "target-function-policy",
    "TargetPolicy": "target-policy",
    "QueueKeysPolicy": "queue-keys-policy",
    "RelayPolicy": "relay-policy",
    "EventsQueue.Arn": EVENTS,
    "EventsDeadLetterQueue.Arn": PARKED,
    "Ledger.Arn": LEDGER,
    "Archive.Arn": ARCHIVE,
    "AlertTopic": ALERTS,
    "Key.Arn": KEY,
}
"""Values of the stacks' references."""

WORKER = {
    "DestinationQueues": "orders*",
    "QueueKeyArns": OUTBOX_KEY,
    "ConsumerLogGroups": "/consumers/*",
    "PayloadObjectArns": "arn:aws:s3:::big-payloads/*",
    "OutboxTables": "orders-outbox",
    "OutboxTopics": "orders*",
    "RecoverReplications": "restart-and-reload",
    "FlowNames": "orders",
    "FlowTwins": "yes",
    "FindConsumers": "yes",
    "TargetFunctions": "stock*",
    "TargetArns": ",".join(
        f"arn:aws:{service}:us-east-1:000000000000:{name}"
        for service, name in (
            ("sns", "shipped-*"),
            ("states", "stateMachine:shipped-*"),
            ("events", "event-bus/default"),
        )
    ),
}
"""Parameters of estate.yaml, as narrow as the tests' estate allows."""

RELAY = {
    "EventsQueueArn": EVENTS,
    "ParkedQueueArn": PARKED,
    "KeyArn": KEY,
    "LedgerTableArn": LEDGER,
    "OutboxTables": "orders-outbox",
    "OutboxKeyArns": OUTBOX_KEY,
}
"""Parameters of events.yaml, likewise."""


class _Deployed(estate.Resolved):
    """A template with its parameters, without a stack."""

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        unknown = set(parameters) - set(template["Parameters"])
        assert not unknown, unknown
        self._template = template
        values: dict[str, Any] = {name: entry["Default"] for name, entry in template["Parameters"].items()}
        values |= parameters
        for name, entry in template["Parameters"].items():
            if entry["Type"] == "CommaDelimitedList":
                values[name] = values[name].split(",")
        self._values = {**_NAMES, **values}

    def _named(self, name: str) -> Any:
        return self._values[name]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy.

    Attributes:
        sid: its name.
        allows: True when it allows; it denies otherwise.
        actions, resources: patterns with `*` and `?`.
        conditions: key and wanted values, by operator.
    """

    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def covers(self, need: Need) -> bool:
        """True when it names this action on this resource, and its conditions hold."""
        return (
            any(matches(each.lower(), need.action.lower()) for each in self.actions)
            and any(matches(each, need.resource) for each in self.resources)
            and all(
                _holds(operator, key, wanted, need.context)
                for operator, wants in self.conditions.items()
                for key, wanted in wants.items()
            )
        )


def matches(pattern: str, text: str) -> bool:
    """True when an IAM pattern fits: `*` is any number of characters, `?` is one; nothing else is special."""
    return _expression(pattern).fullmatch(text) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in pattern), re.DOTALL)


def _holds(operator: str, key: str, wanted: Any, context: Mapping[str, str]) -> bool:
    if operator == "ForAnyValue:StringLike":
        return any(matches(pattern, context.get(key, "")) for pattern in _listed(wanted))
    if operator not in ("StringEquals", "Bool"):
        raise NotImplementedError(f"the condition {operator}")
    return context.get(key) in _listed(wanted)  # a key that is missing fails both operators


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def allowed(statements: Iterable[Statement], need: Need) -> bool:
    """As IAM decides: something allows it, and nothing denies it."""
    covering = [statement.allows for statement in statements if statement.covers(need)]
    return bool(covering) and all(covering)


def policy(template: str, parameters: Mapping[str, str]) -> list[Statement]:
    """All statements of the managed policies that a template makes with these parameters."""
    deployed = _Deployed(estate.load(estate.TEMPLATES / template), parameters)
    return [
        _statement(entry)
        for _, properties in deployed.resources("AWS::IAM::ManagedPolicy")
        for entry in properties["PolicyDocument"]["Statement"]
    ]


def sizes(template: str, parameters: Mapping[str, str]) -> dict[str, int]:
    """Characters of each managed policy, as IAM counts them: without white space."""
    deployed = _Deployed(estate.load(estate.TEMPLATES / template), parameters)
    return {
        name: len(json.dumps(properties["PolicyDocument"], separators=(",", ":")).replace(" ", ""))
        for name, properties in deployed.resources("AWS::IAM::ManagedPolicy")
    }


def trust(template: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    """Statements of who may take the role that a template makes with these parameters."""
    deployed = _Deployed(estate.load(estate.TEMPLATES / template), parameters)
    [(_, role)] = deployed.resources("AWS::IAM::Role")
    document = role["AssumeRolePolicyDocument"]
    return list((json.loads(document) if isinstance(document, str) else document)["Statement"])


def _statement(entry: Mapping[str, Any]) -> Statement:
    known = {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert set(entry) <= known, set(entry) - known
    return Statement(
        entry["Sid"],
        entry["Effect"] == "Allow",
        _listed(entry["Action"]),
        _listed(entry["Resource"]),
        entry.get("Condition", {}),
    )


def worker() -> list[Statement]:
    """Return the statements of the worker's role in an estate with all four paths."""
    return policy("estate.yaml", WORKER) + policy("appflow.yaml", {"FlowKeyArns": FLOW_KEY})


def relay() -> list[Statement]:
    """Return the statements of the relay's role."""
    return policy("events.yaml", RELAY)


def idle(statements: Sequence[Statement], needs: Iterable[Need]) -> set[tuple[str, str]]:
    """Return rights that were never needed: name of the statement, and action."""
    granted = {(each.sid, action) for each in statements for action in each.actions}
    used = {(each.sid, need.action) for need in set(needs) for each in statements if each.covers(need)}
    return granted - used
