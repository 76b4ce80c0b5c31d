"""Archived messages come back once their cause is fixed: unchanged, with all attempts again, and once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from flows.dead_letters import replay_archived_messages
from recovery.cases import State
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.failures import Kind
from tests.dead_letters_world import AUTH, BUG, ERROR, INVALID, TIMEOUT, DeadLettersWorld, text
from tests.orchestration.dead_letters_runs import artifacts, incomplete, replay

ONCE = DeadLetterPolicy.model_validate(
    {"error_attributes": [ERROR], "max_attempts": 1, "backoff": {"base_seconds": 1, "cap_seconds": 1}}
)


def test_a_replay_is_unchanged_marked_and_made_once(world: DeadLettersWorld) -> None:
    """Body and attributes as they were; the case says so; a second replay finds nothing to send."""
    pair = world.pair()
    raw = {"raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}, "tenant": text("blue")}
    ids = world.die(pair, [AUTH, AUTH, BUG], MessageBody="{{{{ message }}}} {n}", MessageAttributes=raw)
    world.recover(pair.dead)
    report = replay(queues=[pair.dead], kinds=[Kind.AUTH_FAILURE])
    assert report.by_action == {"replay": 2}
    assert sorted(world.bodies(pair.source)) == ["{{ message }} 0", "{{ message }} 1"]
    [first, *_] = world.sqs.receive_message(QueueUrl=world.url(pair.source), MessageAttributeNames=["All"])["Messages"]
    assert first["MessageAttributes"] == {**raw, ERROR: text(AUTH)}
    assert world.states(pair.dead) == {"replayed": 2, "sent": 2, "parked": 1}
    cases = world.cases(pair.dead)
    for old in ids[:2]:
        assert cases[cases[old].detail["next"]].attempts == 0
    assert replay(queues=[pair.dead], kinds=[Kind.AUTH_FAILURE]).found == 0
    assert world.replay(message_ids=ids[:2]).found == 0


def test_a_replay_has_all_attempts_again(world: DeadLettersWorld) -> None:
    """An exhausted message is tried anew, and is exhausted again when it comes back as often."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    for _ in range(2):
        world.recover(pair.dead, policy=ONCE)
        world.aws.clock.advance(2)
        world.fail(pair.source)
    assert world.states(pair.dead)["exhausted"] == 1
    replay(queues=[pair.dead])
    world.fail(pair.source)
    assert world.recover(pair.dead, policy=ONCE).by_action == {"heal": 1}
    world.aws.clock.advance(2)
    world.fail(pair.source)
    assert world.recover(pair.dead, policy=ONCE).by_action == {"alert": 1}
    assert world.states(pair.dead)["exhausted"] == 1


def test_a_dry_replay_changes_nothing(world: DeadLettersWorld) -> None:
    """It says what would go where."""
    pair = world.pair()
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    before = world.items()
    report = replay(queues=[pair.dead], dry_run=True)
    assert report.by_action == {"replay": 1}
    assert report.groups[0].reason == f"would go back to {pair.source}"
    assert world.items() == before
    assert world.bodies(pair.source) == []


def test_messages_are_chosen_by_what_people_know(world: DeadLettersWorld) -> None:
    """Queue (name or glob), kind, group, message id, time; together they narrow; nothing named, nothing sent."""
    orders, other = world.pair("orders"), world.pair("other")
    early = world.die(orders, [AUTH, BUG])
    world.die(other, [AUTH])
    world.recover(orders.dead, other.dead)
    middle = world.aws.clock.advance(3600)
    world.aws.clock.advance(60)
    world.die(orders, [AUTH], MessageBody="late")
    world.recover(orders.dead)
    [group] = {case.group for case in world.cases(other.dead).values()}

    def chosen(**fields: Any) -> int:
        return world.replay(dry_run=True, **fields).found

    assert chosen() == 0
    assert chosen(queues=["orders-*"]) == 3
    assert chosen(queues=[orders.dead]) == 3
    assert chosen(queues=["orders"]) == 0
    assert chosen(kinds=["AUTH_FAILURE"]) == 3
    assert chosen(kinds=["AUTH_FAILURE"], queues=[orders.dead]) == 2
    assert chosen(groups=[group]) == 3
    assert chosen(groups=[group], queues=[other.dead]) == 1
    assert chosen(message_ids=early) == 2
    assert chosen(message_ids=early, kinds=["CODE_BUG"]) == 1
    assert chosen(first_seen_from=middle) == 1
    assert chosen(first_seen_until=middle) == 3
    assert chosen(first_seen_until=middle - timedelta(days=1), queues=["*"]) == 0
    assert chosen(queues=["*"], limit=2) == 2


def test_two_replays_at_once_send_each_message_once(world: DeadLettersWorld) -> None:
    """Each message is claimed before it is sent."""
    pair = world.pair()
    world.die(pair, [AUTH] * 30)
    world.recover(pair.dead)
    request = ReplayRequest(queues=(pair.dead,), dry_run=False)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: replay_archived_messages(request, return_state=True), range(2)))
    assert len(world.bodies(pair.source)) == 30
    assert max(Counter(world.bodies(pair.source)).values()) == 1
    assert world.states(pair.dead) == {"replayed": 30, "sent": 30}


def test_messages_of_other_targets_need_a_destination(world: DeadLettersWorld) -> None:
    """Without one, or their own function, they stay where they are, and the report says what to name."""
    dead, target = world.queue("lambda-dlq"), world.queue("by-hand")
    error = "Task timed out after 3.00 seconds"
    lambda_error = {"RequestID": text("r"), "ErrorCode": text("200"), "ErrorMessage": text(error)}
    world.send(dead, [{"MessageBody": '{"event": 1}', "MessageAttributes": lambda_error}])
    world.recover(dead)
    assert world.states(dead) == {"waiting": 1}
    state = replay_archived_messages(ReplayRequest(queues=(dead,), dry_run=False), return_state=True)
    assert "no function has this queue as its dead-letter queue" in incomplete(state).groups[0].reason
    assert world.states(dead) == {"waiting": 1}
    replay(queues=[dead], destination=target)
    assert world.bodies(target) == ['{"event": 1}']


def test_a_replay_that_is_refused_leaves_the_messages_for_the_next(world: DeadLettersWorld) -> None:
    """Nothing was sent, so the claims are given back at once; the report says why, and then the run fails."""
    pair = world.pair()
    world.die(pair, [AUTH, AUTH])
    world.recover(pair.dead)
    for rule in ({"code": "AccessDenied", "status": 403}, {"code": "RequestThrottled", "status": 403}):
        world.aws.fault("error", service="sqs", operation="SendMessageBatch", times=None, **rule)
        state = replay_archived_messages(ReplayRequest(queues=(pair.dead,), dry_run=False), return_state=True)
        world.aws.lift_faults()
        assert incomplete(state).unsettled == 2
        assert {artifact.key for artifact in artifacts(state)} == {
            "dead-letters-replay",
            "dead-letters-replay-groups",
        }
        assert world.states(pair.dead) == {"parked": 2}
        assert world.open_intents(pair.dead) == 0
    assert replay(queues=[pair.dead]).by_action == {"replay": 2}


@pytest.mark.parametrize("service", ["sqs", "dynamodb"])
def test_a_replay_whose_end_is_not_known_is_reported(world: DeadLettersWorld, service: str) -> None:
    """An answer to the send was lost, or the ledger failed after it: the claim runs out, then it is sent once more."""
    pair = world.pair()
    [message] = world.die(pair, [AUTH])
    world.recover(pair.dead)
    if service == "sqs":
        world.aws.fault("lose_ack", service="sqs", operation="SendMessageBatch")
    else:
        denied = {"code": "AccessDeniedException", "status": 400}
        world.aws.fault("error", service="dynamodb", operation="BatchWriteItem", after=1, times=None, **denied)
    state = replay_archived_messages(ReplayRequest(queues=(pair.dead,), dry_run=False), return_state=True)
    world.aws.lift_faults()
    assert incomplete(state).unsettled == 1
    assert world.cases(pair.dead)[message].state is State.REPLAYING
    assert world.replay(queues=[pair.dead]).found == 0, "claimed"
    world.aws.clock.advance(601)
    assert replay(queues=[pair.dead]).by_action == {"replay": 1}
    assert len(world.bodies(pair.source)) == 2
    assert world.states(pair.dead) == {"replayed": 1, "sent": 1}


def test_an_archive_object_that_is_gone(world: DeadLettersWorld) -> None:
    """Its messages are reported as not replayed; messages of other objects go on."""
    pair = world.pair()
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    s3 = world.aws.client("s3")
    for item in s3.list_objects_v2(Bucket=world.bucket, Prefix="archive/")["Contents"]:
        s3.delete_object(Bucket=world.bucket, Key=item["Key"])
    world.die(pair, [AUTH], MessageBody="second")
    world.recover(pair.dead)
    state = replay_archived_messages(ReplayRequest(queues=(pair.dead,), dry_run=False), return_state=True)
    report = incomplete(state)
    assert (report.by_action, report.unsettled) == ({"replay": 1}, 1)
    assert world.bodies(pair.source) == ["second"]


def test_fifo_is_replayed_in_order_and_not_swallowed(world: DeadLettersWorld) -> None:
    """Group and order are kept; the deduplication id is none that a heal has used in the last minutes."""
    pair = world.pair(fifo=True)
    world.die(pair, [TIMEOUT] * 3, MessageBody="{n}", MessageGroupId="g")
    for _ in range(2):
        world.recover(pair.dead, policy=ONCE)
        world.fail(pair.source)
    assert world.states(pair.dead)["exhausted"] == 3
    assert replay(queues=[pair.dead]).by_action == {"replay": 3}
    assert world.bodies(pair.source) == ["0", "1", "2"]
    assert {message["group"] for message in world.aws.messages(pair.source)} == {"g"}


def test_a_review_archive_can_be_replayed(world: DeadLettersWorld) -> None:
    """A message archived for review goes back the same way, once its cause was fixed."""
    pair = world.pair()
    world.die(pair, [INVALID])
    world.recover(pair.dead)
    assert replay(queues=[pair.dead]).by_action == {"replay": 1}
