"""Dashboard and alarms: created from the template, fed by runs, and true to their thresholds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from demo import metrics_compared
from recovery.metrics.series import path_names
from recovery.paths import PATHS
from recovery.report import Number, RecoveryReport
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.outbox_world import connection_to
from tests.unit.metrics.samples import entry, report

TEMPLATE = estate.load(estate.OBSERVABILITY)


@pytest.fixture
def aws(simulated_aws: SimulatedAws) -> SimulatedAws:
    simulated_aws.reset()
    simulated_aws.create_estate()
    metrics_compared.create(simulated_aws)
    return simulated_aws


def publish(aws: SimulatedAws, made: RecoveryReport, *, swept: bool = True) -> None:
    """Publish a run's numbers at the simulated AWS's time."""
    metrics = connection_to(aws).metrics
    assert metrics is not None
    metrics.publication(made, aws.clock.now(), swept=swept).send()


def full(path: str, **more: Any) -> RecoveryReport:
    """A run in which everything happened that the path counts."""
    words = PATHS[path].counts
    entries = [entry(min(actions)) for actions in words.done.values()]
    numbers = tuple(Number(name=name, value=1, source="s") for name in words.own)
    return report(*entries, path=path, recovered=1, seconds_to_recover=5.0, numbers=numbers, **more)


def states(aws: SimulatedAws) -> dict[str, str]:
    """State of each alarm by name, the estate's own left out."""
    pages = aws.client("cloudwatch").get_paginator("describe_alarms").paginate()
    found = {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"]}
    return {
        name: state for name, state in found.items() if not name.startswith(("reprise-events-", "reprise-nothing-runs"))
    }


def alarms(aws: SimulatedAws) -> set[str]:
    """The alarms that are on, once time has made CloudWatch look at them."""
    aws.clock.advance(60)
    return {name for name, state in states(aws).items() if state == "ALARM"}


def test_everything_is_created(aws: SimulatedAws) -> None:
    """The dashboard and every alarm but the one on an expression, which the emulator refuses."""
    wanted = {name for name, each in TEMPLATE["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert len(states(aws)) == len(wanted) - 1
    body = json.loads(aws.client("cloudwatch").get_dashboard(DashboardName="reprise")["DashboardBody"])
    shown = [alarm for widget in body["widgets"] for alarm in widget["properties"].get("alarms", [])]
    assert {arn.rpartition(":")[2] for arn in shown} == set(states(aws))
    assert {arn.split(":")[4] for arn in shown} == {"000000000000"}


def test_widgets_stand_side_by_side(aws: SimulatedAws) -> None:
    """None hangs over the 24 columns of a dashboard, and no two overlap."""
    body = json.loads(aws.client("cloudwatch").get_dashboard(DashboardName="reprise")["DashboardBody"])
    taken: set[tuple[int, int]] = set()
    for widget in body["widgets"]:
        assert widget["x"] + widget["width"] <= 24
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        taken |= cells


def test_what_is_named_and_never_published_is_found(aws: SimulatedAws) -> None:
    """The comparison names each metric without a data point, until runs and the workload have published it."""
    before = metrics_compared.differences(aws)
    assert any("Healed (Path=dead_letters)" in line for line in before)
    assert any("AWS/Lambda Errors" in line for line in before)
    assert any("search for" in line for line in before)
    for path in PATHS:
        publish(aws, full(path))
    left = metrics_compared.differences(aws)
    assert left
    assert all("AWS/" in line or "Path=relay" in line for line in left), left


def test_only_metrics_that_exist_are_named() -> None:
    """Each metric of our namespace that an alarm names is one that its path publishes."""
    for name, resource in TEMPLATE["Resources"].items():
        alarm = resource["Properties"]
        if resource["Type"] == "AWS::CloudWatch::Alarm" and alarm.get("Namespace") == {"Ref": "MetricsNamespace"}:
            [dimension] = alarm["Dimensions"]
            assert alarm["MetricName"] in path_names(PATHS[dimension["Value"]].counts), name


def test_alarms_show_the_alert_topic() -> None:
    """Every alarm has the alert topic as its action."""
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            assert resource["Properties"]["AlarmActions"]["Fn::If"][1] == [{"Ref": "AlertTopicArn"}], name


def test_a_missing_sweep_raises_an_alarm_and_a_sweep_ends_it(aws: SimulatedAws) -> None:
    """Half an hour without a sweep: one alarm for each path; runs that an event started do not silence it."""
    publish(aws, full("dead_letters"))
    aws.clock.advance(2400)
    publish(aws, full("dead_letters"), swept=False)
    on = alarms(aws)
    assert {f"reprise-{path}-no-sweep" for path in ("dead-letters", "outbox-records", "appflow-runs")} <= on
    publish(aws, full("dead_letters"))
    assert "reprise-dead-letters-no-sweep" not in alarms(aws)


def test_an_error_of_the_healer_raises_an_alarm_that_people_and_events_get(aws: SimulatedAws) -> None:
    """One problem of one run is enough; the alert topic and, by the template of events, the queue hear of it."""
    outputs = aws.client("cloudformation").describe_stacks(StackName="reprise")["Stacks"][0]["Outputs"]
    given = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    rules = {"EventsQueueArn": given["EventsQueueArn"], "ParkedQueueArn": given["EventsDeadLetterQueueArn"]}
    estate.create(
        aws.client,
        estate.TEMPLATES / "events.yaml",
        "events",
        rules | {"KeyArn": given["KeyArn"], "AlarmPrefix": "reprise-"},
    )
    client = aws.client("sqs")
    client.create_queue(QueueName="people")
    topic = aws.environment["REPRISE_ALERT_TOPIC_ARN"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:people")
    publish(aws, full("replication_tasks"))
    assert "reprise-replication-tasks-errors" not in alarms(aws)
    publish(aws, full("replication_tasks", problems=("no permission",)))
    assert "reprise-replication-tasks-errors" in alarms(aws)
    mails = [json.loads(message["body"]) for message in aws.messages("people")]
    assert any("reprise-replication-tasks-errors" in mail["Message"] for mail in mails)
    events = [json.loads(message["body"]) for message in aws.messages("reprise-events")]
    assert any(event["detail"]["alarmName"] == "reprise-replication-tasks-errors" for event in events)


@pytest.mark.parametrize(
    ("path", "metric", "value", "alarm"),
    [
        ("outbox_records", "OutboxOldestUnfinished", 901, "reprise-outbox-oldest"),
        ("replication_tasks", "Escalated", 1, "reprise-replication-tasks-escalated"),
        ("appflow_runs", "Escalated", 1, "reprise-appflow-runs-escalated"),
    ],
)
def test_thresholds_are_the_usual_ones(aws: SimulatedAws, path: str, metric: str, value: float, alarm: str) -> None:
    """A row older than 15 minutes, a task or a flow that was escalated."""
    quiet = report(path=path, numbers=(Number(name=metric, value=900 if value > 900 else 0),))
    publish(aws, quiet)
    assert alarm not in alarms(aws)
    publish(aws, report(path=path, numbers=(Number(name=metric, value=value),)))
    assert alarm in alarms(aws)


def test_dead_letters_must_stay_for_five_minutes(aws: SimulatedAws) -> None:
    """Eleven messages raise the alarm on the queue after five minutes, not before; ten never do."""
    client = aws.client("sqs")
    url = client.create_queue(QueueName="orders-dlq")["QueueUrl"]
    for number in range(10):
        client.send_message(QueueUrl=url, MessageBody=str(number))
    for _ in range(7):
        assert "reprise-dead-letters" not in alarms(aws)
    client.send_message(QueueUrl=url, MessageBody="one more")
    for _ in range(4):
        assert "reprise-dead-letters" not in alarms(aws)
    alarms(aws)
    assert "reprise-dead-letters" in alarms(aws)


def test_the_error_rate_is_of_invocations() -> None:
    """Errors over invocations in percent, no division by zero, 5 by default."""
    alarm = TEMPLATE["Resources"]["ConsumerErrorsAlarm"]["Properties"]
    [rate] = [query for query in alarm["Metrics"] if query["ReturnData"]]
    assert rate["Expression"] == "IF(invocations > 0, 100 * errors / invocations, 0)"
    assert {query["Id"] for query in alarm["Metrics"]} == {"rate", "errors", "invocations"}
    assert TEMPLATE["Parameters"]["ConsumerErrorPercent"]["Default"] == 5
