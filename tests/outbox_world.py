"""An outbox in the simulated AWS, with a subscriber that proves delivery; and runs of the path without a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3

from blocks.connection import Connection
from flows.outbox_records import recover_outbox_records
from proof import plain_prefect
from recovery.alarms import Watch
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.policy import OutboxPolicy, OutboxRequest, RowNames
from recovery.outbox_records.topic import Topic
from recovery.outbox_records.work import OutboxRun
from recovery.report import RecoveryReport
from simulated_aws import estate
from simulated_aws.server import SimulatedAws

TABLE = "orders-outbox"
TEMPLATE = estate.TEMPLATES / "outbox.yaml"
ORDERED_NAMES = RowNames(group="group", sequence="sequence", deduplication="deduplication")
NO_PAUSE = OutboxPolicy(fifo_settle_seconds=0, messages_per_second=100_000)


class OutboxWorld:
    """A table and a topic from the template, two queues that subscribe to it (raw and wrapped), and people's queue."""

    def __init__(
        self,
        aws: SimulatedAws,
        *,
        ordered: bool = False,
        topic: bool = True,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.aws = aws
        self.ordered = ordered
        given = {"Ordered": "yes" if ordered else "no", **(parameters or {})}
        self.outputs = estate.create(aws.client, TEMPLATE, "outbox", given)
        self.topic_arn = self.outputs["TopicArn"]
        self.dynamodb = aws.client("dynamodb")
        self.sns = aws.client("sns")
        self._listen("people", aws.environment["REPRISE_ALERT_TOPIC_ARN"])
        self.seconds_ahead = 0.0
        if ordered or not topic:  # the emulator's CloudFormation makes no FIFO topics
            self.sns.delete_topic(TopicArn=self.topic_arn)
        if topic:
            self.subscribe()

    def subscribe(self) -> None:
        """Let the subscriber's queue listen; the topic is made anew where it was missing."""
        name = self.topic_arn.rpartition(":")[2]
        attributes = {"FifoTopic": "true"} if self.ordered else {}
        self.sns.create_topic(Name=name, Attributes=attributes)
        self._listen("subscriber.fifo" if self.ordered else "subscriber", self.topic_arn)

    def _listen(self, queue: str, topic: str) -> None:
        attributes = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
        self.aws.client("sqs").create_queue(QueueName=queue, Attributes=attributes)
        arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    # -- rows ----------------------------------------------------------------------------------------------------

    def put(self, row: Mapping[str, Any], **typed: Any) -> None:
        """Write a row: plain strings and numbers, and `typed` attribute values as they are."""
        item = {
            name: {"N": str(value)} if isinstance(value, int | float) else {"S": value} for name, value in row.items()
        }
        self.dynamodb.put_item(TableName=TABLE, Item={**item, **typed})

    def pending(self, identity: str, message: str = "hello", *, shard: int = 0, due: int = 1_000, **more: Any) -> None:
        """Write a row as a service does that follows the template."""
        row = {"id": identity, "message": message, "status": "Pending", "outbox_line": f"Unfinished#{shard}"}
        self.put({**row, "outbox_next_attempt": due, **more})

    def ordered_row(self, identity: str, group: str, sequence: int, message: str = "", **more: Any) -> None:
        """Write a row of a FIFO group, in line."""
        self.pending(identity, message or identity, group=group, sequence=sequence, **({"outbox_group": group} | more))

    def pending_many(self, count: int, message: str = "hello", due: int = 1_000) -> None:
        """Write many rows, spread over the partitions."""
        for start in range(0, count, 25):
            items = [
                {
                    "id": {"S": f"row-{n}"},
                    "message": {"S": message},
                    "status": {"S": "Pending"},
                    "outbox_line": {"S": f"Unfinished#{n % 8}"},
                    "outbox_next_attempt": {"N": str(due)},
                }
                for n in range(start, min(count, start + 25))
            ]
            self.dynamodb.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in items]})

    def row(self, identity: str) -> dict[str, Any]:
        """A row, with plain values; empty where it is gone."""
        item = self.dynamodb.get_item(TableName=TABLE, Key={"id": {"S": identity}}, ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def rows(self) -> dict[str, dict[str, Any]]:
        """All rows by id."""
        found: dict[str, dict[str, Any]] = {}
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=TABLE):
            for item in page["Items"]:
                plain = {name: next(iter(value.values())) for name, value in item.items()}
                found[plain["id"]] = plain
        return found

    def statuses(self) -> dict[str, str]:
        """Status of each row."""
        return {identity: row.get("status", "") for identity, row in self.rows().items()}

    # -- what arrived --------------------------------------------------------------------------------------------

    def delivered(self) -> list[dict[str, Any]]:
        """Return the envelopes of SNS that the subscriber received, in the order of its queue."""
        queue = "subscriber.fifo" if self.ordered else "subscriber"
        return [json.loads(message["body"]) for message in self.aws.messages(queue)]

    def delivered_texts(self) -> list[str]:
        """The messages alone."""
        return [envelope["Message"] for envelope in self.delivered()]

    def alerts(self) -> list[str]:
        """Subjects of what people were notified."""
        return [json.loads(message["body"])["Subject"] for message in self.aws.messages("people")]

    # -- running -------------------------------------------------------------------------------------------------

    def request(self, **more: Any) -> OutboxRequest:
        """A request for this outbox; not a dry run unless asked."""
        basis: dict[str, Any] = {"table": TABLE, "topic_arn": self.topic_arn, "dry_run": False, "policy": NO_PAUSE}
        if self.ordered:
            basis["names"] = ORDERED_NAMES
        return OutboxRequest(**(basis | more))

    def connection(self) -> Connection:
        """A connection as a run has one."""
        return connection_to(self.aws)

    def work(self, connection: Connection | None = None, *, threads: int = 4, **request: Any) -> OutboxRun:
        """A run's tools. Nothing waits."""
        made = connection or self.connection()
        return work_on(
            made, self.request(**request), now=self.clock(made.clock.now), threads=threads, jitter=lambda: 1.0
        )

    def clock(self, now: Callable[[], datetime]) -> Callable[[], datetime]:
        """The clock of a run, ahead by what `later` stated."""
        return lambda: now() + timedelta(seconds=self.seconds_ahead)

    def later(self, seconds: float) -> None:
        """Let time pass for the runs that follow."""
        self.seconds_ahead += seconds

    def run(self, **request: Any) -> RecoveryReport:
        """A whole run, without Prefect."""
        return play(self.work(**request))


def connection_to(aws: SimulatedAws) -> Connection:
    """A connection to the simulated AWS and its estate, without the process's environment."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name="us-east-1")
    return Connection(
        session=session,
        client_settings={"endpoint_url": aws.endpoint, "region_name": "us-east-1"},
        ledger_table=aws.environment["REPRISE_LEDGER_TABLE"],
        archive_bucket=aws.environment["REPRISE_ARCHIVE_BUCKET"],
        alert_topic_arn=aws.environment["REPRISE_ALERT_TOPIC_ARN"],
        metrics_namespace="Reprise",
    )


def work_on(connection: Connection, request: OutboxRequest, **tools: Any) -> OutboxRun:
    """A run's tools on a connection, which wait for nothing."""

    def no_sleep(_: float) -> None:
        pass

    request.check("us-east-1")
    table = OutboxTable(connection.client("dynamodb"), request, no_sleep)
    topic = Topic(connection.client("sns", repeat=False), request.topic_arn, no_sleep)
    watch = Watch(connection.client("cloudwatch"))
    return OutboxRun(table, topic, watch, request, **{**connection.tools(), "sleep": no_sleep, **tools})


def play(work: OutboxRun) -> RecoveryReport:
    """A whole run of the flow, on these tools and without a server."""
    return plain_prefect.play(recover_outbox_records, work.request, work)
