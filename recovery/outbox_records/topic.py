"""The outbox's topic: the gateway of this path beside its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from recovery.aws import calling
from recovery.errors import OutcomeUnknown, RepriseError
from recovery.outbox_records.faults import blame_batch, blame_call, blame_entry
from recovery.outbox_records.message import Message
from recovery.outbox_records.models import Fault, NotSent, Outcome, Sent
from recovery.outbox_records.rules import LEASE_ENDS
from recovery.pacing import Pace

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_ROUNDS = 6  # with doubling waits: about eight seconds in all

ACTIONS = {"publish": ("sns:Publish",)}
"""IAM actions of each method; the shipped policy is exactly the sum of these tables."""


class Topic:
    """Publishes to the outbox's topic.

    Args:
        client: a boto3 SNS client whose own retries are off, so that nobody repeats a publish unseen.
        arn: the topic.
        pause: waits the given number of seconds after a throttle; tests replace it.
    """

    def __init__(self, client: SNSClient, arn: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self.arn = arn
        self._pause = pause

    def publish(
        self,
        messages: Sequence[Message],
        may_send: Callable[[], bool] = lambda: True,
        pace: Pace | None = None,
    ) -> list[Outcome]:
        """Publish up to ten messages of at most the topic's bytes in all; what became of each, in order.

        What certainly was not carried out, because of a throttle or of SNS's own trouble, is repeated after a pause, a
        few times. A batch that is refused for what stands in one of its messages is split, so that the others go out.

        Args:
            messages: to be published.
            may_send: asked before each request, since a slow one may use up the lease on which the next would be sent.
            pace: the rate of all threads, which a throttle halves.
        """
        outcomes: dict[int, Outcome] = {}
        pending = list(range(len(messages)))
        for attempt in range(_ROUNDS):
            if pace:
                pace.take(len(pending))
            found = self._publish([messages[index] for index in pending], may_send)
            outcomes |= dict(zip(pending, found, strict=True))
            pending = [index for index in pending if _is_for_the_moment(outcomes[index])]
            if pace and any(_is(outcomes[index], Fault.THROTTLE) for index in pending):
                pace.slow_down()
            if not pending or attempt == _ROUNDS - 1:
                break
            self._pause(0.25 * 2**attempt)
        return blame_batch([outcomes[index] for index in range(len(messages))])

    def _publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> list[Outcome]:
        if not may_send():
            return [LEASE_ENDS] * len(messages)
        entries: Any = [message.entry(str(number)) for number, message in enumerate(messages)]
        try:
            with calling("sns:PublishBatch"):
                answer = self._client.publish_batch(TopicArn=self.arn, PublishBatchRequestEntries=entries)
        except RepriseError as error:
            fault = blame_call(error.code, str(error), unread=isinstance(error, OutcomeUnknown), entries=len(messages))
            if fault is None:
                return blame_batch([each for message in messages for each in self._publish([message], may_send)])
            return [NotSent(fault, error.code, _without_operation(error))] * len(messages)
        results: dict[str, Outcome] = {each["Id"]: Sent(each["MessageId"]) for each in answer.get("Successful", [])}
        for failed in answer.get("Failed", []):
            code, text = str(failed.get("Code", "")), str(failed.get("Message", ""))
            fault = blame_entry(code, text, ours=failed.get("SenderFault"))
            results[str(failed["Id"])] = NotSent(fault, code, f"{code}: {text}")
        silent = NotSent(Fault.UNKNOWN, "", "the answer does not say what became of this message")
        return [results.get(str(number), silent) for number in range(len(messages))]


def _is_for_the_moment(outcome: Outcome) -> bool:
    return _is(outcome, Fault.THROTTLE) or _is(outcome, Fault.INCIDENT)


def _is(outcome: Outcome, fault: Fault) -> bool:
    return isinstance(outcome, NotSent) and outcome.fault is fault


def _without_operation(error: RepriseError) -> str:
    return str(error).removeprefix(f"{error.operation}: ")
