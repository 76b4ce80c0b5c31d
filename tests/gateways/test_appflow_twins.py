"""Temporary twins whose story goes wrong: started and not to be seen, never ending, in a stranger's hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recovery.appflow_runs.models import TWIN_PREFIX
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.appflow_runs.verdicts import twin_name
from recovery.cases import State
from simulated_aws.appflow import Outcome
from tests.appflow_world import Through, World, a_world
from tests.unit.appflow_runs.situations import DOWN

TWINS = AppFlowPolicy(allow_twin=True)
DAILY = {"scheduleExpression": "rate(1days)", "dataPullMode": "Complete"}
WEEKLY = {"scheduleExpression": "rate(7days)", "dataPullMode": "Complete"}
NEEDS = "Reprise: AppFlow flow orders needs a person (DEPENDENCY_FAILURE)"


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


def starts(world: World) -> list[str]:
    """Twins that were started, one name for each call."""
    return [name for operation, name in world.changes() if operation == "StartFlow" and name.startswith(TWIN_PREFIX)]


def test_a_started_twin_is_never_given_up(world: World) -> None:
    """AppFlow reports the twin's run and shows no record of it: no second one is made however long that lasts, a
    person hears of it once, and the record counts when it comes."""
    world.appflow.script(Outcome(recorded=False), flow=f"{TWIN_PREFIX}*")
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    world.sweeps(12, every=20, policy=TWINS)
    (twin,) = world.twins()
    assert starts(world) == [twin]
    assert world.alerts() == [NEEDS]
    case = world.case("orders")
    assert case is not None
    assert case.state is State.ESCALATED
    run = world.appflow.flow(twin).runs[0]
    run.outcome = replace(run.outcome, recorded=True)
    world.recover(started_by="sweep", policy=TWINS)
    assert world.twins() == []
    assert world.memory("orders").history.attempts[-1].outcome == "Successful"
    assert world.alerts() == ["Reprise: AppFlow flow orders has recovered"]


def test_an_unread_answer_and_late_records_start_no_second_twin() -> None:
    """The answer to the twin's start is lost and records lag for hours: the same attempt goes on under its token."""
    with a_world(records_lag=timedelta(hours=3)) as world:
        world.flow("orders", Outcome.failure(DOWN, seconds=1), schedule=DAILY)
        world.advance(hours=4)
        world.appflow.refuse("StartFlow", "InternalServerException", carried_out=True)
        world.sweeps(5, policy=TWINS)
        assert len(set(starts(world))) == 1
        assert len(world.appflow.runs_by_token("reprise-")) == 1
        assert [one.outcome for one in world.memory("orders").history.attempts] == ["Successful"]
        assert world.twins() == []


def test_a_twin_that_is_never_started_goes(world: World) -> None:
    """A twin that was made and could never be started is removed once its token has run out."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    world.appflow.refuse("StartFlow", "ThrottlingException")
    for _ in range(4):  # the SDK's own repetitions
        world.appflow.refuse("StartFlow", "ThrottlingException")
    world.recover(policy=TWINS)
    assert len(world.twins()) == 1
    world.advance(hours=7)
    world.recover()  # twins are not allowed any more
    assert len(world.twins()) == 1
    world.advance(hours=2)
    world.recover()
    assert world.twins() == []
    assert world.memory("orders").history.attempts[-1].outcome == "abandoned"


def test_a_twin_that_never_ends_is_reported(world: World) -> None:
    """A twin under way for more than 48 hours is reported to a person once, and no other is started beside it."""
    world.appflow.script(Outcome(seconds=30 * 86_400), flow=f"{TWIN_PREFIX}*")
    world.flow("orders", Outcome.failure(DOWN), schedule=WEEKLY)
    world.advance(minutes=10)
    world.sweeps(48, every=120, policy=TWINS)
    assert world.alerts() == []
    world.sweeps(12, every=60, policy=TWINS)
    assert world.alerts() == [NEEDS]
    assert len(starts(world)) == 1


def test_a_twin_that_a_person_ran_again_counts(world: World) -> None:
    """Its own run failed, and a person ran the twin by hand, which worked: nothing runs a third time."""
    world.appflow.script(Outcome.failure(DOWN), flow=f"{TWIN_PREFIX}*")
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    world.recover(policy=TWINS)
    world.advance(minutes=1)
    (twin,) = world.twins()
    world.client.start_flow(flowName=twin)
    world.advance(minutes=1)
    world.sweeps(5, policy=TWINS)
    assert world.twins() == []
    assert starts(world) == [twin, twin]
    assert world.memory("orders").history.attempts[-1].outcome == "Successful"


def test_a_twin_does_not_make_good_a_later_failure(world: World) -> None:
    """While the twin was at work the flow failed again: that failure is not taken for recovered."""
    world.appflow.script(Outcome(seconds=7200), flow=f"{TWIN_PREFIX}*")
    world.flow("orders", Outcome.failure(DOWN), Outcome.failure(DOWN), schedule=DAILY)
    world.advance(hours=22, minutes=50)
    world.recover(policy=TWINS)  # its schedule is an hour and more away
    assert len(world.twins()) == 1
    world.sweeps(1.5, policy=TWINS)
    assert [run.status for run in world.appflow.flow("orders").runs] == ["Error", "Error"]
    assert len(starts(world)) == 1  # the second failure waits for the twin that is at work
    world.advance(hours=1)
    report = world.recover(policy=TWINS)
    assert report.recovered == 0
    assert world.memory("orders").history.began is not None
    world.sweeps(1, policy=TWINS)
    assert len(set(starts(world))) == 2
    assert world.twins() == []
    assert world.memory("orders").history.began is None


def test_a_stranger_under_the_twins_name_is_left_alone(world: World) -> None:
    """A flow that somebody made under this very name is not removed; a person hears of it once, and creation is not
    tried at every sweep."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    failed = world.appflow.flow("orders")
    stranger = world.flow(twin_name(failed.arn, failed.runs[0].id, 1), start=False)
    world.advance(minutes=10)
    world.appflow.calls.clear()
    world.sweeps(2.9, policy=TWINS)
    assert world.twins() == [stranger]
    assert [operation for operation, _ in world.changes()] == ["CreateFlow"] * 3
    assert world.alerts() == ["Reprise: appflow:CreateFlow: another flow does not go through"]
    assert world.memory("orders").history.attempts == ()


def test_a_twin_that_another_run_has_just_settled(world: World) -> None:
    """Between this run's look at the ledger and its look at the twin, another run settled the twin: no problem, no
    alert from what is out of date, and the next run knows."""
    world.appflow.script(Outcome(seconds=7200), flow=f"{TWIN_PREFIX}*")
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    world.recover(policy=TWINS)
    world.advance(hours=3)
    settled: list[bool] = []

    def late(client: Any) -> Through:
        def around(name: str, call: Callable[[], Any]) -> Any:
            if name == "describe_flow_execution_records" and not settled:
                settled.append(True)
                world.recover(policy=TWINS)
                assert world.twins() == []
            return call()

        return Through(client, around)

    report = world.recover(policy=TWINS, through=late)
    assert settled
    assert (report.problems, report.unsettled, world.alerts()) == ((), 0, [])
    assert world.memory("orders").history.attempts[-1].outcome == "Successful"


@pytest.mark.parametrize("held_up_at", ["put_item", "create_flow"])
def test_a_worker_that_was_held_up_makes_no_call(world: World, held_up_at: str) -> None:
    """A worker whose lease has ended before its next call leaves the attempt to whoever holds it now."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    held_up: list[bool] = []

    def slow(client: Any) -> Through:
        def around(name: str, call: Callable[[], Any]) -> Any:
            answer = call()
            if name == held_up_at and not held_up:
                held_up.append(True)
                world.advance(minutes=6)
            return answer

        return Through(client, around)

    world.recover(policy=TWINS, through=slow)
    assert starts(world) == []
    world.recover(policy=TWINS)
    assert len(starts(world)) == 1
    assert len(world.memory("orders").history.attempts) == 1


def test_a_twin_pulls_everything(world: World) -> None:
    """The field by which a schedule shows what is new is not the twin's: it runs once, on demand."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.appflow.flow("orders").definition["sourceFlowConfig"]["incrementalPullConfig"] = {
        "datetimeTypeFieldName": "At"
    }
    world.advance(minutes=10)
    world.recover(policy=TWINS)
    (twin,) = world.twins()
    assert "incrementalPullConfig" not in world.client.describe_flow(flowName=twin)["sourceFlowConfig"]
