"""The AppFlow path as Prefect runs it, on the simulated AWS with the strict AppFlow in it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from demo.appflow_scene import AppFlowScene
from demo.runs import Run
from demo.scenes import Wiring, World
from flows.appflow_runs import recover_appflow_runs
from recovery.appflow_runs.policy import AppFlowPolicy, AppFlowRequest
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tests.appflow_world import TASKS, to_salesforce
from tests.orchestration.path_runs import alerts, artifacts, report_of, subscribe_people


@pytest.fixture(autouse=True)
def people(aws: SimulatedAws) -> None:
    """People who get alerts."""
    subscribe_people(aws)


def make(aws: SimulatedAws, name: str, *outcomes: dict[str, Any], **trigger: Any) -> None:
    """A flow whose next runs go as given, and its first run."""
    aws.control("POST", "appflow/script", {"flow": name, "outcomes": list(outcomes)})
    config: dict[str, Any] = {"triggerType": "OnDemand"}
    if trigger:
        config = {"triggerType": "Scheduled", "triggerProperties": {"Scheduled": trigger}}
    appflow = aws.client("appflow")
    appflow.create_flow(
        flowName=name,
        triggerConfig=config,
        sourceFlowConfig={
            "connectorType": "Salesforce",
            "connectorProfileName": "crm",
            "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
        },
        destinationFlowConfigList=[to_salesforce("UPSERT")],
        tasks=TASKS,
    )
    appflow.start_flow(flowName=name)
    aws.clock.advance(5)


def failure(text: str) -> dict[str, Any]:
    return {"error": text, "records": 0}


def recover(*flows: str, **request: Any) -> RecoveryReport:
    """One run of the flow that ends well."""
    request.setdefault("dry_run", False)
    report = recover_appflow_runs(AppFlowRequest(flows=flows, **request))
    assert isinstance(report, RecoveryReport)
    return report


def runs(aws: SimulatedAws, name: str) -> list[str]:
    """Status of the flow's runs, the newest first."""
    records = aws.client("appflow").describe_flow_execution_records(flowName=name)["flowExecutions"]
    return [record["executionStatus"] for record in records]


def test_fails_twice_and_then_works(aws: SimulatedAws) -> None:
    """An on-demand flow is run again after its backoff until it works; the report shows how long it took."""
    make(aws, "orders", failure("503 Service Unavailable"), failure("The request timed out"))
    waiting = recover("orders")
    assert waiting.by_action == {"wait": 1}
    aws.clock.advance(120)
    assert recover("orders").by_action == {"rerun": 1}
    aws.clock.advance(600)
    assert runs(aws, "orders") == ["Error", "Error"]
    assert recover("orders").by_action == {"rerun": 1}
    aws.clock.advance(600)
    assert runs(aws, "orders") == ["Successful", "Error", "Error"]
    end = recover("orders")
    assert end.by_action == {"recovered": 1}
    assert end.recovered == 1
    assert end.seconds_to_recover is not None
    assert end.seconds_to_recover > 600
    assert alerts(aws) == []
    quiet = recover("orders")
    assert quiet.is_quiet
    assert aws.request_counts().get("appflow:StartFlow") == 3


def test_expired_credentials(aws: SimulatedAws) -> None:
    """A cause that does not pass is reported to a person once, with the next step, and nothing is run."""
    make(aws, "orders", failure("invalid_grant: expired access/refresh token"))
    report = recover("orders", started_by="sweep")
    assert report.by_action == {"escalate": 1}
    assert report.by_kind == {"AUTH_FAILURE": 1}
    assert "start-flow" in report.groups[0].next_step
    aws.clock.advance(600)
    recover("orders", started_by="sweep")
    assert len(alerts(aws)) == 1
    assert "orders" in alerts(aws)[0]
    assert runs(aws, "orders") == ["Error"]
    assert "invalid_grant" in artifacts("appflow-runs")[-1]
    assert "start-flow" in artifacts("appflow-runs-groups")[-1]


def test_nothing_named_nothing_touched(aws: SimulatedAws) -> None:
    """A request without flows makes no call to AppFlow."""
    make(aws, "orders", failure("503"))
    aws.clear_requests()
    assert recover().is_quiet
    assert [name for name in aws.request_counts() if name.startswith("appflow:")] == []


def test_a_dry_run_changes_nothing(aws: SimulatedAws) -> None:
    """The run reports what would be done; no attempt is made, none is recorded, nobody is notified."""
    make(aws, "orders", failure("503 Service Unavailable"))
    make(aws, "expired", failure("invalid_grant: expired token"))
    aws.clock.advance(300)
    aws.clear_requests()
    report = recover("*", dry_run=True)
    assert report.dry_run
    assert report.by_action == {"rerun": 1, "escalate": 1}
    counts = aws.request_counts()
    assert set(counts) == {
        "appflow:ListFlows",
        "appflow:DescribeFlow",
        "appflow:DescribeFlowExecutionRecords",
        "dynamodb:BatchGetItem",
    }


def test_a_twin_comes_and_goes(aws: SimulatedAws) -> None:
    """A full-pull flow whose schedule is far is run once through a twin, which is removed; the flow is as it was."""
    make(aws, "daily", failure("502 bad gateway"), scheduleExpression="rate(1days)", dataPullMode="Complete")
    before = aws.client("appflow").describe_flow(flowName="daily")
    policy = AppFlowPolicy(allow_twin=True)
    aws.clock.advance(600)
    assert recover("daily", policy=policy).by_action == {"twin": 1}
    names = {flow["flowName"] for flow in aws.client("appflow").list_flows()["flows"]}
    assert len(names) == 2
    aws.clock.advance(600)
    report = recover("daily", policy=policy)
    assert report.by_action == {"recovered": 1}
    assert [flow["flowName"] for flow in aws.client("appflow").list_flows()["flows"]] == ["daily"]
    after = aws.client("appflow").describe_flow(flowName="daily")
    del before["ResponseMetadata"], after["ResponseMetadata"]
    assert before == after


def test_a_refused_start_is_reported_to_a_person(aws: SimulatedAws) -> None:
    """Without permission the report names operation and flow, and no attempt is counted; once fixed, it runs again."""
    make(aws, "orders", failure("503 Service Unavailable"))
    aws.clock.advance(300)
    aws.fault("error", service="appflow", operation="StartFlow", code="AccessDeniedException", status=403)
    report = recover("orders")
    aws.lift_faults()
    assert report.by_action == {"escalate": 1}
    assert "appflow:StartFlow" in report.groups[0].reason
    assert report.groups[0].samples == ("orders",)
    assert runs(aws, "orders") == ["Error"]
    assert recover("orders", cause_fixed=True).by_action == {"rerun": 1}


def test_a_flow_that_does_not_exist(aws: SimulatedAws) -> None:
    """One flow that is not there is one line; the others go on."""
    make(aws, "orders", failure("503 Service Unavailable"))
    aws.clock.advance(300)
    state: State[Any] = recover_appflow_runs(
        AppFlowRequest(flows=("nowhere", "orders"), dry_run=False), return_state=True
    )
    assert state.is_failed()
    assert "nowhere" in str(state.message)
    report = report_of(state)
    assert report.by_action == {"rerun": 1}


class Stage(World):
    """A world whose deployments run here: the flow itself, in this process, also where an event starts it."""

    wired: Wiring

    def ended(self, deployment: str) -> list[Run]:
        return [self.run(deployment, self.wired.requests[deployment])]

    def run(self, deployment: str, request: Mapping[str, Any], *, seconds: float = 240) -> Run:
        assert deployment in ("appflow-runs/on-failure", "appflow-runs/sweep")
        state: State[Any] = recover_appflow_runs(AppFlowRequest.model_validate(request), return_state=True)
        return Run("", deployment, state.name or "", state.type.value, state.message or "", "")


def test_the_scene_of_the_demo(aws: SimulatedAws, tmp_path: Path) -> None:
    """The demo's flows end as it says, and AWS holds what should be there; before, its check would have complained."""
    nobody: Any = None
    with ExitStack() as children:
        stage = Stage(aws, nobody, nobody, tmp_path, {}, lambda _: None, children)
        scene = AppFlowScene()
        scene.prepare(stage)
        assert len(scene.check(stage)) >= 4
        stage.wired = scene.wiring(stage)
        scene.drive(stage)
        assert scene.check(stage) == []
        rows = scene.settled(stage)
    assert all(row.settled for row in rows)
    assert sum(row.count for row in rows) == 4
