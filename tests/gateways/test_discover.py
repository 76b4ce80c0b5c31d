"""The survey of an account's dead-letter queues, against the simulated AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployments import discover
from recovery.discover.models import Survey
from recovery.discover.survey import survey
from simulated_aws.server import SimulatedAws
from tasks.discover import office_of
from tests.dead_letters_world import DeadLettersWorld


@pytest.fixture
def world(simulated_aws: SimulatedAws, sdk_does_not_wait: None, monkeypatch: pytest.MonkeyPatch) -> DeadLettersWorld:
    world = DeadLettersWorld(simulated_aws)
    for name, value in simulated_aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("blocks.estate._load", lambda name: None)
    return world


def look(*queues: str) -> Survey:
    return survey(office_of(None), queues or ("*",))


def alarm(world: DeadLettersWorld, queue: str, metric: str, **more: Any) -> None:
    world.aws.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{queue}-{metric}",
        Namespace="AWS/SQS",
        MetricName=metric,
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[world.topic],
        **more,
    )


def test_a_queue_is_found_with_its_sources_consumer_log_and_alarm(world: DeadLettersWorld) -> None:
    """And its depth; the estate's own queues are no business of recovery."""
    pair = world.pair()
    group = world.consume(pair)
    world.aws.client("logs").put_retention_policy(logGroupName=group, retentionInDays=30)
    alarm(world, pair.dead, "ApproximateNumberOfMessagesVisible")
    world.die(pair, ["", ""])
    found = look()
    [row] = found.rows
    setup = row.setup
    assert (setup.queue.name, setup.queue.visible) == (pair.dead, 2)
    assert [source.queue.name for source in setup.sources] == [pair.source]
    [consumer] = setup.sources[0].consumers or ()
    assert consumer.function is not None
    assert (consumer.function.log_group, consumer.function.timeout_seconds) == (group, 3)
    assert [(each.name, each.retention_days) for each in setup.sources[0].log_groups] == [(group, 30)]
    assert [each.notifies for each in setup.alarms or ()] == [True]
    assert (row.found, row.log_group) == (True, group)
    assert {fault.rule for fault in row.faults} == {"consumer-off", "few-receives", "whole-batch"}
    assert not found.problems


def test_queues_that_share_one_and_queues_that_are_nobodys(world: DeadLettersWorld) -> None:
    """One row for each dead-letter queue; what is only named like one is listed apart."""
    pair = world.pair()
    world.pair("invoices", dead=pair.dead)
    lone = world.queue("notify-dlq")
    found = look()
    [row] = found.rows
    assert {fault.rule for fault in row.faults} >= {"shared", "no-alarm"}
    assert [queue.name for queue in found.orphans] == [lone]
    assert not look("nothing-*").rows


def test_a_queue_that_is_gone_is_a_fault_of_its_source(world: DeadLettersWorld) -> None:
    """Nothing can be moved there, and nobody is notified."""
    pair = world.pair()
    world.sqs.delete_queue(QueueUrl=world.url(pair.dead))
    [row] = look().rows
    assert [fault.rule for fault in row.faults] == ["missing"]


def test_the_function_that_takes_dead_letters_away_is_named(world: DeadLettersWorld) -> None:
    """A consumer of the dead-letter queue itself."""
    pair = world.pair()
    world.consume(pair)
    world.aws.client("lambda").create_event_source_mapping(
        EventSourceArn=world.arn(pair.dead), FunctionName="orders", Enabled=False
    )
    [row] = look().rows
    assert "consumed" in {fault.rule for fault in row.faults}


@pytest.mark.parametrize(
    ("service", "stated"),
    [
        ("lambda", "permission lambda:ListEventSourceMappings is missing for this role"),
        ("logs", "permission logs:DescribeLogGroups is missing for this role"),
        ("monitoring", "permission cloudwatch:DescribeAlarmsForMetric is missing for this role"),
    ],
)
def test_a_permission_that_is_missing_costs_its_column_only(world: DeadLettersWorld, service: str, stated: str) -> None:
    """Stated once, however many queues there are."""
    world.consume(world.pair())
    world.pair()
    world.aws.fault("error", service=service, code="AccessDeniedException", status=403)
    found = look()
    assert len(found.rows) == 2
    assert found.problems.count(stated) == 1


def test_the_command_prints_the_survey_or_a_request(
    world: DeadLettersWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its status says whether something is to be done."""
    pair = world.pair()
    assert discover.main() == 1
    assert f"{pair.source}: no Lambda function consumes it" in capsys.readouterr().out
    assert discover.main(pair.dead, request=True) == 1
    assert json.loads(capsys.readouterr().out) == {"queues": [pair.dead], "dry_run": True}
    assert discover.main("nothing-*") == 0
    capsys.readouterr()
    world.aws.fault("error", service="sqs", operation="ListQueues", code="AccessDenied", status=403)
    assert discover.main() == 2
    assert "sqs:ListQueues" in capsys.readouterr().err
