"""Outbox rows delivered per second and what each costs, beside the one-row-at-a-time way on the same machine."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.table import Table

from benchmarks.traffic import environment, peak_mib
from blocks.estate import connect_from_environment
from flows.outbox_records import recover_outbox_records
from proof.plain_prefect import play
from recovery.outbox_records.policy import OutboxPolicy, OutboxRequest
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tasks.outbox_records import open_run

ROWS = 4_000
TABLE = "orders-outbox"
TOPIC = "arn:aws:sns:us-east-1:000000000000:orders"
MESSAGE = json.dumps({"order": 12345, "customer": "c-42", "items": ["sku-1", "sku-2"], "note": "x" * 120})
REQUEST = OutboxRequest(
    table=TABLE,
    topic_arn=TOPIC,
    policy=OutboxPolicy(messages_per_second=100_000),
    limit=10_000_000,
    time_limit_seconds=3_600,
    dry_run=False,
)
LATENCY = 0.015


def create(aws: SimulatedAws) -> None:
    """The estate, and the outbox from its template."""
    aws.create_estate()
    estate.create(aws.client, estate.TEMPLATES / "outbox.yaml", "outbox", {})


def fill(aws: SimulatedAws, count: int, *, finished: int = 0) -> None:
    """Write due rows as a service does that follows the template, and finished ones."""
    client = aws.client("dynamodb")

    def item(n: int) -> dict[str, Any]:
        row = {"id": {"S": f"row-{n}"}, "message": {"S": MESSAGE}}
        if n >= count:
            return {**row, "status": {"S": "Successful"}}
        line = {"outbox_line": {"S": f"Unfinished#{n % 8}"}, "outbox_next_attempt": {"N": str(1_000 + n)}}
        return {**row, "status": {"S": "Pending"}, **line}

    def write(start: int) -> None:
        rows = [item(n) for n in range(start, min(count + finished, start + 25))]
        client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": row}} for row in rows]})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(0, count + finished, 25)))


Way = Callable[[SimulatedAws], Callable[[], object]]
"""Makes its clients, which is not timed, and returns what is."""


def one_by_one(page: int) -> Way:
    """The usual way: query, then publish and update each row by itself.

    Args:
        page: rows of one query; 1 asks for each row anew.
    """

    def prepared(aws: SimulatedAws) -> Callable[[], object]:
        dynamodb, sns = aws.client("dynamodb"), aws.client("sns")
        return lambda: deliver_each(dynamodb, sns)

    def deliver_each(dynamodb: Any, sns: Any) -> None:
        for shard in range(8):
            while True:
                found = dynamodb.query(
                    TableName=TABLE,
                    IndexName="outbox-due",
                    Limit=page,
                    KeyConditionExpression="outbox_line = :line",
                    ExpressionAttributeValues={":line": {"S": f"Unfinished#{shard}"}},
                )["Items"]
                if not found:
                    break
                for row in found:
                    sns.publish(TopicArn=TOPIC, Message=MESSAGE)
                    dynamodb.update_item(
                        TableName=TABLE,
                        Key={"id": row["id"]},
                        UpdateExpression="SET #status = :done REMOVE outbox_line, outbox_next_attempt",
                        ExpressionAttributeNames={"#status": "status"},
                        ExpressionAttributeValues={":done": {"S": "Successful"}},
                    )

    return prepared


class WriteUnits:
    """Write units of the path's conditional changes, index included.

    Source: DynamoDB's rules. A write costs one unit for each started KB of the row; a changed sort key of an index is a
    delete and a put there, a removed key a delete: one unit each, since the index holds keys only.
    """

    def __init__(self, row_bytes: int) -> None:
        self._units = math.ceil(row_bytes / 1024)
        self._lock = threading.Lock()
        self.total = 0

    def watch(self, client: Any) -> None:
        """Count what a boto3 DynamoDB client changes from now on."""
        client.meta.events.register("provide-client-params.dynamodb.BatchExecuteStatement", self._count)

    def _count(self, params: dict[str, Any], **_: Any) -> None:
        units = 0
        for each in params["Statements"]:
            text = each["Statement"]
            removed = 'REMOVE "outbox_line"' in text
            moved = re.search(r'SET "outbox_(line|next_attempt)"', text) is not None
            units += self._units + (1 if removed else 2 if moved else 0)
        with self._lock:
            self.total += units


def plain(units: WriteUnits | None = None) -> Way:
    """The flow's own function, without Prefect's engine around it."""

    def prepared(_: SimulatedAws) -> Callable[[], object]:
        connection = connect_from_environment()
        if units:
            units.watch(connection.client("dynamodb"))
        return lambda: play(recover_outbox_records, REQUEST, open_run(connection, REQUEST))

    return prepared


def with_prefect(_: SimulatedAws) -> Callable[[], object]:
    """The flow, on a Prefect server that runs already; a first run has paid for the imports."""
    recover_outbox_records(OutboxRequest())
    return lambda: recover_outbox_records(REQUEST)


def run() -> Table:
    """Fill, drain and time each way on one simulated AWS."""
    from prefect.testing.utilities import prefect_test_harness

    table = Table(title=f"{ROWS:,} outbox rows delivered", title_justify="left")
    for column in ("way", "rows/s", "x one by one", "requests per 1,000", "write units per row", "rows read"):
        table.add_column(column, justify="right" if column != "way" else "left")
    row_bytes = len(MESSAGE) + 250  # its keys, its status and the path's attributes
    for latency in (0.0, LATENCY):
        rows = ROWS if not latency else ROWS // 8
        suffix = f", {latency * 1000:.0f} ms a call, {rows} rows" if latency else ""
        units = WriteUnits(row_bytes)
        ways: list[tuple[str, Way]] = [
            ("one by one: query, publish, update each", one_by_one(1)),
            ("one by one, a page of 100 for each query", one_by_one(100)),
            ("Reprise, plain steps", plain(units)),
            ("Reprise, as a flow", with_prefect),
        ]
        rates: dict[str, float] = {}
        with SimulatedAws.start() as aws, prefect_test_harness(server_startup_timeout=120):
            for name, way in ways:
                aws.reset()
                create(aws)
                fill(aws, rows)
                with environment(aws):
                    go = way(aws)
                    if latency:
                        aws.fault("delay", seconds=latency, times=None)
                    aws.clear_requests()
                    began = time.perf_counter()
                    go()
                    seconds = time.perf_counter() - began
                requests = sum(aws.request_counts().values()) * 1000 / rows
                aws.lift_faults()
                assert left(aws) == 0, f"{name} left rows"
                rates[name] = rows / seconds
                table.add_row(
                    name + suffix,
                    f"{rates[name]:,.0f}",
                    f"{rates[name] / rates[ways[0][0]]:.1f}",
                    f"{requests:,.0f}",
                    f"{units.total / rows:.1f}" if name.endswith("steps") else "",
                )
    for count, peak, seconds in memory():
        table.add_row(f"peak memory {peak:,.0f} MiB, {count:,} rows", f"{count / seconds:,.0f}")
    table.add_row("1,000,000 rows, 100 due", "", "", "", "", f"{rows_read(1_000_000, 100):,}")
    return table


def left(aws: SimulatedAws) -> int:
    """Rows that are still in line."""
    found: int = sum(
        aws.client("dynamodb").query(
            TableName=TABLE,
            IndexName="outbox-due",
            Select="COUNT",
            KeyConditionExpression="outbox_line = :line",
            ExpressionAttributeValues={":line": {"S": f"Unfinished#{shard}"}},
        )["Count"]
        for shard in range(8)
    )
    return found


def rows_read(rows: int, due: int) -> int:
    """Rows that DynamoDB looked at, in table and index, while the due rows of a large table were delivered."""
    with SimulatedAws.start() as aws:
        create(aws)
        fill(aws, due, finished=rows - due)
        with environment(aws):
            connection = connect_from_environment()
            read = [0]

            def scanned(parsed: dict[str, Any], **_: Any) -> None:
                read[0] += parsed["ScannedCount"]

            connection.client("dynamodb").meta.events.register("after-call.dynamodb.Query", scanned)
            work = open_run(connection, REQUEST)
            play(recover_outbox_records, REQUEST, work)
            assert work.sent == due
        return read[0]


def memory(counts: tuple[int, ...] = (2_000, 100_000)) -> list[tuple[int, float, float]]:
    """Peak memory (MiB) and seconds of a process that delivers so many rows; each in a process of its own."""
    found = []
    for count in counts:
        with SimulatedAws.start() as aws:
            create(aws)
            fill(aws, count)
            command = [sys.executable, "-m", "benchmarks.outbox_records"]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=aws.environ())
            result = json.loads(done.stdout.splitlines()[-1])
            assert result["sent"] == count
            found.append((count, float(result["peak_mib"]), float(result["seconds"])))
    return found


def deliver_and_measure() -> None:
    """Deliver everything that is due, and print this process's peak memory."""
    began = time.perf_counter()
    work = open_run(connect_from_environment(), REQUEST)
    play(recover_outbox_records, REQUEST, work)
    result = {
        "peak_mib": peak_mib(),
        "seconds": time.perf_counter() - began,
        "sent": work.sent,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    deliver_and_measure()
