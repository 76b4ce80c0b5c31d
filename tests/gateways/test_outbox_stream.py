"""The table's stream: new rows are put in line by the reader itself, once, and shards are followed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from recovery.errors import RepriseError, Transient
from recovery.outbox_records import stream
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.stream import Positions
from simulated_aws.server import SimulatedAws
from tests.outbox_world import NO_PAUSE, TABLE, OutboxWorld


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws)


def reader(world: OutboxWorld) -> tuple[Any, Positions]:
    client = world.aws.client("dynamodbstreams")
    arn = world.dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    positions = Positions(arn)
    stream.follow(client, positions)
    return client, positions


def test_a_new_row_is_put_in_line_and_delivered(world: OutboxWorld) -> None:
    """A row with nothing but its key and its message is served: the reader writes Pending and the index keys."""
    world.put({"id": "before", "message": "not seen by a new reader"})
    client, positions = reader(world)
    world.put({"id": "a", "message": "hello"})
    work = world.work()
    work.table.describe()
    records = stream.read(client, positions)
    enlisted = stream.enlist(work.table, work.request, records, work.now())
    assert (enlisted.inserted, enlisted.put_in_line) == (1, 1)
    assert world.row("a")["status"] == "Pending"
    assert "status" not in world.row("before")
    assert stream.earliest_due(work.table, work.request) is not None
    work.close()
    world.later(1)
    world.run()
    assert world.delivered_texts() == ["hello"]


def test_reading_the_same_records_again_changes_nothing(world: OutboxWorld) -> None:
    """The condition lets a row into the line once: a finished row is not put in line a second time."""
    client, positions = reader(world)
    world.put({"id": "a", "message": "hello"})
    work = world.work()
    work.table.describe()
    records = stream.read(client, positions)
    stream.enlist(work.table, work.request, records, work.now())
    world.later(1)
    world.run()
    again = stream.enlist(work.table, work.request, records, work.now())
    assert again.put_in_line == 0
    assert world.row("a")["status"] == "Successful"
    assert stream.earliest_due(work.table, work.request) is None
    work.close()


@pytest.mark.parametrize(("code", "refused"), [("ThrottlingError", None), ("ValidationError", {"ValidationError": 1})])
def test_a_statement_that_fails_within_its_batch(world: OutboxWorld, code: str, refused: Any) -> None:
    """DynamoDB reports most throttling row by row: that is an error, so that the reader keeps the rows in hand. A row
    that it refuses for its content stands in nobody's way, and is reported."""
    client, positions = reader(world)
    world.put({"id": "a", "message": "hello"})
    world.put({"id": "b", "message": "hello"})
    work = world.work()
    table = OutboxTable(world.dynamodb, work.request, pause=lambda _: None)
    table.describe()
    records = stream.read(client, positions)

    def fail(parsed: Any, **_: Any) -> None:
        parsed["Responses"][-1] = {"Error": {"Code": code, "Message": "words"}}

    name = "after-call.dynamodb.BatchExecuteStatement"
    world.dynamodb.meta.events.register(name, fail)
    try:
        if refused is None:
            with pytest.raises(Transient, match="1 new row"):
                stream.enlist(table, work.request, records, work.now())
        else:
            assert stream.enlist(table, work.request, records, work.now()).refused == refused
    finally:
        world.dynamodb.meta.events.unregister(name, fail)
        work.close()


def test_rows_of_the_template_and_other_items(world: OutboxWorld) -> None:
    """A row that came with a status only triggers; changes, removals and items without a message are not ours."""
    client, positions = reader(world)
    world.pending("ready")
    world.put({"id": "customer", "name": "somebody"})
    world.put({"id": "ready", "message": "changed", "status": "Pending"})
    world.dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": "customer"}})
    work = world.work()
    work.table.describe()
    enlisted = stream.enlist(work.table, work.request, stream.read(client, positions), work.now())
    work.close()
    assert (enlisted.inserted, enlisted.put_in_line, enlisted.others) == (1, 0, 1)


def test_a_grace_delays_the_first_attempt(world: OutboxWorld) -> None:
    """A service that publishes by itself has its time; when it has finished the row, nothing is published."""
    client, positions = reader(world)
    world.put({"id": "theirs", "message": "m"})
    world.put({"id": "forgotten", "message": "forgotten"})
    policy = NO_PAUSE.model_copy(update={"grace_seconds": 60})
    work = world.work(policy=policy)
    work.table.describe()
    stream.enlist(work.table, work.request, stream.read(client, positions), work.now())
    work.close()
    assert world.run(policy=policy).found == 0
    world.dynamodb.update_item(
        TableName=TABLE,
        Key={"id": {"S": "theirs"}},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "Successful"}},
    )
    world.later(61)
    assert world.run(policy=policy).by_action == {"deliver": 1, "tidy": 1}
    assert world.delivered_texts() == ["forgotten"]


def test_a_row_of_a_fifo_topic_enters_its_group(aws: SimulatedAws) -> None:
    """The reader copies the group, so that the group's index shows the row."""
    aws.create_estate()
    world = OutboxWorld(aws, ordered=True)
    client, positions = reader(world)
    for n in (1, 0):
        world.put({"id": f"a-{n}", "message": f"a-{n}", "group": "a", "sequence": n})
    work = world.work()
    work.table.describe()
    assert stream.enlist(work.table, work.request, stream.read(client, positions), work.now()).put_in_line == 2
    work.close()
    world.later(1)
    world.run()
    assert world.delivered_texts() == ["a-0", "a-1"]


ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"


def described(*shards: tuple[str, str, bool], **more: Any) -> dict[str, Any]:
    """A stream's description: shards as (id, parent, closed)."""
    listed = []
    for name, parent, closed in shards:
        shard: dict[str, Any] = {"ShardId": name, "SequenceNumberRange": {"StartingSequenceNumber": "1" * 21}}
        if parent:
            shard["ParentShardId"] = parent
        if closed:
            shard["SequenceNumberRange"]["EndingSequenceNumber"] = "2" * 21
        listed.append(shard)
    return {"StreamDescription": {"StreamArn": ARN, "Shards": listed, **more}}


def shard(number: int) -> str:
    return f"shardId-{number:020d}"


def test_children_are_read_after_their_parents(aws: SimulatedAws) -> None:
    """A new reader begins at the end of open shards; a child waits for its parent, and is read from its beginning."""
    client = aws.client("dynamodbstreams")
    positions = Positions(ARN)
    old, parent, child, orphan = map(shard, range(4))
    with Stubber(client) as stub:
        stub.add_response(
            "describe_stream",
            described((old, "", True), (parent, old, False), LastEvaluatedShardId=parent),
            {"StreamArn": ARN},
        )
        stub.add_response(
            "describe_stream",
            described((child, parent, False), (orphan, shard(9), False)),
            {"StreamArn": ARN, "ExclusiveStartShardId": parent},
        )
        for name in (parent, orphan):
            stub.add_response(
                "get_shard_iterator",
                {"ShardIterator": f"at-{name}"},
                {"StreamArn": ARN, "ShardId": name, "ShardIteratorType": "LATEST"},
            )
        stream.follow(client, positions)
        assert set(positions.iterators) == {parent, orphan}
        assert positions.done == {old}

        stub.add_response("get_records", {"Records": []}, {"ShardIterator": f"at-{parent}", "Limit": 1_000})
        stub.add_response(
            "get_records",
            {"Records": [], "NextShardIterator": "next"},
            {"ShardIterator": f"at-{orphan}", "Limit": 1_000},
        )
        assert stream.read(client, positions) == []
        assert parent in positions.done

        stub.add_response(
            "describe_stream",
            described((parent, old, True), (child, parent, False), (orphan, shard(9), False)),
            {"StreamArn": ARN},
        )
        stub.add_response(
            "get_shard_iterator",
            {"ShardIterator": "child"},
            {"StreamArn": ARN, "ShardId": child, "ShardIteratorType": "TRIM_HORIZON"},
        )
        stream.follow(client, positions)
        assert positions.iterators == {orphan: "next", child: "child"}
        assert positions.done == {parent}
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "last", "expected"),
    [
        (
            "ExpiredIteratorException",
            "5" * 21,
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "5" * 21},
        ),
        ("ExpiredIteratorException", "", {"ShardIteratorType": "TRIM_HORIZON"}),
        ("TrimmedDataAccessException", "5" * 21, {"ShardIteratorType": "TRIM_HORIZON"}),
    ],
)
def test_a_lost_place_is_found_again(aws: SimulatedAws, code: str, last: str, expected: dict[str, str]) -> None:
    """An expired iterator goes on after the last record; trimmed records are given up to the search for lost rows."""
    client = aws.client("dynamodbstreams")
    name = shard(1)
    positions = Positions(ARN, {name: "old"}, {name: last} if last else {})
    with Stubber(client) as stub:
        stub.add_client_error("get_records", code)
        stub.add_response(
            "get_shard_iterator", {"ShardIterator": "new"}, {"StreamArn": ARN, "ShardId": name, **expected}
        )
        assert stream.read(client, positions) == []
        assert positions.iterators == {name: "new"}
        stub.assert_no_pending_responses()


def test_what_was_read_is_kept_when_another_shard_cannot_be_read(aws: SimulatedAws) -> None:
    """Its place has moved on, so records that were thrown away would wait for the search for lost rows."""
    client = aws.client("dynamodbstreams")
    positions = Positions(ARN, {shard(1): "one", shard(2): "two"})
    record: Any = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "5" * 21, "Keys": {"id": {"S": "a"}}}}
    with Stubber(client) as stub:
        stub.add_response("get_records", {"Records": [record], "NextShardIterator": "one, later"})
        stub.add_client_error("get_records", "LimitExceededException")
        assert stream.read(client, positions) == [record]
        assert positions.iterators == {shard(1): "one, later", shard(2): "two"}
        stub.add_response("get_records", {"Records": [], "NextShardIterator": "one, last"})
        stub.add_client_error("get_records", "LimitExceededException")
        with pytest.raises(RepriseError, match="LimitExceeded"):
            stream.read(client, positions)
        stub.assert_no_pending_responses()


def test_who_takes_over_goes_on_where_the_last_one_stood(aws: SimulatedAws) -> None:
    """Shards that were being read go on after their last record, closed ones too; children of those come after them;
    a shard of which nothing was read yet is read from its beginning, without what is older than the first reader."""
    client = aws.client("dynamodbstreams")
    quiet, busy, closed, trimmed, child, done = map(shard, range(6))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    before = Positions(ARN, dict.fromkeys((quiet, busy, closed, trimmed), "x"), {}, {done}, began, is_new=False)
    before.last = {busy: "5" * 21, closed: "6" * 21, trimmed: "7" * 21}
    positions = stream.resumed(ARN, json.loads(json.dumps(stream.place(before))))
    listed = [(done, "", True), (quiet, "", False), (busy, done, False), (closed, done, True), (trimmed, "", False)]
    with Stubber(client) as stub:
        stub.add_response("describe_stream", described(*listed, (child, closed, False)), {"StreamArn": ARN})
        for name, place in (
            (quiet, {"ShardIteratorType": "TRIM_HORIZON"}),
            (busy, {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "5" * 21}),
            (closed, {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "6" * 21}),
        ):
            stub.add_response(
                "get_shard_iterator", {"ShardIterator": name}, {"StreamArn": ARN, "ShardId": name, **place}
            )
        stub.add_client_error("get_shard_iterator", "TrimmedDataAccessException")
        stub.add_response(
            "get_shard_iterator",
            {"ShardIterator": trimmed},
            {"StreamArn": ARN, "ShardId": trimmed, "ShardIteratorType": "TRIM_HORIZON"},
        )
        stream.follow(client, positions)
        assert positions.iterators == {name: name for name in (quiet, busy, closed, trimmed)}
        old, new = (
            {"dynamodb": {"SequenceNumber": "9" * 21, "ApproximateCreationDateTime": began + timedelta(minutes=n)}}
            for n in (-1, 1)
        )
        stub.add_response("get_records", {"Records": [old, new], "NextShardIterator": "on"})
        stub.add_response("get_records", {"Records": [], "NextShardIterator": "on"})
        stub.add_response("get_records", {"Records": []})
        stub.add_response("get_records", {"Records": [], "NextShardIterator": "on"})
        assert stream.read(client, positions) == [new]
        assert positions.done == {done, closed}
        stub.assert_no_pending_responses()


def test_a_place_that_is_too_much_to_write_down_is_none() -> None:
    """A table of very many shards is read from its end by whoever takes over."""
    positions = Positions(ARN, {shard(n): "x" for n in range(stream.PLACES)}, is_new=False)
    assert stream.place(positions) is not None
    positions.done.add("one more")
    assert stream.place(positions) is None
    assert stream.place(Positions(ARN)) is None


def test_a_table_whose_shards_change_every_few_hours_keeps_its_place(aws: SimulatedAws) -> None:
    """Shards that ended need not be written down while a child of theirs is read: six a day of each are no reason to
    begin at the end. Who takes over reads none of them again, and leaves out no other."""
    client = aws.client("dynamodbstreams")
    open_shards = 700
    generations = [[shard(1_000 * age + n) for n in range(open_shards)] for age in range(7)]
    listed = [
        (name, generations[age - 1][n] if age else "", age < 6)
        for age, names in enumerate(generations)
        for n, name in enumerate(names)
    ]
    ended_alone = shard(99_999)
    listed.append((ended_alone, generations[2][0], True))
    before = Positions(ARN)
    with Stubber(client) as stub:
        stub.add_response("describe_stream", described(*listed))
        for _ in range(open_shards):
            stub.add_response("get_shard_iterator", {"ShardIterator": "x"})
        stream.follow(client, before)
    assert len(before.done) == 6 * open_shards + 1
    stood = json.loads(json.dumps(stream.place(before)))
    assert stood["done"] == [ended_alone]
    positions = stream.resumed(ARN, stood)
    with Stubber(client) as stub:
        stub.add_response("describe_stream", described(*listed, (shard(88_888), ended_alone, False)))
        for _ in range(open_shards + 1):
            stub.add_response("get_shard_iterator", {"ShardIterator": "x"})
        stream.follow(client, positions)
        stub.assert_no_pending_responses()
    assert positions.iterators.keys() == {*generations[6], shard(88_888)}
    assert positions.done == before.done
