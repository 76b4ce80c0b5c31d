"""One real Prefect server for all tests that run flows: started once a session, about nine seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_REGISTER_BLOCKS_ON_START,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

_SETTINGS = {
    # Block types register themselves when they are saved; registering Prefect's own forty takes two seconds.
    PREFECT_SERVER_REGISTER_BLOCKS_ON_START: False,
    # The thread that sends heartbeats sleeps a second at a time, and each run's end waits for it. Nothing here is
    # about runs that died without a word.
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
}


@pytest.fixture(scope="session", autouse=True)
def prefect_harness() -> Iterator[None]:
    """A Prefect server on a database of its own, for the whole session.

    It evaluates event triggers, and it does not schedule (tests/project/test_locked_set.py has a whole server).
    """
    with temporary_settings(_SETTINGS), prefect_test_harness(server_startup_timeout=120):
        yield
