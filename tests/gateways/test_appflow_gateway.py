"""The gateway reads all pages, keeps its pace, makes and removes twins only, and translates what AppFlow refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from recovery.appflow_runs.gateway import CALLS_PER_SECOND, LEDGER_TAG, TWIN_TAG, AppFlowGateway
from recovery.appflow_runs.models import Destination, FlowStatus, RunStatus, Trigger
from recovery.appflow_runs.verdicts import RunTwin, client_token, twin_name
from recovery.errors import BadInput, Conflict, OutcomeUnknown, Refused, Transient
from recovery.pacing import Pace
from simulated_aws.appflow import Outcome
from tests.appflow_world import START, TO, World, a_world, to_salesforce


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


@pytest.fixture
def gateway(world: World) -> AppFlowGateway:
    return AppFlowGateway(world.client, Pace(CALLS_PER_SECOND, clock=world.seconds, sleep=lambda _: None))


def twin_of(world: World, name: str = "orders") -> RunTwin:
    arn = world.appflow.flow(name).arn
    return RunTwin("W9", "", twin_name(arn, "run", 1), client_token(arn, "run", 1), "run", 1)


def test_all_flows_are_listed(world: World, gateway: AppFlowGateway) -> None:
    """More flows than a page holds are all found, with trigger, status, tags and newest run."""
    for number in range(205):
        world.flow(f"flow-{number:03}", start=False)
    world.flow("daily", schedule={"scheduleExpression": "rate(1days)"}, start=False, tags={"team": "data"})
    world.flow("orders", Outcome.failure("503"))
    world.appflow.calls.clear()
    found = {summary.name: summary for summary in gateway.list_flows()[0]}
    assert len(found) == 207
    assert [operation for operation, _ in world.appflow.calls] == ["ListFlows"] * 3
    assert (found["daily"].trigger, found["daily"].status) == (Trigger.SCHEDULED, FlowStatus.DRAFT)
    assert found["daily"].tags == {"team": "data"}
    assert (found["orders"].last_status, found["orders"].last_at) == ("Error", START)
    assert found["flow-000"].last_at is None


def test_runs_are_read_back_to_the_last_success(world: World, gateway: AppFlowGateway) -> None:
    """Pages are read until a success comes up; further ones cost nothing."""
    world.flow("orders", *[Outcome()] * 150, *[Outcome.failure("503")] * 120, start=False)
    for _ in range(270):
        world.client.start_flow(flowName="orders")
        world.advance(seconds=5)
    world.appflow.calls.clear()
    runs = gateway.runs("orders")
    assert len(world.appflow.calls) == 2
    assert sum(run.status is RunStatus.ERROR for run in runs) == 120
    assert runs[120].status is RunStatus.SUCCESSFUL
    assert [run.started for run in runs] == sorted((run.started for run in runs), reverse=True)


def test_a_flow_that_never_worked_is_read_so_far(world: World, gateway: AppFlowGateway) -> None:
    """Without any success the reading ends after five hundred records."""
    world.flow("orders", start=False)
    world.appflow.script(flow="orders", then=Outcome.failure("503"))
    for _ in range(600):
        world.client.start_flow(flowName="orders")
        world.advance(seconds=5)
    assert len(gateway.runs("orders")) == 500


def test_a_flow_is_read_whole(world: World, gateway: AppFlowGateway) -> None:
    """Schedule, threshold and destination come as the path names them, times in UTC."""
    world.flow(
        "daily",
        schedule={
            "scheduleExpression": "rate(1days)",
            "dataPullMode": "Incremental",
            "scheduleStartTime": START + timedelta(hours=1),
            "scheduleOffset": 600,
            "flowErrorDeactivationThreshold": 4,
        },
        destination=to_salesforce(""),
        start=False,
    )
    described = gateway.flow("daily")
    assert described is not None
    flow = described.flow
    assert flow.schedule is not None
    assert flow.schedule.incremental
    assert flow.schedule.threshold == 4
    assert flow.schedule.offset == timedelta(minutes=10)
    assert flow.schedule.starts == START + timedelta(hours=1)
    assert flow.schedule.starts.tzinfo is UTC
    assert flow.destinations == (Destination("Salesforce", ""),)
    assert flow.inserts
    assert gateway.flow("nowhere") is None


def test_a_repeated_start_is_one_run(world: World, gateway: AppFlowGateway) -> None:
    """The same token shows the same run; another while it is under way is a conflict."""
    world.flow("orders", start=False)
    assert gateway.start("orders", "t") == gateway.start("orders", "t")
    with pytest.raises(Conflict):
        gateway.start("orders", "another")


def test_an_activation_has_no_run(world: World, gateway: AppFlowGateway) -> None:
    """Starting a scheduled flow shows no run."""
    world.flow("daily", schedule={"scheduleExpression": "rate(1days)"}, start=False)
    assert gateway.start("daily", "t") == ""


def test_a_twin_is_a_copy_on_demand(world: World, gateway: AppFlowGateway) -> None:
    """It has the original's source, destination, tasks and key, no schedule, and tags that show whose it is."""
    world.flow(
        "orders!daily",
        schedule={"scheduleExpression": "rate(1days)", "dataPullMode": "Complete"},
        destination=TO["Snowflake"],
        kmsArn="arn:aws:kms:us-east-1:000000000000:key/k",
        start=False,
    )
    original = gateway.flow("orders!daily")
    assert original is not None
    verdict = twin_of(world, "orders!daily")
    gateway.create_twin(verdict, original, "ledger")
    twin = gateway.flow(verdict.twin)
    assert twin is not None
    assert twin.flow.trigger is Trigger.ON_DEMAND
    assert twin.flow.schedule is None
    for part in ("sourceFlowConfig", "destinationFlowConfigList", "tasks", "kmsArn"):
        assert twin.definition[part] == original.definition[part]
    assert twin.flow.tags == {
        TWIN_TAG: "orders=21daily",
        LEDGER_TAG: "ledger",
        "reprise:failed-run": "run",
        "reprise:attempt": "1",
    }


def test_a_twin_that_is_there_is_adopted(world: World, gateway: AppFlowGateway) -> None:
    """A conflict on creation means that the attempt had made it, also when the token is long forgotten."""
    world.flow("orders", start=False)
    original = gateway.flow("orders")
    assert original is not None
    verdict = twin_of(world)
    gateway.create_twin(verdict, original, "ledger")
    world.advance(hours=9)
    gateway.create_twin(verdict, original, "ledger")
    assert world.twins() == [verdict.twin]


def test_a_stranger_under_a_twins_name_is_not_adopted(world: World, gateway: AppFlowGateway) -> None:
    """A flow that somebody made under this very name is left, with a clear word."""
    world.flow("orders", start=False)
    original = gateway.flow("orders")
    assert original is not None
    verdict = twin_of(world)
    world.flow(verdict.twin, start=False)
    with pytest.raises(BadInput, match="expected the twin of orders"):
        gateway.create_twin(verdict, original, "ledger")


def test_only_twins_are_removed(world: World, gateway: AppFlowGateway) -> None:
    """No other flow can be deleted through the gateway; a twin that runs stays, one that is gone is gone."""
    world.flow("orders", start=False)
    with pytest.raises(ValueError, match="is not a twin"):
        gateway.delete_twin("orders")
    original = gateway.flow("orders")
    assert original is not None
    verdict = twin_of(world)
    gateway.create_twin(verdict, original, "ledger")
    gateway.start(verdict.twin, "t")
    assert not gateway.delete_twin(verdict.twin)
    world.advance(seconds=5)
    assert gateway.delete_twin(verdict.twin)
    assert gateway.delete_twin(verdict.twin)
    assert world.appflow.names() == ["orders"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", Transient),
        ("InternalServerException", OutcomeUnknown),
        ("ConflictException", Conflict),
        ("AccessDeniedException", Refused),
        ("ServiceQuotaExceededException", Refused),
        ("ConnectorAuthenticationException", Refused),
        ("ResourceNotFoundException", Refused),
    ],
)
def test_errors(world: World, gateway: AppFlowGateway, code: str, error: type[Exception]) -> None:
    """AppFlow's answer becomes an error named by the caller's next act, and names the operation."""
    world.flow("orders", start=False)
    world.appflow.refuse("StartFlow", code)
    with pytest.raises(error, match="appflow:StartFlow") as raised:
        gateway.start("orders", "t")
    assert type(raised.value) is error


def test_sparse_records() -> None:
    """AppFlow leaves out what it does not know: a record with a status and an id is enough."""
    client: Any = boto3.client("appflow", region_name="us-east-1")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_flow_execution_records",
            {"flowExecutions": [{"executionId": "r", "executionStatus": "Successful"}]},
            {"flowName": "orders", "maxResults": ANY},
        )
        (run,) = AppFlowGateway(client, Pace(CALLS_PER_SECOND, sleep=lambda _: None)).runs("orders")
    assert (run.id, run.status, run.records, run.pull_start, run.message) == ("r", RunStatus.SUCCESSFUL, None, None, "")


def test_a_status_that_is_not_known() -> None:
    """A status that AppFlow adds one day is reported as that flow's trouble, not as a defect that ends the run."""
    client: Any = boto3.client("appflow", region_name="us-east-1")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_flow_execution_records",
            {"flowExecutions": [{"executionId": "r", "executionStatus": "Paused"}]},
            {"flowName": "orders", "maxResults": ANY},
        )
        with pytest.raises(BadInput, match="flow orders"):
            AppFlowGateway(client, Pace(CALLS_PER_SECOND, sleep=lambda _: None)).runs("orders")


def test_the_pace() -> None:
    """No second sees more calls than allowed, however fast they are asked for; a pause is not saved up."""
    time = 0.0
    taken: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal time
        time += seconds

    pace = Pace(10, clock=lambda: time, sleep=sleep)
    for _ in range(50):
        pace.take()
        taken.append(time)
    time += 100
    for _ in range(30):
        pace.take()
        taken.append(time)
    assert all(later - earlier >= 0.999 for earlier, later in zip(taken, taken[10:], strict=False))
    assert taken[49] == pytest.approx(4.9)
    assert taken[-1] == pytest.approx(104.9 + 2.9)
