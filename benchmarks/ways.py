"""The ways to bring a queue of dead letters back: the usual loop, a bare mover, and this project's path."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from botocore.config import Config
from prefect.tasks import Task

from benchmarks.traffic import WriteUnits
from blocks.estate import connect_from_environment
from flows.dead_letters import recover_dead_letters
from proof.plain_prefect import play
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest
from recovery.dead_letters.work import Work
from recovery.failures import Evidence, diagnose
from simulated_aws.server import SimulatedAws
from tasks import dead_letters as do
from tasks.dead_letters import open_run

REQUEST = DeadLetterRequest(
    queues=("orders-dlq",),
    policy=DeadLetterPolicy(error_attributes=("error",), max_per_second=10_000),
    limit=1_000_000,
    time_limit_seconds=3_600,
    dry_run=False,
)

Way = Callable[[SimulatedAws], Callable[[], object]]
"""Prepares what a process does once (clients, rules), which is not timed, and returns what is."""

STEPS: tuple[tuple[str, tuple[Task[..., Any], ...]], ...] = (
    (
        "AWS",
        (
            do.find_queues,
            do.receive_messages,
            do.look_up_history,
            do.write_ahead,
            do.send_messages,
            do.confirm_sends,
            do.archive_messages,
            do.record_cases,
            do.announce_groups,
            do.remove_messages,
            do.hide_messages,
            do.count_recovered,
        ),
    ),
    ("diagnosis", (do.diagnose_messages, do.decide_messages)),
)
"""The steps of the path, by what they spend their time on. Preparing and reading requests counts as AWS."""


def one_by_one(aws: SimulatedAws) -> Callable[[], None]:
    """The loop of usual healers: receive ten; classify by substring, send, record and delete each by itself."""
    sqs, table = aws.client("sqs"), aws.client("dynamodb")
    source, target = aws.queue_url("orders-dlq"), aws.queue_url("orders")

    def go() -> None:
        while True:
            answer = sqs.receive_message(
                QueueUrl=source, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            )
            messages = answer.get("Messages", [])
            if not messages:
                return
            for message in messages:
                text = message["MessageAttributes"]["error"]["StringValue"]
                kind = "TIMEOUT" if "timed out" in text else "UNKNOWN"
                sqs.send_message(
                    QueueUrl=target,
                    MessageBody=message["Body"],
                    MessageAttributes=message["MessageAttributes"],
                    DelaySeconds=60,
                )
                table.put_item(
                    TableName="reprise-ledger",
                    Item={"pk": {"S": message["MessageId"]}, "sk": {"S": "healed"}, "kind": {"S": kind}},
                )
                sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])

    return go


def bare_mover(aws: SimulatedAws) -> Callable[[], None]:
    """Ten at a time on sixteen threads, with no records at all, and boto3 as it comes."""
    sqs = aws.client("sqs", config=Config(max_pool_connections=16))
    source, target = aws.queue_url("orders-dlq"), aws.queue_url("orders")

    def move(_: int) -> None:
        while True:
            answer = sqs.receive_message(
                QueueUrl=source, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            )
            messages = answer.get("Messages", [])
            if not messages:
                return
            entries: list[Any] = [
                {
                    "Id": str(n),
                    "MessageBody": message["Body"],
                    "MessageAttributes": message["MessageAttributes"],
                    "DelaySeconds": 60,
                }
                for n, message in enumerate(messages)
            ]
            sqs.send_message_batch(QueueUrl=target, Entries=entries)
            sqs.delete_message_batch(
                QueueUrl=source,
                Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)],
            )

    def go() -> None:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(move, range(16)))

    return go


def plain(units: WriteUnits | None = None) -> Way:
    """The path's own steps, without Prefect around them."""

    def prepared(_: SimulatedAws) -> Callable[[], None]:
        diagnose(Evidence(error="Read timed out"))  # reads the rules
        connection = connect_from_environment()
        if units is not None:
            units.watch(connection.client("dynamodb"))
        work = open_run(connection, REQUEST)

        def go() -> None:
            try:
                drain(work)
            finally:
                work.close()

        return go

    return prepared


def drain(work: Work) -> None:
    """Run the flow's own story over its queues."""
    play(recover_dead_letters, REQUEST, work)


def with_prefect(_: SimulatedAws) -> Callable[[], object]:
    """The flow, on a Prefect server that runs already; a first run has paid for the imports."""
    recover_dead_letters(DeadLetterRequest())
    return lambda: recover_dead_letters(REQUEST)


@contextmanager
def stopwatch() -> Iterator[Counter[str]]:
    """Adds up how long the steps take, in seconds, by what they spend their time on."""
    spent: Counter[str] = Counter()

    def timed(what: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def go(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*arguments, **named)
            finally:
                spent[what] += time.perf_counter() - began  # type: ignore[assignment] # seconds, not a count

        return go

    with ExitStack() as patches:
        for what, steps in STEPS:
            for step in steps:
                patches.enter_context(mock.patch.object(step, "fn", timed(what, step.fn)))
        yield spent
