"""The whole business against a simulated AWS, as processes of their own.

    with Shop.open(aws) as shop:
        shop.change(**asdict(BAD_DAY))
        shop.produce(60)
        shop.wait_until_consumed(["orders"], seconds=20)     # what failed three times lies in orders-dlq now
        shop.change(**asdict(AFTERNOON))                     # the outage is over but for one warehouse
        shop.fulfilled()                                     # the orders that were carried out

`fate` says what a state of the dependency means for an order, so that a check can ask whether what happened is what
should have.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from demo.workload.dependency import PAYMENTS, State
from demo.workload.orders import bodies
from demo.workload.produce import send
from deployments.processes import free_port, start_module, stop, wait_until_ready
from simulated_aws.server import SimulatedAws

QUEUES: Final[Mapping[str, str]] = {
    "orders": "orders-dlq",
    "orders.fifo": "orders-dlq.fifo",
    "invoices": "back-office-dlq",
    "shipments": "back-office-dlq",
}
"""The sample workload's queues, and where SQS moves what fails."""

_START_SECONDS = 20.0
_POLL = 0.05


def fate(text: str, state: State, release: int = 1) -> str:
    """Return the end of an order while the dependency is in a state: "" if carried out, else the kind of failure.

    Args:
        text: the order's body.
        state: of the dependency.
        release: of the consumer.

    Returns:
        The name of a `recovery.failures.Kind`.
    """
    try:
        order = json.loads(text)
    except ValueError:
        return "BAD_PAYLOAD"
    if "gift" in order and order["gift"] is None and release == 1:
        return "CODE_BUG"
    if PAYMENTS in state.slow:
        return "TIMEOUT"
    if PAYMENTS in state.down:
        return "DEPENDENCY_FAILURE"
    if order["account"] in state.revoked:
        return "AUTH_FAILURE"
    if order["account"] in state.over_quota:
        return "THROTTLED"
    for line in order["lines"]:
        warehouse = state.catalogue.get(line["sku"])
        if warehouse is None:
            return "VALIDATION_ERROR"
        if warehouse in state.slow:
            return "TIMEOUT"
        if warehouse in state.down:
            return "DEPENDENCY_FAILURE"
    return ""


class Shop:
    """See the module docstring."""

    def __init__(self, aws: SimulatedAws, environment: Mapping[str, str], port: int, logs: Path | None) -> None:
        self.aws = aws
        self.url = f"http://127.0.0.1:{port}"
        self._environment = environment
        self._logs = logs
        self._service = httpx.Client(base_url=self.url, trust_env=False, timeout=10)
        self._consumer: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        aws: SimulatedAws,
        environment: Mapping[str, str] | None = None,
        *,
        queues: Sequence[str] = ("orders",),
        logs: Path | None = None,
        consumer_options: Sequence[str] = (),
    ) -> Iterator[Shop]:
        """Start the dependency and a consumer; both end with the block, or with this process.

        Args:
            aws: with the sample workload in it.
            environment: for the processes; `aws.environ()` when None.
            queues: that the consumer takes orders from.
            logs: a folder for what the processes print.
            consumer_options: further command line of the consumer ("--retry-seconds", "0").

        Raises:
            RuntimeError: the dependency did not start.
        """
        shop = cls(aws, environment or aws.environ(), port := free_port(), logs)
        service = start_module(
            "demo.workload.dependency",
            ["--port", str(port)],
            environment=shop._environment,
            log=logs / "dependency.log" if logs else None,
        )
        try:
            if not wait_until_ready(service, shop._answers, seconds=_START_SECONDS):
                raise RuntimeError("the payment and warehouse service did not start")
            shop.deploy(1, queues, consumer_options)
            yield shop
        finally:
            if shop._consumer is not None:
                stop(shop._consumer)
            stop(service)
            shop._service.close()

    def deploy(self, release: int, queues: Sequence[str] = ("orders",), options: Sequence[str] = ()) -> None:
        """Replace the consumer by another release; 2 has the fix for presents without wrapping."""
        if self._consumer is not None:
            stop(self._consumer)
        chosen = [part for queue in queues for part in ("--queue", queue)]
        self._consumer = start_module(
            "demo.workload.consume",
            [*chosen, "--dependency", self.url, "--release", str(release), *options],
            environment=self._environment,
            log=self._logs / "consumer.log" if self._logs else None,
        )

    def produce(self, count: int, *, queue: str = "orders", seed: int = 7) -> dict[str, str]:
        """Send orders; returns their bodies by message id."""
        texts = list(bodies(count, seed))
        return dict(zip(self.send(texts, queue=queue), texts, strict=True))

    def send(self, texts: Sequence[str], *, queue: str = "orders") -> list[str]:
        """Send bodies as they are; returns their message ids."""
        return send(self.aws.client("sqs"), self.aws.queue_url(queue), texts)

    # -- the dependency --------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return the state of the dependency."""
        return State().changed(self._service.get("/state").raise_for_status().json())

    def change(self, **changes: Any) -> State:
        """Change how the dependency is doing, at once; fields of `State`."""
        return State().changed(self._service.put("/state", json=changes).raise_for_status().json())

    def fulfilled(self) -> list[str]:
        """Ids of the orders that were carried out, each once."""
        found: list[str] = self._service.get("/fulfilled").raise_for_status().json()
        return found

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self._service.get("/ready").is_success
        return False

    # -- what became of the orders ---------------------------------------------------------------------------------

    def wait_until_consumed(self, queues: Sequence[str] = ("orders",), *, seconds: float) -> None:
        """Return when nothing lies in these queues any more: each order was carried out, or is a dead letter.

        Raises:
            TimeoutError: orders are still left.
        """
        deadline, sleep = time.monotonic() + seconds, threading.Event()
        while left := {queue: len(self.aws.messages(queue)) for queue in queues if self.aws.messages(queue)}:
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:.0f} s there are still orders: {left}")
            sleep.wait(_POLL)
