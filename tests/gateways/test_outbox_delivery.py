"""The outbox path on the simulated AWS, without Prefect: rows in, messages out, statuses on the rows."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest

from recovery.errors import BadInput, Transient
from recovery.outbox_records import deliver
from recovery.outbox_records.policy import RowNames
from simulated_aws.server import SimulatedAws
from tests.outbox_world import NO_PAUSE, TABLE, OutboxWorld, play


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws)


def test_due_rows_are_published_and_finished(world: OutboxWorld) -> None:
    """Each due row reaches the subscriber once with its id, and is finished: out of the line, with a TTL."""
    world.pending("a", "first")
    world.pending("b", "second", shard=5)
    world.pending("later", due=int(time.time()) + 1_000)

    report = world.run()

    assert sorted(world.delivered_texts()) == ["first", "second"]
    assert {e["MessageAttributes"]["outbox_row_id"]["Value"] for e in world.delivered()} == {"a", "b"}
    row = world.row("a")
    assert row["status"] == "Successful"
    assert {"outbox_line", "outbox_next_attempt", "outbox_claim"}.isdisjoint(row)
    assert int(row["outbox_expires"]) > time.time() + 6 * 86_400
    assert row["outbox_message_id"] in {envelope["MessageId"] for envelope in world.delivered()}
    assert world.row("later")["status"] == "Pending"
    assert report.by_action == {"deliver": 2}
    assert not report.failed


def test_values_other_than_strings_are_published_as_json(world: OutboxWorld) -> None:
    """Numbers keep all their digits, sets become arrays, binary becomes base64, nested values stay nested."""
    nested = {
        "M": {
            "n": {"N": "12345678901234567890.123456789"},
            "set": {"SS": ["b", "a"]},
            "numbers": {"NS": ["10", "9"]},
            "bytes": {"B": b"\x00\xff"},
            "list": {"L": [{"BOOL": True}, {"NULL": True}, {"S": "ü\n"}]},
        }
    }
    for identity, message in (("nested", nested), ("number", {"N": "7"})):
        world.pending(identity)
        world.dynamodb.update_item(
            TableName="orders-outbox",
            Key={"id": {"S": identity}},
            UpdateExpression="SET message = :m",
            ExpressionAttributeValues={":m": message},
        )
    world.run()
    texts = sorted(world.delivered_texts())
    assert texts[0] == "7"
    assert '"n":12345678901234567890.123456789' in texts[1]
    assert json.loads(texts[1]) | {"n": 0} == {
        "n": 0,
        "set": ["a", "b"],
        "numbers": [9, 10],
        "bytes": "AP8=",
        "list": [True, None, "ü\n"],
    }


def test_attributes_and_subject_come_from_the_row(world: OutboxWorld) -> None:
    """Named row attributes become message attributes with their types, a map's entries too; the subject is flat."""
    world.pending("a", kind="order", weight=3, subject="Two\nlines " + "x" * 200)
    world.dynamodb.update_item(
        TableName="orders-outbox",
        Key={"id": {"S": "a"}},
        UpdateExpression="SET extra = :e",
        ExpressionAttributeValues={":e": {"M": {"tenant": {"S": "t1"}, "tags": {"SS": ["x"]}, "none": {"NULL": True}}}},
    )
    names = {"attributes": ("kind", "weight", "extra", "missing"), "subject": "subject"}
    world.run(names=names)
    [envelope] = world.delivered()
    assert {name: (value["Type"], value["Value"]) for name, value in envelope["MessageAttributes"].items()} == {
        "kind": ("String", "order"),
        "weight": ("Number", "3"),
        "tenant": ("String", "t1"),
        "tags": ("String.Array", '["x"]'),
        "outbox_row_id": ("String", "a"),
    }
    assert envelope["Subject"].startswith("Two lines xxx")
    assert len(envelope["Subject"]) == 99


def test_a_message_with_ten_attributes_carries_no_row_id(world: OutboxWorld) -> None:
    """Raw delivery discards a message with eleven attributes, so none is added to ten, and the report says so."""
    world.pending("full", **dict[str, Any]({f"a{n}": str(n) for n in range(10)}))
    world.pending("room", **dict[str, Any]({f"a{n}": str(n) for n in range(9)}))
    report = world.run(names={"attributes": tuple(f"a{n}" for n in range(10))})
    counts = {len(envelope["MessageAttributes"]): envelope["MessageAttributes"] for envelope in world.delivered()}
    assert len(world.delivered()) == 2
    assert list(counts) == [10]
    assert sum("outbox_row_id" in envelope["MessageAttributes"] for envelope in world.delivered()) == 1
    assert any("1 messages had ten attributes" in line for line in report.warnings)


def test_a_dry_run_changes_nothing(world: OutboxWorld) -> None:
    """It says what would be published and what would be exhausted, and writes to nobody."""
    world.pending("good")
    world.pending("bad", "")
    before = world.rows()
    world.aws.clear_requests()
    report = world.run(dry_run=True)
    assert report.by_action == {"deliver": 1, "exhaust": 1}
    assert world.rows() == before
    assert not world.delivered()
    written = {
        "BatchExecuteStatement",
        "PutItem",
        "UpdateItem",
        "PublishBatch",
        "Publish",
        "PutObject",
        "PutMetricData",
    }
    assert written.isdisjoint(name.split(":")[1] for name in world.aws.request_counts())


@pytest.mark.parametrize(
    ("identity", "row", "reason"),
    [
        ("no-message", {"status": "Pending"}, "no attribute 'message'"),
        ("empty", {"message": "", "status": "Pending"}, "is empty"),
        ("too-large", {"message": "x" * 300_000, "status": "Pending"}, "300,"),
    ],
)
def test_a_row_that_cannot_be_published_is_exhausted_at_once(
    world: OutboxWorld, identity: str, row: dict[str, Any], reason: str
) -> None:
    """It keeps its reason and kind, stays listed, people are notified, and the other rows go out."""
    world.put({"id": identity, **row, "outbox_line": "Unfinished#2", "outbox_next_attempt": 1})
    world.pending("good")
    report = world.run()
    bad = world.row(identity)
    assert (bad["status"], bad["outbox_line"], bad["outbox_error_kind"]) == ("Exhausted", "Exhausted#2", "BAD_PAYLOAD")
    assert bad["outbox_attempts"] == "0"
    assert world.delivered_texts() == ["hello"]
    [group] = [group for group in report.groups if group.action == "exhaust"]
    assert reason in group.reason
    assert group.samples == (identity,)
    assert len(world.alerts()) == 1
    assert not report.failed


def test_alike_exhausted_rows_alert_once(world: OutboxWorld) -> None:
    """Ten rows with one cause, over two runs, are one alert."""
    for turn in range(2):
        for n in range(5):
            world.pending(f"bad-{turn}-{n}", "", shard=n)
        world.run()
    assert list(world.statuses().values()) == ["Exhausted"] * 10
    assert len(world.alerts()) == 1


def test_rows_are_not_exhausted_while_nobody_can_be_notified(world: OutboxWorld) -> None:
    """With the alert topic gone, a poison row stays due with backoff; the run says so and fails; later it is."""
    topic = world.aws.environment["REPRISE_ALERT_TOPIC_ARN"]
    world.sns.delete_topic(TopicArn=topic)
    world.pending("bad", "")
    report = world.run()
    assert world.row("bad")["status"] == "Failure"
    assert report.failed
    world.sns.create_topic(Name=topic.rpartition(":")[2])
    world.later(7_200)
    assert not world.run().failed
    assert world.row("bad")["status"] == "Exhausted"


def test_a_status_nobody_knows_is_left_alone(world: OutboxWorld) -> None:
    """It is somebody else's: nothing on the row changes, the report counts it once, and the other rows go out."""
    world.pending("theirs", status="Verarbeitet")
    world.put({"id": "number", "message": "m", "status": 7, "outbox_line": "Unfinished#0", "outbox_next_attempt": 1})
    world.pending("good")
    before = world.row("theirs"), world.row("number")
    report = world.run()
    assert (world.row("theirs"), world.row("number")) == before
    assert report.by_action == {"deliver": 1, "leave": 2}
    assert world.delivered_texts() == ["hello"]


def test_a_row_that_somebody_else_finished_leaves_the_line(world: OutboxWorld) -> None:
    """A service that publishes by itself sets only the status: the index keys go, and nothing is published."""
    world.pending("done", status="Successful")
    world.pending("given-up", status="Exhausted", shard=3)
    report = world.run()
    assert not world.delivered()
    assert "outbox_line" not in world.row("done")
    assert world.row("given-up")["outbox_line"] == "Exhausted#3"
    assert report.by_action == {"tidy": 1, "list": 1}


def test_a_row_deleted_while_in_flight_is_not_made_anew(world: OutboxWorld) -> None:
    """The mark's condition fails on a row that is gone: it stays gone, and the report says that it was published."""
    world.pending("gone")
    world.pending("stays")
    work = world.work()
    sends = work.topic.publish

    def publish(*arguments: Any) -> Any:
        outcomes = sends(*arguments)
        world.dynamodb.delete_item(TableName="orders-outbox", Key={"id": {"S": "gone"}})
        return outcomes

    work.topic.publish = publish  # type: ignore[method-assign, assignment]
    report = play(work)
    assert list(world.rows()) == ["stays"]
    assert report.by_action == {"deliver": 2}
    assert any("deleted while in flight" in group.reason for group in report.groups)


def test_an_abandoned_row_falls_due_when_its_lease_ends(world: OutboxWorld) -> None:
    """A worker that dies after its claim leaves a row that falls due at the end of the lease, and not before."""
    world.pending("a")
    work = world.work()
    work.table.describe()
    deliver.claim(work, deliver.find_due(work))
    work.close()
    assert world.row("a")["status"] == "InFlight"
    assert world.run().found == 0
    world.later(301)
    assert world.run().by_action == {"deliver": 1}
    assert world.row("a")["outbox_attempts"] == "2"


def test_a_row_that_kills_its_workers_is_bounded(world: OutboxWorld) -> None:
    """Attempts are counted when a row is claimed: ten workers that died with it use its bound up."""
    world.pending("killer")
    for _ in range(10):
        work = world.work()
        work.table.describe()
        found = deliver.find_due(work)
        assert found.to_send == 1
        deliver.claim(work, found)
        work.close()
        world.later(301)
    world.run()
    assert world.row("killer")["status"] == "Exhausted"
    assert not world.delivered()


def test_keys_of_every_type_are_served(world: OutboxWorld) -> None:
    """Number, binary and composite keys are read from the table's own schema, and named in the message's id."""
    for name, kinds in (("by-number", "N"), ("by-bytes", "B"), ("by-pair", "SN")):
        attributes = [{"AttributeName": f"k{n}", "AttributeType": kind} for n, kind in enumerate(kinds)]
        world.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                *attributes,
                {"AttributeName": "outbox_line", "AttributeType": "S"},
                {"AttributeName": "outbox_next_attempt", "AttributeType": "N"},
            ],
            KeySchema=[
                {"AttributeName": f"k{n}", "KeyType": kind} for n, kind in enumerate(["HASH", "RANGE"][: len(kinds)])
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "outbox-due",
                    "KeySchema": [
                        {"AttributeName": "outbox_line", "KeyType": "HASH"},
                        {"AttributeName": "outbox_next_attempt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        values: dict[str, Any] = {"S": "a|b", "N": "42", "B": b"\x01\x02"}
        key = {f"k{n}": {kind: values[kind]} for n, kind in enumerate(kinds)}
        row = {
            **key,
            "message": {"S": name},
            "status": {"S": "Pending"},
            "outbox_line": {"S": "Unfinished#1"},
            "outbox_next_attempt": {"N": "1"},
        }
        world.dynamodb.put_item(TableName=name, Item=row)
        world.run(table=name)
        assert world.dynamodb.get_item(TableName=name, Key=key)["Item"]["status"] == {"S": "Successful"}
    ids = {e["Message"]: e["MessageAttributes"]["outbox_row_id"]["Value"] for e in world.delivered()}
    assert ids == {"by-number": "42", "by-bytes": "AQI=", "by-pair": '["a|b","42"]'}


def test_batches_respect_bytes_and_count(world: OutboxWorld) -> None:
    """Messages of 100 KB go two to a batch; small ones go ten to a batch."""
    for n in range(6):
        world.pending(f"large-{n}", "x" * 100_000)
    world.aws.clear_requests()
    world.run()
    assert world.aws.request_counts()["sns:PublishBatch"] == 3
    world.pending_many(100)
    world.aws.clear_requests()
    world.run()
    assert world.aws.request_counts()["sns:PublishBatch"] == 10


def test_a_round_holds_no_more_than_its_bytes(world: OutboxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large rows make small rounds, so memory does not grow with their size; all of them go out."""
    monkeypatch.setattr(deliver, "ROUND_BYTES", 1_000_000)
    world.pending_many(250, message="x" * 20_000)
    work = world.work()
    work.table.describe()
    rounds = []
    while (found := deliver.find_due(work)).count:
        rounds.append(found.count)
        deliver.claim(work, found)
        deliver.send(work, found)
        deliver.mark(work, found)
    work.close()
    assert rounds == [100, 100, 50]
    assert len(world.delivered()) == 250


def test_a_thousand_rows_cost_few_requests(world: OutboxWorld) -> None:
    """At most 250 AWS requests for 1,000 delivered rows, whatever they are for."""
    world.pending_many(1_000)
    world.aws.clear_requests()
    report = world.run()
    assert report.by_action == {"deliver": 1_000}
    assert sum(world.aws.request_counts().values()) <= 250
    assert len(world.delivered()) == 1_000


def test_a_run_shows_its_numbers_and_stores_its_list(world: OutboxWorld) -> None:
    """Sends by outcome and the oldest row's age are numbers; the list of rows is in the archive, without bodies."""
    world.pending("good", "secret text", created_at="2020-01-01T00:00:00Z")
    world.pending("bad", "")
    world.pending("later", due=int(time.time()) + 5_000, created_at=int(time.time()) - 120)
    report = world.run()
    numbers = {number.name: number for number in report.numbers}
    assert {name: number.value for name, number in numbers.items() if name != "OutboxOldestUnfinished"} == {
        "OutboxPublished": 1,
        "OutboxFailed": 0,
        "OutboxExhausted": 1,
        "OutboxCircuitOpen": 0,
    }
    assert 120 <= numbers["OutboxOldestUnfinished"].value < 180
    assert {number.source for number in report.numbers} == {"orders-outbox"}
    assert any("a second" in fact for fact in report.facts)
    assert any("has waited 12" in fact for fact in report.facts)
    key = report.full_list.partition("/reports/")[2]
    body = world.aws.client("s3").get_object(
        Bucket=world.aws.environment["REPRISE_ARCHIVE_BUCKET"], Key=f"reports/{key}"
    )
    lines = [json.loads(line) for line in gzip.decompress(body["Body"].read()).splitlines()]
    assert {line["key"]: line["action"] for line in lines} == {"good": "deliver", "bad": "exhaust"}
    assert "secret" not in str(lines)


# -- tables and topics that are not as the request says ------------------------------------------------------------


def refusal(world: OutboxWorld, **request: Any) -> str:
    with pytest.raises(BadInput) as refused:
        world.run(**request)
    return str(refused.value)


def test_a_table_without_the_index_is_refused_with_the_remedy(world: OutboxWorld) -> None:
    """The refusal names the index, its key and the template that has it; nothing is touched."""
    world.pending("a")
    text = refusal(world, index="nothing")
    assert "no index 'nothing'" in text
    assert "outbox_line (S) and outbox_next_attempt (N)" in text
    assert "outbox.yaml" in text
    assert "another key" in refusal(world, names={"line": "another_line"})
    assert world.row("a")["status"] == "Pending"


def test_a_missing_table_another_key_and_no_topic_are_refused(world: OutboxWorld) -> None:
    """Each in one line that names the field; where no table is named, nothing happens at all."""
    assert refusal(world, table="nowhere").startswith("table: there is no table 'nowhere'")
    assert refusal(world, names={"key": "identity"}).startswith("names.key: the table's key is id")
    assert world.run(table="").is_quiet
    assert refusal(world, topic_arn="").startswith("topic_arn: no topic is named")


def test_a_topic_in_another_region_is_refused_before_anything_is_claimed(world: OutboxWorld) -> None:
    """The refusal names both regions."""
    world.pending("a")
    text = refusal(world, topic_arn=world.topic_arn.replace("us-east-1", "eu-west-1"))
    assert "in eu-west-1, and this run works in us-east-1" in text
    assert world.row("a")["status"] == "Pending"


def test_an_index_that_is_still_being_built_is_no_mistake(world: OutboxWorld) -> None:
    """It passes by itself: the next run may find it ready."""
    work = world.work()
    describe = work.table._client.describe_table

    def building(**request: Any) -> Any:
        answer = describe(**request)
        answer["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] = "CREATING"
        return answer

    work.table._client = type("Client", (), {"describe_table": staticmethod(building)})()
    with pytest.raises(Transient, match="still being built"):
        work.table.describe()
    work.close()


def test_the_limit_bounds_a_run(world: OutboxWorld) -> None:
    """No more rows than the limit are taken up; the others stay due."""
    world.pending_many(40)
    assert world.run(limit=15, policy=NO_PAUSE).by_action == {"deliver": 15}
    assert sorted(set(world.statuses().values())) == ["Pending", "Successful"]
    assert len(world.delivered()) == 15


def test_a_machine_whose_clock_is_wrong_delivers_all_the_same(world: OutboxWorld) -> None:
    """Time is AWS's, from its answers: hours behind or ahead, the run has its time, and leases end when they should."""
    for skew in (-7_200, 7_200):
        world.pending(f"row{skew}")
        connection = world.connection()
        connection.clock._local = lambda skew=skew: time.time() + skew  # type: ignore[misc]
        work = world.work(connection)
        play(work)
        work.close()
        row = world.row(f"row{skew}")
        assert row["status"] == "Successful"
        assert abs(int(row["outbox_expires"]) - 7 * 86_400 - time.time()) < 60


def test_a_row_reaches_subscriptions_that_drop_what_they_cannot_read(world: OutboxWorld) -> None:
    """Control characters in attributes, an array and ten attributes reach raw and filtered subscriptions; a row with
    more of them is exhausted with a reason, and never taken for sent while a subscriber gets nothing."""
    for queue, settings in (
        ("raw", {"RawMessageDelivery": "true"}),
        ("filtered", {"FilterPolicy": '{"kind": ["order"]}'}),
    ):
        world.aws.client("sqs").create_queue(QueueName=queue)
        endpoint = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
        world.sns.subscribe(TopicArn=world.topic_arn, Protocol="sqs", Endpoint=endpoint, Attributes=settings)
    headers = {"kind": {"S": "order"}, "trace": {"S": "a\tb\nc"}, "tags": {"L": [{"S": "x"}]}}
    world.pending("few\tof them")
    world.pending("ten")
    world.pending("eleven")
    for identity, count in (("few\tof them", 0), ("ten", 7), ("eleven", 8)):
        more = {f"h{n}": {"S": "v"} for n in range(count)}
        world.dynamodb.update_item(
            TableName=TABLE,
            Key={"id": {"S": identity}},
            UpdateExpression="SET headers = :h",
            ExpressionAttributeValues={":h": {"M": {**headers, **more}}},
        )
    world.run(names=RowNames(attributes=("headers",)))
    assert world.statuses() == {"few\tof them": "Successful", "ten": "Successful", "eleven": "Exhausted"}
    assert [len(world.aws.messages(queue)) for queue in ("raw", "filtered", "subscriber")] == [2, 2, 2]
