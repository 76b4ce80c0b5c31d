"""The relay and an outbox: its stream is read by one relay, from where the last one stood, and due rows trigger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from recovery.errors import BadInput, RepriseError
from recovery.events.hints import OUTBOX_DUE, OUTBOX_INSERTED
from recovery.records import Record
from relay.outbox_poller import OutboxPoller
from simulated_aws.server import SimulatedAws
from tests.outbox_world import OutboxWorld


def test_a_new_row_is_enlisted_and_rings_by_one_of_two_relays(aws: SimulatedAws) -> None:
    """Both relays listen; the one with the lease reads the stream, puts the row in line and triggers."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    connection = outbox.connection()
    first, second = (
        OutboxPoller(aws.client("dynamodb"), aws.client("dynamodbstreams"), connection.ledger, outbox.request(), owner)
        for owner in ("a", "b")
    )
    now = aws.clock.now()
    assert [*first.poll(now), *second.poll(now)] == []
    outbox.put({"id": "1", "message": "hello"})
    later = now + timedelta(seconds=2)
    aws.clear_requests()
    assert second.poll(later) == []
    assert aws.requests(operation="GetRecords") == []
    (trigger,) = first.poll(later)
    assert (trigger.event, trigger.resource) == ("reprise.outbox.inserted", "reprise.outbox.orders-outbox")
    assert aws.requests(operation="GetRecords") != []
    assert outbox.row("1")["status"] == "Pending"


def outbox_poller(aws: SimulatedAws, outbox: OutboxWorld, owner: str) -> OutboxPoller:
    streams = aws.client("dynamodbstreams")
    return OutboxPoller(aws.client("dynamodb"), streams, outbox.connection().ledger, outbox.request(), owner)


def test_a_row_that_falls_due_rings_once(aws: SimulatedAws) -> None:
    """Not before its time; then once, and again only when its due time has moved and passed."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    poller = outbox_poller(aws, outbox, "a")
    now = aws.clock.now()
    due = int(now.timestamp()) + 60

    def triggers(seconds: float) -> list[str]:
        reported = poller.poll(now + timedelta(seconds=seconds))
        return [hint.event for hint in reported if hint.event == OUTBOX_DUE]

    assert triggers(0) == []
    outbox.pending("1", due=due)
    assert triggers(30) == []
    assert triggers(62) == [OUTBOX_DUE]
    assert [*triggers(68), *triggers(74)] == []
    outbox.pending("1", due=due + 60)
    assert triggers(80) == []
    assert triggers(122) == [OUTBOX_DUE]


def test_the_stream_is_taken_over_when_its_reader_is_gone(aws: SimulatedAws) -> None:
    """A second relay reads nothing while the lease lasts, and goes on with it a minute after the last sign of life."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    first, second = (outbox_poller(aws, outbox, owner) for owner in ("a", "b"))
    now = aws.clock.now()
    first.poll(now)
    assert second.poll(now + timedelta(seconds=59)) == []
    second.poll(now + timedelta(seconds=61))
    outbox.put({"id": "2", "message": "hello"})
    (trigger,) = second.poll(now + timedelta(seconds=63))
    assert (trigger.event, outbox.row("2")["status"]) == (OUTBOX_INSERTED, "Pending")
    # The first comes back from wherever it was: the lease is not its own any more.
    aws.clear_requests()
    first.poll(now + timedelta(seconds=64))
    assert aws.requests(operation="GetRecords") == []


def test_a_table_without_a_stream_is_stated(aws: SimulatedAws) -> None:
    """The poller rests with words that say what to switch on; the events queue goes on."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    keys = [
        {"AttributeName": "outbox_line", "KeyType": "HASH"},
        {"AttributeName": "outbox_next_attempt", "KeyType": "RANGE"},
    ]
    outbox.dynamodb.create_table(
        TableName="plain",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in (("id", "S"), ("outbox_line", "S"), ("outbox_next_attempt", "N"))
        ],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {"IndexName": "outbox-due", "KeySchema": keys, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    poller = OutboxPoller(
        outbox.dynamodb,
        aws.client("dynamodbstreams"),
        outbox.connection().ledger,
        outbox.request(table="plain"),
        "a",
    )
    with pytest.raises(BadInput, match="table plain: has no stream; switch one on with NEW_IMAGE"):
        poller.poll(aws.clock.now())


def inserted(poller: OutboxPoller, now: datetime) -> list[int]:
    """Numbers of rows in each event of new rows."""
    return [int(trigger.payload["rows"]) for trigger in poller.poll(now) if trigger.event == OUTBOX_INSERTED]


def written_meanwhile(aws: SimulatedAws) -> tuple[OutboxWorld, OutboxPoller, OutboxPoller, datetime]:
    """A table whose first relay has read a row, and reads no more when another is written; a second relay, and when."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    first, second = (outbox_poller(aws, outbox, owner) for owner in ("a", "b"))
    now = aws.clock.now()
    first.poll(now)
    outbox.put({"id": "1", "message": "hello"})
    first.poll(now + timedelta(seconds=2))
    first.poll(now + timedelta(seconds=40))  # the lease is renewed
    outbox.put({"id": "2", "message": "written while nobody read"})
    return outbox, first, second, now


def test_rows_that_are_written_while_no_relay_reads_are_put_in_line_by_the_next(aws: SimulatedAws) -> None:
    """It goes on where the one before stood, and need not wait for the search for lost rows."""
    outbox, _, second, now = written_meanwhile(aws)
    assert inserted(second, now + timedelta(seconds=90)) == []
    assert inserted(second, now + timedelta(seconds=101)) == [1]
    assert outbox.row("2")["status"] == "Pending"


def test_a_relay_that_stops_gives_the_stream_to_the_next_at_once(aws: SimulatedAws) -> None:
    """Nobody waits for a lease of somebody who has announced that he goes; who holds none gives none back."""
    outbox, first, second, now = written_meanwhile(aws)
    second.poll(now + timedelta(seconds=41))
    second.leave(now + timedelta(seconds=41))
    first.leave(now + timedelta(seconds=42))
    assert inserted(second, now + timedelta(seconds=43)) == [1]
    assert outbox.row("2")["status"] == "Pending"


@pytest.mark.usefixtures("sdk_does_not_wait")
def test_rows_that_could_not_be_put_in_line_are_tried_again(aws: SimulatedAws) -> None:
    """Rows that were read stay in hand, also for the relay that takes over: the place moves on with the rows."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    first, second, third = (outbox_poller(aws, outbox, owner) for owner in ("a", "b", "c"))
    now = aws.clock.now()
    first.poll(now)
    first.poll(now + timedelta(seconds=2))
    outbox.put({"id": "1", "message": "hello"})
    aws.fault("error", operation="BatchExecuteStatement", code="ThrottlingException", times=None)
    with pytest.raises(RepriseError):
        first.poll(now + timedelta(seconds=4))
    assert "status" not in outbox.row("1")
    with pytest.raises(RepriseError):
        second.poll(now + timedelta(seconds=70))
    aws.lift_faults()
    assert inserted(third, now + timedelta(seconds=140)) == [1]
    assert outbox.row("1")["status"] == "Pending"
    outbox.put({"id": "2", "message": "hello"})
    assert inserted(third, now + timedelta(seconds=142)) == [1]


@pytest.mark.parametrize(
    "place",
    [
        "nowhere",
        {"shards": 5},
        {"shards": {}, "done": 1, "began": "yesterday"},
        {"shards": {}, "done": [], "began": "2026-01-01T00:00:00"},
        {"shards": {"shardId-1": "no number"}, "done": [], "began": ""},
        ["x"],
    ],
)
def test_a_damaged_place_is_no_obstacle(aws: SimulatedAws, place: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The stream is read from its end, and the log says so."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    now = aws.clock.now()
    arn = outbox.dynamodb.describe_table(TableName=outbox.request().table)["Table"]["LatestStreamArn"]
    data = {"owner": "a", "until": now.isoformat(), "place": place}
    outbox.connection().ledger.write_record(Record("relay#stream", arn, data, 0), now + timedelta(days=1))
    poller = outbox_poller(aws, outbox, "b")
    poller.poll(now)
    outbox.put({"id": "1", "message": "hello"})
    (trigger,) = poller.poll(now + timedelta(seconds=2))
    assert trigger.event == OUTBOX_INSERTED
    assert "no place" in caplog.text


@pytest.mark.parametrize("until", [None, 5, "soon", "2026-01-01T00:00:00"])
def test_a_lease_whose_end_cannot_be_read_is_over(aws: SimulatedAws, until: Any) -> None:
    """It must not end every relay that reads it."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    now = aws.clock.now()
    arn = outbox.dynamodb.describe_table(TableName=outbox.request().table)["Table"]["LatestStreamArn"]
    outbox.connection().ledger.write_record(
        Record("relay#stream", arn, {"owner": "a", "until": until}, 0), now + timedelta(days=1)
    )
    poller = outbox_poller(aws, outbox, "b")
    poller.poll(now)
    outbox.put({"id": "1", "message": "hello"})
    assert inserted(poller, now + timedelta(seconds=2)) == [1]


def test_a_stream_that_was_switched_off_and_on_is_followed(aws: SimulatedAws, caplog: pytest.LogCaptureFixture) -> None:
    """The old one says nothing any more: within a minute the relay reads the new one."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    poller = outbox_poller(aws, outbox, "a")
    now = aws.clock.now()
    poller.poll(now)
    for switched in ({"StreamEnabled": False}, {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}):
        outbox.dynamodb.update_table(TableName=outbox.request().table, StreamSpecification=switched)
    assert inserted(poller, now + timedelta(seconds=61)) == []
    assert "has a new stream" in caplog.text
    assert inserted(poller, now + timedelta(seconds=63)) == []
    outbox.put({"id": "1", "message": "hello"})
    assert inserted(poller, now + timedelta(seconds=65)) == [1]
    assert outbox.row("1")["status"] == "Pending"
