"""The scene of the outbox: rows whose topic is missing at first, rows that nobody put in line, and one poison row."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from demo.scenes import DemoFailed, Row, Wiring, World
from simulated_aws import estate

TABLE: Final = "demo-outbox"
TOPIC: Final = "demo-orders"
SUBSCRIBER: Final = "demo-outbox-subscriber"
PEOPLE: Final = "demo-outbox-alerts"
IN_LINE: Final = tuple(f"order-{n}" for n in range(1, 41))
BARE: Final = tuple(f"bare-{n}" for n in range(1, 7))
POISON: Final = "too-large"
POLICY: Final[dict[str, Any]] = {"probe_seconds": 0, "calm_seconds": 0}
MISSING: Final = f"the topic {TOPIC} takes nothing"
FIND_LOST: Final = "outbox-records/find-lost"
RETRY: Final = "outbox-records/retry"
DEPLOYMENTS: Final = {"outbox-records/on-insert": "deliver", RETRY: "deliver", FIND_LOST: "find_lost"}
DUE_SECONDS: Final = 20
MOST_SWEEPS: Final = 4

RECEIVED: Final = "published, and received by the subscriber"
NOTIFIED: Final = "Exhausted, and a person was notified"


class OutboxScene:
    """See the module docstring."""

    title = "Outbox records"

    def __init__(self) -> None:
        self._topic = ""

    def prepare(self, world: World) -> None:
        """Create the outbox from its template, take its topic away, and let a service write rows that nobody sees."""
        outputs = estate.create(
            world.aws.client, estate.TEMPLATES / "outbox.yaml", "demo-outbox", {"TableName": TABLE, "TopicName": TOPIC}
        )
        self._topic = outputs["TopicArn"]
        world.aws.client("sns").delete_topic(TopicArn=self._topic)
        self._listen(world, PEOPLE, world.aws.environment["REPRISE_ALERT_TOPIC_ARN"])
        for identity in BARE:
            self._write(world, identity, json.dumps({"order": identity}), {"created_at": {"S": "2026-01-01T00:00:00Z"}})
        world.say(f"{len(BARE)} rows are written while nobody reads the stream, and the topic {TOPIC} does not exist")

    def wiring(self, _world: World) -> Wiring:
        """The relay reads the table's stream."""
        return Wiring(
            {name: self._request(mode) for name, mode in DEPLOYMENTS.items()}, outboxes=(self._request("deliver"),)
        )

    def drive(self, world: World) -> None:
        """Rows are written; a run meets the missing topic; the topic appears; the search finds what nobody saw."""
        for n, identity in enumerate((*IN_LINE, POISON)):
            message = "x" * 300_000 if identity == POISON else json.dumps({"order": identity})
            line = {"outbox_line": {"S": f"Unfinished#{n % 8}"}, "outbox_next_attempt": {"N": "1"}}
            self._write(world, identity, message, {"status": {"S": "Pending"}, **line})
        world.say(f"{len(IN_LINE) + 1} rows are written into {TABLE}")
        world.wait("people to be notified that the topic is missing", lambda: self._heard(world, MISSING), seconds=240)
        self._open_topic(world)
        run = world.run(FIND_LOST, self._request("find_lost"))
        world.say(f"{run.deployment}, early: {run.name}")
        for _ in range(MOST_SWEEPS):
            with contextlib.suppress(DemoFailed):
                world.wait("the rows to be published", lambda: self._is_settled(world), seconds=DUE_SECONDS, every=1)
                return
            # The row that falls due starts a run, too. This is the schedule at work for a row without a trigger.
            run = world.run(RETRY, self._request("deliver"))
            world.say(f"{run.deployment}, early: {run.name}")
        raise DemoFailed(f"after {MOST_SWEEPS} sweeps there are still rows to be settled")

    def settled(self, world: World) -> Sequence[Row]:
        """Return each row's state now, by the table and the subscriber's queue."""
        received = self._received(world)
        counts = Counter(_place(row, received[row["id"]]) for row in self._rows(world).values())
        return [Row(place, count, place in (RECEIVED, NOTIFIED)) for place, count in sorted(counts.items())]

    def check(self, world: World) -> list[str]:
        """Every row was received once or is Exhausted; the topic cost no attempts; people were notified once."""
        wrong = []
        rows, received = self._rows(world), self._received(world)
        for identity in (*IN_LINE, *BARE):
            row = rows[identity]
            if row.get("status") != "Successful" or "outbox_line" in row:
                wrong.append(f"{identity}: it is {row.get('status')} in line {row.get('outbox_line')}")
            if row.get("outbox_attempts") != "1":
                wrong.append(f"{identity}: it took {row.get('outbox_attempts')} attempts, and the topic's are free")
            if received[identity] != 1:
                wrong.append(f"{identity}: the subscriber received it {received[identity]} times")
        poison = rows[POISON]
        if (poison["status"], poison["outbox_error_kind"]) != ("Exhausted", "BAD_PAYLOAD"):
            wrong.append(f"{POISON}: it is {poison['status']} ({poison.get('outbox_error_kind')})")
        subjects = self._subjects(world)
        for words in (MISSING, f"the topic {TOPIC} takes messages again", TABLE):
            count = sum(words in subject for subject in subjects)
            if count != 1:
                wrong.append(f"{count} alerts say {words!r}: {subjects}")
        return wrong

    # -- inside --------------------------------------------------------------------------------------------------

    def _write(self, world: World, identity: str, message: str, more: Mapping[str, Any]) -> None:
        item = {"id": {"S": identity}, "message": {"S": message}, **more}
        world.aws.client("dynamodb").put_item(TableName=TABLE, Item=item)

    def _listen(self, world: World, queue: str, topic: str) -> None:
        sqs = world.aws.client("sqs")
        url = sqs.create_queue(QueueName=queue)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        world.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def _open_topic(self, world: World) -> None:
        world.aws.client("sns").create_topic(Name=TOPIC)
        self._listen(world, SUBSCRIBER, self._topic)
        world.say(f"the topic {TOPIC} exists now, and a queue listens to it")

    def _request(self, mode: str) -> dict[str, Any]:
        return {"table": TABLE, "topic_arn": self._topic, "mode": mode, "policy": POLICY, "dry_run": False}

    def _is_settled(self, world: World) -> bool:
        return all(row.settled for row in self.settled(world))

    def _heard(self, world: World, words: str) -> bool:
        return any(words in subject for subject in self._subjects(world))

    def _rows(self, world: World) -> dict[str, dict[str, Any]]:
        # The messages stay where they are: the poison row alone has 300 KB.
        pages = (
            world.aws.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=TABLE,
                ProjectionExpression="id, #status, outbox_line, outbox_attempts, outbox_error_kind",
                ExpressionAttributeNames={"#status": "status"},
            )
        )
        rows = [
            {name: next(iter(value.values())) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]
        return {row["id"]: row for row in rows}

    def _received(self, world: World) -> Counter[str]:
        queues = world.aws.client("sqs").list_queues(QueueNamePrefix=SUBSCRIBER).get("QueueUrls", [])
        if not queues:
            return Counter()
        envelopes = [json.loads(message["body"]) for message in world.aws.messages(SUBSCRIBER)]
        return Counter(envelope["MessageAttributes"]["outbox_row_id"]["Value"] for envelope in envelopes)

    def _subjects(self, world: World) -> list[str]:
        # Other scenes alert through the same topic: only what speaks of the outbox is of interest here.
        subjects = [json.loads(message["body"])["Subject"] for message in world.aws.messages(PEOPLE)]
        return [subject for subject in subjects if subject.startswith("Outbox")]


def _place(row: Mapping[str, Any], received: int) -> str:
    match row.get("status"):
        case "Successful":
            return RECEIVED if received else "published, and on its way to the subscriber"
        case "Exhausted":
            return NOTIFIED
        case "Failure":
            return "waiting for its topic" if row.get("outbox_attempts", "0") == "0" else "waiting out its backoff"
        case None:
            return "not in line yet"
        case _:
            return "waiting to be published"
