"""Plans in trouble: the head of a FIFO group is refused, and the ledger is slow or away."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest

from recovery.closing.close import close_cases
from recovery.closing.requests import CloseRequest
from recovery.dead_letters.plans.plan import PlanState
from recovery.dead_letters.plans.request import Control
from recovery.errors import RepriseError
from tasks.cases import histories_of
from tests.dead_letters_world import DeadLettersWorld
from tests.gateways.dead_letters.test_plans import begin, parked, planned, state, steer, sweep


def test_a_plan_of_a_fifo_queue_keeps_its_order_through_its_steps(world: DeadLettersWorld) -> None:
    """Two groups, step by step: each arrives as it was."""
    pair = world.pair(fifo=True)
    for name in ("a", "b"):
        parked(world, pair, 4, MessageBody=f"{name} {{n}}", MessageGroupId=name)
    plan = planned(world, queues=(pair.dead,), steps=(1, 2))
    begin(world, plan)
    arrived: list[str] = []
    for _ in range(3):
        arrived += world.bodies(pair.source)
        sweep(world, pair)
    assert state(world, plan).state is PlanState.DONE
    assert sorted(arrived) == [f"{name} {n}" for name in ("a", "b") for n in range(4)]
    for name in ("a", "b"):
        group = [body for body in arrived if body.startswith(name)]
        assert group == sorted(group)


def test_a_head_that_is_refused_stops_the_plan_before_its_group(world: DeadLettersWorld) -> None:
    """Nothing of the group overtakes it, and a person hears of it instead of a plan that waits for ever."""
    pair = world.pair(fifo=True)
    ids = parked(world, pair, 3, MessageBody="order {n}", MessageGroupId="a")
    plan = planned(world, queues=(pair.dead,), steps=())
    world.aws.fault(
        "partial", operation="SendMessageBatch", entries=[0], status=400, code="InvalidMessageContents", times=1
    )
    begin(world, plan)
    found = state(world, plan)
    assert world.bodies(pair.source) == []
    assert (found.state, found.sent) == (PlanState.STOPPED, 0)
    assert ids[0] in found.why
    dismiss = CloseRequest(ids=(ids[0],), operator="ann", reason="cannot be sent", dry_run=False)
    close_cases(histories_of(world.connection()), dismiss)
    steer(world, plan, Control.RESUME)
    assert begin(world, plan).sent == 2
    assert world.bodies(pair.source) == ["order 1", "order 2"]


@pytest.mark.parametrize("operation", ["BatchWriteItem", "PutItem", "BatchGetItem", "GetItem"])
def test_a_throttled_ledger_delays_a_plan_and_loses_nothing(world: DeadLettersWorld, operation: str) -> None:
    """Later runs go on to the end. A send that could not be confirmed is repeated once: the declared window."""
    pair = world.pair()
    parked(world, pair, 6)
    plan = planned(world, queues=(pair.dead,), steps=())
    for skipped in range(6):
        code = "ProvisionedThroughputExceededException"
        world.aws.fault("error", operation=operation, code=code, status=400, times=None, after=skipped)
        with contextlib.suppress(RepriseError):
            begin(world, plan)
        world.aws.lift_faults()
        world.aws.clock.advance(901)
    begin(world, plan)
    found = state(world, plan)
    assert (found.sent, found.cursor) == (6, 6)
    copies = Counter(world.bodies(pair.source))
    assert len(copies) == 6
    assert max(copies.values()) == (2 if operation == "BatchWriteItem" else 1)
