"""Whole stories on the strict AppFlow: what people see, what is called, and what the usual retrier does instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.appflow_runs.look import find_flows
from recovery.appflow_runs.policy import AppFlowPolicy, AppFlowRequest
from recovery.cases import State
from recovery.errors import Transient
from simulated_aws.appflow import Outcome
from tests.appflow_world import START, TO, Through, World, a_world
from tests.unit.appflow_runs.situations import DOWN, EXPIRED

HOURLY = {"scheduleExpression": "rate(1hours)", "dataPullMode": "Incremental"}
DAILY = {"scheduleExpression": "rate(1days)", "dataPullMode": "Complete"}


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


# -- the usual retrier -------------------------------------------------------------------------------------------------


def usual_retrier(world: World, event: dict[str, Any]) -> None:
    """A common retrier's answer to each failure event: start the flow, whatever has happened since."""
    if event["detail-type"] == "AppFlow End Flow Run Report" and event["detail"]["status"] != "Execution Successful":
        with suppress(ClientError):  # logged and forgotten
            world.client.start_flow(flowName=event["detail"]["flow-name"])


def test_the_usual_retrier_runs_nothing_of_a_schedule(world: World) -> None:
    """Started for every failure, a scheduled flow does not run once more before its schedule: each start only activates
    what is active. A full pull whose schedule is far is made through a twin here."""
    world.appflow.script(Outcome.failure(DOWN), flow="theirs")
    world.flow("theirs", schedule=DAILY)
    usual_retrier(world, world.estate.events[-1])
    world.advance(hours=12)
    assert [run.status for run in world.appflow.flow("theirs").runs] == ["Error"]
    world.appflow.script(Outcome.failure(DOWN), flow="ours")
    world.flow("ours", schedule=DAILY)
    world.sweeps(2, policy=AppFlowPolicy(allow_twin=True))
    assert world.memory("ours").history.attempts[-1].outcome == "Successful"


def test_the_usual_retrier_defeats_the_switch_off(world: World) -> None:
    """Started for the very failure that switched it off, a flow with expired credentials is on again at once, fails on,
    and nobody hears of it; here a person hears twice, before and after, and the flow stays off."""
    schedule = {**HOURLY, "flowErrorDeactivationThreshold": 3}
    world.appflow.script(flow="*", then=Outcome.failure(EXPIRED))
    world.flow("theirs", schedule=schedule)
    for _ in range(48):
        events, world.estate.events = world.estate.events, []
        for event in events:
            usual_retrier(world, event)
        world.advance(minutes=10)
    assert world.appflow.flow("theirs").status == "Active"
    assert len(world.appflow.flow("theirs").runs) > 7
    world.client.stop_flow(flowName="theirs")

    world.flow("ours", schedule=schedule)
    world.sweeps(8, policy=AppFlowPolicy(allow_reactivate=True), flows=("ours",))
    assert world.appflow.flow("ours").status == "Suspended"
    assert len(world.appflow.flow("ours").runs) == 3
    assert world.alerts() == [
        "Reprise: AppFlow flow ours needs a person (AUTH_FAILURE)",
        "Reprise: AppFlow is about to switch off flow ours",
    ]


def test_the_usual_retrier_runs_what_has_succeeded_since(world: World) -> None:
    """An event that comes late starts a flow that a person has already run; this path looks first."""
    world.flow("orders", Outcome.failure(DOWN))
    late = world.estate.events[-1]
    world.client.start_flow(flowName="orders")
    world.advance(minutes=5)
    world.recover(started_by="event")
    assert len(world.appflow.flow("orders").runs) == 2
    usual_retrier(world, late)
    assert len(world.appflow.flow("orders").runs) == 3


def test_the_usual_retrier_doubles_runs(world: World) -> None:
    """The same event delivered twice is two runs of a flow that ends quickly; here a failure has one token."""
    world.appflow.script(Outcome.failure(DOWN), flow="*", then=Outcome(seconds=1))
    world.flow("theirs")
    event = world.estate.events[-1]
    for _ in range(2):
        usual_retrier(world, event)
        world.advance(seconds=5)
    assert len(world.appflow.flow("theirs").runs) == 3
    world.appflow.script(Outcome.failure(DOWN), flow="ours")
    world.flow("ours")
    world.advance(minutes=5)
    for _ in range(2):
        world.recover("ours", started_by="event")
        world.advance(seconds=5)
    assert len(world.appflow.flow("ours").runs) == 2


def test_the_usual_retrier_never_ends(world: World) -> None:
    """Started for every failure, a flow with expired credentials is started for ever; here it is not started at all."""
    world.appflow.script(flow="*", then=Outcome.failure(EXPIRED))
    world.flow("theirs")
    for _ in range(30):
        events, world.estate.events = world.estate.events, []
        for event in events:
            usual_retrier(world, event)
        world.advance(seconds=10)
    assert len(world.appflow.flow("theirs").runs) > 25
    world.flow("ours")
    world.sweeps(2)
    assert len(world.appflow.flow("ours").runs) == 1


# -- an incident -------------------------------------------------------------------------------------------------------


def test_five_attempts_then_a_person(world: World) -> None:
    """The waits grow from a minute to an hour, five attempts are made, one alert goes out, and nothing more happens."""
    world.flow("orders")
    world.advance(hours=2)
    world.appflow.script(flow="orders", then=Outcome.failure(DOWN))
    world.client.start_flow(flowName="orders")
    world.advance(seconds=5)
    world.sweeps(12, every=1)
    runs = world.appflow.flow("orders").runs
    assert len(runs) == 1 + 1 + 5
    waits = [later.started - earlier.updated for earlier, later in pairwise(runs[1:]) if earlier.updated]
    for number, wait in enumerate(waits, 1):
        ceiling = AppFlowPolicy().backoff.ceiling(number)
        assert ceiling / 2 <= wait <= ceiling + timedelta(minutes=1.5)
    assert len(world.alerts()) == 1
    case = world.case("orders")
    assert case is not None
    assert (case.state, case.attempts, case.kind) == (State.EXHAUSTED, 5, "DEPENDENCY_FAILURE")
    assert case.due is None


def test_a_person_fixes_the_cause(world: World) -> None:
    """After the credentials were renewed, a run by hand that says so runs the flow; its success is reported once."""
    world.flow("orders", Outcome.failure(EXPIRED))
    world.advance(minutes=5)
    world.sweeps(1)
    assert world.alerts() == ["Reprise: AppFlow flow orders needs a person (AUTH_FAILURE)"]
    world.recover()
    assert len(world.appflow.flow("orders").runs) == 1
    assert world.recover(cause_fixed=True).by_action == {"rerun": 1}
    world.advance(minutes=1)
    report = world.recover()
    assert report.by_action == {"recovered": 1}
    assert report.recovered == 1
    assert world.memory("orders").seconds_to_recover == report.seconds_to_recover
    assert world.alerts() == ["Reprise: AppFlow flow orders has recovered"]
    world.sweeps(1)
    assert world.alerts() == []


def test_what_works_and_comes_back_uses_up_the_same_attempts(world: World) -> None:
    """A flow that fails again right after each recovery gets five attempts in all, not five each time."""
    world.appflow.script(*[Outcome.failure(DOWN), Outcome()] * 20, flow="orders")
    world.flow("orders")
    for _ in range(60):
        world.recover(started_by="sweep", policy=AppFlowPolicy(settle_seconds=36_000))
        world.advance(minutes=10)
        if world.appflow.flow("orders").runs[-1].status == "Successful":
            world.client.start_flow(flowName="orders")  # somebody's next regular run, which fails
            world.advance(seconds=5)
    assert len(world.appflow.runs_by_token("reprise-")) == 5
    assert len(world.alerts()) == 1


def test_partial_failures_are_reported(world: World) -> None:
    """Failed records in a success are in the report once, and run again only where the policy says so."""
    world.flow("orders", Outcome(records=10, failed_records=3, bytes_written=700))
    report = world.recover(started_by="sweep")
    assert report.by_action == {"partial": 1}
    assert "3 records failed" in report.groups[0].reason
    world.advance(minutes=20)
    world.recover(started_by="sweep")
    assert world.recover(started_by="sweep").is_quiet
    assert len(world.appflow.flow("orders").runs) == 1
    world.recover(policy=AppFlowPolicy(rerun_partial=True))
    world.advance(minutes=1)
    assert [run.status for run in world.appflow.flow("orders").runs] == ["Successful", "Successful"]


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_a_warning_before_the_switch_off(world: World) -> None:
    """A person is notified once, while a run is left; the report shows the runs left and the time at every failure."""
    world.appflow.script(flow="orders", then=Outcome.failure(DOWN))
    world.flow("orders", schedule={**HOURLY, "flowErrorDeactivationThreshold": 3})
    first = world.recover(started_by="sweep")
    assert "after 2 more, at 2026-03-10 14:00:00 UTC (threshold 3)" in first.groups[0].reason
    world.advance(hours=1)
    world.sweeps(0.8)
    reported = world.alerts()
    assert reported == ["Reprise: AppFlow is about to switch off flow orders"]
    assert world.appflow.flow("orders").status == "Active"
    world.advance(hours=1)
    world.sweeps(1)
    assert world.appflow.flow("orders").status == "Suspended"
    assert world.alerts() == ["Reprise: AppFlow flow orders needs a person (DEPENDENCY_FAILURE)"]


def test_gaps_are_shown_until_they_are_covered(world: World) -> None:
    """The window of a failed incremental run is a gap in every report, until a success has pulled it."""
    world.flow("orders", Outcome(), Outcome.failure(DOWN), Outcome.failure(DOWN), schedule=HOURLY)
    assert world.recover(started_by="sweep").warnings == ()
    world.advance(hours=1)
    gap = "flow orders: no successful run has pulled the data from 2026-03-10 12:00:00 UTC to 2026-03-10 {}:00:00 UTC"
    assert world.recover(started_by="sweep").warnings == (gap.format(13),)
    world.advance(minutes=30)
    assert world.recover(started_by="sweep").warnings == (gap.format(13),)
    world.advance(minutes=30)
    assert world.recover(started_by="sweep").warnings == (gap.format(14),)
    world.advance(hours=1)
    assert world.recover(started_by="sweep").warnings == ()
    assert [operation for operation, _ in world.changes()] == ["CreateFlow", "StartFlow"]


def test_a_gap_that_nothing_covers_stays(world: World) -> None:
    """A window that was jumped over is shown for as long as the ledger lives, however quiet the flow is."""
    world.flow("orders", schedule=HOURLY)
    world.recover(started_by="sweep")
    flow = world.appflow.flow("orders")
    flow.runs[0].window = (START - timedelta(days=30), START - timedelta(hours=2))  # what AppFlow reports it now
    world.advance(hours=1)
    lost = world.appflow.flow("orders").runs[-1]
    assert lost.window is not None
    lost.window = (START + timedelta(minutes=30), lost.window[1])
    for _ in range(4):
        world.advance(minutes=20)
        report = world.recover(started_by="sweep")
        assert any("from 2026-03-10 12:00:00 UTC to 2026-03-10 12:30:00 UTC" in line for line in report.warnings)


def test_a_twin_is_removed_although_its_flow_is_gone(world: World) -> None:
    """A twin whose flow was deleted, or left the request, is tidied up all the same."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.flow("others")
    world.advance(minutes=10)
    world.recover(policy=AppFlowPolicy(allow_twin=True))
    assert len(world.twins()) == 1
    world.client.delete_flow(flowName="orders", forceDelete=True)
    world.advance(minutes=10)
    world.recover("others")
    assert world.twins() == []
    assert world.memory("orders").history.attempts[-1].outcome == "Successful"


def test_a_twin_of_another_ledger_is_left(world: World) -> None:
    """Two estates in one account do not remove each other's twins."""
    world.flow("reprise-twin-of-somebody", tags={"reprise:twin-of": "orders", "reprise:ledger": "another"}, start=False)
    world.flow("orders")
    report = world.recover()
    assert world.twins() == ["reprise-twin-of-somebody"]
    assert any("another ledger" in line for line in report.warnings)


def test_a_forgotten_twin_is_removed(world: World) -> None:
    """A twin of ours that no attempt remembers was called off: it goes."""
    world.flow("reprise-twin-0", tags={"reprise:twin-of": "orders", "reprise:ledger": "ledger"}, start=False)
    world.flow("orders")
    world.recover()
    assert world.twins() == []


def test_the_user_s_flow_may_be_long_gone(world: World) -> None:
    """A flow that is removed between list and look is one line; the others go on."""
    world.flow("orders", Outcome.failure(DOWN))
    world.flow("others", Outcome.failure(DOWN))
    world.advance(minutes=10)
    world.appflow.refuse("DescribeFlowExecutionRecords", "ResourceNotFoundException")
    report = world.recover()
    assert report.unsettled == 1
    assert report.by_action == {"rerun": 1}


# -- scope, events, cost -----------------------------------------------------------------------------------------------


def test_scope_is_opt_in(world: World) -> None:
    """Named by glob or tag, others are listed and not touched."""
    for name in ("orders-a", "orders-b", "stock", "tagged"):
        world.flow(name, Outcome.failure(DOWN), tags={"team": "data"} if name == "tagged" else {})
    world.advance(minutes=10)
    world.appflow.calls.clear()
    report = world.recover("orders-*", "tag:team=dat?")
    assert sorted(name for _, name in world.changes()) == ["orders-a", "orders-b", "tagged"]
    assert report.warnings == ("1 failed flows are outside the request and were not touched: stock",)


def test_missed_events(world: World) -> None:
    """A failure that a sweep finds and no event's run has seen is counted, once."""
    world.flow("reported", Outcome.failure(EXPIRED))
    world.recover(started_by="event")
    world.flow("untold", Outcome.failure(EXPIRED, announced=False))
    world.advance(minutes=4)
    assert world.recover(started_by="sweep").missed_events == 1
    assert world.recover(started_by="sweep").missed_events == 0


def test_an_old_failure_is_no_missed_event(world: World) -> None:
    """A failure long before the flow's first inspection was announced to nobody."""
    world.flow("orders", Outcome.failure(DOWN))
    world.advance(hours=30)
    assert world.recover(started_by="sweep").missed_events == 0


def test_a_run_of_an_event_looks_again(world: World) -> None:
    """A failure while an event's run is at work starts no run of its own, so the run inspects once more."""
    world.flow("orders", Outcome.failure(DOWN))
    world.flow("others", Outcome(seconds=20), Outcome.failure(EXPIRED, seconds=0.5))
    world.advance(minutes=1)
    work = world.work(AppFlowRequest(flows=("*",), dry_run=False, started_by="event"))
    work.close()
    lists = Counter(operation for operation, _ in world.appflow.calls)["ListFlows"]
    world.recover(started_by="event")
    assert Counter(operation for operation, _ in world.appflow.calls)["ListFlows"] - lists == 2


def test_nothing_can_be_asked(world: World) -> None:
    """Without any answer of AppFlow the run fails as a whole, to be tried again."""
    world.appflow.refuse("ListFlows", "ThrottlingException")
    work = world.work(AppFlowRequest(flows=("*",)))
    with pytest.raises(Transient):
        find_flows(work)
    work.close()


def test_three_hundred_flows_in_one_sweep() -> None:
    """300 flows, 40 of them failed: paced at ten calls a second (assumed) no call is throttled, and a quiet sweep costs
    three calls."""
    with a_world(calls_per_second=10) as world:
        world.appflow.calls_per_second = None  # making them is not what is measured
        for number in range(300):
            failed = number % 10 == 0 or number >= 290
            world.flow(f"flow-{number:03}", Outcome.failure(DOWN) if failed else Outcome(), start=False)
            world.client.start_flow(flowName=f"flow-{number:03}")
        world.advance(minutes=10)
        world.appflow.calls_per_second = 10

        def sweep() -> tuple[Counter[str], float]:
            world.appflow.calls.clear()
            before = world.seconds()
            report = world.recover(started_by="sweep")
            assert report.problems == ()
            assert report.unsettled == 0
            calls = Counter(operation for operation, _ in world.appflow.calls)
            assert report.requests["appflow"] == sum(calls.values())
            return calls, world.seconds() - before

        calls, seconds = sweep()
        assert calls == {
            "ListFlows": 3,
            "DescribeFlowExecutionRecords": 300 + 39,  # and once more before each start
            "DescribeFlow": 39 + 39,
            "StartFlow": 39,
        }
        assert seconds == pytest.approx(sum(calls.values()) / 10, abs=0.2)
        world.advance(minutes=15)
        calls, _ = sweep()
        assert calls == {"ListFlows": 3, "DescribeFlowExecutionRecords": 39}
        world.advance(minutes=15)
        sweep()
        calls, seconds = sweep()
        assert calls == {"ListFlows": 3}
        assert seconds < 1
        assert all(
            run.status == "Successful" for n in range(300) for run in world.appflow.flow(f"flow-{n:03}").runs[-1:]
        )


def test_a_destination_that_inserts_is_guarded_to_the_end(world: World) -> None:
    """Rows that were written are not written twice: a person is notified, and the flow waits for them."""
    world.flow("orders", Outcome.failure(DOWN, records=9, bytes_written=900), destination=TO["Snowflake"])
    world.advance(minutes=10)
    world.sweeps(12, every=60)
    assert len(world.appflow.flow("orders").runs) == 1
    assert len(world.alerts()) == 1


def test_a_dry_run_writes_nothing(world: World) -> None:
    """A dry run leaves AppFlow, ledger, archive and people alone, and says what would be done."""
    world.flow("orders", Outcome.failure(DOWN))
    world.flow("expired", Outcome.failure(EXPIRED))
    world.flow("daily", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    world.appflow.calls.clear()
    report = world.recover(dry_run=True, policy=AppFlowPolicy(allow_twin=True))
    assert report.by_action == {"rerun": 1, "escalate": 1, "twin": 1}
    assert world.changes() == []
    assert world.case("orders") is None
    assert world.alerts() == []
    assert "Contents" not in world.s3.list_objects_v2(Bucket="archive")


# -- long waits, unread schedules, flows made anew ---------------------------------------------------------------------


def test_a_wait_for_a_far_schedule_is_reported_once(world: World) -> None:
    """A monthly flow failed: a person hears of it at once, and not again while it waits; nothing is run."""
    world.appflow.script(flow="monthly", then=Outcome.failure(DOWN))
    world.flow("monthly", schedule={"scheduleExpression": "cron(0 6 L * ? *)", "dataPullMode": "Incremental"})
    world.advance(days=31)
    failures = len(world.appflow.flow("monthly").runs)
    assert failures
    world.sweeps(2)
    [reported] = world.alerts()
    assert "monthly waits until" in reported
    case = world.case("monthly")
    assert case is not None
    assert case.state is State.BACKOFF
    assert "schedule" in case.detail["step"]
    assert len(world.appflow.flow("monthly").runs) == failures


def test_a_schedule_that_cannot_be_read_is_reported_at_once(world: World) -> None:
    """Nobody knows when it runs next, so a person is asked, once."""
    world.appflow.script(Outcome.failure(DOWN), flow="odd")
    world.flow("odd", schedule=DAILY)
    trigger = world.appflow.flow("odd").definition["triggerConfig"]
    trigger["triggerProperties"]["Scheduled"]["scheduleExpression"] = "tea"
    world.sweeps(2)
    assert world.alerts() == ["Reprise: AppFlow flow odd needs a person (DEPENDENCY_FAILURE)"]


def test_what_lies_beyond_the_limit_is_well(world: World) -> None:
    """Failed flows are looked at first, whatever their names."""
    for name in ("a-fine", "b-fine", "z-failed"):
        world.flow(name, *([Outcome.failure(DOWN)] if name == "z-failed" else []))
    items, _ = find_flows(world.work(AppFlowRequest(flows=("*",), limit=1)))
    assert [item.name for item in items] == ["z-failed"]


def test_a_flow_that_was_made_anew_inherits_nothing(world: World) -> None:
    """Deleted and made again under its name, it has its attempts whole."""
    world.appflow.script(flow="orders", then=Outcome.failure(DOWN))
    world.flow("orders")
    world.sweeps(3)
    assert len(world.memory("orders").history.attempts) > 1
    world.client.delete_flow(flowName="orders", forceDelete=True)
    world.advance(minutes=1)
    world.flow("orders")
    world.recover()
    assert len(world.memory("orders").history.attempts) <= 1


def test_no_flow_is_started_after_a_run_s_time(world: World) -> None:
    """A start that took all the time is the last one of its run; the other flow waits, and is started by the next."""
    for name in ("first", "second"):
        world.appflow.script(Outcome.failure(DOWN), flow=name)
        world.flow(name)
    world.recover(started_by="sweep")
    world.advance(minutes=30)

    def slow(name: str, call: Callable[[], Any]) -> Any:
        answer = call()
        if name == "start_flow":
            world.advance(minutes=9)
        return answer

    def runs() -> list[int]:
        return sorted(len(world.appflow.flow(name).runs) for name in ("first", "second"))

    before = runs()
    report = world.recover(started_by="sweep", through=lambda client: Through(client, slow))
    assert sum(runs()) == sum(before) + 1
    assert not report.failed
    world.recover(started_by="sweep")
    assert sum(runs()) == sum(before) + 2
