"""The consumer of orders: `python -m demo.workload.consume --dependency URL [--queue orders ...]`.

It works as most consumers of queues: it receives ten, works on each, deletes those that succeeded, and lets the others
come back after their visibility timeout; after the queue's maxReceiveCount SQS moves them to the dead-letter queue.
Each failure is a line in CloudWatch Logs, with the message's id and the exception. Invocations, errors and durations
are metrics.

It has a mistake of its own: a present without wrapping is beyond it. `--release 2` has the fix.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final
from uuid import uuid4

import boto3
import httpx
from botocore.config import Config

from simulated_aws.guard import require_simulated_aws

LOG_GROUP: Final = "/sample/orders-consumer"
NAMESPACE: Final = "AWS/Lambda"
"""This consumer stands for a Lambda function, whose numbers AWS publishes by itself. Real AWS takes no such data."""
FUNCTION: Final = "orders-consumer"
_THREADS = 16
_FLUSH_SECONDS = 0.5

log = logging.getLogger("orders")


def handle(text: str, dependency: httpx.Client, release: int) -> None:
    """Carry out one order.

    Raises:
        json.JSONDecodeError: the body is no JSON.
        httpx.HTTPStatusError: the dependency refused.
        httpx.TimeoutException: it did not answer in time.
        TypeError: release 1 does not know what to do about a present without wrapping.
    """
    order = json.loads(text)
    amount = sum(Decimal(line["unit_price"]) * line["quantity"] for line in order["lines"])
    if "gift" in order:
        amount += _wrapping(order["gift"]) if release == 1 or order["gift"] else 0
    _post(dependency, "/charges", order_id=order["order_id"], account=order["account"], amount=str(amount))
    for line in order["lines"]:
        _post(dependency, "/reservations", order_id=order["order_id"], sku=line["sku"], quantity=line["quantity"])


def _wrapping(gift: Mapping[str, str]) -> Decimal:
    return Decimal("4.50") if gift["paper"] == "silk" else Decimal("2.00")


def _post(dependency: httpx.Client, path: str, **data: Any) -> None:
    dependency.post(path, json=data).raise_for_status()


class ServerClock:
    """AWS's time, corrected by the Date header of its answers: the simulated AWS's clock can be hours ahead."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def heard(self, answer: Mapping[str, Any]) -> None:
        """Learn from an answer of AWS; less than two seconds are the header's own coarseness."""
        ahead = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp() - time.time()
        self._ahead = ahead if abs(ahead) > 2 else 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead


@dataclass
class Reports:
    """The consumer's logs and metrics, sent to CloudWatch twice a second."""

    logs: Any
    cloudwatch: Any
    clock: ServerClock
    form: str
    stream: str = field(default_factory=lambda: f"consumer/{uuid4().hex}")
    _lines: list[dict[str, Any]] = field(default_factory=list)
    _durations: list[float] = field(default_factory=list)
    _errors: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Make the log stream; the group is the template's."""
        self.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=self.stream)

    def done(self, milliseconds: float) -> None:
        """One message was worked on, for so long."""
        with self._lock:
            self._durations.append(milliseconds)

    def failed(self, queue: str, message: Mapping[str, Any], error: Exception) -> None:
        """Log one failure."""
        now = self.clock.now()
        line = (as_json if self.form == "json" else as_text)(queue, message, error, datetime.fromtimestamp(now, UTC))
        with self._lock:
            self._errors += 1
            self._lines.append({"timestamp": int(now * 1000), "message": line})

    def flush(self) -> None:
        """Send what has gathered."""
        with self._lock:
            lines, self._lines = self._lines, []
            durations, self._durations = self._durations, []
            errors, self._errors = self._errors, 0
        for first in range(0, len(lines), 200):
            batch = sorted(lines[first : first + 200], key=lambda line: line["timestamp"])
            self.logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=self.stream, logEvents=batch)
        if durations or errors:  # a failure is counted before its message is given back, and timed after it
            dimensions = [{"Name": "FunctionName", "Value": FUNCTION}]
            data: list[dict[str, Any]] = [
                {"MetricName": "Invocations", "Value": float(len(durations)), "Unit": "Count"},
                {"MetricName": "Errors", "Value": float(errors), "Unit": "Count"},
            ]
            if durations:
                data.append({"MetricName": "Duration", "Values": durations[:150], "Unit": "Milliseconds"})
            stamp = datetime.fromtimestamp(self.clock.now(), UTC)
            metrics = [datum | {"Dimensions": dimensions, "Timestamp": stamp} for datum in data]
            self.cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=metrics)


def as_text(queue: str, message: Mapping[str, Any], error: Exception, now: datetime) -> str:
    """A failure as a logger in a Lambda function writes it: a line, and the traceback under it."""
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    receives = message["Attributes"]["ApproximateReceiveCount"]
    head = f"[ERROR] {stamp} {uuid4()} queue={queue} messageId={message['MessageId']} receive={receives} order failed"
    return head + "\n" + "".join(traceback.format_exception(error)).rstrip()


def as_json(queue: str, message: Mapping[str, Any], error: Exception, now: datetime) -> str:
    """A failure as a structured logger writes it."""
    return json.dumps(
        {
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": "ERROR",
            "message": "order failed",
            "queue": queue,
            "message_id": message["MessageId"],
            "receive_count": int(message["Attributes"]["ApproximateReceiveCount"]),
            "exception_name": type(error).__name__,
            "exception": "".join(traceback.format_exception(error)).rstrip(),
        }
    )


@dataclass(frozen=True)
class Consumer:
    """Takes orders from one queue until it is stopped.

    Attributes:
        name: of the queue.
        sqs: a boto3 client.
        dependency: talks to the payment and warehouse service, with a patience of its own.
        reports: takes logs and counts.
        release: the consumer's version.
        retry_seconds: time for which a failed order stays hidden.
    """

    name: str
    sqs: Any
    dependency: httpx.Client
    reports: Reports
    release: int
    retry_seconds: int

    def run(self, stopping: threading.Event) -> None:
        url = self.sqs.get_queue_url(QueueName=self.name)["QueueUrl"]
        # Takes no more than it can begin at once, so that an order that hangs holds up no other.
        free = threading.Semaphore(_THREADS)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix=self.name) as pool:
            while not stopping.is_set():
                if not free.acquire(timeout=0.5):
                    continue
                hands = 1 + sum(free.acquire(blocking=False) for _ in range(9))
                answer = self.sqs.receive_message(
                    QueueUrl=url, MaxNumberOfMessages=hands, WaitTimeSeconds=1, MessageSystemAttributeNames=["All"]
                )
                self.reports.clock.heard(answer)
                messages = answer.get("Messages", [])
                for message in messages:
                    pool.submit(self._take, url, message).add_done_callback(lambda _: free.release())
                if unused := hands - len(messages):
                    free.release(unused)

    def _take(self, url: str, message: Mapping[str, Any]) -> None:
        begun = time.monotonic()
        try:
            handle(message["Body"], self.dependency, self.release)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the order comes back
            self.reports.failed(self.name, message, error)
            self.sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=self.retry_seconds
            )
        else:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        self.reports.done((time.monotonic() - begun) * 1000)


def _lasting(work: Callable[[threading.Event], None], stopping: threading.Event) -> None:
    """Do it again after any trouble with AWS itself, until stopped."""
    while not stopping.is_set():
        try:
            work(stopping)
        except Exception:
            log.exception("the consumer stumbled")
            stopping.wait(1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.workload.consume")
    parser.add_argument("--queue", action="append", help="name of a queue; may be repeated (default: orders)")
    parser.add_argument("--dependency", required=True, help="URL of the payment and warehouse service")
    parser.add_argument("--release", type=int, choices=(1, 2), default=1, help="2 has the fix (default: %(default)s)")
    parser.add_argument("--retry-seconds", type=int, default=1, help="how long a failed order is hidden")
    parser.add_argument("--timeout", type=float, default=0.8, help="seconds to wait for the service")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("httpx", "botocore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    require_simulated_aws()
    stopping = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: stopping.set())
    session = boto3.Session()
    config = Config(max_pool_connections=_THREADS * 2)
    sqs: Any = session.client("sqs", config=config)
    reports = Reports(session.client("logs"), session.client("cloudwatch"), ServerClock(), options.log_format)
    reports.open()
    # Each queue's share of threads may wait for the service at the same time.
    limits = httpx.Limits(max_connections=_THREADS * 4)
    with (
        httpx.Client(
            base_url=options.dependency, timeout=options.timeout, limits=limits, trust_env=False
        ) as dependency,
        ThreadPoolExecutor() as pool,
    ):
        for name in options.queue or ["orders"]:
            consumer = Consumer(name, sqs, dependency, reports, options.release, options.retry_seconds)
            pool.submit(_lasting, consumer.run, stopping)
        while not stopping.wait(_FLUSH_SECONDS):
            with contextlib.suppress(Exception):
                reports.flush()
    reports.flush()


if __name__ == "__main__":
    main()
