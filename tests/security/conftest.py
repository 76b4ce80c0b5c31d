"""One simulated AWS for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulated_aws.server import SimulatedAws


@pytest.fixture(scope="session")
def simulated_aws() -> Iterator[SimulatedAws]:
    """The simulated AWS in a process of its own, for the whole session."""
    with SimulatedAws.start() as aws:
        yield aws
