"""Actions on a message, by kind of failure, and the targets that it may go back to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import WithJsonSchema

from recovery.failures import Kind
from recovery.failures.models import OWN_KIND


class Action(StrEnum):
    """Actions on a message."""

    HEAL = "heal"  # send it back, with backoff
    ALERT = "alert"  # notify a person once, and keep it in the archive until the cause is fixed
    ARCHIVE = "archive"  # keep it in the archive for review
    LEAVE = "leave"  # do not touch it


KindName = Annotated[
    Kind,
    WithJsonSchema(
        {"anyOf": [{"type": "string", "enum": [*Kind]}, {"type": "string", "pattern": f"^{OWN_KIND.pattern}$"}]}
    ),
]
"""A kind of failure in a form: one of the eight, or one that a rules file adds."""
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


class WithoutEvidence(StrEnum):
    """Actions on a message whose failure nothing explains."""

    LEAVE = "leave"
    ARCHIVE = "archive"
    HEAL = "heal"
    PROBE = "probe"  # send one of the alike back, then ten, then the rest: what comes back is the evidence


class Target(StrEnum):
    """Targets to which messages of Lambda, EventBridge, Scheduler and SNS go back."""

    LAMBDA = "lambda"  # the function, invoked asynchronously
    SQS = "sqs"  # the queue
    SNS = "sns"  # the topic that was a rule's or schedule's target
    HTTP = "http"  # the endpoint of a subscription, with the envelope and headers that SNS sends
    STEP_FUNCTIONS = "step-functions"  # a new execution of the state machine
    EVENT_BUS = "event-bus"  # the other bus that was a rule's target
    ALL_RULES = "all-rules"  # else: the event is put on its bus again, where every rule that matches fires again
    ALL_SUBSCRIBERS = "all-subscribers"  # else: the notification is published again, and every subscriber gets it again


DIRECT = frozenset(Target) - {Target.ALL_RULES, Target.ALL_SUBSCRIBERS}
"""Targets that alone get the message again."""
