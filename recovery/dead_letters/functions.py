"""AWS Lambda as a target of messages: invocations, and what is known of a function. Thin: no decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from recovery.aws import calling, require_field
from recovery.dead_letters.invocations import LATEST
from recovery.dead_letters.outcomes import NotSent, Outcome, Sent
from recovery.errors import Conflict, OutcomeUnknown, Refused, RepriseError, Transient

ACTIONS = {
    "invoke": ("lambda:InvokeFunction",),
    "describe": ("lambda:GetFunctionConfiguration", "lambda:GetFunctionEventInvokeConfig"),
    "with_dead_letter_queue": ("lambda:ListFunctions",),
}
"""IAM actions of each method."""

_T = TypeVar("_T")
_OF_CONTENT = frozenset({"InvalidRequestContentException", "RequestTooLargeException"})
_LATER = frozenset({"ResourceConflictException"})  # being created or updated: certainly not invoked
_AGE = 21_600  # Lambda's own default of MaximumEventAgeInSeconds
_SLACK = timedelta(minutes=5)
"""Longest time between two attempts on a throttled event: that late Lambda notices that it is too old."""


@dataclass(frozen=True, slots=True)
class TargetFunction:
    """Facts about a function that events go back to.

    Attributes:
        arn: with its version or alias.
        comeback: time after an invocation until which a record of its failure may still arrive.
        dead_letters_to: ARN of its dead-letter target, or "".
        on_failure: ARN of its on-failure destination, or "".
    """

    arn: str
    comeback: timedelta
    dead_letters_to: str = ""
    on_failure: str = ""


class Functions:
    """Calls Lambda; asks once a run for each function and queue.

    Args:
        client: a boto3 Lambda client with the usual retries.
        invoker: one whose own retries are off: an invocation has no idempotency key.
    """

    def __init__(self, client: Any, invoker: Any) -> None:
        self._client = client
        self._invoker = invoker
        self._known: dict[str, TargetFunction | RepriseError] = {}
        self._by_queue: dict[str, tuple[str, ...] | RepriseError] = {}

    def invoke(self, function: str, payload: str) -> Outcome:
        """Invoke a function asynchronously; the outcome carries the id of the request. Never raises for AWS's words."""
        try:
            with calling("lambda:InvokeFunction"):
                answer = self._invoker.invoke(
                    FunctionName=function,
                    InvocationType="Event",
                    Payload=payload.encode("utf-8", "surrogatepass"),
                )
        except RepriseError as error:
            if error.code in _LATER:
                error = Transient(str(error), code=error.code, operation=error.operation)
            return NotSent(error, its_own_fault=error.code in _OF_CONTENT)
        request = str(answer.get("ResponseMetadata", {}).get("RequestId") or "")
        if answer.get("StatusCode") != 202 or not request:
            return NotSent(
                OutcomeUnknown("lambda:InvokeFunction: the answer is not one of Lambda", code="no request id")
            )
        return Sent(request)

    def describe(self, function: str) -> TargetFunction:
        """Return what is known of a function.

        Raises:
            Refused: it does not exist, or this role may not ask.
            Transient: it could not be asked now.
        """
        if function not in self._known:
            try:
                self._known[function] = self._describe(function)
            except (Refused, Conflict) as error:
                self._known[function] = error
        return _or_raise(self._known[function])

    def with_dead_letter_queue(self, target: str) -> tuple[str, ...]:
        """Return ARNs of the functions whose dead-letter target this is (each once; its published versions apart).

        Raises:
            Refused: this role may not ask.
            Transient: it could not be asked now.
        """
        if target not in self._by_queue:
            try:
                self._by_queue[target] = self._with_dead_letter_queue(target)
            except (Refused, Conflict) as error:
                self._by_queue[target] = error
        return _or_raise(self._by_queue[target])

    def _describe(self, function: str) -> TargetFunction:
        with calling("lambda:GetFunctionConfiguration"):
            found = self._client.get_function_configuration(FunctionName=function)
        require_field(found, "FunctionName", "lambda:GetFunctionConfiguration")
        timeout = timedelta(seconds=int(found.get("Timeout") or 900))
        dead_letters_to = str((found.get("DeadLetterConfig") or {}).get("TargetArn") or "")
        age, on_failure = _AGE, ""
        try:
            with calling("lambda:GetFunctionEventInvokeConfig"):
                own = self._client.get_function_event_invoke_config(FunctionName=function)
        except Refused as error:
            if error.code != "ResourceNotFoundException":
                raise
        else:
            age = int(own.get("MaximumEventAgeInSeconds") or _AGE)
            failure = (own.get("DestinationConfig") or {}).get("OnFailure") or {}
            on_failure = str(failure.get("Destination") or "")
        # Throttled and failed by Lambda itself, an event is tried until it is too old, whatever the most retries are.
        return TargetFunction(function, timedelta(seconds=age) + timeout + _SLACK, dead_letters_to, on_failure)

    def _with_dead_letter_queue(self, target: str) -> tuple[str, ...]:
        with calling("lambda:ListFunctions"):
            pages = self._client.get_paginator("list_functions").paginate(FunctionVersion="ALL")
            found = [
                str(require_field(each, "FunctionArn", "lambda:ListFunctions")).removesuffix(LATEST)
                for page in pages
                for each in require_field(page, "Functions", "lambda:ListFunctions")
                if (each.get("DeadLetterConfig") or {}).get("TargetArn") == target
            ]
        return tuple(dict.fromkeys(found))


def _or_raise(known: _T | RepriseError) -> _T:
    if isinstance(known, RepriseError):
        raise known
    return known
