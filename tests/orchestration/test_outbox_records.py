"""The outbox path as Prefect runs it, on the simulated AWS."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.events import DeploymentEventTrigger
from prefect.tasks import Task

from flows.outbox_records import recover_outbox_records
from recovery.errors import BadInput, Transient
from recovery.outbox_records.policy import OutboxRequest
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tasks import outbox_records as do
from tests.orchestration.path_runs import artifacts, report_of
from tests.outbox_world import OutboxWorld
from tests.project.checkout import PROJECT


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    return OutboxWorld(aws)


def recover(request: OutboxRequest) -> RecoveryReport:
    """One run of the flow that ends well."""
    report = recover_outbox_records(request)
    assert isinstance(report, RecoveryReport)
    return report


def failed(request: OutboxRequest) -> State[Any]:
    """One run of the flow that ends as failed."""
    state = recover_outbox_records(request, return_state=True)
    assert state.is_failed()
    return state


def test_rows_are_delivered_and_reported(world: OutboxWorld) -> None:
    """Everything due goes out, the poison row is reported, and the artifact has picture, groups, age and rate."""
    world.pending_many(120, message="secret text")
    world.pending("bad", "")
    report = recover(world.request())
    assert report.by_action == {"deliver": 120, "exhaust": 1}
    assert len(world.delivered()) == 120
    assert len(world.alerts()) == 1
    [page] = artifacts("outbox-records")[-1:]
    assert "![Outbox records: published 120, exhausted 1](data:image/svg" in page
    assert "rows published" in page
    assert "empty" in page
    assert "secret text" not in page
    assert "bad" in artifacts("outbox-records-groups")[-1]
    assert report.full_list.startswith("s3://")


def test_nothing_due_leaves_no_artifact(world: OutboxWorld) -> None:
    """A run that found nothing says nothing; so does one for which no table is named."""
    before = len(artifacts("outbox-records"))
    assert recover(world.request()).is_quiet
    assert recover(OutboxRequest(dry_run=False)).is_quiet
    assert len(artifacts("outbox-records")) == before


def test_a_run_that_met_a_broken_topic_reports_first_and_then_fails(aws: SimulatedAws) -> None:
    """The report is published, the run is failed with the topic's error, and a later run delivers everything."""
    world = OutboxWorld(aws, topic=False)
    world.pending_many(15)
    state = failed(world.request())
    assert "nothing is sent" in str(state.message)
    assert report_of(state).by_action == {"wait": 15}
    assert "Topic does not exist" in artifacts("outbox-records")[-1]
    assert set(world.statuses().values()) == {"Failure"}
    world.subscribe()
    policy = world.request().policy.model_copy(update={"probe_seconds": 0})
    assert recover(world.request(policy=policy)).by_action == {"deliver": 15}
    assert len(world.delivered()) == 15


def test_a_persons_mistake_is_one_line(world: OutboxWorld) -> None:
    """No traceback: the field and what was expected, before anything is touched."""
    elsewhere = world.topic_arn.replace("us-east-1", "eu-west-1")
    for request, text in (
        (world.request(table="nothing"), "table: there is no table 'nothing'"),
        (world.request(index="nothing"), "index: the table 'orders-outbox' has no index 'nothing'"),
        (world.request(topic_arn=""), "topic_arn: no topic is named"),
        (world.request(topic_arn=elsewhere), "topic_arn: the topic is in eu-west-1"),
        (world.request(estate="nowhere"), "estate: no Recovery Estate block named 'nowhere'"),
    ):
        state = failed(request)
        assert str(state.message).startswith(text)
        assert "\n" not in str(state.message)
        assert isinstance(state.result(raise_on_failure=False), BadInput)


def test_a_dry_run_is_the_default(world: OutboxWorld) -> None:
    """It says what it would do, and does nothing."""
    world.pending_many(3)
    report = recover(OutboxRequest(table="orders-outbox", topic_arn=world.topic_arn))
    assert (report.dry_run, report.by_action) == (True, {"deliver": 3})
    assert set(world.statuses().values()) == {"Pending"}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK and Prefect repeat without a wait: their waits are their own business."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    for task in vars(do).values():
        if isinstance(task, Task) and task.retries:
            monkeypatch.setattr(task, "retry_delay_seconds", 0.01)


@pytest.mark.usefixtures("at_once")
def test_marks_are_repeated_by_prefect(world: OutboxWorld) -> None:
    """DynamoDB refuses every write for longer than the SDK is patient: the task comes back, nothing is sent twice."""
    world.pending_many(10)
    world.aws.fault(
        "error",
        service="dynamodb",
        operation="BatchExecuteStatement",
        code="ThrottlingException",
        status=400,
        after=1,
        times=8,
    )
    assert recover(world.request()).by_action == {"deliver": 10}
    assert len(world.delivered()) == 10
    assert set(world.statuses().values()) == {"Successful"}


@pytest.mark.usefixtures("at_once")
def test_a_table_that_cannot_be_read_any_more_ends_the_run_with_its_report(world: OutboxWorld) -> None:
    """Rows delivered before stay reported; the problem is in the report, and the run is failed."""
    world.pending_many(10)
    world.aws.fault(
        "error", service="dynamodb", operation="Query", code="ThrottlingException", status=400, after=8, times=None
    )
    state = failed(world.request())
    report = report_of(state)
    assert report.by_action == {"deliver": 10}
    assert "dynamodb:Query" in report.problems[0]
    assert not isinstance(state.result(raise_on_failure=False), Transient)


def test_lost_rows_are_found_and_revived_ones_delivered(world: OutboxWorld) -> None:
    """The other modes of the flow: find-lost counts what no event announced, revive gives fresh attempts."""
    world.put({"id": "lost", "message": "lost", "created_at": "2026-01-01T00:00:00Z"})
    found = recover(world.request(mode="find_lost"))
    assert (found.missed_events, found.by_action) == (1, {"enlist": 1})
    world.pending("bad", "x" * 300_000)
    assert recover(world.request()).by_action == {"deliver": 1, "exhaust": 1}
    world.dynamodb.update_item(
        TableName="orders-outbox",
        Key={"id": {"S": "bad"}},
        UpdateExpression="SET message = :m",
        ExpressionAttributeValues={":m": {"S": "fixed"}},
    )
    assert recover(world.request(mode="revive")).by_action == {"revive": 1}
    assert recover(world.request()).by_action == {"deliver": 1}
    assert world.delivered_texts() == ["lost", "fixed"]


DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))[
    "deployments"
]


def test_an_insert_calls_the_deployment() -> None:
    """The trigger of outbox-records/on-insert as it stands in prefect.yaml, and an event as the relay posts it."""
    document = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
    [deployment] = [each for each in document["deployments"] if each["name"] == "on-insert"]
    [trigger] = deployment["triggers"]

    async def play() -> list[Any]:
        async with get_client() as client:
            flow_id = await client.create_flow(recover_outbox_records)
            deployment_id = await client.create_deployment(
                flow_id=flow_id, name=f"on-insert-{uuid4().hex[:8]}", parameters=deployment["parameters"]
            )
            automation = DeploymentEventTrigger.model_validate(trigger)
            automation.set_deployment_id(deployment_id)
            made = await client.create_automation(automation.as_automation())
            try:
                for _ in range(40):
                    for name in ("reprise.queue.dead-letters", "reprise.outbox.inserted"):
                        event = {
                            "id": str(uuid4()),
                            "occurred": datetime.now(UTC).isoformat(),
                            "event": name,
                            "resource": {
                                "prefect.resource.id": "reprise.outbox.orders-outbox",
                                "reprise.trigger": "yes",
                            },
                            "payload": {"table": "orders-outbox", "rows": 3},
                        }
                        await client.request("POST", "/events", json=[event])
                    for _ in range(20):
                        runs = await client.request(
                            "POST", "/flow_runs/filter", json={"deployments": {"id": {"any_": [str(deployment_id)]}}}
                        )
                        if runs.json():
                            return list(runs.json())
                        await asyncio.to_thread(threading.Event().wait, 0.05)  # the server acts in its own time
                return []
            finally:
                await client.delete_automation(made)
                await client.delete_deployment(deployment_id)

    runs = asyncio.run(play())
    assert runs
    assert {json.dumps(run["parameters"]["event"], sort_keys=True) for run in runs} == {
        '{"rows": 3, "table": "orders-outbox"}'
    }
    assert runs[0]["parameters"]["request"] == deployment["parameters"]["request"]
