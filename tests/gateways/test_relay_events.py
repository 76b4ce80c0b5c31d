"""The rules of the template, in the simulated AWS: what happens there lies in the events queue, and is reported."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest

from recovery.dead_letters.gateway import Sqs
from recovery.metrics.gateway import MetricsGateway
from relay import permissions
from relay.metrics import RelayMetrics
from relay.outbox_poller import OutboxPoller
from relay.prefect_events import PrefectEvents
from relay.queue import EventsQueue
from relay.queue_poller import QueuePoller
from relay.service import Relay
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.outbox_world import OutboxWorld
from tests.waiting import wait_for

TASK = "arn:aws:dms:us-east-1:000000000000:task:ORDERS"
CONFIG = "arn:aws:dms:us-east-1:000000000000:replication-config:MAIL"
PERMITTED_AS = {
    # Operations are permitted under other names than they have.
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "BatchExecuteStatement": "dynamodb:PartiQLUpdate",
    "PutMetricData": "cloudwatch:PutMetricData",
}


@pytest.fixture
def wired(aws: SimulatedAws) -> SimulatedAws:
    """A simulated AWS in which replications and alarms are asked to the estate's queue."""
    create_events(aws, aws.create_estate())
    return aws


def create_events(aws: SimulatedAws, outputs: dict[str, str], **more: str) -> dict[str, str]:
    parameters = {
        "EventsQueueArn": outputs["EventsQueueArn"],
        "ParkedQueueArn": outputs["EventsDeadLetterQueueArn"],
        "KeyArn": outputs["KeyArn"],
        "LedgerTableArn": outputs["LedgerTableArn"],
        "AlarmPrefix": "orders-",
    }
    return estate.create(aws.client, estate.TEMPLATES / "events.yaml", "reprise-events", parameters | more)


def dms(aws: SimulatedAws, kind: str, event_type: str, arn: str) -> None:
    category = "Failure" if event_type.endswith("FAILED") else "StateChange"
    detail = {"eventType": event_type, "detailMessage": "Last Error", "category": category}
    aws.put_event("aws.dms", kind, detail, [arn])


def alarm(aws: SimulatedAws, name: str, metric: str, **dimensions: str) -> None:
    """An alarm that goes off."""
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SQS",
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="more than none")


class Server:
    """A Prefect server that accepts, and remembers."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        transport = httpx.MockTransport(self.answer)
        self.client = PrefectEvents("", client=httpx.Client(base_url="http://prefect/api", transport=transport))

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/events"
        self.events += json.loads(request.content)
        return httpx.Response(204)

    @property
    def wired(self) -> set[tuple[str, str]]:
        return {(event["event"], event["resource"]["prefect.resource.id"]) for event in self.events}


def relay(aws: SimulatedAws, server: Server, *pollers: Any) -> Relay:
    sqs = aws.client("sqs")
    queue = EventsQueue(sqs, aws.queue_url("reprise-events"), aws.queue_url("reprise-events-parked"))
    metrics = RelayMetrics(MetricsGateway(aws.client("cloudwatch"), "Reprise"))
    return Relay(queue, server.client, pollers, aws.clock.now, threading.Event(), metrics)


def arrived(aws: SimulatedAws, count: int) -> list[dict[str, Any]]:
    def enough() -> list[dict[str, Any]] | None:
        found = aws.messages("reprise-events")
        return found if len(found) >= count else None

    return wait_for(f"{count} events", enough, seconds=20)


def test_replications_and_alarms_reach_prefect(wired: SimulatedAws) -> None:
    """A task and a serverless replication that failed or stopped, and alarms; nothing that only started."""
    dms(wired, "DMS Replication Task State Change", "REPLICATION_TASK_FAILED", TASK)
    dms(wired, "DMS Replication Task State Change", "REPLICATION_TASK_STARTED", TASK)
    dms(wired, "DMS Replication State Change", "REPLICATION_FAILED", CONFIG)
    dms(wired, "DMS Replication State Change", "REPLICATION_STOPPED", CONFIG)
    alarm(wired, "orders-depth", "ApproximateNumberOfMessagesVisible", QueueName="orders-dlq")
    alarm(wired, "orders-errors", "NumberOfMessagesDeleted", QueueName="orders")
    assert len(arrived(wired, 5)) == 5
    server = Server()
    relay(wired, server).round(wait=0)
    assert server.wired == {
        ("reprise.dms.task.failed", "reprise.dms.ORDERS"),
        ("reprise.dms.task.failed", "reprise.dms.MAIL"),
        ("reprise.dms.task.stopped", "reprise.dms.MAIL"),
        ("reprise.alarm.changed", "reprise.alarm.orders-depth"),
        ("reprise.alarm.changed", "reprise.alarm.orders-errors"),
        ("reprise.queue.dead-letters", "reprise.queue.orders-dlq"),
    }


def test_alarms_are_chosen_by_the_beginning_of_their_names(aws: SimulatedAws) -> None:
    """With a prefix only those alarms are reported; one that is over is not."""
    create_events(aws, aws.create_estate(), AlarmPrefix="shop-")
    alarm(aws, "other-depth", "Depth")
    alarm(aws, "shop-depth", "Depth")
    aws.client("cloudwatch").set_alarm_state(AlarmName="shop-depth", StateValue="OK", StateReason="none")
    [message] = arrived(aws, 1)
    assert json.loads(message["body"])["detail"]["alarmName"] == "shop-depth"


def test_rules_can_be_switched_off(aws: SimulatedAws) -> None:
    """With State=DISABLED the rules stand there and show nothing; without a queue there are none."""
    outputs = aws.create_estate()
    made = create_events(aws, outputs, State="DISABLED")
    assert {"ReplicationFailedRuleArn", "AlarmChangedRuleArn", "RelayRoleArn"} <= set(made)
    rules = aws.client("events").list_rules()["Rules"]
    assert {rule["Name"]: rule["State"] for rule in rules} == {
        "reprise-dms-failed": "DISABLED",
        "reprise-alarm": "DISABLED",
    }
    assert estate.create(aws.client, estate.TEMPLATES / "events.yaml", "none", {"Prefix": "none"}) == {}


def test_the_relay_s_alarms_name_what_it_publishes(aws: SimulatedAws) -> None:
    """Each cause of deafness raises an alarm; after a minute of work each has a datapoint."""
    outputs = aws.create_estate()
    create_events(aws, outputs, AlertTopicArn=outputs["RepriseAlertTopicArn"])
    cloudwatch = aws.client("cloudwatch")
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    template = estate.load(estate.TEMPLATES / "events.yaml")["Resources"]
    of_the_relay = ("Silent", "Unacknowledged", "Away", "QueueErrors", "Resting", "Parked")
    named = [template[f"Relay{name}Alarm"]["Properties"] for name in of_the_relay]
    assert {
        f"reprise-relay-{name}" for name in ("silent", "unacknowledged", "away", "queue-errors", "resting", "parked")
    } <= set(alarms)
    relay(aws, Server()).round(wait=0)
    now = aws.clock.now()
    for alarm in named:
        points = cloudwatch.get_metric_statistics(
            Namespace="Reprise",
            MetricName=alarm["MetricName"],
            Dimensions=alarm["Dimensions"],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["SampleCount"],
        )["Datapoints"]
        assert points, alarm["MetricName"]


@pytest.fixture
def outbox(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws)


def test_the_relay_does_what_its_role_may(aws: SimulatedAws, outbox: OutboxWorld) -> None:
    """Everything that it asks of AWS, with all pollers, is permitted; and nothing is permitted that it never asks."""
    sqs = aws.client("sqs")
    messages = sqs.create_queue(QueueName="orders-dlq")["QueueUrl"]
    pollers = (
        QueuePoller(Sqs(sqs, sqs), ["orders-*", messages, "mail-dlq"], timedelta(seconds=2)),
        OutboxPoller(
            aws.client("dynamodb"),
            aws.client("dynamodbstreams"),
            outbox.connection().ledger,
            outbox.request(),
            "a",
        ),
    )
    server = Server()
    url = aws.queue_url("reprise-events")
    made = relay(aws, server, *pollers)
    aws.clear_requests()
    made.round(wait=0)
    for body in ("no JSON", json.dumps({"source": "aws.ec2", "detail-type": "x"}), task("a"), task("b")):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    outbox.put({"id": "1", "message": "hello"})
    aws.clock.advance(61)
    made.round(wait=0)
    aws.clock.advance(21)
    made.post_pending()
    counts = aws.request_counts()
    used = {
        PERMITTED_AS.get(operation, f"{service}:{operation}")
        for service, operation in (name.split(":") for name in counts)
    }
    assert counts["sqs:SendMessage"] == 4 + 1  # this test's own, and what was parked
    assert counts["dynamodb:PutItem"] >= 1 + 1  # this test's own, and the lease
    assert used == {action for action in permissions.actions() if not action.startswith("kms:")}


def task(name: str) -> str:
    detail = {"eventType": "REPLICATION_TASK_FAILED", "detailMessage": "Last Error", "category": "Failure"}
    kind = "DMS Replication Task State Change"
    arn = f"arn:aws:dms:us-east-1:000000000000:task:{name}"
    return json.dumps({"detail-type": kind, "source": "aws.dms", "resources": [arn], "detail": detail})
