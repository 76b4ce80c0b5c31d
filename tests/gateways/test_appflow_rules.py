"""The event rules of the template, in the simulated AWS: failures reach the events queue, twins do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recovery.appflow_runs.models import TWIN_PREFIX
from recovery.events.appflow import SOURCE, read
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.appflow_world import TASKS, TO
from tests.waiting import wait_for

TEMPLATE = estate.TEMPLATES / "appflow.yaml"


@pytest.fixture
def wired(aws: SimulatedAws) -> SimulatedAws:
    """A simulated AWS in which AppFlow's events go to the estate's queue."""
    outputs = aws.create_estate()
    given = {"EventsQueueArn": outputs["EventsQueueArn"], "ParkedQueueArn": outputs["EventsDeadLetterQueueArn"]}
    estate.create(aws.client, TEMPLATE, "appflow", given)
    return aws


def run(aws: SimulatedAws, name: str, *outcomes: dict[str, Any], schedule: dict[str, Any] | None = None) -> None:
    """Make a flow and run it once."""
    aws.control("POST", "appflow/script", {"flow": name, "outcomes": list(outcomes)})
    trigger: dict[str, Any] = {"triggerType": "OnDemand"}
    if schedule:
        trigger = {"triggerType": "Scheduled", "triggerProperties": {"Scheduled": schedule}}
    aws.client("appflow").create_flow(
        flowName=name,
        triggerConfig=trigger,
        sourceFlowConfig={
            "connectorType": "Salesforce",
            "connectorProfileName": "crm",
            "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
        },
        destinationFlowConfigList=[TO["S3"]],
        tasks=TASKS,
    )
    aws.client("appflow").start_flow(flowName=name)
    aws.clock.advance(5)


def announced(aws: SimulatedAws, count: int) -> list[tuple[str, str]]:
    """Flow and detail type of the events in the queue, once there are so many."""
    wait_for(f"{count} events", lambda: len(aws.messages("reprise-events")) >= count, seconds=20)
    found = []
    for message in aws.messages("reprise-events"):
        event = read(json.loads(message["body"]))
        assert event is not None
        assert event.is_failure
        found.append((event.flow, event.detail_type))
    return sorted(found)


def test_failures_reach_the_queue(wired: SimulatedAws) -> None:
    """Failed runs, failed records in a success and switched-off flows arrive; successes, starts and twins do not."""
    failing = {"error": "503", "records": 0}
    run(wired, "fine", {})
    run(wired, f"{TWIN_PREFIX}0123", failing)
    run(wired, "failed", failing)
    run(wired, "partial", {"failed_records": 2})
    schedule = {"scheduleExpression": "rate(1days)", "flowErrorDeactivationThreshold": 1}
    run(wired, "switched-off", failing, schedule=schedule)
    assert announced(wired, 4) == [
        ("failed", "AppFlow End Flow Run Report"),
        ("partial", "AppFlow End Flow Run Report"),
        ("switched-off", "AppFlow End Flow Run Report"),
        ("switched-off", "AppFlow Scheduled Flow Deactivated"),
    ]


def test_an_unknown_status_is_a_failure(wired: SimulatedAws) -> None:
    """A status text that nobody has seen yet is reported, too."""
    detail = {"flow-name": "orders", "status": "Execution Partially Successful", "num-of-record-failures": "0"}
    wired.put_event(SOURCE, "AppFlow End Flow Run Report", detail, ["hash"])
    assert announced(wired, 1) == [("orders", "AppFlow End Flow Run Report")]
