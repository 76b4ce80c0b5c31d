"""Notices of DMS reach the events queue: by its event subscription, and by EventBridge."""

from __future__ import annotations

import json
from typing import Any

from recovery.events.dms import DmsEvent, read
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.unit.replication_tasks.situations import RECOVERABLE

TEMPLATE = estate.TEMPLATES / "dms.yaml"


def queue_arn(aws: SimulatedAws, name: str) -> str:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def failing_task(aws: SimulatedAws, name: str) -> str:
    """A task that is started and fails after a while."""
    dms = aws.client("dms")
    instance = dms.create_replication_instance(
        ReplicationInstanceIdentifier=f"{name}-instance", ReplicationInstanceClass="dms.t3.medium"
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    ends = [
        dms.create_endpoint(EndpointIdentifier=f"{name}-{kind}", EndpointType=kind, EngineName="mysql")["Endpoint"]
        for kind in ("source", "target")
    ]
    task: str = dms.create_replication_task(
        ReplicationTaskIdentifier=name,
        MigrationType="cdc",
        SourceEndpointArn=ends[0]["EndpointArn"],
        TargetEndpointArn=ends[1]["EndpointArn"],
        ReplicationInstanceArn=instance,
        TableMappings="{}",
    )["ReplicationTask"]["ReplicationTaskArn"]
    fault = {"text": RECOVERABLE, "stage": "cdc", "after_seconds": 10}
    aws.control("POST", "dms/script", {"replication": name, "future": {"faults": [fault]}})
    aws.clock.advance(5)
    dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")
    return task


def reported(aws: SimulatedAws, queue: str) -> list[DmsEvent]:
    return [event for message in aws.messages(queue) for event in read(json.loads(message["body"]))]


def test_failure_reaches_the_queue_by_subscription(aws: SimulatedAws) -> None:
    """With the template's topic and a subscription for one task, its failure lies in the events queue, readable."""
    to = {"EventsQueueArn": queue_arn(aws, "events"), "ParkedQueueArn": queue_arn(aws, "parked")}
    outputs = estate.create(aws.client, TEMPLATE, "reprise-dms", {"Subscribe": "no", **to})
    task = failing_task(aws, "orders")
    failing_task(aws, "other")
    aws.client("dms").create_event_subscription(
        SubscriptionName="reprise-tasks",
        SnsTopicArn=outputs["TopicArn"],
        SourceType="replication-task",
        SourceIds=["orders"],
        EventCategories=["failure", "state change"],
    )
    aws.clock.advance(100)
    aws.control("POST", "dms/script", {"advance": True})
    events = reported(aws, "events")
    assert [(event.name, event.type, event.is_failure) for event in events] == [
        ("orders", "DMS-EVENT-0069", False),
        ("orders", "DMS-EVENT-0078", True),
    ]
    assert task


def test_failure_reaches_the_queue_by_eventbridge(aws: SimulatedAws) -> None:
    """A rule for DMS's own source, which clients may not use, hears of the failure without anybody asking DMS."""
    events: Any = aws.client("events")
    events.put_rule(
        Name="dms",
        EventPattern=json.dumps({"source": ["aws.dms"], "detail": {"eventType": ["REPLICATION_TASK_FAILED"]}}),
    )
    events.put_targets(Rule="dms", Targets=[{"Id": "queue", "Arn": queue_arn(aws, "events")}])
    task = failing_task(aws, "orders")
    aws.clock.advance(100)
    [event] = reported(aws, "events")
    assert (event.arn, event.is_failure, event.source) == (task, True, "eventbridge")
    assert "ODBC general error" in event.message
