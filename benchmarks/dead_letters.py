"""Dead letters healed per second and what each costs, beside the usual loop and a bare mover on the same machine."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.table import Table

from benchmarks.traffic import WriteUnits, environment, fill
from blocks.estate import connect_from_environment
from deployments.local.server import SimulatedAws
from recovery.dead_letters import judge, outlook, sending, settle
from recovery.dead_letters import run as begin
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest
from recovery.dead_letters.work import Work
from tasks.dead_letters import work_of

LETTERS = 2000
REQUEST = DeadLetterRequest(
    queues=("orders-dlq",),
    policy=DeadLetterPolicy(error_attributes=("error",), max_per_second=10_000),
    limit=1_000_000,
    time_limit_seconds=600,
    dry_run=False,
)


def one_by_one(aws: SimulatedAws) -> None:
    """The loop of usual healers: receive ten; classify by substring, send, record and delete each by itself."""
    sqs, table = aws.client("sqs"), aws.client("dynamodb")
    source, target = aws.queue_url("orders-dlq"), aws.queue_url("orders")
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


def bare_mover(aws: SimulatedAws) -> None:
    """Ten at a time on sixteen threads, with no records at all: the most that moving itself allows."""
    from recovery.aws import client_config

    sqs = aws.client("sqs", config=client_config())
    source, target = aws.queue_url("orders-dlq"), aws.queue_url("orders")

    def move(_: int) -> int:
        moved = 0
        while True:
            answer = sqs.receive_message(
                QueueUrl=source, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            )
            messages = answer.get("Messages", [])
            if not messages:
                return moved
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
            moved += len(messages)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(move, range(16)))


def plain(units: WriteUnits) -> Callable[[SimulatedAws], None]:
    """The path's own steps, without Prefect around them."""

    def go(_: SimulatedAws) -> None:
        connection = connect_from_environment()
        units.watch(connection.client("dynamodb"))
        work = work_of(connection, REQUEST)
        try:
            drain(work)
        finally:
            work.close()

    return go


def drain(work: Work) -> None:
    """One run of the path's steps over its queues."""
    for queue in begin.find_queues(work, REQUEST):
        while work.room and not work.time_is_up:
            batch = judge.receive(work, queue, REQUEST.policy)
            if not batch.items:
                break
            judge.look_up(work, batch)
            judge.diagnose_letters(work, batch)
            judge.decide_letters(work, batch)
            sending.write_ahead(work, batch)
            sending.send_letters(work, batch)
            settle.record_cases(work, batch)
            settle.remove_letters(work, batch)
            settle.hold(work, batch)
        outlook.count_recovered(work, queue)
    settle.release(work)


def with_prefect(_: SimulatedAws) -> None:
    """The flow, on a Prefect server that runs already."""
    from flows.dead_letters import recover_dead_letters

    recover_dead_letters(REQUEST)


def run() -> Table:
    """Fill, drain and time each way on one simulated AWS."""
    from prefect.testing.utilities import prefect_test_harness

    table = Table(title=f"{LETTERS} dead letters healed", title_justify="left")
    for column in ("way", "letters/s", "x one by one", "x bare mover", "requests per 1,000", "write units per 1,000"):
        table.add_column(column, justify="right" if column != "way" else "left")
    units = WriteUnits()
    ways: list[tuple[str, Callable[[SimulatedAws], None]]] = [
        ("one by one", one_by_one),
        ("bare mover, no records", bare_mover),
        ("Reprise, plain steps", plain(units)),
        ("Reprise, as a flow", with_prefect),
    ]
    rates: dict[str, float] = {}
    with SimulatedAws.start() as aws, prefect_test_harness(server_startup_timeout=120):
        for name, way in ways:
            aws.reset()
            aws.create_estate()
            aws.create_sample_workload()
            with environment(aws):
                if name.endswith("flow"):
                    recover_nothing()
                fill(aws, LETTERS)
                aws.clear_requests()
                began = time.perf_counter()
                way(aws)
                seconds = time.perf_counter() - began
            left = len(aws.messages("orders-dlq"))
            assert left == 0, f"{name} left {left} letters"
            rates[name] = LETTERS / seconds
            requests = sum(aws.request_counts().values()) * 1000 / LETTERS
            table.add_row(
                name,
                f"{rates[name]:,.0f}",
                f"{rates[name] / rates['one by one']:.1f}",
                f"{rates[name] / rates['bare mover, no records']:.2f}" if "bare mover, no records" in rates else "",
                f"{requests:,.0f}",
                f"{units.total * 1000 / LETTERS:,.0f}" if name.endswith("steps") else "",
            )
    for count, peak in memory():
        table.add_row(f"peak memory, {count:,} letters", f"{peak:,.0f} MiB", "", "", "", "")
    return table


def recover_nothing() -> None:
    """A first flow run, so that the one that is timed pays for no imports."""
    from flows.dead_letters import recover_dead_letters

    recover_dead_letters(DeadLetterRequest())


def memory(counts: tuple[int, ...] = (2_000, 100_000)) -> list[tuple[int, float]]:
    """Peak memory (MiB) of a process that heals so many letters; each in a process of its own."""
    found = []
    for count in counts:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.dead_letters", str(count)], capture_output=True, text=True, check=True
        )
        found.append((count, float(json.loads(done.stdout.splitlines()[-1])["peak_mib"])))
    return found


def heal_and_measure(count: int) -> None:
    """Heal so many letters and print this process's peak memory."""
    with SimulatedAws.start() as aws:
        aws.create_estate()
        aws.create_sample_workload()
        with environment(aws):
            filling = f"from benchmarks.dead_letters import fill_from_environment; fill_from_environment({count})"
            subprocess.run([sys.executable, "-c", filling], check=True)
            plain(WriteUnits())(aws)
        print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def fill_from_environment(count: int) -> None:
    """Fill in a process of its own, so that filling does not count as the path's memory."""
    import os

    fill(SimulatedAws(os.environ["AWS_ENDPOINT_URL"]), count)


if __name__ == "__main__":
    heal_and_measure(int(sys.argv[1]))
