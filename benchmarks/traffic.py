"""Failed traffic for benchmarks: dead letters that came by the queue's own redrive policy, and what a write costs."""

from __future__ import annotations

import json
import math
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulated_aws.server import SimulatedAws

ERRORS = (
    "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='pay.internal', port=443): Read timed out.",
    "503 Service Unavailable: https://stock.internal/items/{n} answered after {ms} ms",
    "2026-03-01T12:00:{s:02d}.{ms:03d}Z 7f0c1a52-3b1e-4a0e-9d55-{n:012d} Task timed out after {s}.{ms:03d} seconds",
    "An error occurred (ThrottlingException) when calling the PutItem operation (reached max retries: 4): order {n}",
    "java.net.ConnectException: Connection refused: price-{s}.internal/10.0.{s}.{s}:8443\n"
    "\tat com.example.price.Client.ask(Client.java:{ms})",
)
"""Failures that pass by themselves. All but the first hold values of their own, as errors do."""


def message(n: int) -> tuple[str, dict[str, Any]]:
    """Body and message attributes of order number n, with the error that its consumer wrote."""
    error = ERRORS[n % len(ERRORS)].format(n=n, ms=n % 1000, s=n % 60)
    body = json.dumps({"order": n, "customer": f"c-{n % 97}", "items": ["sku-1", "sku-2"]})
    return body, {"error": {"DataType": "String", "StringValue": error}}


def fill(aws: SimulatedAws, count: int, *, queue: str = "orders") -> None:
    """Send orders and fail each as often as the redrive policy allows, until all lie in the dead-letter queue."""
    sqs = aws.client("sqs")
    url = aws.queue_url(queue)

    def send(start: int) -> None:
        entries = []
        for n in range(start, min(count, start + 10)):
            body, attributes = message(n)
            entries.append({"Id": str(n), "MessageBody": body, "MessageAttributes": attributes})
        sqs.send_message_batch(QueueUrl=url, Entries=entries)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(0, count, 10)))
    while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages"):
        pass


class WriteUnits:
    """Write units of what the watched DynamoDB clients write: one for each started KB of an item, deletes as one.

    Source: DynamoDB's rule for write request units. An item with index keys costs as much again for the index.
    """

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def watch(self, client: Any) -> None:
        """Count what a boto3 DynamoDB client writes from now on."""
        client.meta.events.register("provide-client-params.dynamodb", self._count)

    def _count(self, params: dict[str, Any], **_: Any) -> None:
        units = 0
        for requests in params.get("RequestItems", {}).values():
            if isinstance(requests, list):
                units += sum(
                    _units(request["PutRequest"]["Item"]) if "PutRequest" in request else 1 for request in requests
                )
        if "Item" in params:
            units += _units(params["Item"])
        with self._lock:
            self.total += units


def _units(item: dict[str, dict[str, str]]) -> int:
    size = sum(len(name) + sum(len(str(value)) for value in typed.values()) for name, typed in item.items())
    return math.ceil(size / 1024) * (2 if "wait" in item else 1)


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux getrusage starts with the peak of the process that started this one.
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in bytes on macOS


@contextmanager
def environment(aws: SimulatedAws) -> Iterator[None]:
    """The variables of a simulated AWS, in this process, for as long as it lasts."""
    import os

    before = dict(os.environ)
    os.environ.update(aws.environ())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
