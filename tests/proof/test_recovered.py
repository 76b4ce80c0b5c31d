"""A few hours of consumers that are down now and then: each recovery is true, and the proof finds one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from proof.recovered import Day
from recovery.dead_letters import outlook
from simulated_aws.server import SimulatedAws

MINUTES = 150
"""An hour up, an hour down, and half an hour in which it catches up."""


@pytest.fixture(scope="module")
def aws() -> Iterator[SimulatedAws]:
    with SimulatedAws.start() as running:
        yield running


def test_every_recovery_is_true_by_the_consumers_record(aws: SimulatedAws) -> None:
    """Nothing is lost or done twice either."""
    day = Day(aws, queues=1, seed=3)
    day.pass_by(MINUTES)
    assert day.check().violations == []
    assert day.called > 10
    assert day.silent > 0


def test_a_recovery_that_only_waits_is_found(aws: SimulatedAws) -> None:
    """Planted: whatever stayed away for its time counts; nobody asks after the consumer, or for unread messages."""

    def trusting(work: Any, pair: Any, taken: Any) -> Any:
        return replace(taken, receives=1).with_proof(work.now(), work.now())

    day = Day(aws, queues=1, seed=3)
    with mock.patch.object(outlook, "_inspect", trusting), mock.patch.object(outlook, "Unread") as unread:
        unread.return_value.return_value = False
        day.pass_by(2 * MINUTES)
    assert day.false
