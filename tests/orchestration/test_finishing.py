"""A person ends what waits, by real runs: a plan that is carried out step by step, a dismissal, and their events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.client.orchestration import get_client

from flows.cases import close_cases, list_cases, note_group, reopen_cases
from flows.plans import carry_out, control_plan, plan_messages
from recovery.closing.close import Closed
from recovery.closing.requests import CloseRequest, NoteRequest, ReopenRequest
from recovery.dead_letters.plans.book import PlanBook
from recovery.dead_letters.plans.make import PlanReport
from recovery.dead_letters.plans.plan import Plan, PlanState
from recovery.dead_letters.plans.request import CarryOutRequest, Control, ControlRequest, PlanRequest
from recovery.histories.requests import ListRequest
from recovery.report import RecoveryReport
from tests.dead_letters_world import AUTH, POLICY, DeadLettersWorld, Pair
from tests.orchestration.dead_letters_runs import recover
from tests.orchestration.test_seeing import latest_artifact
from tests.waiting import wait_for

WHO = {"operator": "ann", "reason": "the key was renewed"}
QUICK = POLICY.model_copy(update={"settle_seconds": 60})


def events(name: str) -> list[dict[str, Any]]:
    """Events of a name in the server's feed, also those whose time the clock of the simulated AWS has moved ahead."""
    now = datetime.now(UTC)
    times = {"since": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=2)).isoformat()}
    with get_client(sync_client=True) as client:
        asked = {"filter": {"event": {"name": [name]}, "occurred": times}, "limit": 50}
        found: list[dict[str, Any]] = client.request("POST", "/events/filter", json=asked).json()["events"]
    return found


def sweep(world: DeadLettersWorld, pair: Pair) -> None:
    """The consumer takes what was sent, its time passes, and a sweep follows."""
    world.work_off(pair.source)
    recover(world, pair.dead, policy=QUICK)
    world.aws.clock.advance(120)
    recover(world, pair.dead, policy=QUICK)


def test_a_plan_is_made_carried_out_and_finished(world: DeadLettersWorld) -> None:
    """The page shows the plan and no body; each sweep goes on with it; its life is in the feed of events."""
    pair = world.pair()
    world.die(pair, [AUTH] * 5, MessageBody="SECRET-BODY")
    recover(world, pair.dead)
    plan = plan_messages(PlanRequest(queues=(pair.dead,), steps=(1,), settle_seconds=60, **WHO))
    assert isinstance(plan, PlanReport)
    page = latest_artifact("dead-letters-plan")["data"]
    assert plan.plan_id in page
    assert "SECRET-BODY" not in page
    request = CarryOutRequest(plan_id=plan.plan_id, digest=plan.digest, operator="bob", reason="reviewed")
    dry = carry_out(request)
    assert isinstance(dry, RecoveryReport)
    assert world.bodies(pair.source) == []
    assert isinstance(carry_out(request.model_copy(update={"dry_run": False})), RecoveryReport)
    assert len(world.bodies(pair.source)) == 1
    for _ in range(3):
        sweep(world, pair)
    assert PlanBook(world.connection().ledger).read(plan.plan_id).state is PlanState.DONE
    assert world.states(pair.dead)["replayed"] == 5
    for name in ("reprise.plan.created", "reprise.plan.stepped", "reprise.plan.finished", "reprise.group.opened"):
        wait_for(name, lambda name=name: events(name), seconds=60)  # type: ignore[misc]
    assert "SECRET-BODY" not in str([events(name) for name in ("reprise.plan.created", "reprise.group.opened")])


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (CarryOutRequest(plan_id="p-none", digest="d", operator="bob", reason="x", dry_run=False), "p-none"),
        (CarryOutRequest(plan_id="p-none", digest="d", operator="bob", dry_run=False), "reason"),
    ],
)
def test_a_plan_that_may_not_begin_is_one_line(world: DeadLettersWorld, request_: CarryOutRequest, line: str) -> None:
    """Nothing is sent, and the run's state says why."""
    assert world.aws
    state: Any = carry_out(request_, return_state=True)
    assert state.is_failed()
    assert line in str(state.message)
    assert "\n" not in str(state.message)


def test_a_plan_is_paused_and_cancelled(world: DeadLettersWorld) -> None:
    """By a person, with a reason; what it has not sent stays in the archive."""
    pair = world.pair()
    world.die(pair, [AUTH] * 3)
    recover(world, pair.dead)
    plan = plan_messages(PlanRequest(queues=(pair.dead,), **WHO))
    assert isinstance(plan, PlanReport)
    control = ControlRequest(plan_id=plan.plan_id, control=Control.CANCEL, dry_run=False, **WHO)
    ended = control_plan(control)
    assert isinstance(ended, Plan)
    assert ended.state is PlanState.CANCELLED
    assert world.states(pair.dead) == {"parked": 3}


def test_what_waits_is_dismissed_and_waits_again(world: DeadLettersWorld) -> None:
    """The list is empty after the dismissal, full after the reopening, and a note stands beside its group."""
    pair = world.pair()
    world.die(pair, [AUTH] * 3)
    recover(world, pair.dead)
    only = {"sources": (pair.dead,)}
    [group] = {story.group for story in list_cases(ListRequest(**only))}  # type: ignore[union-attr]
    note_group(NoteRequest(group=group, operator="ann", comment="asked the bank", owner="payments"))
    closed = close_cases(CloseRequest(**only, **WHO, dry_run=False))
    assert isinstance(closed, Closed)
    assert list_cases(ListRequest(**only)) == []
    reopen_cases(ReopenRequest(**only, **WHO, dry_run=False))
    waiting = list_cases(ListRequest(**only))
    assert isinstance(waiting, list)
    assert len(waiting) == 3
    assert "asked the bank" in latest_artifact("waiting-cases")["data"]
