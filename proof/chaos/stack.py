"""Server, worker and relay as processes that can be killed and started again, on one simulated AWS."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.stage import _with_own_python, let_services_notify
from deployments.prefect_settings import PROJECT, client_environment, server_environment
from deployments.processes import COMMAND, LOOPBACK, free_port, start_module, stop
from simulated_aws.server import SimulatedAws
from tests.waiting import wait_for


class Stack:
    """Everything that runs.

    Attributes:
        aws: the simulated AWS, with Reprise's estate and the sample workload.
        api_url: of the Prefect server; the same after a restart.
    """

    def __init__(self, aws: SimulatedAws, folder: Path) -> None:
        self.aws = aws
        self._folder = folder
        self._port = free_port()
        self._home = folder / "prefect"
        self._home.mkdir(exist_ok=True)
        self.api_url = f"http://{LOOPBACK}:{self._port}/api"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._abandoned: set[str] = set()  # runs of killed workers

    @classmethod
    @contextlib.contextmanager
    def built(cls, aws: SimulatedAws, folder: Path) -> Iterator[Stack]:
        """Estate, sample workload, server and deployments; everything that was started ends with the block."""
        outputs = aws.create_estate()
        aws.create_sample_workload()
        let_services_notify(aws, outputs)
        made = cls(aws, folder)
        try:
            made.start_server()
            made.reprise("apply")
            yield made
        finally:
            for process in made._processes.values():
                stop(process)

    @property
    def environment(self) -> dict[str, str]:
        """For clients of this server and this AWS."""
        return _with_own_python(client_environment(self.api_url, self._home, self.aws.environ()))

    def reprise(self, *arguments: str) -> None:
        """Run a command of Reprise to its end."""
        command = [sys.executable, "-m", COMMAND, *arguments]
        subprocess.run(command, env=self.environment, cwd=PROJECT, check=True)

    def start_server(self) -> None:
        """Start the Prefect server on the database that it had, and wait until it answers."""
        arguments = ["--host", LOOPBACK, "--port", str(self._port), "--no-ui", "--without-password"]
        environment = server_environment(self._home, self.aws.environ())
        self._start("server", COMMAND, ["server", *arguments], environment)
        wait_for("the Prefect server", lambda: _answers(f"{self.api_url}/health"), seconds=180)

    def start_worker(self) -> None:
        """Start a worker."""
        self._start("worker", COMMAND, ["worker"], self.environment)

    def listen(self, queues: Sequence[str], outboxes: Sequence[Mapping[str, Any]]) -> None:
        """Write the sources that relays will listen to."""
        listened = {"queues": list(queues), "outboxes": [dict(outbox) for outbox in outboxes]}
        (self._folder / "relay.yaml").write_text(yaml.safe_dump(listened))

    def start_relay(self) -> None:
        """Start a relay."""
        arguments = ["relay", "--config", str(self._folder / "relay.yaml")]
        self._start("relay", COMMAND, arguments, self.environment)

    def kill(self, name: str) -> None:
        """Kill a process and all that it has started, as when its machine loses power."""
        process = self._processes[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if name == "worker":
            self._abandoned |= self._running()

    def freeze(self, name: str) -> None:
        """Keep a process from doing anything, while it lives and holds what it has."""
        os.killpg(self._processes[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        os.killpg(self._processes[name].pid, signal.SIGCONT)

    def ask_to_stop(self, name: str, *, seconds: float) -> int:
        """Send SIGTERM to one process, as its unit does, and return its exit status.

        Raises:
            TimeoutExpired: it did not end in time.
        """
        self._processes[name].send_signal(signal.SIGTERM)
        return self._processes[name].wait(timeout=seconds)

    def ledger_items(self) -> list[dict[str, Any]]:
        """Everything in the ledger now: what a restore to this moment brings back."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self._ledger, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def restore_ledger(self, items: Sequence[Mapping[str, Any]], *, since: datetime) -> None:
        """Restore the ledger into a new table, by the steps of docs/operations.md."""
        self.ask_to_stop("worker", seconds=180)
        self.ask_to_stop("relay", seconds=60)
        dynamodb = self.aws.client("dynamodb")
        old = dynamodb.describe_table(TableName=self._ledger)["Table"]
        new = f"{self._ledger}-2"
        indexes = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in old["GlobalSecondaryIndexes"]
        ]
        dynamodb.create_table(
            TableName=new,
            KeySchema=old["KeySchema"],
            AttributeDefinitions=old["AttributeDefinitions"],
            GlobalSecondaryIndexes=indexes,
            BillingMode="PAY_PER_REQUEST",
        )
        ttl = {"AttributeName": "expires", "Enabled": True}
        dynamodb.update_time_to_live(TableName=new, TimeToLiveSpecification=ttl)
        for item in items:
            dynamodb.put_item(TableName=new, Item=item)
        self.aws.environment["REPRISE_LEDGER_TABLE"] = new
        self.reprise("apply", "--estate")
        self.reprise("rebuild", "--since", f"{since:%Y-%m-%dT%H:%M}", "--write")
        self.start_worker()
        self.start_relay()

    @property
    def _ledger(self) -> str:
        return self.aws.environment["REPRISE_LEDGER_TABLE"]

    def is_at_work(self) -> bool:
        """True while a run is Running, apart from those of killed workers: nobody has marked them yet."""
        return bool(self._running() - self._abandoned)

    def _running(self) -> set[str]:
        wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.post(f"{self.api_url}/flow_runs/filter", json=wanted, timeout=30, trust_env=False)
            if answer.is_success:
                return {str(run["id"]) for run in answer.json()}
        return set()

    def _start(self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        log = self._folder / f"{name}.log"
        self._processes[name] = start_module(module, arguments, environment=environment, log=log, directory=PROJECT)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=5, trust_env=False).is_success
    return False
