"""Failed asynchronous invocations go back to their own function: really failing functions, and what becomes of them."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from recovery.backoff import Backoff
from recovery.cases import State
from recovery.dead_letters.actions import Target
from recovery.dead_letters.policy import DeadLetterPolicy
from tests.dead_letters_world import DeadLettersWorld

CODE = """
import json, pathlib

def handler(event, context):
    place = pathlib.Path(event["place"])
    with (place / "attempts").open("a") as file:
        file.write(json.dumps(event, sort_keys=True) + "\\n")
    if (place / "down").exists():
        raise TimeoutError("Read timed out")
    with (place / "done").open("a") as file:
        file.write(json.dumps(event, sort_keys=True) + "\\n")
"""
SOON = Backoff(base_seconds=10, factor=1, cap_seconds=10)
POLICY = DeadLetterPolicy(targets=(Target.LAMBDA,), backoff=SOON, settle_seconds=60)


class Stock:
    """A function that fails while its dependency is down.

    Args:
        world: where it is.
        place: a folder in which its dependency is down while `down` lies there.
        failures: queue of its dead letters, or on-failure records.
        by: "destination" or "queue".
        name: its name.
    """

    def __init__(
        self, world: DeadLettersWorld, place: Path, failures: str, by: str = "destination", name: str = "stock"
    ) -> None:
        self.world, self.place, self.failures, self.name = world, place, failures, name
        self._lambda = world.aws.client("lambda")
        self._number = 0
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as zipped:
            zipped.writestr("index.py", CODE)
        dead = {"DeadLetterConfig": {"TargetArn": world.arn(failures)}} if by == "queue" else {}
        self._lambda.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/stock",
            Handler="index.handler",
            Code={"ZipFile": code.getvalue()},
            Timeout=3,
            **dead,
        )
        self._lambda.put_function_event_invoke_config(
            FunctionName=name,
            MaximumRetryAttempts=0,
            MaximumEventAgeInSeconds=60,
            **(
                {"DestinationConfig": {"OnFailure": {"Destination": world.arn(failures)}}}
                if by == "destination"
                else {}
            ),
        )
        self.breaks()

    def breaks(self) -> None:
        (self.place / "down").touch()

    def works(self) -> None:
        (self.place / "down").unlink()

    def call(self, count: int = 1) -> list[dict[str, Any]]:
        """Invoke it asynchronously, and wait until its failures have arrived."""
        before = self.dead
        events: list[dict[str, Any]] = []
        for _ in range(count):
            self._number += 1
            events.append({"place": str(self.place), "order": self._number, "price": 1.10, "name": "Zoë"})
            self._lambda.invoke(FunctionName=self.name, InvocationType="Event", Payload=json.dumps(events[-1]))
        until(lambda: self.dead == before + count)
        return events

    @property
    def dead(self) -> int:
        return len(self.world.aws.messages(self.failures))

    def lines(self, name: str) -> list[dict[str, Any]]:
        file = self.place / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def until(probe: Any, seconds: float = 20.0) -> None:
    deadline, wait = time.monotonic() + seconds, threading.Event()
    while not probe():
        assert time.monotonic() < deadline, "it did not happen in time"
        wait.wait(0.05)


@pytest.fixture
def failures(world: DeadLettersWorld) -> str:
    return world.queue("stock-failures", MessageRetentionPeriod="1209600")


def heal(world: DeadLettersWorld, queue: str, policy: DeadLetterPolicy = POLICY, **fields: Any) -> Any:
    """Two runs: the first lets the messages wait, the second sends them when they are due."""
    first = world.recover(queue, policy=policy)
    assert set(first.by_action) <= {"wait", "leave"}, first.groups
    world.aws.clock.advance(12)
    return world.recover(queue, policy=policy, **fields)


@pytest.mark.parametrize("by", ["destination", "queue"])
def test_a_failed_invocation_goes_back_to_its_function_unchanged(
    world: DeadLettersWorld, failures: str, tmp_path: Path, by: str
) -> None:
    """Each event once, exactly as it was; it counts as recovered when no failure of it can arrive any more."""
    stock = Stock(world, tmp_path, failures, by)
    events = stock.call(2)
    stock.works()
    report = heal(world, failures)
    assert report.by_action == {"heal": 2}, report
    until(lambda: len(stock.lines("done")) == 2)
    assert sorted(stock.lines("done"), key=lambda event: event["order"]) == events
    assert world.aws.messages(failures) == []
    assert world.open_intents(failures) == 0
    assert world.states(failures)["sent"] == 2
    world.aws.clock.advance(200)
    assert world.recover(failures, policy=POLICY).recovered == 0, "an event may still be tried"
    world.aws.clock.advance(300)
    assert world.recover(failures, policy=POLICY).recovered == 2


@pytest.mark.parametrize("by", ["destination", "queue"])
def test_the_attempts_of_an_invocation_count_across_its_comebacks(
    world: DeadLettersWorld, failures: str, tmp_path: Path, by: str
) -> None:
    """A comeback is another message with the id of the request that was made: it is known, and ends as exhausted."""
    stock = Stock(world, tmp_path, failures, by)
    stock.call()
    policy = POLICY.model_copy(update={"max_attempts": 2})
    for _ in (1, 2):
        report = heal(world, failures, policy)
        assert report.by_action == {"heal": 1}
        until(lambda: stock.dead == 1)
    report = world.recover(failures, policy=policy)
    assert world.states(failures)["exhausted"] == 1, report.groups
    assert len(stock.lines("attempts")) == 3
    assert stock.dead == 0


def test_nothing_is_invoked_unless_the_policy_allows_it(world: DeadLettersWorld, failures: str, tmp_path: Path) -> None:
    """The default: the message is archived, and a person notified; a replay then needs no destination."""
    stock = Stock(world, tmp_path, failures)
    events = stock.call()
    world.recover(failures, policy=DeadLetterPolicy())
    assert world.states(failures) == {"waiting": 1}
    assert stock.dead == 0
    stock.works()
    report = world.replay(queues=(failures,))
    assert report.by_action == {"replay": 1}, report
    assert "sent back to stock" in report.groups[0].reason
    until(lambda: stock.lines("done") == events)


def test_a_dead_letter_queue_of_several_functions_needs_a_name(
    world: DeadLettersWorld, failures: str, tmp_path: Path
) -> None:
    """The event does not say which of them failed; the policy may."""
    stock = Stock(world, tmp_path, failures, "queue")
    Stock(world, tmp_path, failures, "queue", name="prices")
    events = stock.call(2)
    report = world.recover(failures, policy=POLICY, limit=1)
    assert "several functions" in report.groups[0].reason
    stock.works()
    report = heal(world, failures, POLICY.model_copy(update={"function": "stock"}))
    assert report.by_action == {"heal": 1}
    until(lambda: len(stock.lines("done")) == 1)
    assert stock.lines("done")[0] in events


def test_a_function_whose_failures_would_not_be_seen_is_not_invoked(
    world: DeadLettersWorld, failures: str, tmp_path: Path
) -> None:
    """Its destination was taken away: silence would prove nothing, and a failed event would be lost."""
    stock = Stock(world, tmp_path, failures)
    stock.call()
    world.aws.client("lambda").put_function_event_invoke_config(
        FunctionName="stock", MaximumRetryAttempts=0, DestinationConfig={}
    )
    report = world.recover(failures, policy=POLICY)
    assert "a failure would not be seen" in report.groups[0].reason
    assert world.states(failures) == {"waiting": 1}


def test_a_failure_with_a_record_and_a_dead_letter_is_made_up_for_once(
    world: DeadLettersWorld, failures: str, tmp_path: Path
) -> None:
    """Lambda sends both when both are configured; the record goes back, the dead letter does not."""
    dead = world.queue("stock-dlq", MessageRetentionPeriod="1209600")
    stock = Stock(world, tmp_path, failures)
    world.aws.client("lambda").update_function_configuration(
        FunctionName="stock", DeadLetterConfig={"TargetArn": world.arn(dead)}
    )
    stock.call()
    stock.works()
    until(lambda: len(world.aws.messages(dead)) == 1)
    for _ in range(3):
        world.recover(dead, failures, policy=POLICY)
        world.aws.clock.advance(12)
    until(lambda: len(stock.lines("done")) == 1)
    assert stock.dead == len(world.aws.messages(dead)) == 0
    [parked] = [case for case in world.cases(dead).values() if case.state is State.WAITING]
    assert "would be done twice" in parked.reason


def test_a_function_that_is_gone_leaves_its_messages_in_the_archive(
    world: DeadLettersWorld, failures: str, tmp_path: Path
) -> None:
    """A person restores it, and replays."""
    stock = Stock(world, tmp_path, failures)
    stock.call()
    world.aws.client("lambda").delete_function(FunctionName="stock")
    report = world.recover(failures, policy=POLICY)
    assert world.states(failures) == {"waiting": 1}
    assert "ResourceNotFoundException" in report.groups[0].reason


def test_an_invocation_whose_answer_is_lost_is_made_once_more_as_the_same_attempt(
    world: DeadLettersWorld, failures: str, tmp_path: Path
) -> None:
    """The declared window: Lambda took it, nobody read the answer; the event runs twice, and no attempt is lost."""
    stock = Stock(world, tmp_path, failures)
    [event] = stock.call()
    stock.works()
    world.recover(failures, policy=POLICY)
    world.aws.clock.advance(12)
    world.aws.fault("lose_ack", service="lambda", operation="Invoke")
    report = world.recover(failures, policy=POLICY)
    assert report.by_action == {}
    assert report.unsettled == 1
    assert world.open_intents(failures) == 1
    world.aws.lift_faults()
    world.aws.clock.advance(250)
    assert world.recover(failures, policy=POLICY).by_action == {"heal": 1}
    until(lambda: len(stock.lines("done")) == 2)
    assert stock.lines("done") == [event, event]
    [sent] = [case for case in world.cases(failures).values() if case.state is State.SENT]
    assert (sent.attempts, sent.tries) == (1, 2)


def test_a_throttled_invocation_was_not_made_and_uses_up_nothing(
    world: DeadLettersWorld, failures: str, tmp_path: Path
) -> None:
    """A 429 says so: the message stays, and goes with a later run as the first try of its first attempt."""
    stock = Stock(world, tmp_path, failures)
    stock.call()
    stock.works()
    world.recover(failures, policy=POLICY)
    world.aws.clock.advance(12)
    world.aws.fault(
        "error", service="lambda", operation="Invoke", code="TooManyRequestsException", status=429, times=None
    )
    assert world.recover(failures, policy=POLICY).unsettled == 1
    assert world.open_intents(failures) == 0
    world.aws.lift_faults()
    assert world.recover(failures, policy=POLICY).by_action == {"heal": 1}
    until(lambda: len(stock.lines("done")) == 1)
    [sent] = [case for case in world.cases(failures).values() if case.state is State.SENT]
    assert (sent.attempts, sent.tries) == (1, 1)
