"""Topics, state machines and event buses as targets of messages. Thin: never raises for AWS's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recovery.aws import calling, is_throttle, redact
from recovery.dead_letters.outcomes import NotSent, Outcome, Sent
from recovery.errors import OutcomeUnknown, Refused, RepriseError, Transient

ACTIONS = {
    "publish": ("sns:Publish",),
    "start": ("states:StartExecution",),
    "put": ("events:PutEvents",),
}
"""IAM actions of each method."""
_OF_CONTENT = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "InvalidExecutionInput"})
_STARTED = "ExecutionAlreadyExists"
_EVENT_LATER = frozenset({"ThrottlingException", "InternalFailure", "InternalException"})


class Services:
    """Calls SNS, Step Functions and EventBridge.

    Args:
        sns, states, events: boto3 clients whose own retries are off: publishing and putting have no idempotency key.
    """

    def __init__(self, sns: Any, states: Any, events: Any) -> None:
        self._sns = sns
        self._states = states
        self._events = events

    def publish(self, topic: str, content: Mapping[str, Any]) -> Outcome:
        """Publish to a topic; `content` is boto3's Message, with Subject and MessageAttributes where there are any."""
        try:
            with calling("sns:Publish"):
                answer = self._sns.publish(TopicArn=topic, **content)
        except RepriseError as error:
            return _not_sent(error)
        return _sent(answer.get("MessageId"), "sns:Publish")

    def start(self, machine: str, name: str, text: str) -> Outcome:
        """Start an execution. Its name makes a repetition harmless: a Standard workflow starts once under a name."""
        try:
            with calling("states:StartExecution"):
                answer = self._states.start_execution(stateMachineArn=machine, name=name, input=text)
        except RepriseError as error:
            return Sent(name) if error.code == _STARTED else _not_sent(error)
        return _sent(answer.get("executionArn") and name, "states:StartExecution")

    def put(self, bus: str, event: Mapping[str, Any]) -> Outcome:
        """Put an event on a bus; `event` is boto3's entry without the bus."""
        operation = "events:PutEvents"
        try:
            with calling(operation):
                answer = self._events.put_events(Entries=[{**event, "EventBusName": bus}])
        except RepriseError as error:
            return _not_sent(error)
        (entry,) = answer.get("Entries") or [{}]
        if code := str(entry.get("ErrorCode") or ""):
            text = f"{operation}: {code}: {redact(str(entry.get('ErrorMessage') or ''))}"
            # EventBridge reports each entry: one with a code was not taken.
            kind = Transient if is_throttle(code) or code in _EVENT_LATER else Refused
            return _not_sent(kind(text, code=code, operation=operation))
        return _sent(entry.get("EventId"), operation)


def _sent(new_id: Any, operation: str) -> Outcome:
    if not new_id:
        return NotSent(OutcomeUnknown(f"{operation}: the answer names no id", code="no id", operation=operation))
    return Sent(str(new_id))


def _not_sent(error: RepriseError) -> NotSent:
    return NotSent(error, its_own_fault=error.code in _OF_CONTENT)
