"""One real Prefect server for all tests that run flows: started once a session."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from prefect import Task
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_REGISTER_BLOCKS_ON_START,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from recovery.dead_letters import receiving
from simulated_aws.server import SimulatedAws
from tasks import dead_letters as dead_letter_tasks
from tests.dead_letters_world import DeadLettersWorld
from tests.prefect_home import DATABASE, prepare

_SETTINGS = {
    # Block types register themselves when they are saved; registering Prefect's own forty takes two seconds.
    PREFECT_SERVER_REGISTER_BLOCKS_ON_START: False,
    # The thread that sends heartbeats sleeps a second at a time, and each run's end waits for it. Nothing here is
    # about runs that died without a word.
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
}


@pytest.fixture(scope="session", autouse=True)
def prefect_harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server on a database of its own, for the whole session.

    It evaluates event triggers, and it does not schedule (tests/project/test_locked_set.py has a whole server).
    """
    home = prepare(tmp_path_factory.mktemp("harness"))
    (home / DATABASE).rename(home / "prefect-test.db")  # as the harness names it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prefect.testing.utilities.mkdtemp", lambda: str(home))
        with temporary_settings(_SETTINGS), prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture(scope="session")
def simulated_aws() -> Iterator[SimulatedAws]:
    """The simulated AWS, in a process of its own, for all tests of this folder."""
    with SimulatedAws.start() as aws:
        yield aws


@pytest.fixture
def aws(simulated_aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch) -> SimulatedAws:
    """It is empty but for the estate, which this process's environment names as a worker's does."""
    simulated_aws.reset()
    simulated_aws.create_estate()
    for name, value in simulated_aws.environ({}).items():
        monkeypatch.setenv(name, value)
    return simulated_aws


@pytest.fixture
def world(simulated_aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch) -> DeadLettersWorld:
    """Empty queues and an empty estate, which this process's environment names; nobody waits between repetitions."""
    made = DeadLettersWorld(simulated_aws)
    for name, value in simulated_aws.environ({}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(receiving, "POLL_SECONDS", 0)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    for task in vars(dead_letter_tasks).values():
        if isinstance(task, Task) and task.retries:
            monkeypatch.setattr(task, "retry_delay_seconds", 0.01)
    return made
