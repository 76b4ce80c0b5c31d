"""A replication that runs and falls behind, or stands still, is reported once; CloudWatch is asked little."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from recovery.cases import State
from recovery.errors import Refused
from recovery.replication_tasks.latencies import Latencies
from recovery.replication_tasks.models import Facts, Migration
from recovery.report import RecoveryReport
from recovery.scope import StartedBy
from simulated_aws.dms import Future
from tests.dms_world import START, Recovering

BEHIND = Future(latency_grows=0.5)


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


def running(world: Recovering, future: Future, name: str = "orders", migration: str = "full-load-and-cdc") -> str:
    arn = world.task(name, migration, future)
    world.start(arn)
    world.advance(300)
    assert world.status(name) == "running"
    return arn


def hour(world: Recovering, **policy: Any) -> list[RecoveryReport]:
    """Six sweeps, ten minutes apart."""
    reports = []
    for _ in range(6):
        world.advance(600)
        reports.append(world.recover(**policy))
    return reports


def test_a_latency_that_only_grows_is_reported_once(world: Recovering) -> None:
    """One alert names both ends of the growth and the slow side, and the task is left to run."""
    arn = running(world, BEHIND)
    hour(world)
    assert world.alerts() == []
    hour(world)
    hour(world)
    [alert] = world.alerts()
    assert "source latency has only grown for 60 minutes" in alert["subject"]
    assert "the source's load" in alert["text"]
    assert world.case(arn).state is State.ESCALATED
    assert world.starts("orders") == ["start-replication"]


def test_it_is_over_when_the_latency_is_low_again(world: Recovering) -> None:
    """A second message reports it, no earlier; the next growth is reported anew."""
    arn = running(world, BEHIND)
    for _ in range(3):
        hour(world)
    assert len(world.alerts()) == 1
    world.dms.script("orders", Future(latency=2_000.0))
    hour(world)
    assert world.alerts() == []
    assert world.case(arn).state is State.ESCALATED
    world.dms.script("orders", Future(latency=1.0))
    hour(world)
    [back] = world.alerts()
    assert "has recovered" in back["subject"]
    assert world.case(arn).state is State.RECOVERED
    world.dms.script("orders", BEHIND)
    for _ in range(2):
        hour(world)
    assert len(world.alerts()) == 1


def test_a_steady_latency_is_nothing(world: Recovering) -> None:
    """However high it is, a latency that does not grow is the task's own."""
    running(world, Future(latency=5_000.0))
    reports = [report for _ in range(3) for report in hour(world)]
    assert world.alerts() == []
    assert not any(report.found for report in reports)


def test_the_policy_switches_it_off(world: Recovering) -> None:
    """Without findings CloudWatch is not asked, and what stood is closed without a recovery."""
    arn = running(world, BEHIND)
    for _ in range(3):
        hour(world)
    world.alerts()
    reports = hour(world, findings=False)
    assert world.alerts() == []
    assert world.case(arn).state is State.SUPERSEDED
    assert sum(report.recovered for report in reports) == 0


def test_what_cloudwatch_does_not_show_changes_nothing(world: Recovering, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding stands while CloudWatch refuses; the sweep warns and goes on with the rest."""
    arn = running(world, BEHIND)
    for _ in range(3):
        hour(world)
    world.alerts()

    def refuse(*_: Any) -> Any:
        raise Refused("no", code="AccessDenied", operation="cloudwatch:ListMetrics")

    monkeypatch.setattr(Latencies, "read", refuse)
    reports = hour(world)
    assert world.case(arn).state is State.ESCALATED
    assert world.alerts() == []
    assert all(any("latencies could not be read" in each for each in report.warnings) for report in reports)
    assert not any(report.failed for report in reports)


def test_standing_still_for_longer_than_ever_is_reported(world: Recovering) -> None:
    """One that always moved and has not for hours is reported once, and again when it moves."""
    running(world, Future(changes_per_second=2.0))
    hour(world)
    _moved_for(world, days=4)
    world.dms.script("orders", Future(changes_per_second=0.0))
    for _ in range(2):
        hour(world)
    assert world.alerts() == []
    for _ in range(3):
        hour(world)
    [alert] = world.alerts()
    assert "DMS orders needs a person: it runs, but it has applied no row for" in alert["subject"]
    assert "never stood still for more than 0" in alert["text"]
    world.dms.script("orders", Future(changes_per_second=2.0))
    for _ in range(2):
        hour(world)
    [back] = world.alerts()
    assert "has recovered" in back["subject"]


def test_a_serverless_replication_is_found_by_its_name(world: Recovering) -> None:
    """Its dimensions are those that CloudWatch lists."""
    arn = world.config("wide", "cdc", BEHIND)
    world.start(arn)
    world.advance(1_200)
    for _ in range(3):
        hour(world)
    [alert] = world.alerts()
    assert "latency has only grown" in alert["subject"]


def _moved_for(world: Recovering, days: int) -> None:
    """Let days pass in which it moved, with one count an hour."""
    thing = world.dms.replication("orders")
    world.advance(300)
    point = next(each for each in world.estate.metrics if each["MetricName"] == "CDCThroughputRowsTarget")
    for number in range(days * 24):
        at = world.now + timedelta(hours=number)
        world.estate.metrics.append({**point, "Timestamp": at})
    world.estate.time += timedelta(days=days)
    thing.counted = world.now


class Counting:
    """CloudWatch with a healthy history of many tasks, which counts what it is asked."""

    def __init__(self, arns: list[str]) -> None:
        self.arns = arns
        self.asked: list[tuple[str, int]] = []

    def get_paginator(self, name: str) -> Counting:
        self.name = name
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        if self.name == "list_metrics":
            assert request == {"Namespace": "AWS/DMS", "MetricName": "CDCLatencySource", "RecentlyActive": "PT3H"}
            yield from self._listed()
            return
        queries = request["MetricDataQueries"]
        self.asked.append(("get_metric_data", len(queries)))
        steps = (request["EndTime"] - request["StartTime"]) / timedelta(seconds=queries[0]["MetricStat"]["Period"])
        assert len(queries) <= 500
        assert len(queries) * steps <= 100_800
        for query in queries:
            names = [each["Name"] for each in query["MetricStat"]["Metric"]["Dimensions"]]
            assert names == ["ReplicationInstanceIdentifier", "ReplicationTaskIdentifier"]
        yield {"MetricDataResults": [{"Id": query["Id"], "Timestamps": [], "Values": []} for query in queries]}

    def _listed(self) -> Iterator[dict[str, Any]]:
        of_instance = [{"Dimensions": [{"Name": "ReplicationInstanceIdentifier", "Value": "r1"}]}]
        for start in range(0, len(self.arns), 500):
            self.asked.append(("list_metrics", 1))
            yield {
                "Metrics": of_instance
                + [
                    {
                        "Dimensions": [
                            {"Name": "ReplicationInstanceIdentifier", "Value": "r1"},
                            {"Name": "ReplicationTaskIdentifier", "Value": arn.rsplit(":", 1)[-1]},
                        ]
                    }
                    for arn in self.arns[start : start + 500]
                ]
            }


def test_five_hundred_tasks_take_few_requests() -> None:
    """One page of metrics, two requests for latencies, one for habits; none is larger than CloudWatch takes."""
    arns = [f"arn:aws:dms:us-east-1:123456789012:task:T{number:04}" for number in range(500)]
    tasks = [Facts(arn, f"name-{arn[-4:]}", Migration.CDC, "running") for arn in arns]
    client = Counting(arns)
    found = Latencies(client).read(tasks, START)  # type: ignore[arg-type]
    assert set(found) == set(arns)
    assert [name for name, _ in client.asked] == ["list_metrics", *["get_metric_data"] * 3]
    assert {len(lag.source) for lag in found.values()} == {12}
    assert {len(lag.moved) for lag in found.values()} == {168}


def test_nothing_is_asked_where_nothing_runs(world: Recovering) -> None:
    """A run that an event started, and one without replications that run, ask CloudWatch nothing."""
    world.recover(started_by=StartedBy.EVENT)
    client = Counting([])
    assert Latencies(client).read([], START) == {}  # type: ignore[arg-type]
    assert client.asked == []
