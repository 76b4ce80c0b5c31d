"""The outbox path on the simulated AWS, without Prefect: rows in, messages out, statuses on the rows."""

from __future__ import annotations

import time

import pytest

from deployments.local.server import SimulatedAws
from tests.outbox_world import OutboxWorld


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws)


def test_due_rows_are_published_and_finished(world: OutboxWorld) -> None:
    """Each due row reaches the subscriber once with its id, and is finished: out of the line, with a TTL."""
    world.pending("a", "first")
    world.pending("b", "second", shard=5)
    world.pending("later", due=int(time.time()) + 1_000)

    report = world.run()

    assert sorted(world.delivered_texts()) == ["first", "second"]
    assert {e["MessageAttributes"]["outbox_row_id"]["Value"] for e in world.delivered()} == {"a", "b"}
    row = world.row("a")
    assert row["status"] == "Successful"
    assert {"outbox_line", "outbox_next_attempt", "outbox_claim"}.isdisjoint(row)
    assert int(row["outbox_expires"]) > time.time() + 6 * 86_400
    assert row["outbox_message_id"] in {envelope["MessageId"] for envelope in world.delivered()}
    assert world.row("later")["status"] == "Pending"
    assert report.by_action == {"deliver": 2}
    assert not report.failed
