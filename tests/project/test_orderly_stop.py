"""A worker that is asked to stop takes nothing new, lets its runs end, and leaves none of them Running.

A Prefect server and `reprise worker` as processes of their own, and real signals.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.apply import POOL
from deployments.prefect_settings import client_environment
from deployments.processes import COMMAND, start_module, stop
from tests.prefect_home import prepare
from tests.project.checkout import PROJECT
from tests.project.test_outage import BUSY, World
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with our pool; each test has a worker of its own."""
    made = World(prepare(tmp_path_factory.mktemp("stop")))
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
    """Speaks to the server."""
    assert world.processes
    with get_client(sync_client=True) as made:
        yield made


def worker(world: World, *options: str) -> Popen[bytes]:
    """Start a worker as a script's `reprise worker &` does, which lets it ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return start_module(
            COMMAND,
            ["worker", *options],
            environment={**client_environment(world.api_url, world.home), "PYTHONPATH": str(PROJECT)},
            log=world.home / "worker.log",
            directory=world.home,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def started(client: SyncPrefectClient, flow: str, folder: Path) -> UUID:
    """Start a run of one of the probes."""
    folder.mkdir()
    made = client.create_deployment(
        client.create_flow_from_name(flow),
        folder.name,
        entrypoint=f"tests.project.stopping_probe.{flow}",
        pull_steps=[],
        parameters={"folder": str(folder)},
        work_pool_name=POOL,
        job_variables={"command": "python -m deployments.flow_run"},
    )
    return client.create_flow_run_from_deployment(made).id


def state(client: SyncPrefectClient, run: UUID) -> Any:
    """Return the run's state on the server."""
    return client.read_flow_run(run).state


def test_a_worker_asked_to_stop_lets_its_run_end_and_takes_no_other(
    client: SyncPrefectClient, world: World, tmp_path: Path
) -> None:
    """The run under way ends as usual, and one that is due meanwhile waits for another worker."""
    running = worker(world)
    try:
        run = started(client, "obedient", tmp_path / "first")
        wait_for("the run", (tmp_path / "first" / "began").exists, seconds=BUSY)
        running.send_signal(signal.SIGTERM)
        wait_for("the worker's word", lambda: "asked to stop" in log(world), seconds=BUSY)
        late = started(client, "obedient", tmp_path / "late")
        assert running.wait(timeout=BUSY) == 0
        assert state(client, run).is_completed()
        assert state(client, late).is_scheduled()
        assert not (tmp_path / "late" / "began").exists()
    finally:
        stop(running)


def test_a_run_that_does_not_end_is_cancelled_and_lets_go(
    client: SyncPrefectClient, world: World, tmp_path: Path
) -> None:
    """After its time it is marked on the server with the reason, and ended so that it gives back what it holds."""
    running = worker(world, "--stop-seconds", "1")
    try:
        run = started(client, "absorbed", tmp_path / "absorbed")
        wait_for("the run", (tmp_path / "absorbed" / "began").exists, seconds=BUSY)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=BUSY) == 0
        wait_for("the run's mark", lambda: state(client, run).is_cancelled(), seconds=1)
        assert (tmp_path / "absorbed" / "ended").read_text() == "let go"
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "absorbed" / "began").read_text()), 0)
    finally:
        stop(running)


def log(world: World) -> str:
    """Return the output of the workers."""
    return (world.home / "worker.log").read_text(errors="replace")
