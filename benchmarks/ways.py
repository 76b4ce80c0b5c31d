"""The ways to bring a queue of dead letters back: the usual loop, a bare mover, and this project's path."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from botocore.config import Config

from benchmarks.traffic import WriteUnits
from blocks.estate import connect_from_environment
from recovery.dead_letters import outlook, run, sending, settle, triage
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest
from recovery.dead_letters.work import Work
from recovery.failures import Evidence, diagnose
from simulated_aws.server import SimulatedAws
from tasks.dead_letters import work_of

REQUEST = DeadLetterRequest(
    queues=("orders-dlq",),
    policy=DeadLetterPolicy(error_attributes=("error",), max_per_second=10_000),
    limit=1_000_000,
    time_limit_seconds=3_600,
    dry_run=False,
)

Way = Callable[[SimulatedAws], Callable[[], object]]
"""Prepares what a process does once (clients, rules), which is not timed, and returns what is."""

STEPS: tuple[tuple[str, ModuleType, tuple[str, ...]], ...] = (
    ("AWS", run, ("find_queues", "store_list")),
    ("AWS", triage, ("receive", "look_up")),
    ("diagnosis", triage, ("diagnose_messages", "decide_messages")),
    ("AWS", sending, ("write_ahead", "send_messages")),
    ("AWS", settle, ("archive_messages", "record_cases", "announce_groups", "remove_messages", "hide_messages")),
    ("AWS", outlook, ("count_recovered",)),
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
        work = work_of(connection, REQUEST)

        def go() -> None:
            try:
                drain(work)
            finally:
                work.close()

        return go

    return prepared


def drain(work: Work) -> None:
    """One run of the path's steps over its queues."""
    for queue in run.find_queues(work, REQUEST):
        while work.room and not work.time_is_up:
            batch = triage.receive(work, queue, REQUEST.policy)
            if not batch.items:
                break
            triage.look_up(work, batch)
            triage.diagnose_messages(work, batch)
            triage.decide_messages(work, batch)
            sending.write_ahead(work, batch)
            sending.send_messages(work, batch)
            settle.record_cases(work, batch)
            settle.remove_messages(work, batch)
            settle.hold(work, batch)
        outlook.count_recovered(work, queue)
    settle.release(work)
    run.finish(work, "bench")


def with_prefect(_: SimulatedAws) -> Callable[[], object]:
    """The flow, on a Prefect server that runs already; a first run has paid for the imports."""
    from flows.dead_letters import recover_dead_letters

    recover_dead_letters(DeadLetterRequest())
    return lambda: recover_dead_letters(REQUEST)


@contextmanager
def stopwatch() -> Iterator[Counter[str]]:
    """Adds up how long the steps take, in seconds, by what they spend their time on."""
    spent: Counter[str] = Counter()

    def timed(what: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def go(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*arguments)
            finally:
                spent[what] += time.perf_counter() - began  # type: ignore[assignment] # seconds, not a count

        return go

    with ExitStack() as patches:
        for what, module, names in STEPS:
            for name in names:
                patches.enter_context(mock.patch.object(module, name, timed(what, getattr(module, name))))
        yield spent
