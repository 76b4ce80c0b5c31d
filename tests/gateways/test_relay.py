"""The relay against the simulated AWS: nothing is let go of before the Prefect server accepted it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from deployments.local.server import SimulatedAws
from deployments.relay.doorbells import QueueDoorbells
from deployments.relay.outbox import OutboxDoorbell
from deployments.relay.prefect_events import PrefectEvents
from deployments.relay.queue import EventsQueue
from deployments.relay.service import Doorbell, Relay
from recovery.dead_letters.gateway import Sqs
from recovery.errors import Transient
from recovery.events.hints import Hint
from tests.outbox_world import OutboxWorld


class NoWait(threading.Event):
    """Waits are over at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class World:
    """Queues, a Prefect server that answers as told, and a relay whose clock the test moves."""

    def __init__(self, aws: SimulatedAws, *doorbells: Doorbell) -> None:
        self.sqs = aws.client("sqs")
        self.aws = aws
        self.url, self.parked = (self.sqs.create_queue(QueueName=n)["QueueUrl"] for n in ("events", "events-parked"))
        self.status = 204
        self.posted: list[dict[str, Any]] = []
        self.now = datetime.now(UTC)
        client = httpx.Client(base_url="http://prefect/api", transport=httpx.MockTransport(self.answer))
        queue = EventsQueue(self.sqs, self.url, self.parked)
        self.relay = Relay(queue, PrefectEvents("", client=client), doorbells, lambda: self.now, NoWait())

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/events"
        if self.status == 0:
            raise httpx.ConnectError("down")
        if self.status < 300:
            self.posted += json.loads(request.content)
        return httpx.Response(self.status)

    def send(self, count: int, task: str = "orders") -> None:
        for start in range(0, count, 10):
            entries = [
                {"Id": str(n), "MessageBody": failed(f"{task}-{n}")} for n in range(start, min(count, start + 10))
            ]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def rounds(self, count: int, seconds: float = 0) -> None:
        for _ in range(count):
            self.now += timedelta(seconds=seconds)
            self.relay.round(wait=0)

    @property
    def rings(self) -> list[str]:
        return [e["resource"]["prefect.resource.id"] for e in self.posted if e["resource"]["reprise.ring"] == "yes"]


def failed(task: str) -> str:
    detail = {"eventType": "REPLICATION_TASK_FAILED", "category": "Failure", "detailMessage": "Last Error"}
    arn = f"arn:aws:dms:eu-west-1:123456789012:task:{task}"
    kind = "DMS Replication Task State Change"
    return json.dumps({"id": task, "detail-type": kind, "source": "aws.dms", "resources": [arn], "detail": detail})


def test_what_was_accepted_is_deleted(aws: SimulatedAws) -> None:
    """One event: posted once, ringing, and gone from the queue."""
    world = World(aws)
    world.send(1)
    world.rounds(1)
    assert world.rings == ["reprise.dms.orders-0"]
    assert aws.messages("events") == []


@pytest.mark.parametrize("status", [503, 0])
def test_while_the_server_is_away_nothing_is_lost(aws: SimulatedAws, status: int) -> None:
    """Nothing is deleted and nothing more received; it goes on by itself, without a restart."""
    world = World(aws)
    world.status = status
    world.send(1)
    world.rounds(1)
    world.send(1, "later")
    aws.clear_requests()
    world.rounds(3, 1)
    assert aws.requests("sqs", "ReceiveMessage") == []
    assert len(aws.messages("events")) == 2
    world.status = 204
    world.rounds(3, 5)
    assert world.rings[0] == "reprise.dms.orders-0"
    assert "reprise.dms.later-0" in {event["resource"]["prefect.resource.id"] for event in world.posted}
    assert aws.messages("events") == []


def test_the_unreadable_is_parked_with_its_reason(aws: SimulatedAws) -> None:
    """It goes to the dead-letter queue as it came, and what lies behind it is served."""
    world = World(aws)
    world.sqs.send_message(QueueUrl=world.url, MessageBody="no JSON")
    world.send(1)
    world.rounds(2)
    found = world.sqs.receive_message(QueueUrl=world.parked, MessageAttributeNames=["All"])["Messages"][0]
    assert found["Body"] == "no JSON"
    assert found["MessageAttributes"]["Reason"]["StringValue"] == "body: expected JSON"
    assert world.rings == ["reprise.dms.orders-0"]
    assert aws.messages("events") == []


def test_a_burst_rings_twice(aws: SimulatedAws) -> None:
    """200 failures: all are told, the first and one after the last ring, and all are deleted."""
    world = World(aws)
    world.send(200)
    world.rounds(25)
    world.rounds(1, 5)
    assert len(world.rings) == 2
    assert len({event["resource"]["prefect.resource.id"] for event in world.posted}) == 200
    assert aws.messages("events") == []


def test_a_queue_that_fills_rings(aws: SimulatedAws) -> None:
    """An empty dead-letter queue is silent; a letter in it rings."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="orders-dlq")["QueueUrl"]
    world = World(aws, QueueDoorbells(Sqs(sqs, sqs), ["orders-dlq"]))
    world.rounds(1)
    assert world.rings == []
    sqs.send_message(QueueUrl=url, MessageBody="x")
    world.rounds(1, 6)
    world.rounds(1, 6)
    assert world.rings == ["reprise.queue.orders-dlq"]


class Broken:
    def listen(self, now: datetime) -> list[Hint]:
        raise Transient("no answer")


def test_a_broken_doorbell_stops_nothing_else(aws: SimulatedAws) -> None:
    """The events queue goes on being read."""
    world = World(aws, Broken())
    world.rounds(2)
    world.send(1)
    world.rounds(1)
    assert world.rings == ["reprise.dms.orders-0"]


def test_a_new_row_is_enlisted_and_rings_by_one_of_two_relays(aws: SimulatedAws) -> None:
    """Both relays listen; the one with the lease reads the stream, puts the row in line and rings."""
    aws.create_estate()
    outbox = OutboxWorld(aws)
    connection = outbox.connection()
    first, second = (
        OutboxDoorbell(
            aws.client("dynamodb"), aws.client("dynamodbstreams"), connection.ledger, outbox.request(), owner
        )
        for owner in ("a", "b")
    )
    now = aws.clock.now()
    assert [*first.listen(now), *second.listen(now)] == []
    outbox.put({"id": "1", "message": "hello"})
    later = now + timedelta(seconds=2)
    aws.clear_requests()
    assert second.listen(later) == []
    assert aws.requests(operation="GetRecords") == []
    (ring,) = first.listen(later)
    assert (ring.event, ring.resource) == ("reprise.outbox.inserted", "reprise.outbox.orders-outbox")
    assert aws.requests(operation="GetRecords") != []
    assert outbox.row("1")["status"] == "Pending"
