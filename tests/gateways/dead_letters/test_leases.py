"""Leases: minutes long whatever the run's time limit, extended while work goes on, and looked at before each send."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from recovery.dead_letters import receiving, sending, staying, triage
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.find import find_queues
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.rules import LEASE_MARGIN
from recovery.dead_letters.work import LEASE, Work
from recovery.errors import Transient
from tests.dead_letters_world import ERROR, STRANGE, TIMEOUT, DeadLettersWorld

SECONDS = LEASE.total_seconds()


def decided(work: Work, batch: Batch) -> Batch:
    """The batch with its verdicts."""
    triage.look_up(work, batch)
    triage.diagnose_messages(work, batch)
    triage.decide_messages(work, batch)
    return batch


def later(world: DeadLettersWorld, work: Work, seconds: float) -> None:
    """Let time pass; the run hears of it."""
    world.aws.clock.advance(seconds)
    work.ledger.read_cases("dead_letters", ["anything"])


def test_a_killed_run_hides_messages_for_minutes(world: DeadLettersWorld) -> None:
    """Its time limit is eleven hours, and what it held is free a few minutes after its death."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 30)
    with world.at_work(world.request(pair.dead, time_limit_seconds=39_600)) as work:
        assert world.received(work).count == 30
        assert world.visible(pair.dead) == 0
        world.aws.clock.advance(SECONDS + 1)
        assert world.visible(pair.dead) == 30
    assert SECONDS <= 300


def test_what_stays_is_kept_hidden_while_a_long_run_goes_on(world: DeadLettersWorld) -> None:
    """Messages that a run leaves are not handed to it again, however long it works on others; then they are free."""
    pair = world.pair()
    policy = DeadLetterPolicy.model_validate({"error_attributes": [ERROR], "actions": {"UNKNOWN": "leave"}})
    world.die(pair, [STRANGE] * 12)
    with world.at_work(world.request(pair.dead, policy=policy, time_limit_seconds=3_600)) as work:
        [turn] = receiving.turns_of(work, find_queues(work))
        batch = decided(work, receiving.receive(work, turn, work.room))
        staying.close_round(work, batch)
        for _ in range(6):  # further rounds, of other queues
            later(world, work, SECONDS * 0.6)
            staying.close_round(work, Batch(turn.queue, turn.policy, []))
            assert world.visible(pair.dead) == 0
        staying.release(work)
        assert world.visible(pair.dead) == 12


def test_what_another_run_may_hold_is_not_touched(world: DeadLettersWorld) -> None:
    """A run that was away for longer than its leases neither extends nor releases: the messages are another's now."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 5)
    with world.at_work(world.request(pair.dead)) as late, world.at_work(world.request(pair.dead)) as other:
        batch = world.received(late)
        batch.give_up(Transient("something was in the way"))
        staying.close_round(late, batch)
        later(world, late, SECONDS + 1)
        assert world.received(other).count == 5
        world.aws.clear_requests()
        staying.close_round(late, Batch(batch.queue, batch.policy, []))
        assert staying.release(late) == 0
        assert "sqs:ChangeMessageVisibilityBatch" not in world.aws.request_counts()


def test_a_lost_answer_hides_no_group(world: DeadLettersWorld) -> None:
    """FIFO: the answer to a receive is lost; the SDK's repetition gets the same messages, and the run works on."""
    pair = world.pair(fifo=True)
    world.die(pair, [TIMEOUT] * 3, MessageBody="{n}", MessageGroupId="g")
    world.aws.fault("lose_ack", service="sqs", operation="ReceiveMessage", times=1)
    with world.at_work(world.request(pair.dead)) as work:
        assert [item.message.body for item in world.received(work).items] == ["0", "1", "2"]


def test_slow_sends_of_a_standard_queue_end_with_the_lease(
    world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred messages at a slow queue, and a second run that takes up what the first no longer holds: no message
    is sent by both."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 200)
    request = world.request(pair.dead)
    with world.at_work(request, threads=1) as slow, world.at_work(request) as other:
        batch = decided(slow, world.received(slow))
        sending.write_ahead(slow, batch)
        send = slow.sqs.send

        def send_slowly(*given: Any, **named: Any) -> Any:
            outcomes = send(*given, **named)
            later(world, slow, SECONDS / 8)
            return outcomes

        monkeypatch.setattr(slow.sqs, "send", send_slowly)
        sending.send_messages(slow, batch)
        sent = sum(bool(item.new_id) for item in batch.items)
        assert 0 < sent < 100
        assert all("ran out" in str(item.failure) for item in batch.items if not item.new_id)
        sending.confirm_sends(slow, batch)
        later(world, slow, LEASE_MARGIN.total_seconds() + 60)

        theirs = decided(other, world.received(other))
        assert theirs.count == 200
        sending.write_ahead(other, theirs)
        sending.send_messages(other, theirs)
    assert Counter(Counter(world.bodies(pair.source)).values()) == {1: 200}
