"""Circuits under odd clocks, order, policies that change, and a table that was restored."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from recovery.cases import State
from tests.dead_letters_world import ERROR, INVALID, POLICY, TIMEOUT, DeadLettersWorld, Pair, text
from tests.gateways.dead_letters.test_circuits import QUICK, SETTLE, SWEEP, attempts, circuits, run, storm


def change(world: DeadLettersWorld, **values: Any) -> None:
    """Write values into the only circuit, as another process would."""
    [item] = [item for item in world.items() if item["sk"]["S"].startswith("circuit#")]
    item["data"]["S"] = json.dumps({**json.loads(item["data"]["S"]), **values})
    world.aws.client("dynamodb").put_item(TableName=world.table, Item=item)


def hours(world: DeadLettersWorld, count: float) -> str:
    """A time so many hours from now."""
    return (world.aws.clock.now() + timedelta(hours=count)).isoformat()


def test_a_clock_that_was_days_ahead_holds_nothing_up(world: DeadLettersWorld) -> None:
    """A run on a machine whose clock was wrong wrote times that never come."""
    pair = world.pair()
    storm(world, pair, 8)
    change(world, opened=hours(world, 72), due=hours(world, 73), until=hours(world, 74))
    world.aws.clock.advance(SETTLE + 3 * SWEEP)
    report = run(world, pair)
    assert report.by_action["heal"] == 1
    assert report.by_action["wait"] == 6


def test_a_circuit_that_closed_in_the_future_opens_again(world: DeadLettersWorld) -> None:
    """The same for the end of a circuit: until then no comeback would count."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 12)
    run(world, pair)
    world.fail(pair.source)
    run(world, pair)
    [before] = circuits(world, pair).values()
    change(world, opened=None, due=None, until=None, closed=hours(world, 72), step=[0, 0, 0, 0], came=0)
    world.fail(pair.source)
    world.aws.clock.advance(SETTLE + 3 * SWEEP)
    run(world, pair)
    world.fail(pair.source)
    report = run(world, pair)
    assert report.by_action["heal"] == 1, before


def test_a_policy_without_circuits_lets_all_go(world: DeadLettersWorld) -> None:
    """Messages that waited for a circuit go once they are met, and no report speaks of it."""
    pair = world.pair()
    storm(world, pair, 8)
    world.aws.clock.advance(SETTLE + 3 * SWEEP)
    never = QUICK.model_copy(update={"circuit_opens_after": 0})
    report = run(world, pair, policy=never)
    assert report.by_action == {"heal": 7}
    assert not any("is open since" in line for line in report.warnings), report.warnings


def test_fifo_groups_keep_their_order(world: DeadLettersWorld) -> None:
    """One of all probes; when it is proven the others follow, each behind those before it."""
    pair = world.pair(fifo=True)
    for group in "abcdef":
        world.die(pair, [TIMEOUT] * 3, MessageBody=f"{group} {{n}}", MessageGroupId=group)
    for _ in range(8):
        run(world, pair)
        world.aws.clock.advance(10)
        if circuits(world, pair) and any("opened" in circuit for circuit in circuits(world, pair).values()):
            break
        world.fail(pair.source)
    assert len(world.bodies(pair.source)) <= 1
    came: list[str] = []
    for _ in range(30):
        came += world.bodies(pair.source)
        world.work_off(pair.source)
        world.aws.clock.advance(SETTLE + SWEEP)
        run(world, pair)
        if len(came) == 18:
            break
    assert world.archived(pair.dead) == []
    assert len(came) == 18
    for group in "abcdef":
        ours = [body for body in came if body.startswith(group)]
        assert ours == sorted(ours), came


def test_a_group_of_one(world: DeadLettersWorld) -> None:
    """A policy that opens at one comeback: its only message probes for itself, and ends at its last attempt."""
    pair = world.pair()
    policy = QUICK.model_copy(update={"circuit_opens_after": 1, "max_attempts": 3})
    world.die(pair, [TIMEOUT])
    for _ in range(12):
        run(world, pair, policy=policy)
        world.fail(pair.source)
        world.aws.clock.advance(3700)
    assert len(world.archived(pair.dead)) == 1
    [case] = [case for case in world.cases(pair.dead).values() if case.state is not State.SUPERSEDED]
    assert (case.state, case.attempts) == (State.EXHAUSTED, 3)


def test_probes_that_can_never_succeed_do_not_lengthen_the_wait(world: DeadLettersWorld) -> None:
    """The outage ended, and each probe is refused for its own body: another follows at the next sweep."""
    orders, dead = world.queue("orders"), world.queue("dlq")
    policy = QUICK.model_copy(update={"destination": orders})
    pair = Pair(orders, dead)

    def fail(error: str) -> None:
        """The consumer fails on all that it gets."""
        for body in world.bodies(orders):
            world.send(dead, [{"MessageBody": body, "MessageAttributes": {ERROR: text(error)}}])
        world.work_off(orders)

    world.send(dead, [{"MessageBody": f"order {n}", "MessageAttributes": {ERROR: text(TIMEOUT)}} for n in range(8)])
    run(world, pair, policy=policy)
    fail(TIMEOUT)
    run(world, pair, policy=policy)
    for _ in range(3):
        assert len(world.bodies(orders)) == 1
        fail(INVALID)
        world.aws.clock.advance(SETTLE + 3 * SWEEP)
        run(world, pair, policy=policy)
    [circuit] = [each for each in circuits(world, pair).values() if "opened" in each]
    assert circuit["failed"] == 0


def test_a_restored_table_without_the_circuit(world: DeadLettersWorld) -> None:
    """Cases are there, their circuit is not: what waits goes, and opens it again when it comes back."""
    pair = world.pair()
    storm(world, pair, 8)
    for item in [item for item in world.items() if item["sk"]["S"].startswith("circuit#")]:
        world.aws.client("dynamodb").delete_item(TableName=world.table, Key={"pk": item["pk"], "sk": item["sk"]})
    world.fail(pair.source)
    world.aws.clock.advance(SETTLE + 3 * SWEEP)
    run(world, pair)
    world.fail(pair.source)
    assert run(world, pair).by_action["heal"] == 1
    assert max(attempts(world, pair)) <= 3
    assert world.archived(pair.dead) == []


def test_an_outage_of_twelve_hours_takes_no_message_its_attempts(world: DeadLettersWorld) -> None:
    """Without a circuit each would be sent four times for nothing, and then wait in the archive for a person."""
    pair = world.pair()
    policy = POLICY.model_copy(update={"circuit_opens_after": 5, "sweep_seconds": 1800})
    world.die(pair, [TIMEOUT] * 40)
    sent = done = 0
    for sweep in range(24 + 24):
        world.recover(pair.dead, policy=policy)
        world.aws.clock.advance(1800)
        if sweep < 24:
            sent += world.visible(pair.source)
            world.fail(pair.source)
        else:
            done += world.work_off(pair.source)
    assert world.archived(pair.dead) == []
    assert done == 40
    assert sent <= 60, "the first send of each, and probes"
