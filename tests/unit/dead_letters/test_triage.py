"""Diagnosing a batch: what messages have in common is triaged once, and what is their own is not overlooked."""

from __future__ import annotations

from typing import Any, cast

from recovery.dead_letters import triage
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.work import Work
from recovery.failures import Kind
from tests.unit.dead_letters.samples import message, queue

POLICY = DeadLetterPolicy(error_attributes=("error",))


def triaged(*messages: tuple[str, str]) -> list[Any]:
    """The items of messages with these (error, body)."""
    made = [
        message(message_id=f"m-{number}", body=body, attributes={"error": {"DataType": "String", "StringValue": error}})
        for number, (error, body) in enumerate(messages)
    ]
    batch = Batch(queue(), POLICY, made)
    triage.diagnose_messages(cast("Work", None), batch)
    return batch.items


def test_messages_that_say_the_same_are_diagnosed_alike() -> None:
    """And one that says something else is not."""
    first, second, third = triaged(("Read timed out", "{}"), ("Read timed out", "[]"), ("HTTP 401 Unauthorized", "{}"))
    assert first.diagnosis == second.diagnosis
    assert first.group == second.group
    assert (first.diagnosis.kind, third.diagnosis.kind) == (Kind.TIMEOUT, Kind.AUTH_FAILURE)
    assert third.group != first.group


def test_where_the_body_decides_each_body_is_read() -> None:
    """The same words that show nothing, over a body that is whole and one that breaks off."""
    whole, broken, again = triaged(("it went wrong", "{}"), ("it went wrong", '{"order": 1'), ("it went wrong", "{}"))
    assert [item.diagnosis.kind for item in (whole, broken, again)] == [Kind.UNKNOWN, Kind.BAD_PAYLOAD, Kind.UNKNOWN]
    assert whole.group == again.group != broken.group
