"""Faults between us and AWS: partial failures, lost answers, throttles, and death at every call."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from blocks.connection import Connection
from recovery.errors import Transient
from recovery.outbox_records import deliver
from simulated_aws.server import SimulatedAws
from tests.outbox_world import NO_PAUSE, OutboxWorld, play

pytestmark = pytest.mark.usefixtures("sdk_does_not_wait")


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws)


def partial(
    connection: Connection, code: str, positions: set[int], *, carried_out: bool = False, ours: bool = False
) -> None:
    """Let entries of the next PublishBatch come back in `Failed[]`; they are not sent unless `carried_out`."""
    client = connection.client("sns", repeat=False)
    held: list[dict[str, Any]] = []

    def take_out(params: dict[str, Any], **_: Any) -> None:
        if held:
            return
        entries = params["PublishBatchRequestEntries"]
        held.extend(entry for n, entry in enumerate(entries) if n in positions)
        if not carried_out:
            params["PublishBatchRequestEntries"] = [entry for n, entry in enumerate(entries) if n not in positions]

    def report(parsed: dict[str, Any], **_: Any) -> None:
        ids = {entry["Id"] for entry in held}
        parsed["Successful"] = [each for each in parsed["Successful"] if each["Id"] not in ids]
        parsed["Failed"] = [{"Id": each, "Code": code, "Message": "it failed", "SenderFault": ours} for each in ids]
        client.meta.events.unregister("after-call.sns.PublishBatch", report)

    client.meta.events.register("provide-client-params.sns.PublishBatch", take_out)
    client.meta.events.register("after-call.sns.PublishBatch", report)


def run_on(world: OutboxWorld, connection: Connection, **request: Any) -> Any:
    work = world.work(connection, **request)
    play(work)
    work.close()
    return work


def test_entries_that_failed_are_retried_and_the_others_finished(world: OutboxWorld) -> None:
    """Failed[] counts per entry: those rows wait out their backoff with one attempt, the others are Successful."""
    world.pending_many(10)
    connection = world.connection()
    partial(connection, "SomethingNew", {2, 5}, ours=True)
    run_on(world, connection)
    failed = {identity: row for identity, row in world.rows().items() if row["status"] == "Failure"}
    assert len(failed) == 2
    assert {row["outbox_attempts"] for row in failed.values()} == {"1"}
    assert len(world.delivered()) == 8
    assert world.run().found == 0
    world.later(31)
    world.run()
    assert set(world.statuses().values()) == {"Successful"}
    assert len(world.delivered()) == 10


def test_an_entry_that_failed_for_the_moment_is_sent_again_at_once(world: OutboxWorld) -> None:
    """SNS's own trouble with single messages is repeated after a pause, and costs no row an attempt more."""
    world.pending_many(10)
    connection = world.connection()
    partial(connection, "InternalError", {2, 5})
    run_on(world, connection)
    assert {(row["status"], row["outbox_attempts"]) for row in world.rows().values()} == {("Successful", "1")}
    assert len(world.delivered()) == 10


def test_a_failed_entry_of_a_broken_topic_opens_the_circuit(world: OutboxWorld) -> None:
    """An entry that fails for its topic costs no attempt, whatever became of the others in its batch."""
    world.pending_many(10)
    connection = world.connection()
    partial(connection, "KMSDisabled", {0})
    run_on(world, connection)
    [row] = [row for row in world.rows().values() if row["status"] != "Successful"]
    assert (row["status"], row["outbox_attempts"]) == ("Failure", "0")
    assert world.alerts() == ["Outbox: the topic orders takes nothing"]


def test_the_attempts_of_a_row_end_with_its_bound(world: OutboxWorld) -> None:
    """Ten attempts with growing waits, then Exhausted with an alert; the waits are the policy's."""
    world.pending("a")
    waits = []
    for attempt in range(1, 11):
        world.aws.fault(
            "partial", service="sns", operation="PublishBatch", code="SomethingNew", status=400, entries=(0,)
        )
        work = run_on(world, world.connection())
        row = world.row("a")
        assert row["outbox_attempts"] == str(attempt)
        if attempt < 10:
            assert row["status"] == "Failure"
            waits.append(int(row["outbox_next_attempt"]) - work.now().timestamp())
            world.later(waits[-1] + 1)
    assert row["status"] == "Exhausted"
    assert len(world.alerts()) == 1
    assert waits == pytest.approx([30, 60, 120, 240, 480, 960, 1920, 3600, 3600], abs=3)
    assert world.run().found == 0


def test_a_lost_answer_is_the_declared_window(world: OutboxWorld) -> None:
    """A publish whose answer was not read counts as an attempt and is sent again: twice, with the same row id."""
    world.pending_many(3)
    world.aws.fault("lose_ack", service="sns", operation="PublishBatch", times=1)
    world.run()
    rows = world.rows().values()
    assert {(row["status"], row["outbox_attempts"]) for row in rows} == {("Failure", "1")}
    world.later(31)
    world.run()
    ids = Counter(envelope["MessageAttributes"]["outbox_row_id"]["Value"] for envelope in world.delivered())
    assert ids == {"row-0": 2, "row-1": 2, "row-2": 2}
    assert set(world.statuses().values()) == {"Successful"}


def test_the_sdk_never_repeats_a_publish(world: OutboxWorld) -> None:
    """A time-out after the effect is one request: the client's own retries are off."""
    world.pending("a")
    connection = world.connection()
    client = connection.client("sns", repeat=False)

    def times_out(**_: Any) -> None:
        client.meta.events.unregister("after-call.sns.PublishBatch", times_out)
        raise ReadTimeoutError(endpoint_url="http://sns")

    client.meta.events.register("after-call.sns.PublishBatch", times_out)
    world.aws.clear_requests()
    run_on(world, connection)
    assert world.aws.request_counts()["sns:PublishBatch"] == 1
    assert world.row("a")["outbox_error_kind"] == "TIMEOUT"


def test_unread_answers_open_the_circuit(world: OutboxWorld) -> None:
    """Three publishes in a row without an answer stop the sends: an outage must not cost every row an attempt."""
    world.pending_many(200)
    world.aws.fault("error", service="sns", operation="PublishBatch", code="InternalError", status=500, times=None)
    work = world.work(threads=1)
    play(work)
    work.close()
    attempts = Counter(row["outbox_attempts"] for row in world.rows().values())
    assert attempts == {"0": 170, "1": 30}
    assert set(world.statuses().values()) == {"Failure"}
    assert world.alerts() == ["Outbox: the topic orders takes nothing"]
    world.aws.lift_faults()
    world.later(61)
    world.run()
    world.later(61)
    world.run()
    assert set(world.statuses().values()) == {"Successful"}


def nine_and_a_bad_one(world: OutboxWorld) -> None:
    """Ten rows of one batch, which SNS refuses whole for what stands in one of them."""
    world.pending_many(9)
    world.pending("bad", "BAD")
    world.aws.fault(
        "error",
        service="sns",
        operation="PublishBatch",
        containing="BAD",
        code="InvalidParameter",
        message="Invalid parameter: Message Reason: not valid",
        status=400,
        times=None,
    )


def test_a_batch_with_one_bad_message_is_split(world: OutboxWorld) -> None:
    """A whole batch refused for what stands in one message: that row is exhausted, the other nine go out."""
    nine_and_a_bad_one(world)
    world.run()
    assert Counter(world.statuses().values()) == {"Successful": 9, "Exhausted": 1}
    assert world.row("bad")["status"] == "Exhausted"
    assert len(world.delivered()) == 9


def test_a_slow_answer_uses_up_the_lease_of_those_behind_it(world: OutboxWorld) -> None:
    """A batch that is split asks for its lease before each message: what cannot be sent in time goes back untried."""
    nine_and_a_bad_one(world)
    connection = world.connection()
    client = connection.client("sns", repeat=False)

    def takes_long(**_: Any) -> None:
        client.meta.events.unregister("before-send.sns.PublishBatch", takes_long)
        world.aws.clock.advance(270)

    client.meta.events.register("before-send.sns.PublishBatch", takes_long)
    work = world.work(connection)
    work.table.describe()
    found = deliver.find_due(work)
    deliver.claim(work, found)
    deliver.send(work, found)
    deliver.mark(work, found)
    work.close()
    assert world.delivered() == []
    assert Counter(world.statuses().values()) == {"Pending": 10}
    assert {str(world.row(each)["outbox_attempts"]) for each in world.statuses()} == {"0"}
    world.run()
    assert Counter(world.statuses().values()) == {"Successful": 9, "Exhausted": 1}


def test_a_key_that_the_index_shows_twice_is_one_row(world: OutboxWorld) -> None:
    """A row that moves while the index is read may stand on two pages; DynamoDB refuses a read with one key twice."""
    world.pending("a")
    connection = world.connection()

    def twice(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Items"] *= 2

    connection.client("dynamodb").meta.events.register("after-call.dynamodb.Query", twice)
    run_on(world, connection)
    assert world.statuses() == {"a": "Successful"}
    assert len(world.delivered()) == 1


@pytest.mark.parametrize("operation", ["BatchExecuteStatement", "BatchGetItem", "Query"])
def test_lost_answers_of_the_table_change_nothing(world: OutboxWorld, operation: str) -> None:
    """A claim or mark whose first answer was lost is recognised as our own: each row is published once."""
    world.pending_many(30)
    for after in range(3):
        world.aws.fault("lose_ack", service="dynamodb", operation=operation, times=1, after=after, containing="orders")
    world.run()
    assert set(world.statuses().values()) == {"Successful"}
    assert len(world.delivered()) == 30


def test_a_throttled_statement_is_repeated_alone(world: OutboxWorld) -> None:
    """Single statements of a batch that were throttled are resubmitted; the others are not."""
    world.pending_many(25)
    connection = world.connection()
    client = connection.client("dynamodb")
    sent: list[int] = []

    def throttle(parsed: dict[str, Any], **_: Any) -> None:
        if len(sent) == 1:
            parsed["Responses"][3] = {"Error": {"Code": "ThrottlingError", "Message": "slow down"}}

    def count(params: dict[str, Any], **_: Any) -> None:
        sent.append(len(params["Statements"]))

    client.meta.events.register("provide-client-params.dynamodb.BatchExecuteStatement", count)
    client.meta.events.register("after-call.dynamodb.BatchExecuteStatement", throttle)
    run_on(world, connection)
    # The claim of one row, which was carried out although it was called throttled, is made again and recognised.
    assert sent == [25, 1, 25]
    assert set(world.statuses().values()) == {"Successful"}


def test_a_statement_that_stays_refused_leaves_its_row(world: OutboxWorld) -> None:
    """One row whose claim is refused for good is left as it is and reported; the others go out."""
    world.pending_many(3)
    connection = world.connection()

    def refuse(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Responses"][0] = {"Error": {"Code": "AccessDenied", "Message": "no"}}
        connection.client("dynamodb").meta.events.unregister("after-call.dynamodb.BatchExecuteStatement", refuse)

    connection.client("dynamodb").meta.events.register("after-call.dynamodb.BatchExecuteStatement", refuse)
    work = run_on(world, connection)
    assert work.tally.unsettled == 1
    assert len(world.delivered()) == 2


def test_marks_that_cannot_be_written_are_kept_for_later(world: OutboxWorld) -> None:
    """Published rows whose mark fails keep it prepared: `mark` writes it again, and nothing is published twice."""
    world.pending_many(3)
    work = world.work()
    work.table.describe()
    found = deliver.find_due(work)
    deliver.claim(work, found)
    world.aws.fault(
        "error",
        service="dynamodb",
        operation="BatchExecuteStatement",
        code="ThrottlingException",
        status=400,
        times=None,
    )
    deliver.send(work, found)
    assert len(world.delivered()) == 3
    assert found.to_mark == 3
    with pytest.raises(Transient):
        deliver.mark(work, found)
    world.aws.lift_faults()
    deliver.mark(work, found)
    work.close()
    assert set(world.statuses().values()) == {"Successful"}
    assert world.run().found == 0


# -- death at every call -------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def kill_at(connection: Connection, number: int) -> None:
    """End the process before the answer to its n-th request is read.

    For AWS that is the same as an end before the next request leaves; `proof.crash` plays both with SIGKILL.
    """
    made = [0]

    def count(**_: Any) -> None:
        made[0] += 1
        if made[0] == number:
            raise Killed

    for service, repeat in (("dynamodb", True), ("sns", False), ("cloudwatch", False)):
        connection.client(service, repeat=repeat).meta.events.register("after-call", count)


def publishes(connection: Connection) -> int:
    return connection.requests.by_operation().get(("sns", "PublishBatch"), 0)


def test_no_row_is_lost_wherever_a_worker_dies(world: OutboxWorld) -> None:
    """For every request of a run: die there, and the next run after the lease completes the work.

    Only rows whose publish was under way may arrive twice; poison rows are exhausted and reported.
    """
    number, last = 0, False
    while not last:
        number += 1
        rows = {f"{number}-{n}" for n in range(4)}
        for n, identity in enumerate(sorted(rows)):
            world.pending(identity, identity, shard=n % 2)
        world.pending(f"{number}-bad", "", shard=0)
        connection = world.connection()
        kill_at(connection, number)
        work = world.work(connection, threads=1, shards=2)
        try:
            play(work)
            last = True
        except Killed:
            pass
        died_while_sending = publishes(connection)
        work.close()
        world.later(3_700)
        world.run(shards=2)
        arrived = Counter(text for text in world.delivered_texts() if text.startswith(f"{number}-"))
        assert set(arrived) == rows, f"lost at request {number}"
        if not died_while_sending:
            assert set(arrived.values()) == {1}, f"published twice at request {number}"
        assert max(arrived.values()) <= 2
        statuses = {key: value for key, value in world.statuses().items() if key.startswith(f"{number}-")}
        assert statuses.pop(f"{number}-bad") == "Exhausted"
        assert set(statuses.values()) == {"Successful"}
    assert number > 10


@pytest.mark.parametrize("seed", range(6))
def test_whatever_fails_everything_arrives(world: OutboxWorld, seed: int) -> None:
    """Random faults on random requests for some runs, then peace: every row arrived and is finished."""
    chance = random.Random(seed)
    world.pending_many(60)
    kinds: list[Callable[[], dict[str, Any]]] = [
        lambda: {"kind": "error", "code": "ThrottlingException", "status": 400, "operation": "BatchExecuteStatement"},
        lambda: {"kind": "error", "code": "InternalServerError", "status": 500, "operation": "BatchGetItem"},
        lambda: {"kind": "error", "code": "Throttled", "status": 429, "operation": "PublishBatch"},
        lambda: {"kind": "error", "code": "NotFound", "status": 404, "operation": "PublishBatch"},
        lambda: {"kind": "lose_ack", "operation": chance.choice(["BatchExecuteStatement", "Query", "GetItem"])},
        lambda: {"kind": "refuse_connection", "operation": chance.choice(["PublishBatch", "BatchExecuteStatement"])},
        lambda: {"kind": "partial", "operation": "PublishBatch", "code": "InternalError", "entries": (0, 3)},
    ]
    for _ in range(5):
        for _ in range(4):
            rule = chance.choice(kinds)()
            world.aws.fault(**rule, times=chance.randrange(1, 5), after=chance.randrange(6))
        with contextlib.suppress(Transient):  # a run that could not begin, or read; the flow reports it
            world.run(policy=NO_PAUSE.model_copy(update={"max_attempts": 50}))
        world.later(400)
    world.aws.lift_faults()
    for _ in range(3):
        world.later(3_700)
        world.run(policy=NO_PAUSE.model_copy(update={"max_attempts": 50}))
    arrived = Counter(envelope["MessageAttributes"]["outbox_row_id"]["Value"] for envelope in world.delivered())
    assert set(arrived) == {f"row-{n}" for n in range(60)}
    assert set(world.statuses().values()) == {"Successful"}
    assert not any("outbox_line" in row for row in world.rows().values())
