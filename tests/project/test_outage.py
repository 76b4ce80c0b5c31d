"""After an outage: nothing stays stuck, late runs do not stampede, and what a person started is never cancelled.

A Prefect server and a worker of their own, with the project's settings; the server is killed for real.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import LogCreate, WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    FlowRun,
)
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import AwaitingRetry, Completed, Scheduled

from deployments.prefect_settings import client_environment, server_environment
from deployments.processes import LOOPBACK, free_port, start_module, stop
from recovery.operations import TidyRequest
from tasks.operations import crash, silent_runs
from tests.prefect_home import prepare
from tests.project.checkout import PROJECT
from tests.waiting import wait_for

POOL = "outage"
OLD = "reprise.test.old"
LATE = 6
BUSY = 180
"""Seconds that a busy machine may take to start a process; an idle one needs three."""


class World:
    """A server and a worker that can be killed, and come back on the same address and files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.api_url = f"http://{LOOPBACK}:{self.port}/api"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_server(self) -> None:
        """Start it, and wait until it answers. It looks for ended leases every second instead of every 15, and removes
        what is old every 5 seconds instead of every hour."""
        environment = {
            **server_environment(self.home),
            "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "5",
        }
        arguments = ["--host", LOOPBACK, "--port", str(self.port), "--no-ui", "--without-password"]
        self._start("server", "deployments.command", ["server", *arguments], environment)

        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.api_url}/health", trust_env=False).is_success
            return False

        wait_for("the server", answers, seconds=BUSY)

    def start_worker(self) -> None:
        """As `make worker` does: the environment's own python comes first."""
        environment = client_environment(self.api_url, self.home)
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        environment["PYTHONPATH"] = str(PROJECT)
        arguments = ["worker", "start", "--pool", POOL, "--type", "process", "--limit", "4"]
        self._start("worker", "prefect", arguments, environment)

    def kill(self, *names: str) -> None:
        """SIGKILL to the processes and all that they started in their groups."""
        for name in names:
            process = self.processes.pop(name)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin:
                process.stdin.close()

    def end(self) -> None:
        """Stop what still runs."""
        for name in ("worker", "server"):
            if process := self.processes.pop(name, None):
                stop(process)

    def _start(self, name: str, module: str, arguments: list[str], environment: dict[str, str]) -> None:
        self.processes[name] = start_module(
            module, arguments, environment=environment, log=self.home / f"{name}.log", directory=self.home
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server runs; whether a worker does is up to the test."""
    made = World(prepare(tmp_path_factory.mktemp("outage")))
    try:
        made.start_server()
        with temporary_settings({PREFECT_API_URL: made.api_url}):
            with get_client(sync_client=True) as client:
                client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
            yield made
    finally:
        made.end()


@pytest.fixture
def client(world: World) -> Iterator[SyncPrefectClient]:
    """Speaks to the server, which may go away and come back."""
    assert world.processes
    with get_client(sync_client=True) as made:
        yield made


def deployed(client: SyncPrefectClient, name: str, strategy: ConcurrencyLimitStrategy, folder: Path) -> UUID:
    """A deployment that runs one at a time, as those of prefect.yaml do."""
    folder.mkdir()
    flow = client.create_flow_from_name("hold")
    return client.create_deployment(
        flow,
        name,
        entrypoint="tests.project.holding_probe.hold",
        pull_steps=[],
        parameters={"folder": str(folder)},
        work_pool_name=POOL,
        job_variables={"command": "python -m deployments.flow_run"},
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=strategy).limit,
        concurrency_options=ConcurrencyOptions(collision_strategy=strategy),
    )


def states(client: SyncPrefectClient, runs: list[FlowRun]) -> Counter[str]:
    """Count the runs by the name of their state."""
    return Counter(str(client.read_flow_run(run.id).state_name) for run in runs)


def lives(folder: Path) -> list[tuple[float, float]]:
    """Return begin and end of each process of the folder's deployment, in order."""
    found = []
    for began in folder.glob("*.began"):
        ended = began.with_suffix(".ended")
        found.append(tuple(float(file.read_text().split()[1]) for file in (began, ended)))
    return sorted((start, end) for start, end in found)


def test_late_runs_do_not_stampede_and_a_persons_runs_are_not_cancelled(
    client: SyncPrefectClient, world: World, tmp_path: Path
) -> None:
    """Of the sweeps that are late, one runs and the others are cancelled without a process. A person's runs
    all run, one after another; a Retry, too, waits for its turn."""
    sweeps, by_hand = tmp_path / "sweeps", tmp_path / "by-hand"
    sweep = deployed(client, "sweep", ConcurrencyLimitStrategy.CANCEL_NEW, sweeps)
    hand = deployed(client, "by-hand", ConcurrencyLimitStrategy.ENQUEUE, by_hand)
    start = datetime.now(UTC) - timedelta(hours=1)
    late = [
        client.create_flow_run_from_deployment(sweep, state=Scheduled(scheduled_time=start + timedelta(minutes=5 * n)))
        for n in range(LATE)
    ]
    persons = [client.create_flow_run_from_deployment(hand) for _ in range(2)]
    world.start_worker()
    try:
        wait_for("the cancelled sweeps", lambda: states(client, late)["Cancelled"] == LATE - 1, seconds=BUSY)
        (sweeps / "release").touch()
        wait_for("the sweep's end", lambda: states(client, late)["Completed"] == 1, seconds=BUSY)
        assert len(lives(sweeps)) == 1

        wait_for("a person's run", lambda: list(by_hand.glob("*.began")), seconds=BUSY)
        (by_hand / "release").touch()
        wait_for("both of a person's runs", lambda: states(client, persons)["Completed"] == 2, seconds=BUSY)

        (by_hand / "release").unlink()
        another = client.create_flow_run_from_deployment(hand)
        wait_for("the third run", lambda: states(client, [another])["Running"], seconds=BUSY)
        client.set_flow_run_state(persons[0].id, AwaitingRetry(), force=True)
        wait_for("its turn", lambda: states(client, persons[:1])["AwaitingConcurrencySlot"], seconds=BUSY)
        (by_hand / "release").touch()
        every = [another, *persons]
        wait_for("the retry", lambda: states(client, every)["Completed"] == 3, seconds=BUSY)
    finally:
        stop(world.processes.pop("worker"))
    turns = lives(by_hand)
    assert len(turns) == 4
    assert all(end <= start for (_, end), (start, _) in pairwise(turns)), turns


def test_server_worker_and_run_killed_together_leave_nothing_stuck(
    client: SyncPrefectClient, world: World, tmp_path: Path
) -> None:
    """The slot comes back when its lease ends, although the server that gave it is dead; the next run runs; and the
    run without a process is marked as crashed."""
    folder = tmp_path / "killed"
    deployment = deployed(client, "killed", ConcurrencyLimitStrategy.CANCEL_NEW, folder)
    run = client.create_flow_run_from_deployment(deployment)
    world.start_worker()
    (began,) = wait_for("the run's process", lambda: list(folder.glob("*.began")), seconds=BUSY)
    world.kill("server", "worker")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(began.read_text().split()[0]), signal.SIGKILL)

    (lease,) = [each for each in leases(world.home) if "resource_ids" in each[1]]
    left = datetime.fromisoformat(lease[1]["expiration"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(minutes=5)
    world.start_server()
    limit = client.read_deployment(deployment).global_concurrency_limit
    assert limit is not None
    assert limit.active_slots == 1
    assert client.read_flow_run(run.id).state_name == "Running"

    # Five minutes pass, as far as the leases on disk are concerned.
    for file, content in leases(world.home):
        file.write_text(json.dumps(moved(content, -timedelta(minutes=5))))
    wait_for("the slot", lambda: slots(client, deployment) == 0, seconds=BUSY)

    (folder / "release").touch()
    following = client.create_flow_run_from_deployment(deployment)
    world.start_worker()
    try:
        wait_for("the next run's end", lambda: states(client, [following])["Completed"], seconds=BUSY)
    finally:
        stop(world.processes.pop("worker"))

    request = TidyRequest(work_pool=POOL, dry_run=False)
    silent = silent_runs(client, request, datetime.now(UTC) + timedelta(minutes=11))
    assert set(silent) == {str(run.id)}
    assert crash(client, str(run.id), silent[str(run.id)])
    assert client.read_flow_run(run.id).state_name == "Crashed"


def test_old_runs_events_and_logs_are_removed(client: SyncPrefectClient, world: World, tmp_path: Path) -> None:
    """A run of 31 days ago goes, with its logs; one of 29 days ago stays; of events the limits are 8 and 6 days."""
    assert "worker" not in world.processes  # it would take a run before its state is set, and hold it for ever
    deployment = deployed(client, "old", ConcurrencyLimitStrategy.ENQUEUE, tmp_path / "old")
    ages = {29: "stays", 31: "goes"}
    runs = {days: client.create_flow_run_from_deployment(deployment, name=name) for days, name in ages.items()}
    now = datetime.now(UTC)
    for run in runs.values():
        client.set_flow_run_state(run.id, Completed(), force=True)
        client.create_logs([LogCreate(name="test", level=20, message="a line", timestamp=now, flow_run_id=run.id)])
    with contextlib.closing(sqlite3.connect(world.home / "prefect.db", timeout=60)) as database, database:
        for days, run in runs.items():
            ended = (now - timedelta(days=days)).replace(tzinfo=None).isoformat(" ")
            database.execute("update flow_run set end_time = ? where id = ?", (ended, str(run.id)))

    def count(table: str, column: str, run: FlowRun) -> int:
        with contextlib.closing(sqlite3.connect(world.home / "prefect.db", timeout=60)) as reader:
            (found,) = reader.execute(f"select count(*) from {table} where {column} = ?", (str(run.id),)).fetchone()
            return int(found)

    wait_for("the old run's end", lambda: count("flow_run", "id", runs[31]) == 0, seconds=BUSY)
    wait_for("the old logs' end", lambda: count("log", "flow_run_id", runs[31]) == 0, seconds=BUSY)
    assert count("flow_run", "id", runs[29]) == 1
    assert count("log", "flow_run_id", runs[29]) == 1

    events = [event_of(now - timedelta(days=days)) for days in (6, 8)]
    client_of_events: Any = client
    client_of_events.request("POST", "/events", json=events)

    def stored() -> set[str]:
        wanted = {"filter": {"occurred": {"since": (now - timedelta(days=9)).isoformat()}, "event": {"name": [OLD]}}}
        answer = client_of_events.request("POST", "/events/filter", json=wanted).json()["events"]
        return {each["id"] for each in answer}

    wait_for("the old event's end", lambda: stored() == {events[0]["id"]}, seconds=BUSY)


def event_of(occurred: datetime) -> dict[str, Any]:
    """An event of that time."""
    resource = {"prefect.resource.id": "reprise.test"}
    return {"id": str(uuid4()), "event": OLD, "occurred": occurred.isoformat(), "resource": resource}


def slots(client: SyncPrefectClient, deployment: UUID) -> int:
    """Count the runs that hold the deployment's slot, by the server."""
    limit = client.read_deployment(deployment).global_concurrency_limit
    assert limit is not None
    return limit.active_slots


def leases(home: Path) -> list[tuple[Path, Any]]:
    """The files of the server's leases, and what is in them."""
    return [(file, json.loads(file.read_text())) for file in (home / "concurrency_leases").glob("*.json")]


def moved(content: Any, by: timedelta) -> Any:
    """A lease, or the index of their ends, with its ends moved."""
    if "expiration" in content:
        return {**content, "expiration": (datetime.fromisoformat(content["expiration"]) + by).isoformat()}
    return {key: (datetime.fromisoformat(end) + by).isoformat() for key, end in content.items()}
