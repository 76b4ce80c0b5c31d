"""Laws that hold on the strict AppFlow whatever happens: kills at any call, runs side by side, people in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flows.appflow_runs import recover_appflow_runs
from proof.plain_prefect import play
from recovery.appflow_runs.models import Run
from recovery.appflow_runs.policy import AppFlowPolicy, AppFlowRequest
from recovery.backoff import Backoff
from recovery.cases import State
from recovery.errors import BadInput, OutcomeUnknown, RepriseError
from simulated_aws.appflow import Outcome
from tests.appflow_world import Through, World, a_world
from tests.unit.appflow_runs.situations import DOWN, EXPIRED, PUZZLE, THROTTLED

TWINS = AppFlowPolicy(allow_twin=True, allow_reactivate=True)
DAILY = {"scheduleExpression": "rate(1days)", "dataPullMode": "Complete"}
HOURLY = {"scheduleExpression": "rate(1hours)", "dataPullMode": "Complete", "flowErrorDeactivationThreshold": 1}


class Killed(BaseException):
    """The process ends here. Not an Exception: nothing may catch it, as nothing catches a SIGKILL."""


class Axe:
    """Kills the run at its n-th call to AWS, before or after the call is carried out."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.calls = at, after, 0

    def __call__(self, client: Any) -> Through:
        return Through(client, self._around)

    def _around(self, _: str, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Killed
        answer = call()
        if self.calls == self.at:
            raise Killed
        return answer


def killed(world: World, at: int, *, after: bool, policy: AppFlowPolicy) -> bool:
    """One run that is killed at its n-th call; False when it ended before."""
    try:
        world.recover(policy=policy, through=Axe(at, after=after))
    except Killed:
        return True
    return False


def on_demand(world: World) -> None:
    """A flow that failed and is due; its next run fails too, and the one after that works."""
    world.flow("orders", Outcome.failure(DOWN), Outcome.failure(DOWN))
    world.advance(minutes=10)


def escalated(world: World) -> None:
    """A flow that needs a person."""
    world.flow("orders", Outcome.failure(EXPIRED))
    world.advance(minutes=10)


def far_schedule(world: World) -> None:
    """A full-pull flow that failed and whose schedule is far."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)


def with_a_twin(world: World) -> None:
    """The same, and its twin has run."""
    far_schedule(world)
    world.recover(policy=TWINS)
    world.advance(minutes=10)
    assert world.twins()


def switched_off(world: World) -> None:
    """A flow that AppFlow switched off."""
    world.flow("orders", Outcome.failure(DOWN), schedule=HOURLY)
    world.advance(minutes=10)


SCENES: Sequence[Callable[[World], None]] = (on_demand, escalated, far_schedule, with_a_twin, switched_off)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_killed_at_any_call(scene: Callable[[World], None]) -> None:
    """Whatever call a run is killed after, the next runs complete the work: once, and no twin stays.

    For AWS a kill before a call is one after the call before it; `proof.crash` plays both with SIGKILL.
    """
    at = 0
    reported: list[int] = []
    while True:
        at += 1
        with a_world() as world:
            scene(world)
            before = world.definition("orders")
            if not killed(world, at, after=True, policy=TWINS):
                break
            world.sweeps(6, policy=TWINS)
            assert world.definition("orders") == before
            assert world.twins() == []
            started = [name for operation, name in world.changes() if operation == "StartFlow"]
            flow = world.appflow.flow("orders")
            statuses = [run.status for run in flow.runs]
            if scene is on_demand:
                assert statuses == ["Error", "Error", "Successful"]
            elif scene is escalated:
                assert statuses == ["Error"]
                reported.append(len(world.alerts()))
            elif scene in (far_schedule, with_a_twin):
                assert statuses == ["Error"]
                twins = {name for name in started if name != "orders"}
                assert len(twins) == 1
                assert [one.outcome for one in world.memory("orders").history.attempts] == ["Successful"]
                runs = world.appflow.runs_by_token("reprise-")
                assert len(runs) == 1
            else:
                assert flow.status == "Active"
                assert statuses[1] == "Successful"
            case = world.case("orders")
            assert case is not None
            assert case.state is (State.ESCALATED if scene is escalated else State.RECOVERED)
    assert at > 5  # it was killed at every one of them
    # The one duplicate window of alerts: killed between the publish and the record that it went out.
    assert sorted(reported)[:-1] == [1] * (len(reported) - 1)
    assert sorted(reported)[-1:] in ([], [2])


class Turns:
    """Two runs side by side, one call at a time, in an order that is given."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = list(order)
        self._baton = threading.Condition()
        self._waiting: dict[int, threading.Event] = {}
        self._running = {0, 1}

    def through(self, worker: int) -> Callable[[Any], Through]:
        """Layer between this worker and its clients."""

        def around(_: str, call: Callable[[], Any]) -> Any:
            self._pass_on(worker)
            return call()

        return lambda client: Through(client, around)

    def _pass_on(self, worker: int) -> None:
        with self._baton:
            mine = self._waiting[worker] = threading.Event()
            self._choose()
        assert mine.wait(30)

    def end(self, worker: int) -> None:
        with self._baton:
            self._running.discard(worker)
            self._choose()

    def _choose(self) -> None:
        if set(self._waiting) != self._running or not self._running:
            return  # somebody is still at work
        wanted = self._order.pop(0) if self._order else min(self._running)
        chosen = wanted if wanted in self._running else min(self._running)
        self._waiting.pop(chosen).set()


def side_by_side(world: World, order: Sequence[int], policy: AppFlowPolicy) -> None:
    """Two sweeps at once; their calls alternate as the order says."""
    turns = Turns(order)
    errors: list[BaseException] = []

    def run(worker: int) -> None:
        try:
            world.recover(policy=policy, started_by="sweep", through=turns.through(worker))
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            errors.append(error)
        finally:
            turns.end(worker)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 1), min_size=4, max_size=40))
@example([0, 1] * 20)
@example([0] * 5 + [1] * 30)
@pytest.mark.parametrize("scene", [on_demand, far_schedule, escalated], ids=lambda scene: scene.__name__)
def test_two_sweeps_at_once(scene: Callable[[World], None], order: list[int]) -> None:
    """However the calls of two runs interleave, one failure gets one run, and people hear of it once."""
    with a_world() as world:
        scene(world)
        side_by_side(world, order, TWINS)
        world.advance(minutes=1)
        made = world.appflow.runs_by_token("reprise-")
        assert len(made) == (0 if scene is escalated else 1)
        assert len(world.twins()) == (1 if scene is far_schedule else 0)
        assert len(world.alerts()) == (1 if scene is escalated else 0)
        attempts = world.memory("orders").history.attempts
        assert len(attempts) == len(made)


def test_a_worker_that_slept_starts_nothing() -> None:
    """A worker that wakes up just before its StartFlow, after another took over, gets the run that is already there."""
    with a_world() as world:
        on_demand(world)

        def sleepy(client: Any) -> Through:
            def around(name: str, call: Callable[[], Any]) -> Any:
                if name == "start_flow":
                    world.advance(minutes=20)  # the lease is long over
                    world.recover()  # the other worker starts the run, which fails
                    world.advance(minutes=1)
                return call()

            return Through(client, around)

        world.recover(through=sleepy)
        world.advance(minutes=1)
        assert [run.status for run in world.appflow.flow("orders").runs] == ["Error", "Error"]


def test_a_success_just_before_the_start_is_seen() -> None:
    """A person's run that succeeded between the first look and the claim calls the attempt off."""
    with a_world() as world:
        world.flow("orders", Outcome.failure(DOWN))
        world.advance(minutes=10)

        def person(client: Any) -> Through:
            def around(name: str, call: Callable[[], Any]) -> Any:
                if name == "put_item" and world.appflow.flow("orders").runs[-1].status == "Error":
                    world.client.start_flow(flowName="orders")
                    world.advance(seconds=10)
                return call()

            return Through(client, around)

        world.recover(through=person)
        assert [run.status for run in world.appflow.flow("orders").runs] == ["Error", "Successful"]
        assert world.memory("orders").history.attempts == ()
        assert world.appflow.runs_by_token("reprise-") == {}


def test_one_flow_that_cannot_be_read_does_not_stop_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of a status that is not known yet, or a flow that answers only errors, is reported; others go on."""
    for error in (BadInput("a status that is not known"), OutcomeUnknown("InternalServerException")):
        with a_world() as world:
            world.flow("a-riddle", Outcome.failure(DOWN))
            world.flow("orders", Outcome.failure(DOWN))
            world.advance(minutes=10)
            world.appflow.calls.clear()
            work = world.work(AppFlowRequest(flows=("*",), dry_run=False))
            read = work.appflow.runs

            def runs(
                name: str, read: Callable[[str], tuple[Run, ...]] = read, error: RepriseError = error
            ) -> tuple[Run, ...]:
                if name == "a-riddle":
                    raise error
                return read(name)

            monkeypatch.setattr(work.appflow, "runs", runs)
            monkeypatch.setattr("recovery.appflow_runs.work.BATCH", 1)
            report = play(recover_appflow_runs, work.request, work)
            assert world.changes() == [("StartFlow", "orders")]
            assert report.unsettled == 1


def test_a_twin_finds_its_flow_whatever_its_name_holds() -> None:
    """A run for other flows removes a twin only when the ledger has its records, also for names that tags cannot hold,
    and no second twin runs for the failure."""
    with a_world() as world:
        world.flow("orders#eu!", Outcome.failure(DOWN), schedule=DAILY)
        world.flow("orders_eu_", start=False)
        world.advance(minutes=10)
        world.recover("orders#eu!", policy=TWINS)
        world.advance(minutes=10)
        assert len(world.twins()) == 1
        world.recover("orders_eu_", policy=TWINS)
        assert world.twins() == []
        (attempt,) = world.memory("orders#eu!").history.attempts
        assert attempt.outcome == "Successful"
        world.recover("orders#eu!", policy=TWINS)
        starts = [name for operation, name in world.changes() if operation == "StartFlow" and name != "orders#eu!"]
        assert len(starts) == 1


def test_an_answer_that_was_not_read() -> None:
    """A start that took effect although its answer was an error is found again: no second run, no second attempt."""
    with a_world(records_lag=timedelta(hours=1)) as world:
        world.flow("orders", Outcome.failure(DOWN, seconds=1))
        world.advance(hours=2)
        world.appflow.refuse("StartFlow", "InternalServerException", carried_out=True)
        report = world.recover()
        assert report.unsettled == 1
        world.advance(minutes=10)
        assert world.recover().by_action == {"rerun": 1}
        world.advance(hours=2)
        assert len(world.appflow.flow("orders").runs) == 2
        assert [one.number for one in world.memory("orders").history.attempts] == [1]


_outcomes = st.sampled_from(
    [
        Outcome(),
        Outcome.failure(DOWN),
        Outcome.failure(THROTTLED),
        Outcome.failure(PUZZLE),
        Outcome.failure(EXPIRED),
        Outcome.failure(DOWN, records=5, bytes_written=500),
        Outcome(seconds=900),
        Outcome.failure(DOWN, seconds=900),
    ]
)
_events = st.lists(
    st.one_of(
        st.sampled_from(["sweep", "sweep", "sweep", "event", "person starts", "person cancels"]),
        st.integers(1, 90),
        st.tuples(st.just("kill"), st.integers(1, 12), st.booleans()),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_outcomes, max_size=12), _events, st.integers(0, 3))
def test_no_story_breaks_the_laws(outcomes: list[Outcome], story: list[Any], attempts: int) -> None:
    """Never a rerun after a newer success, never two runs for one failure, never beyond the bound, never before the
    backoff, and the user's flow stays as it was: whatever runs do, whoever else starts or cancels them, and wherever
    runs of the path are killed."""
    policy = AppFlowPolicy(max_attempts=attempts, backoff=Backoff(base_seconds=60, factor=2, cap_seconds=600))
    with a_world() as world:
        world.flow("orders", *outcomes)
        before = world.definition("orders")
        for event in story:
            match event:
                case int():
                    world.advance(minutes=event)
                case "sweep" | "event":
                    world.recover(policy=policy, started_by=event)
                case "person starts":
                    if not world.appflow.flow("orders").under_way():
                        world.client.start_flow(flowName="orders")
                case "person cancels":
                    world.client.cancel_flow_executions(flowName="orders")
                case (_, at, after):
                    killed(world, at, after=after, policy=policy)
        assert world.definition("orders") == before
        assert {operation for operation, _ in world.changes()} <= {"CreateFlow", "StartFlow"}
        ours = set(world.appflow.runs_by_token("reprise-").values())
        in_a_row = 0
        runs = world.appflow.flow("orders").runs
        for previous, run in pairwise(runs):
            if previous.status == "Successful":
                in_a_row = 0
            if run.id in ours:
                assert previous.status == "Error"
                assert previous.updated is not None
                in_a_row += 1
                assert in_a_row <= attempts
                least = policy.backoff.delay(in_a_row, 0)
                assert run.started - previous.updated >= least or in_a_row == 1
                assert run.started - previous.updated >= policy.backoff.delay(1, 0)
                assert previous.outcome.error != EXPIRED
