"""An estate of its own for each test of the dead-letter path."""

from __future__ import annotations

import pytest

from simulated_aws.server import SimulatedAws
from tests.letters_world import LettersWorld


@pytest.fixture
def world(simulated_aws: SimulatedAws, sdk_does_not_wait: None) -> LettersWorld:
    """Empty queues and an empty estate; the SDK repeats its calls at once."""
    return LettersWorld(simulated_aws)
