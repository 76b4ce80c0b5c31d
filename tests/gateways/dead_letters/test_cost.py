"""Cost of a thousand healed messages: AWS bills requests and write units, so both are bounded."""

from __future__ import annotations

import math
from typing import Any

import pytest

from recovery.dead_letters.policy import DeadLetterPolicy
from tests.dead_letters_world import AUTH, ERROR, TIMEOUT, DeadLettersWorld

THOUSANDS = 2
"""Of messages, in one round: a run makes six requests more, however many messages it finds."""
POLICY = DeadLetterPolicy.model_validate(
    {
        "error_attributes": [ERROR],
        "max_per_second": 10_000,
        "backoff": {"base_seconds": 1, "cap_seconds": 1},
        "circuit_opens_after": 0,
    }
)
HOLDS = POLICY.model_copy(update={"circuit_opens_after": 5})
"""The same, under which a group that comes back waits."""


class WriteUnits:
    """Write request units of what a client writes: one for each started KB of an item, twice where it is indexed.

    Source: DynamoDB developer guide, read and write request units. A delete is counted as one KB: the items that the
    path deletes in numbers are smaller, and send intents are larger but few.
    """

    def __init__(self, client: Any) -> None:
        self.total = 0
        client.meta.events.register("provide-client-params.dynamodb", self._count)

    def _count(self, params: dict[str, Any], **_: Any) -> None:
        for requests in params.get("RequestItems", {}).values():
            for request in requests if isinstance(requests, list) else ():
                item = request.get("PutRequest", {}).get("Item", {})
                size = sum(len(name) + sum(map(len, value.values())) for name, value in item.items())
                self.total += max(1, math.ceil(size / 1024)) * (2 if "wait" in item else 1)
        if "Item" in params:
            self.total += 1


def test_a_thousand_healed_messages(world: DeadLettersWorld) -> None:
    """At most 360 requests and 1,200 write units; a comeback also marks the case that it had before."""
    pair = world.pair()
    messages = THOUSANDS * 1_000
    world.die(pair, [TIMEOUT] * messages, MessageBody='{{"order": {n}, "note": "' + "x" * 300 + '"}}')
    for coming, requests, write_units in (("first", 360, 1_200), ("second", 400, 2_200)):
        connection = world.connection()
        units = WriteUnits(connection.client("dynamodb"))
        report = world.recover(pair.dead, policy=POLICY, connection=connection, threads=16)
        assert report.by_action == {"heal": messages}, coming
        assert sum(report.requests.values()) <= THOUSANDS * requests, (coming, report.requests)
        assert messages <= units.total <= THOUSANDS * write_units, (coming, units.total)
        world.aws.clock.advance(2)
        world.fail(pair.source)


def test_a_thousand_messages_that_wait_for_a_circuit(world: DeadLettersWorld) -> None:
    """They cost less than if they were sent, and their cases are written once, however often they are met."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 1_000)
    world.recover(pair.dead, policy=HOLDS)
    world.aws.clock.advance(2)
    world.fail(pair.source)
    written = []
    for _ in range(2):
        connection = world.connection()
        units = WriteUnits(connection.client("dynamodb"))
        report = world.recover(pair.dead, policy=HOLDS, connection=connection, threads=16)
        assert report.by_action == {"heal": 1, "wait": 999}
        assert sum(report.requests.values()) <= 360, report.requests
        written.append(units.total)
        world.aws.clock.advance(12 * 3600)
        world.fail(pair.source)
    assert written[0] <= 2_200
    assert written[1] <= 50


def test_the_report_shows_what_was_really_sent(world: DeadLettersWorld) -> None:
    """The counts are those of the requests that arrived."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 30 + [AUTH] * 5)
    connection = world.connection()
    world.aws.clear_requests()
    report = world.recover(pair.dead, connection=connection)
    arrived = world.aws.request_counts()
    for service in ("sqs", "sns"):
        assert report.requests[service] == sum(n for name, n in arrived.items() if name.startswith(f"{service}:"))


@pytest.mark.parametrize("count", [0, 1])
def test_a_sweep_that_finds_little_costs_little(world: DeadLettersWorld, count: int) -> None:
    """An empty queue every five minutes, all year."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * count)
    report = world.recover(pair.dead, connection=world.connection())
    assert sum(report.requests.values()) <= (7 if count == 0 else 19), report.requests


def test_counting_what_recovered_costs_little(world: DeadLettersWorld) -> None:
    """One read and one write for each hundred messages, one removal for 25 times as many, a few for proof and plans."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 300)
    world.recover(pair.dead, policy=POLICY)
    world.aws.clock.advance(3600)
    world.work_off(pair.source)
    report = world.recover(pair.dead, connection=world.connection())
    assert report.recovered == 300
    assert sum(report.requests.values()) <= 18, report.requests
