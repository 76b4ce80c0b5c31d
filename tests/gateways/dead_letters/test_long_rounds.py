"""A round of many messages: leases are looked at as it goes on, and logs are asked for a bounded number at once."""

from __future__ import annotations

from typing import Any

import pytest

from recovery.dead_letters import consumer_logs, sending, triage
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.work import LEASE
from recovery.logs.reads import SECONDS
from tests.dead_letters_world import POLICY, TIMEOUT, DeadLettersWorld


def test_a_lease_that_ends_between_two_waves_ends_the_sending(
    world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message of a FIFO group after another takes long: what another run may hold soon is not sent by this one."""
    policy = DeadLetterPolicy.model_validate(
        {"error_attributes": POLICY.error_attributes, "backoff": {"base_seconds": 1, "cap_seconds": 1}}
    )
    pair = world.pair(fifo=True)
    world.die(pair, [TIMEOUT] * 3, MessageBody="{n}", MessageGroupId="g")
    with world.at_work(world.request(pair.dead, policy=policy)) as work:
        batch = world.received(work)
        triage.look_up(work, batch)
        triage.diagnose_messages(work, batch)
        triage.decide_messages(work, batch)
        sending.write_ahead(work, batch)
        send = work.sqs.send

        def send_slowly(*given: Any, **named: Any) -> Any:
            outcomes = send(*given, **named)
            world.aws.clock.advance(LEASE.total_seconds() / 2)
            work.ledger.read_cases("dead_letters", ["anything"])  # an answer shows the time
            return outcomes

        monkeypatch.setattr(work.sqs, "send", send_slowly)
        sending.send_messages(work, batch)
    assert [bool(item.new_id) for item in batch.items] == [True, True, False]
    assert "ran out" in str(batch.items[2].failure)


def test_a_long_round_asks_the_log_in_parts(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part has its own look-up, with its own bounds in time and queries."""
    monkeypatch.setattr(consumer_logs, "ASKED_AT_ONCE", 2)
    pair = world.pair()
    ids = world.die(pair, [""] * 5)
    logs = world.aws.client("logs")
    logs.create_log_group(logGroupName="/shop/consumer")
    logs.create_log_stream(logGroupName="/shop/consumer", logStreamName="s")
    now = int(world.aws.clock.now().timestamp() * 1000)
    events = [{"timestamp": now, "message": f"ERROR message_id={message} {TIMEOUT}"} for message in ids]
    logs.put_log_events(logGroupName="/shop/consumer", logStreamName="s", logEvents=events)
    policy = POLICY.model_copy(update={"log_group": "/shop/consumer"})
    asked: list[int] = []
    with world.at_work(world.request(pair.dead, policy=policy)) as work:
        read = work.logs.read

        def counted(group: str, sought: Any, *given: Any) -> Any:
            asked.append(len(sought))
            return read(group, sought, *given)

        monkeypatch.setattr(work.logs, "read", counted)
        batch = world.received(work)
        triage.look_up(work, batch)
        triage.diagnose_messages(work, batch)
    assert asked == [2, 2, 1]
    assert [item.diagnosis.kind.value for item in batch.items if item.diagnosis] == ["TIMEOUT"] * 5


def test_a_slow_log_is_not_asked_for_ever(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the parts have taken as long as one look-up may, the other messages are left for a later run."""
    monkeypatch.setattr(consumer_logs, "ASKED_AT_ONCE", 2)
    pair = world.pair()
    world.die(pair, [""] * 5)
    world.aws.client("logs").create_log_group(logGroupName="/shop/consumer")
    policy = POLICY.model_copy(update={"log_group": "/shop/consumer"})
    with world.at_work(world.request(pair.dead, policy=policy)) as work:
        batch = world.received(work)
        triage.look_up(work, batch)
        seconds = iter([0.0, 0.0, SECONDS - 1, SECONDS])
        monkeypatch.setattr(work, "_monotonic", lambda: next(seconds))
        triage.diagnose_messages(work, batch)
    assert ["too slow" in item.pending for item in batch.items] == [False, False, False, False, True]
