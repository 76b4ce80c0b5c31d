"""Refusals and unknown words of AppFlow: reported once, not repeated, stopping nobody, leaking nothing."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from flows.appflow_runs import recover_appflow_runs
from proof.plain_prefect import play
from recovery.appflow_runs.policy import AppFlowPolicy, AppFlowRequest
from recovery.aws import translate
from recovery.cases import State
from simulated_aws.appflow import Outcome
from tests.appflow_world import BUCKET, TABLE, Through, World, a_world
from tests.unit.appflow_runs.situations import DOWN, EXPIRED

TWINS = AppFlowPolicy(allow_twin=True)
DAILY = {"scheduleExpression": "rate(1days)", "dataPullMode": "Complete"}


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


class Denied:
    """A role that may not make some of the calls."""

    def __init__(self, *methods: str, code: str = "AccessDeniedException", words: str = "not authorized") -> None:
        self.methods = set(methods)
        self.tried: Counter[str] = Counter()
        self._answer = {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    def __call__(self, client: Any) -> Through:
        return Through(client, self._around)

    def _around(self, name: str, call: Callable[[], Any]) -> Any:
        if name not in self.methods:
            return call()
        self.tried[name] += 1
        raise ClientError(self._answer, name)  # type: ignore[arg-type]


def sweep(world: World, through: Callable[[Any], Any], hours: float, **request: Any) -> None:
    """Sweeps every ten minutes by a role that may do less."""
    for _ in range(round(hours * 6)):
        world.recover(started_by="sweep", through=through, **request)
        world.advance(minutes=10)


def test_a_start_that_is_refused_is_reported_once(world: World) -> None:
    """Three flows that may not be started: one alert for a day of sweeps, one try an hour for each, no attempt used up;
    once it is allowed they run."""
    for name in ("orders", "stock", "users"):
        world.flow(name, Outcome.failure(DOWN))
    world.advance(minutes=10)
    denied = Denied("start_flow")
    first = world.recover(started_by="sweep", through=denied)
    assert first.by_action == {"escalate": 3}
    assert "AppFlow refuses appflow:StartFlow: AccessDeniedException" in first.groups[0].reason
    sweep(world, denied, 5)
    assert world.alerts() == ["Reprise: appflow:StartFlow: AccessDeniedException does not go through"]
    assert 3 * 5 <= denied.tried["start_flow"] <= 3 * 6
    case = world.case("orders")
    assert case is not None
    assert (case.state, case.attempts) == (State.ESCALATED, 0)
    world.sweeps(1.2)
    assert [run.status for run in world.appflow.flow("orders").runs] == ["Error", "Successful"]
    assert world.memory("orders").history.refusal is None


def test_a_refusal_that_lasts_is_reported_again_only_for_other_failures(world: World) -> None:
    """A day later another flow meets the same refusal: people are notified again, and not before."""
    world.flow("orders", Outcome.failure(DOWN))
    world.advance(minutes=10)
    denied = Denied("start_flow")
    policy = AppFlowPolicy(max_age_hours=100)
    world.recover(through=denied, policy=policy)
    world.advance(hours=20)
    world.flow("stock", Outcome.failure(DOWN))
    world.advance(minutes=10)
    world.recover(through=denied, policy=policy)
    assert len(world.alerts()) == 1
    world.advance(hours=5)
    world.flow("users", Outcome.failure(DOWN))
    world.advance(minutes=10)
    world.recover(through=denied, policy=policy)
    assert len(world.alerts()) == 1


def test_a_person_who_fixed_it_need_not_wait(world: World) -> None:
    """A run by hand that confirms the cause as fixed repeats the refused call at once."""
    world.flow("orders", Outcome.failure(DOWN))
    world.advance(minutes=10)
    world.recover(through=Denied("start_flow"))
    assert world.recover().by_action == {"escalate": 1}
    assert world.recover(cause_fixed=True).by_action == {"rerun": 1}


def test_a_twin_that_may_be_made_and_not_started(world: World) -> None:
    """The twin waits for its start under the same name and token, and runs once when it may."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    denied = Denied("start_flow")
    sweep(world, denied, 3, policy=TWINS)
    assert len(world.twins()) == 1
    assert len(world.alerts()) == 1
    world.sweeps(2, policy=TWINS)
    assert world.twins() == []
    assert len(world.appflow.runs_by_token("reprise-")) == 1
    assert [one.outcome for one in world.memory("orders").history.attempts] == ["Successful"]


class Killed(BaseException):
    """The process ends here, as after SIGKILL."""


def killed(world: World, denied: Denied, at: int) -> bool:
    """One run that is killed after its n-th call; False when it ended before."""
    calls = 0

    def around(_: str, call: Callable[[], Any]) -> Any:
        nonlocal calls
        try:
            return call()
        finally:
            calls += 1
            if calls == at:
                raise Killed

    try:
        world.recover(policy=TWINS, through=lambda client: Through(denied(client), around))
    except Killed:
        return True
    return False


@pytest.mark.parametrize("schedule", [None, DAILY], ids=["on demand", "through a twin"])
def test_killed_at_any_call_while_it_is_refused(schedule: dict[str, Any] | None) -> None:
    """Wherever a run is killed that AppFlow refuses, once it is allowed one run is made, and people heard of it."""
    at = 0
    while True:
        at += 1
        with a_world() as world:
            world.flow("orders", Outcome.failure(DOWN), schedule=schedule)
            world.advance(minutes=10)
            denied = Denied("start_flow")
            if not killed(world, denied, at):
                break
            world.advance(minutes=10)
            world.recover(policy=TWINS, through=denied)
            world.sweeps(3, every=60, policy=TWINS)
            assert 1 <= len(world.alerts()) <= 2  # two: killed between the alert and the record that it went out
            assert len(world.appflow.runs_by_token("reprise-")) == 1
            assert world.twins() == []
            case = world.case("orders")
            assert case is not None
            assert case.state is State.RECOVERED
    assert at > 5


@pytest.mark.parametrize("method", ["describe_flow_execution_records", "describe_flow"])
def test_a_read_that_is_refused_is_reported_once(world: World, method: str) -> None:
    """Flows that may not be read are in every report, and people hear of all of them once."""
    for name in ("orders", "stock"):
        world.flow(name, Outcome.failure(DOWN))
    world.advance(minutes=10)
    denied = Denied(method)
    for _ in range(5):
        assert world.recover(started_by="sweep", through=denied).unsettled == 2
        world.advance(minutes=10)
    assert len(world.alerts()) == 1


def test_a_twin_that_may_not_be_removed_is_reported_once(world: World) -> None:
    """A twin that stands because DeleteFlow is refused is a problem of every report, and one alert."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    world.recover(policy=TWINS)
    world.advance(minutes=10)
    for _ in range(3):
        (problem,) = world.recover(through=Denied("delete_flow"), policy=TWINS).problems
        assert "appflow:DeleteFlow: AccessDeniedException" in problem
    assert world.alerts() == ["Reprise: appflow:DeleteFlow: AccessDeniedException does not go through"]


def test_a_run_in_the_way_that_no_record_shows_is_reported(world: World) -> None:
    """StartFlow meets a conflict at every try although no run is in the records: after an hour a person hears of it,
    and it is tried hourly."""
    world.flow("orders", Outcome.failure(DOWN))
    world.advance(minutes=10)
    busy = Denied("start_flow", code="ConflictException", words="The flow is running")
    sweep(world, busy, 1)
    assert world.alerts() == []
    sweep(world, busy, 4)
    assert world.alerts() == ["Reprise: appflow:StartFlow: ConflictException does not go through"]
    assert busy.tried["start_flow"] <= 6 + 5


def test_one_line_that_is_not_understood(world: World) -> None:
    """A status that AppFlow adds one day is one problem of the report; the other flows go on; a flow that was not named
    is no problem at all."""
    for name in ("riddle", "orders"):
        world.flow(name, Outcome.failure(DOWN))
    world.advance(minutes=10)
    world.appflow.calls.clear()

    def paused(client: Any) -> Through:
        def around(name: str, call: Callable[[], Any]) -> Any:
            answer = call()
            for line in answer["flows"] if name == "list_flows" else []:
                line["flowStatus"] = "Paused" if line["flowName"] == "riddle" else line["flowStatus"]
            return answer

        return Through(client, around)

    assert world.recover("orders", dry_run=True, through=paused).problems == ()
    report = world.recover("*", through=paused)
    assert len(report.problems) == 1
    assert "flow riddle" in report.problems[0]
    assert world.changes() == [("StartFlow", "orders")]
    (named,) = world.recover("riddle", through=paused).problems
    assert "not understood" in named


SECRETS = ("hunter2secret", "jane.doe@example.com", "10.20.30.40", "4711081512345678", "Jane Doe")
LEAKY = (
    "503 Service Unavailable: password=hunter2secret for jane.doe@example.com at 10.20.30.40:5432, "
    "card 4711081512345678, customer 'Jane Doe'"
)


def everything_reported(world: World) -> str:
    """All that lies in ledger and archive, and the whole texts that people were sent."""
    parts = [json.dumps(world.dynamodb.scan(TableName=TABLE)["Items"], default=str)]
    for listed in world.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        body = world.s3.get_object(Bucket=BUCKET, Key=listed["Key"])["Body"].read()
        parts.append(gzip.decompress(body).decode())
    while messages := world.sqs.receive_message(QueueUrl=world.people, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            parts.append(message["Body"])
            world.sqs.delete_message(QueueUrl=world.people, ReceiptHandle=message["ReceiptHandle"])
    return "\n".join(parts)


def test_no_words_of_a_failure_leak(world: World) -> None:
    """A connector's error, of a flow and of its twin, leaves the process without its values."""
    world.appflow.script(flow="*", then=Outcome.failure(LEAKY))
    world.flow("orders")
    world.flow("daily", schedule=DAILY)
    reported = []
    world.advance(minutes=10)
    for _ in range(12):
        reported.append(world.recover(started_by="sweep", policy=TWINS).model_dump_json())
        world.advance(minutes=30)
    reported.append(everything_reported(world))
    assert "Service Unavailable" in "\n".join(reported)
    for secret in SECRETS:
        assert secret not in "\n".join(reported)


@pytest.mark.parametrize("method", ["start_flow", "describe_flow_execution_records"])
def test_no_words_of_a_refusal_leak(world: World, method: str) -> None:
    """AppFlow's refusal, of a start and of a read, leaves the process without its values."""
    world.flow("orders", Outcome.failure(DOWN))
    world.advance(minutes=10)
    denied = Denied(method, words=LEAKY)
    reported = [world.recover(through=denied).model_dump_json() for _ in range(2)]
    reported.append(everything_reported(world))
    assert "AccessDeniedException" in reported[-1]
    for secret in SECRETS:
        assert secret not in "\n".join(reported)


# -- what changes between the look and the call ------------------------------------------------------------------------


def change(world: World, what: Callable[[], object]) -> Callable[[Any], Any]:
    """Something that a person does right when the path has written its attempt down."""
    done: list[bool] = []

    def around(name: str, call: Callable[[], Any]) -> Any:
        answer = call()
        if name == "put_item" and not done:
            done.append(True)
            what()
        return answer

    return lambda client: Through(client, around)


def test_a_flow_switched_off_just_before_its_twin(world: World) -> None:
    """A person stops the scheduled flow between the look and the call: no twin is made."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    report = world.recover(policy=TWINS, through=change(world, lambda: world.client.stop_flow(flowName="orders")))
    assert world.twins() == []
    assert report.by_action == {}
    assert world.memory("orders").history.attempts == ()


def test_a_trigger_changed_just_before_the_start(world: World) -> None:
    """A person gives the on-demand flow a schedule between the look and the call: StartFlow would activate it."""
    world.flow("orders", Outcome.failure(DOWN))
    world.advance(minutes=10)
    definition = world.client.describe_flow(flowName="orders")
    kept = {name: definition[name] for name in ("sourceFlowConfig", "destinationFlowConfigList", "tasks")}
    trigger = {"triggerType": "Scheduled", "triggerProperties": {"Scheduled": DAILY}}

    def scheduled() -> None:
        world.client.update_flow(flowName="orders", triggerConfig=trigger, **kept)

    world.appflow.calls.clear()
    world.recover(through=change(world, scheduled))
    assert world.changes() == [("UpdateFlow", "orders")]
    assert world.appflow.flow("orders").status == "Draft"


def test_a_destination_changed_just_before_the_twin(world: World) -> None:
    """The twin is a copy of the flow as it is, not as it was a moment ago."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.advance(minutes=10)
    definition = world.client.describe_flow(flowName="orders")
    kept = {name: definition[name] for name in ("triggerConfig", "destinationFlowConfigList", "tasks")}
    source = {**definition["sourceFlowConfig"], "sourceConnectorProperties": {"Salesforce": {"object": "Invoice"}}}

    def another_source() -> None:
        world.client.update_flow(flowName="orders", sourceFlowConfig=source, **kept)

    world.recover(policy=TWINS, through=change(world, another_source))
    (twin,) = world.twins()
    assert world.client.describe_flow(flowName=twin)["sourceFlowConfig"] == source


@pytest.mark.parametrize("gone", [False, True], ids=["untagged", "deleted"])
def test_a_flow_taken_away_just_before_the_start(world: World, gone: bool) -> None:
    """A person takes the tag off, or deletes the flow, between the look and the call: nothing is started."""
    world.flow("orders", Outcome.failure(DOWN), tags={"reprise": "recover"})
    world.advance(minutes=10)
    arn = world.appflow.flow("orders").arn

    def away() -> None:
        if gone:
            world.client.delete_flow(flowName="orders", forceDelete=True)
        else:
            world.client.untag_resource(resourceArn=arn, tagKeys=["reprise"])

    report = world.recover("tag:reprise=recover", through=change(world, away))
    assert report.unsettled == 0
    assert world.appflow.runs_by_token("reprise-") == {}


def test_the_masked_words_are_those_of_a_real_refusal() -> None:
    """The stand-in for AppFlow's refusals is translated as the gateway translates real ones."""
    denied = Denied("start_flow")
    with pytest.raises(ClientError) as raised:
        denied(type("Client", (), {"start_flow": lambda self: None})()).start_flow()
    assert translate(raised.value, "appflow:StartFlow").code == "AccessDeniedException"


def test_a_stuck_run_is_reported_once_whatever_runs_beside_it(world: World) -> None:
    """A record that never ends is one alert, however often the flow is cancelled or fails beside it."""
    world.flow("orders", Outcome(seconds=90 * 86_400))
    world.advance(hours=50)
    for number in range(4):
        work = world.work(AppFlowRequest(flows=("*",), dry_run=False, started_by="sweep"))
        play(recover_appflow_runs, work.request, work)
        flow = world.appflow.flow("orders")
        other = type(flow.runs[0])(f"run-{number}", Outcome.failure(DOWN), world.estate.now(), world.estate.now())
        other.status, other.updated = ("Error" if number % 2 else "Canceled"), world.estate.now()
        flow.runs.append(other)
        world.advance(hours=1)
    assert len(world.alerts()) == 1
    assert world.appflow.runs_by_token("reprise-") == {}


def test_a_recovery_that_another_run_was_telling_is_reported(world: World) -> None:
    """A run that died while it reported a recovery leaves it to the next one, after its lease."""
    world.flow("orders", Outcome.failure(EXPIRED))
    world.advance(minutes=10)
    world.recover()
    world.client.start_flow(flowName="orders")
    world.advance(minutes=1)

    def dies(client: Any) -> Through:
        def around(name: str, call: Callable[[], Any]) -> Any:
            if name == "publish":
                raise Killed
            return call()

        return Through(client, around)

    with pytest.raises(Killed):
        world.recover(through=dies)
    world.recover()  # the one who died might still be telling
    assert world.memory("orders").notified
    world.advance(minutes=10)
    world.recover()
    assert world.alerts() == [
        "Reprise: AppFlow flow orders needs a person (AUTH_FAILURE)",
        "Reprise: AppFlow flow orders has recovered",
    ]
    assert world.memory("orders").notified == ()
