"""One simulated AWS for all gateway tests, emptied before each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from simulated_aws.server import SimulatedAws


@pytest.fixture(scope="session")
def simulated_aws() -> Iterator[SimulatedAws]:
    """The simulated AWS in a process of its own, for the whole session."""
    with SimulatedAws.start() as aws:
        yield aws


@pytest.fixture
def sdk_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK repeats its calls at once: its waits are botocore's business."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def aws(simulated_aws: SimulatedAws) -> SimulatedAws:
    """The simulated AWS, empty: no resources, no log of requests, no faults, the clock at the real time."""
    simulated_aws.reset()
    return simulated_aws
