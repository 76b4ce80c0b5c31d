"""Replays under trouble: nothing is archived or sent twice, only what is asked for is read, and the page is kept."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from unittest import mock

import pytest

from recovery.archive import Archive
from recovery.dead_letters import claims, replay
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.send_intents import SIZE
from recovery.dead_letters.work import Work
from recovery.failures import Kind
from tests.dead_letters_world import AUTH, ERROR, INVALID, POLICY, TIMEOUT, DeadLettersWorld, Pair, text

CLAIM = claims.LEASE.total_seconds()


def parked(world: DeadLettersWorld, count: int, **pair: Any) -> tuple[Pair, list[str]]:
    """Messages of a queue in the archive."""
    made = world.pair(**pair)
    ids = world.die(made, [AUTH] * count)
    world.recover(made.dead)
    assert world.bodies(made.dead) == []
    return made, ids


def hears(work: Work) -> None:
    """A run that asks AWS anything knows its time."""
    work.ledger.read_record("x", "y")


def chosen(work: Work) -> claims.Part:
    hears(work)
    [part] = replay.choose(work)
    return part


def test_a_slow_replay_sends_nothing_that_another_may_hold(world: DeadLettersWorld) -> None:
    """Its claim ran out between the fetching and the sending; a second replay sends, and the first does not."""
    pair, ids = parked(world, 5)
    request = ReplayRequest(message_ids=tuple(ids), dry_run=False, time_limit_seconds=3_600)
    with world.at_work(request) as slow, world.at_work(request) as other:
        part = chosen(slow)
        claims.claim(slow, part)
        claims.fetch(slow, part)
        world.aws.clock.advance(CLAIM + 1)
        theirs = chosen(other)
        replay.replay_part(other, theirs)
        hears(slow)
        replay._send(slow, part)
        assert all("ran out" in str(one.failure) for one in part.chosen)
    assert Counter(Counter(world.bodies(pair.source)).values()) == {1: 5}


def test_two_replays_at_once_send_each_message_once(world: DeadLettersWorld) -> None:
    """Both have chosen the same messages; the claims decide, message by message."""
    pair, ids = parked(world, 12)
    request = ReplayRequest(message_ids=tuple(ids), dry_run=False)
    with world.at_work(request) as one, world.at_work(request) as other:
        first, second = chosen(one), chosen(other)
        claims.claim(one, first)
        replay.replay_part(other, second)
        claims.fetch(one, first)
        replay._send(one, first)
        assert all("another run" in str(item.failure) for item in second.chosen)
    assert Counter(Counter(world.bodies(pair.source)).values()) == {1: 12}


def test_a_big_replay_claims_and_holds_a_hundred_at_a_time(world: DeadLettersWorld) -> None:
    """No message is claimed long before it is sent, and no more bodies are in memory than one part's."""
    pair, _ = parked(world, 2 * SIZE + 30)
    held: list[int] = []
    states: list[int] = []
    fetch = claims.fetch

    def fetching(work: Work, part: claims.Part) -> None:
        fetch(work, part)
        held.append(sum(one.message is not None for one in part.chosen))
        states.append(world.states(pair.dead)["replaying"])

    with mock.patch.object(replay, "fetch", fetching):
        report = world.replay(queues=[pair.dead])
    assert report.unsettled == 0
    assert (held, max(states)) == ([SIZE, SIZE, 30], SIZE)


def test_a_replay_ends_at_its_time_limit(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest stays as it was, unclaimed, and the next one sends it."""
    pair, _ = parked(world, SIZE + 20)
    with monkeypatch.context() as patch:
        seen = iter([False] * (SIZE + 21))  # the search, and the first part
        patch.setattr(Work, "time_is_up", property(lambda _: next(seen, True)))
        report = world.replay(queues=[pair.dead])
    assert report.unsettled == 20
    assert len(world.bodies(pair.source)) == SIZE
    assert world.states(pair.dead)["replaying"] == 0
    assert world.replay(queues=[pair.dead]).unsettled == 0
    assert Counter(Counter(world.bodies(pair.source)).values()) == {1: SIZE + 20}


def test_only_what_is_asked_for_is_read(world: DeadLettersWorld) -> None:
    """Of three hundred messages of another queue none is read for the one of this queue."""
    big, one = world.pair("big"), world.pair("one")
    world.die(big, [INVALID] * 300)
    world.die(one, [AUTH])
    world.recover(big.dead, one.dead)
    world.aws.clear_requests()
    report = world.replay(queues=[one.dead])
    asked = world.aws.request_counts()
    assert (report.unsettled, len(world.bodies(one.source))) == (0, 1)
    assert asked["dynamodb:BatchGetItem"] <= 2
    assert asked["s3:GetObject"] == 1


def test_a_message_that_nobody_could_be_notified_of_is_archived_once(world: DeadLettersWorld) -> None:
    """The consumer sent it itself; SNS refuses, a person replays it, SNS is back: one copy, one send, no other case."""
    orders, dead = world.queue("orders"), world.queue("dlq")
    policy = DeadLetterPolicy(error_attributes=(ERROR,))
    for n in range(3):
        attributes = {ERROR: text(f"{AUTH} (request {n:08x})")}
        world.send(dead, [{"MessageBody": f'{{"order": {n}}}', "MessageAttributes": attributes}])
    world.aws.fault("error", service="sns", operation="Publish", code="AuthorizationError", status=403, times=None)
    for _ in range(3):
        world.recover(dead, policy=policy)
    assert (len(world.archived(dead)), len(world.bodies(dead))) == (3, 3)
    assert world.replay(queues=[dead], destination=orders).unsettled == 0
    world.aws.lift_faults()
    world.recover(dead, policy=policy)
    assert (len(world.archived(dead)), world.bodies(dead)) == (3, [])
    world.replay(queues=[dead], destination=orders)
    assert Counter(world.bodies(orders)) == {f'{{"order": {n}}}': 1 for n in range(3)}


def test_a_case_that_a_person_put_right_is_replayed(world: DeadLettersWorld) -> None:
    """They wrote the same JSON in another way: the claim goes by what stands there now."""
    pair, ids = parked(world, 1)
    [item] = [item for item in world.items() if item["pk"]["S"].endswith(ids[0])]
    item["data"] = {"S": json.dumps(json.loads(item["data"]["S"]), indent=1)}
    world.aws.client("dynamodb").put_item(TableName=world.table, Item=item)
    assert world.replay(message_ids=ids).unsettled == 0
    assert len(world.bodies(pair.source)) == 1


@pytest.mark.parametrize("asked", [{"destination": True}, {}])
def test_a_payload_that_scheduler_cut_is_never_replayed(world: DeadLettersWorld, asked: dict[str, bool]) -> None:
    """Half a payload is not the work; a person is shown where the whole one is."""
    orders, dead = world.queue("orders"), world.queue("dlq")
    given = {
        "SCHEDULE_ARN": "arn:aws:scheduler:eu-central-1:000000000000:schedule/default/nightly",
        "TARGET_ARN": "arn:aws:lambda:eu-central-1:000000000000:function:night",
        "ERROR_CODE": "AWS.Scheduler.InternalServerError",
        "ERROR_MESSAGE": "Unexpected error occurred while processing the request",
        "IS_PAYLOAD_TRUNCATED": "true",
    }
    attributes = {name: text(value) for name, value in given.items()}
    [message] = world.send(dead, [{"MessageBody": '{"half": "a pay', "MessageAttributes": attributes}])
    report = world.recover(dead, policy=DeadLetterPolicy(destination=orders))
    assert [group.rule for group in report.groups] == ["cut"]
    named: dict[str, Any] = {"destination": orders} if asked else {}
    report = world.replay(message_ids=[message], **named)
    assert (report.unsettled, world.bodies(orders)) == (1, [])
    assert "Scheduler cut" in report.groups[0].reason
    assert world.states(dead) == {"parked": 1}, "its claim was given back"


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_rescued_message_that_may_have_been_sent_says_so(world: DeadLettersWorld, confirmed: bool) -> None:
    """A person who replays it must know that a copy may be there already; what was never sent says nothing."""
    pair = world.pair(MessageRetentionPeriod="3600")
    world.die(pair, [TIMEOUT])
    fault: dict[str, Any] = {"service": "sqs", "operation": "SendMessageBatch", "times": None}
    world.aws.fault("error", code="RequestThrottled", status=403, **fault) if confirmed else world.aws.fault(
        "lose_ack", **fault
    )
    world.recover(pair.dead)
    world.aws.lift_faults()
    world.aws.clock.advance(3_300)
    report = world.recover(pair.dead, policy=POLICY)
    [record] = world.archived(pair.dead)
    case = world.cases(pair.dead)[record["message_id"]]
    assert case.state == "stale"
    assert ("may have been sent" in case.detail["step"]) is not confirmed
    assert report.unsettled == 0


def test_a_replay_reads_each_object_once(world: DeadLettersWorld) -> None:
    """Messages of two failures in one object: parts that follow each other take it from memory."""
    pair = world.pair()
    world.die(pair, [AUTH] * (SIZE + 50))
    world.recover(pair.dead)
    with mock.patch.object(Archive, "read_bundle", autospec=True, side_effect=Archive.read_bundle) as read:
        assert world.replay(kinds=[Kind.AUTH_FAILURE]).unsettled == 0
    assert read.call_count == 1
