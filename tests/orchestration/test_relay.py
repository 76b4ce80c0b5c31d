"""From what happens in AWS to a flow run and its first calls: no mocks between, every part a process of its own."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from simulated_aws import estate
from tests.appflow_world import TASKS, TO
from tests.orchestration.relay_stage import MESSAGES, Stage, call, failed_task, stage, tagged_task
from tests.unit.events.test_appflow import REPORT
from tests.unit.events.test_hints import FAILED
from tests.unit.replication_tasks.situations import RECOVERABLE
from tests.waiting import wait_for

ON_EVENT = {
    "replication-tasks/on-failure",
    "appflow-runs/on-failure",
    "dead-letters/on-event",
    "outbox-records/on-insert",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The stage, for all scenes of this module in their order."""
    with stage(tmp_path_factory.mktemp("relay")) as made:
        yield made


def test_every_path_has_a_deployment_that_events_start(played: Stage) -> None:
    """Nothing that the shipped file triggers is missing here."""
    assert set(played.deployments) == ON_EVENT


def test_a_burst_makes_a_handful_of_runs(played: Stage) -> None:
    """Twenty tasks that fail at once and a hundred more events: at most four runs, and every failure is reported."""
    failed_task(played.aws, [f"burst-{number}" for number in range(120)])
    wait_for("all to be accepted", lambda: played.health()["received"] >= 120, seconds=60)
    wait_for("the end of the burst", lambda: not played.aws.messages("reprise-events"), seconds=120)
    wait_for("runs", lambda: len(played.runs("replication-tasks/on-failure")) >= 2, seconds=60)
    runs = played.runs("replication-tasks/on-failure")
    assert 2 <= len(runs) <= 4
    assert {run["parameters"]["event"]["task"][:6] for run in runs} == {"burst-"}
    assert played.health()["parked"] == 0


def test_each_path_is_started_by_its_own_events(played: Stage) -> None:
    """A DMS task, an AppFlow run, a message and a row fail or appear; each path's own run starts, and acts in AWS."""
    aws = played.aws
    played.start_worker()
    task = tagged_task(aws, "orders", RECOVERABLE)
    failing_flow(aws, "orders-to-s3")
    aws.clear_requests()
    aws.clock.advance(100)
    aws.control("POST", "dms/script", {"advance": True})
    aws.client("sqs").send_message(QueueUrl=aws.queue_url(MESSAGES), MessageBody="{}")
    played.outbox.put({"id": "1", "message": "hello"})

    for name, reported in (
        ("appflow-runs/on-failure", {"flow": "orders-to-s3", "trigger": "ONDEMAND"}),
        ("dead-letters/on-event", {"queue": MESSAGES}),
        ("outbox-records/on-insert", {"table": "orders-outbox"}),
    ):
        run = played.ended(name)
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        assert reported.items() <= run["parameters"]["event"].items()
        assert run["parameters"]["request"]["dry_run"] is False

    def about_the_task() -> bool:
        runs = played.runs("replication-tasks/on-failure")
        return any(run["parameters"]["event"]["arn"] == task for run in runs)

    wait_for("a run because of the task", about_the_task, seconds=120)
    assert played.ended("replication-tasks/on-failure")["state_type"] == "COMPLETED"
    wait_for("the row", lambda: played.outbox.delivered_texts() == ["hello"], seconds=30)
    counts = aws.request_counts()
    assert counts["dms:DescribeReplicationTasks"] > 0
    assert counts["appflow:DescribeFlowExecutionRecords"] > 0
    # DMS reported it twice: through EventBridge, by its ARN, and through SNS, by its name.
    wait_for(
        "what SNS reported", lambda: "reprise.dms.orders" in played.reported("reprise.dms.task.failed"), seconds=60
    )


def failing_flow(aws: Any, name: str) -> None:
    """A flow that Reprise looks after, whose run fails."""
    aws.control("POST", "appflow/script", {"flow": name, "outcomes": [{"error": "503", "records": 0}]})
    aws.client("appflow").create_flow(
        flowName=name,
        triggerConfig={"triggerType": "OnDemand"},
        sourceFlowConfig={
            "connectorType": "Salesforce",
            "connectorProfileName": "crm",
            "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
        },
        destinationFlowConfigList=[TO["S3"]],
        tasks=TASKS,
        tags={"reprise": "recover"},
    )
    aws.client("appflow").start_flow(flowName=name)


@pytest.mark.parametrize(
    ("rule", "deployment", "event", "reported"),
    [
        ("ReplicationFailedDirectly", "replication-tasks/on-failure", FAILED, {"arn": FAILED["resources"][0]}),
        ("RunFailedDirectly", "appflow-runs/on-failure", REPORT, {"flow": REPORT["detail"]["flow-name"]}),
    ],
)
def test_a_server_understands_the_api_destination(
    played: Stage, rule: str, deployment: str, event: dict[str, Any], reported: dict[str, str]
) -> None:
    """The template's message of an event starts the deployment, and its repetition starts nothing more."""
    [target] = estate.load(estate.TEMPLATES / "direct.yaml")["Resources"][rule]["Properties"]["Targets"]
    body = transformed(target["InputTransformer"], event)
    path = f"/deployments/{played.deployments[deployment]}/create_flow_run"
    first, again = (call(played.server, path, body) for _ in range(2))
    assert first["id"] == again["id"]
    assert first["state_type"] == "SCHEDULED"
    assert reported.items() <= first["parameters"]["event"].items()
    assert first["parameters"]["request"]["started_by"] == "event"


def transformed(transformer: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Transform an event as EventBridge does: values as JSON in the place of their names."""
    text = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = event
        for step in path.removeprefix("$.").replace("[0]", ".0").split("."):
            value = value[int(step)] if isinstance(value, list) else value[step]
        text = text.replace(f"<{name}>", json.dumps(value))
    made: dict[str, Any] = json.loads(text)
    return made


def published(played: Stage) -> int:
    """Number of times that the relay published; runs have metrics of their own."""
    now = played.aws.clock.now()
    answer = played.aws.client("cloudwatch").get_metric_statistics(
        Namespace="Reprise",
        MetricName="Unacknowledged",
        Dimensions=[{"Name": "Path", "Value": "relay"}],
        StartTime=now - timedelta(hours=3),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["SampleCount"],
    )
    return int(sum(point["SampleCount"] for point in answer["Datapoints"]))


def test_sigterm_stops_the_relay_in_order(played: Stage) -> None:
    """It ends by itself with 0, leaves nothing hidden behind, and has published its numbers."""
    before = published(played)
    played.relay.send_signal(signal.SIGTERM)
    assert played.relay.wait(timeout=30) == 0
    assert played.log.rstrip().endswith("relay: stopped")
    assert [words for words in ("Traceback", "ERROR") if words in played.log] == []
    # Once at the end, and once more where its minute was over just then.
    assert published(played) - before in (1, 2)
    assert [message for message in played.aws.messages("reprise-events") if message["visible_in"] > 0] == []
