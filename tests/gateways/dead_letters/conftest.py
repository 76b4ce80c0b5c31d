"""An estate of its own for each test of the dead-letter path."""

from __future__ import annotations

import pytest

from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import DeadLettersWorld


@pytest.fixture
def world(simulated_aws: SimulatedAws, sdk_does_not_wait: None) -> DeadLettersWorld:
    """Empty queues and an empty estate; the SDK repeats its calls at once."""
    return DeadLettersWorld(simulated_aws)
