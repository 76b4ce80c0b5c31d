"""An answer that lacks what it must hold says nothing: it is no empty list, and no key error either."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.aws import require_field
from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.messages import Queue
from recovery.errors import OutcomeUnknown
from recovery.ledger import Ledger
from recovery.ledger_writes import delete
from recovery.outbox_records import stream
from recovery.outbox_records.changes import Change
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.policy import OutboxRequest
from recovery.pacing import Pace
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.models import Facts, Migration

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)
QUEUE = Queue("orders-dlq", "https://sqs/orders-dlq", "arn:aws:sqs:::orders-dlq", False, timedelta(days=4))


class Client:
    """Each request is answered, with the same answer."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        return lambda **_: self._answer


def answering(**answer: Any) -> Any:
    """A client that is reported this, whatever it asks."""
    return Client(answer)


def positions(**changes: Any) -> stream.Positions:
    return stream.Positions("arn:stream", **changes)


CLIENT = answering()
ledger = Ledger(CLIENT, "ledger", sleep=lambda _: None)
table = OutboxTable(CLIENT, OutboxRequest(table="outbox"), pause=lambda _: None)
table.key_names = ("id",)
sqs = Sqs(CLIENT, CLIENT)
dms = ReplicationGateway(CLIENT, Pace(1e9, 1_000))
KEY = {"id": {"S": "1"}}
ONE = Facts("arn:1", "one", Migration.CDC, status="failed")


@pytest.mark.parametrize(
    ("ask", "lacks"),
    [
        (lambda: ledger.read_cases("dead_letters", ["m-1"]), "dynamodb:BatchGetItem: the answer has no Responses"),
        (lambda: list(ledger.query("intent#q")), "dynamodb:Query: the answer has no Items"),
        (lambda: list(ledger.waiting("dead_letters")), "dynamodb:Query: the answer has no Items"),
        (
            lambda: ledger.write_items([delete("pk", "sk")]),
            "dynamodb:BatchWriteItem: the answer has no UnprocessedItems",
        ),
        (
            lambda: Ledger(answering(Responses={}), "l").read_cases("dead_letters", ["m-1"]),
            "dynamodb:BatchGetItem: the answer has no UnprocessedKeys",
        ),
        (table.describe, "dynamodb:DescribeTable: the answer has no Table"),
        (lambda: table.due("Unfinished#0", NOW, 10, None), "dynamodb:Query: the answer has no Items"),
        (lambda: table.read([KEY]), "dynamodb:BatchGetItem: the answer has no Responses"),
        (
            lambda: table.change([Change(KEY, {"status": {"S": "Pending"}}, (), {})]),
            "dynamodb:BatchExecuteStatement: the answer has no Responses",
        ),
        (lambda: table.scan(0, 1, None, ["Unfinished#0"]), "dynamodb:Scan: the answer has no Items"),
        (
            lambda: stream.follow(CLIENT, positions()),
            "dynamodb:DescribeStream: the answer has no StreamDescription",
        ),
        (
            lambda: stream.read(CLIENT, positions(iterators={"shard": "it"})),
            "dynamodb:GetRecords: the answer has no Records",
        ),
        (
            lambda: stream.follow(answering(StreamDescription={}), positions()),
            "dynamodb:DescribeStream: the answer has no Shards",
        ),
        (
            lambda: stream.follow(answering(StreamDescription={"Shards": [{"ShardId": "s"}]}), positions(is_new=False)),
            "dynamodb:GetShardIterator: the answer has no ShardIterator",
        ),
        (
            lambda: OutboxTable(answering(Responses={}), OutboxRequest(table="outbox")).read([KEY]),
            "dynamodb:BatchGetItem: the answer has no UnprocessedKeys",
        ),
        (
            lambda: Sqs(answering(Attributes={}), CLIENT).describe(QUEUE.url),
            "sqs:GetQueueAttributes: the answer has no QueueArn",
        ),
        (
            lambda: Sqs(answering(Attributes={}), CLIENT).visible(QUEUE),
            "sqs:GetQueueAttributes: the answer has no ApproximateNumberOfMessages",
        ),
        (lambda: sqs.url("orders"), "sqs:GetQueueUrl: the answer has no QueueUrl"),
        (lambda: sqs.describe(QUEUE.url), "sqs:GetQueueAttributes: the answer has no Attributes"),
        (lambda: sqs.visible(QUEUE), "sqs:GetQueueAttributes: the answer has no Attributes"),
        (lambda: list(dms.tasks()), "dms:DescribeReplicationTasks: the answer has no ReplicationTasks"),
        (lambda: list(dms.replications()), "dms:DescribeReplications: the answer has no Replications"),
        (lambda: dms.read(ONE), "dms:DescribeReplicationTasks: the answer has no ReplicationTasks"),
        (dms.instances, "dms:DescribeReplicationInstances: the answer has no ReplicationInstances"),
    ],
)
def test_what_is_not_reported_is_not_known(ask: Callable[[], object], lacks: str) -> None:
    """The next run asks again; nothing is taken for gone, unknown or fresh, which would reset its bound."""
    with pytest.raises(OutcomeUnknown) as raised:
        ask()
    assert str(raised.value) == lacks
    operation, problem = lacks.split(": ")
    assert (raised.value.operation, raised.value.code) == (operation, f"no {problem.rsplit(' ', 1)[1]} in the answer")


def test_fewer_answers_than_statements() -> None:
    """An answer belongs to its statement by its place alone, so none of them is believed."""
    outbox = OutboxTable(answering(Responses=[{}]), OutboxRequest(table="outbox"), pause=lambda _: None)
    with pytest.raises(OutcomeUnknown, match="1 answers to 2 statements"):
        outbox.change([Change(KEY, {"status": {"S": "Pending"}}, (), {})] * 2)


@pytest.mark.parametrize("answer", [None, [], "text"])
def test_an_answer_that_is_no_object(answer: object) -> None:
    """A proxy may answer anything."""
    with pytest.raises(OutcomeUnknown, match=r"sqs:X: the answer has no Y"):
        require_field(answer, "Y", "sqs:X")
