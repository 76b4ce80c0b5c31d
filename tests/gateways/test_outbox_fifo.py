"""FIFO topics: each group keeps the order of its sequence, and nothing passes a row that stays behind."""

from __future__ import annotations

import random
from typing import Any

import pytest

from recovery.errors import BadInput, OutcomeUnknown, RepriseError, Transient
from recovery.outbox_records import deliver
from recovery.outbox_records.models import Fault, NotSent
from simulated_aws.server import SimulatedAws
from tests.outbox_world import NO_PAUSE, OutboxWorld, play

SKIP = NO_PAUSE.model_copy(update={"exhausted_head": "skip"})


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws, ordered=True)


def by_group(world: OutboxWorld) -> dict[str, list[str]]:
    """Return the messages that arrived, by group, in the order of the queue."""
    found: dict[str, list[str]] = {}
    for text in world.delivered_texts():
        found.setdefault(text.partition("-")[0], []).append(text)
    return found


def test_groups_keep_their_order(world: OutboxWorld) -> None:
    """Rows written in any order, in any partition, with any due times, arrive in the order of their sequence."""
    chance = random.Random(7)
    rows = [(group, n) for group in "abcd" for n in range(40)]
    chance.shuffle(rows)
    for group, n in rows:
        world.ordered_row(f"{group}-{n}", group, n, shard=chance.randrange(8), due=chance.randrange(1, 1_000))
    world.run()
    assert by_group(world) == {group: [f"{group}-{n}" for n in range(40)] for group in "abcd"}
    assert set(world.statuses().values()) == {"Successful"}
    assert not any("outbox_group" in row for row in world.rows().values())


def test_one_entry_of_a_group_in_a_batch(world: OutboxWorld) -> None:
    """A batch fails per entry and order would break: no PublishBatch holds two messages of one group."""
    for group in "abc":
        for n in range(5):
            world.ordered_row(f"{group}-{n}", group, n)
    work = world.work()
    batches: list[list[str]] = []
    publish = work.topic.publish

    def watched(messages: Any, *rest: Any) -> Any:
        batches.append([message.group for message in messages])
        return publish(messages, *rest)

    work.topic.publish = watched  # type: ignore[method-assign, assignment]
    play(work)
    work.close()
    assert len(batches) == 5
    assert all(len(set(batch)) == len(batch) == 3 for batch in batches)


def test_a_failed_head_holds_its_group_back(world: OutboxWorld) -> None:
    """The rows behind it keep their state and attempts; the other groups go out; later all follow in order."""
    for group in "ab":
        for n in range(3):
            world.ordered_row(f"{group}-{n}", group, n)
    work = world.work(threads=1)
    fail_once(work, "a-1")
    play(work)
    work.close()
    assert by_group(world) == {"a": ["a-0"], "b": ["b-0", "b-1", "b-2"]}
    assert world.row("a-1")["status"] == "Failure"
    assert (world.row("a-2")["status"], world.row("a-2")["outbox_attempts"]) == ("Pending", "0")
    world.run()
    assert by_group(world)["a"] == ["a-0"], "a row passed one that waits out its backoff"
    world.later(31)
    world.run()
    assert by_group(world)["a"] == ["a-0", "a-1", "a-2"]


def fail_once(work: Any, text: str, error: str = "InternalError: Internal error") -> None:
    """Let one publish of a message fail without being carried out."""
    publish = work.topic._publish
    done: list[str] = []

    def failing(messages: Any, *rest: Any) -> Any:
        bad = [message for message in messages if message.body == text and not done]
        if not bad:
            return publish(messages, *rest)
        done.append(text)
        good = iter(
            publish([message for message in messages if message not in bad], *rest) if len(messages) > 1 else []
        )
        failed = NotSent(Fault.ROW, error.partition(":")[0], error)
        return [failed if message in bad else next(good) for message in messages]

    work.topic._publish = failing


def test_an_exhausted_head_holds_its_group_until_a_person_decides(world: OutboxWorld) -> None:
    """hold: people are notified, the group waits, and goes on in order after the head was revived or removed."""
    for group in "ab":
        for n in range(3):
            world.ordered_row(f"{group}-{n}", group, n)
    world.ordered_row("a-0", "a", 0, message="x" * 300_000)
    report = world.run()
    assert by_group(world) == {"b": ["b-0", "b-1", "b-2"]}
    assert world.row("a-0")["status"] == "Exhausted"
    assert world.row("a-0")["outbox_group"] == "a"
    assert len(world.alerts()) == 1
    assert report.by_action == {"deliver": 3, "exhaust": 1, "wait": 1}
    world.dynamodb.delete_item(TableName="orders-outbox", Key={"id": {"S": "a-0"}})
    world.run()
    assert by_group(world)["a"] == ["a-1", "a-2"]


def test_a_revived_head_goes_first(world: OutboxWorld) -> None:
    """A held head that was fixed and revived goes out before the rows that waited for it."""
    for n in range(3):
        world.ordered_row(f"a-{n}", "a", n)
    world.ordered_row("a-0", "a", 0, message="x" * 300_000)
    world.run()
    world.dynamodb.update_item(
        TableName="orders-outbox",
        Key={"id": {"S": "a-0"}},
        UpdateExpression="SET message = :m",
        ExpressionAttributeValues={":m": {"S": "a-0"}},
    )
    assert world.run(mode="revive").by_action == {"revive": 1}
    world.run()
    assert by_group(world)["a"] == ["a-0", "a-1", "a-2"]


def test_skip_passes_over_an_exhausted_head(world: OutboxWorld) -> None:
    """skip: the rows behind go out in order, whether the head was exhausted now or by an earlier run that held."""
    for n in range(3):
        world.ordered_row(f"a-{n}", "a", n)
    world.ordered_row("a-1", "a", 1, message="x" * 300_000)
    world.run(policy=SKIP)
    assert by_group(world) == {"a": ["a-0", "a-2"]}
    world.ordered_row("b-0", "b", 0, message="x" * 300_000)
    world.ordered_row("b-1", "b", 1)
    world.run()
    assert "b" not in by_group(world)
    world.run(policy=SKIP)
    assert by_group(world)["b"] == ["b-1"]


def test_a_message_refused_for_good_obeys_the_policy_too(world: OutboxWorld) -> None:
    """Refused by SNS itself in the middle of a chain: hold stops the chain there, skip goes on."""
    for group in "ab":
        for n in range(3):
            world.ordered_row(f"{group}-{n}", group, n)
    work = world.work(threads=1)
    fail_once(work, "a-1", "InvalidParameter: Invalid parameter: Message too long")
    play(work)
    work.close()
    assert world.row("a-1")["status"] == "Exhausted"
    assert by_group(world)["a"] == ["a-0"]
    work = world.work(threads=1, policy=SKIP)
    play(work)
    work.close()
    assert by_group(world)["a"] == ["a-0", "a-2"]


def test_the_same_row_has_the_same_deduplication_id(world: OutboxWorld) -> None:
    """An answer that was lost is sent again with the same id, so the topic delivers one message."""
    world.ordered_row("a-0", "a", 0)
    world.aws.fault("lose_ack", service="sns", operation="PublishBatch", times=1)
    world.run()
    assert world.row("a-0")["status"] == "Failure"
    world.later(31)
    world.run()
    assert world.row("a-0")["status"] == "Successful"
    assert world.delivered_texts() == ["a-0"]


def test_a_deduplication_id_of_the_row_is_used(world: OutboxWorld) -> None:
    """Two rows with one id of their own are one message."""
    world.ordered_row("a-0", "a", 0, deduplication="same")
    world.ordered_row("a-1", "a", 1, deduplication="same")
    world.run()
    assert world.delivered_texts() == ["a-0"]


def test_rows_that_have_no_place_in_the_order(world: OutboxWorld) -> None:
    """Without a group or a sequence a row is exhausted; one that is not in its group's index yet enters it."""
    world.pending("nowhere", sequence=1)
    world.pending("no-sequence", group="a", outbox_group="a")
    world.pending("not-indexed", "a-7", group="a", sequence=7)
    world.ordered_row("a-8", "a", 8)
    world.run()
    assert world.statuses() == {
        "nowhere": "Exhausted",
        "no-sequence": "Exhausted",
        "not-indexed": "Successful",
        "a-8": "Successful",
    }


def test_a_worker_gives_back_what_it_claimed_behind_another(world: OutboxWorld) -> None:
    """Another worker has the head: what was claimed behind it is given back as it was, and not sent."""
    for n in range(3):
        world.ordered_row(f"a-{n}", "a", n)
    first, second = world.work(), world.work()
    first.table.describe()
    second.table.describe()
    ours, theirs = deliver.find_due(first), deliver.find_due(second)
    theirs.candidates = theirs.candidates[:1]
    deliver.claim(second, theirs)
    deliver.claim(first, ours)
    deliver.send(first, ours)
    assert world.delivered_texts() == []
    assert {world.row(f"a-{n}")["status"] for n in (1, 2)} == {"Pending"}
    deliver.send(second, theirs)
    assert world.delivered_texts() == ["a-0"]
    for work in (first, second):
        work.close()


def test_an_ordered_outbox_needs_its_names_and_its_index(world: OutboxWorld) -> None:
    """Without group, sequence or the group index the request is refused in one line."""
    for names, index, text in (
        ({"sequence": "sequence"}, "outbox-groups", "needs names.group and names.sequence"),
        ({"group": "group", "sequence": "sequence"}, "missing", "no index 'missing'"),
        ({"group": "group", "sequence": "other"}, "outbox-groups", "another key"),
    ):
        with pytest.raises(BadInput, match=text):
            world.run(names=names, group_index=index)


def test_young_rows_wait_for_the_index(world: OutboxWorld) -> None:
    """A row younger than the settle time is not taken up: what is before it may not be in the index yet."""
    now = int(world.work().now().timestamp())
    world.ordered_row("a-0", "a", 0, due=now)
    settling = NO_PAUSE.model_copy(update={"fifo_settle_seconds": 30})
    assert world.run(policy=settling).found == 0
    world.later(31)
    assert world.run(policy=settling).by_action == {"deliver": 1}


def test_a_probe_of_an_ordered_topic_is_one_row(world: OutboxWorld) -> None:
    """An open circuit is probed with the head of one group; then everything follows in order."""
    for group in "ab":
        for n in range(3):
            world.ordered_row(f"{group}-{n}", group, n)
    world.sns.delete_topic(TopicArn=world.topic_arn)
    world.run()
    assert {row["outbox_attempts"] for row in world.rows().values()} <= {"0"}
    world.subscribe()
    world.later(61)
    world.run()
    assert by_group(world) == {group: [f"{group}-{n}" for n in range(3)] for group in "ab"}


def test_a_busy_group_keeps_no_other_waiting(world: OutboxWorld) -> None:
    """Of one group with many rows and some with one each, all get their turn in the first run."""
    for n in range(120):
        world.ordered_row(f"a-{n:03}", "a", n, shard=n % 8)
    for group in "bcd":
        world.ordered_row(f"{group}-0", group, 0, due=2_000)
    world.run(limit=60)
    found = by_group(world)
    assert {group: len(found[group]) for group in "bcd"} == {"b": 1, "c": 1, "d": 1}
    assert 20 <= len(found["a"]) <= 60
    world.run()
    assert by_group(world)["a"] == [f"a-{n:03}" for n in range(120)]


def claims_fail(work: Any, row_id: str, error: type[RepriseError] = Transient, *, carried_out: bool = False) -> None:
    """Let each call fail that claims this row among others."""
    change = work.table.change

    def failing(wanted: Any) -> Any:
        if any(one.key["id"]["S"] == row_id and "outbox_claim" in one.sets for one in wanted):
            if carried_out:
                change(wanted)
            raise error("dynamodb:BatchExecuteStatement: no answer", operation="dynamodb:BatchExecuteStatement")
        return change(wanted)

    work.table.change = failing


def test_order_holds_when_a_claim_call_fails(world: OutboxWorld) -> None:
    """Of the two calls that claim a round the first fails for good: no group goes out without its first row."""
    groups = "abcde"
    for group in groups:
        for n in range(7):
            world.ordered_row(f"{group}-{n}", group, n)
    work = world.work(limit=35)
    claims_fail(work, "a-0")
    report = play(work)
    assert report.failed
    for group, texts in by_group(world).items():
        assert texts[0] == f"{group}-0", "a row went out before the first of its group"
    world.later(400)
    world.run()
    assert by_group(world) == {group: [f"{group}-{n}" for n in range(7)] for group in groups}


def test_claims_whose_answers_are_lost_use_up_no_attempts(world: OutboxWorld) -> None:
    """Each claim was carried out and nobody knows: it is taken back, run after run, and the row goes out in the end."""
    world.ordered_row("a-0", "a", 0)
    for _ in range(4):
        work = world.work()
        claims_fail(work, "a-0", OutcomeUnknown, carried_out=True)
        play(work)
        row = world.row("a-0")
        assert (row["status"], row["outbox_attempts"]) == ("Pending", "0")
        assert "outbox_claim" not in row
    world.run()
    assert by_group(world) == {"a": ["a-0"]}


def test_a_head_with_a_foreign_status_is_reported(world: OutboxWorld) -> None:
    """Nobody but a person moves it: one alert, a warning, one entry with the number of rows behind it; skip passes."""
    for n in range(4):
        world.ordered_row(f"a-{n}", "a", n, **({"status": "Cancelled"} if n == 0 else {}))
    for _ in range(2):
        report = world.run()
        assert report.by_action == {"wait": 1}
        assert any("stand still" in warning for warning in report.warnings)
        world.later(600)
    assert world.alerts() == ["Outbox orders-outbox: FIFO groups stand still"]
    world.run(policy=SKIP)
    assert by_group(world) == {"a": ["a-1", "a-2", "a-3"]}
    assert world.row("a-0")["status"] == "Cancelled"


def test_rows_behind_a_held_head_cost_little(world: OutboxWorld) -> None:
    """Idle runs read a few of them, and report one line for the group with their number."""
    world.ordered_row("a-000", "a", 0, outbox_attempts=10)
    for n in range(1, 200):
        world.ordered_row(f"a-{n:03}", "a", n, shard=n % 8)
    world.run()
    work = world.work()
    report = play(work)
    assert work.rows_read <= 30 + 2 * 8
    assert report.by_action == {"wait": 1}
    [group] = report.groups
    assert "199 due rows of its group wait for it" in group.reason
