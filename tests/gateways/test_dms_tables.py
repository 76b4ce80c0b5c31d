"""Tables in error: ten are reloaded at a time, and all of them are proved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from recovery.cases import State
from recovery.report import RecoveryReport
from simulated_aws.dms import Fault, Future
from tests.dms_world import Recovering

MINUTES = 10


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


def with_broken_tables(world: Recovering, count: int) -> str:
    """A task that runs with so many tables in error, among others."""
    labels = [f"public.t{number:02}" for number in range(count)]
    faults = tuple(Fault("", "cdc", 30, table=label) for label in labels)
    arn = world.task(
        "wide", "full-load-and-cdc", Future(tables=dict.fromkeys([*labels, "public.well"], 10), faults=faults)
    )
    world.start(arn)
    world.advance(300)
    assert world.dms.replication(arn).errored == count
    return arn


def sweeps(world: Recovering, count: int, **policy: Any) -> list[RecoveryReport]:
    reports = []
    for _ in range(count):
        reports.append(world.recover(allow_reload=("wide",), **policy))
        world.advance(MINUTES * 60)
    return reports


def test_more_than_ten_tables_are_recovered_when_all_are(world: Recovering) -> None:
    """The first ten complete prove nothing for the other fifteen: one incident, three rounds, one recovery."""
    arn = with_broken_tables(world, 25)
    reports = sweeps(world, 6)
    assert [report.recovered for report in reports] == [0, 0, 0, 1, 0, 0]
    assert [report.by_action for report in reports[:3]] == [{"reload tables": 1}] * 3
    assert world.dms.calls["ReloadTables"] == 3
    assert world.dms.replication(arn).errored == 0
    assert all(table.reloaded == (table.name != "well") for table in world.dms.replication(arn).tables)
    outcomes = [one.outcome for one in world.memory(arn).restarts]
    assert outcomes == ["its tables are loaded, others are in error"] * 2 + ["recovered"]
    assert world.memory(arn).seconds_to_recover == pytest.approx((2 * MINUTES + 5) * 60, abs=400)
    assert world.alerts() == []


def test_a_task_that_loses_tables_for_ever_needs_a_person(world: Recovering) -> None:
    """Rounds of reloads count against the limit, and the alert describes them correctly."""
    arn = with_broken_tables(world, 25)
    sweeps(world, 12, max_attempts=2)
    assert world.dms.calls["ReloadTables"] == 2
    assert world.case(arn).state is State.ESCALATED
    [alert] = world.alerts()
    assert "twice tables were reloaded" in alert["text"]
    assert "still in error" in alert["text"]
    assert alert["text"].count("reload-tables: its tables are loaded, others are in error") == 2


def test_a_reloaded_table_that_is_gone_from_the_statistics_is_not_complete(world: Recovering) -> None:
    """A restart that cannot be checked is not proved: it is watched, and then a person is notified."""
    arn = with_broken_tables(world, 2)
    world.recover(allow_reload=("wide",))
    thing = world.dms.replication(arn)
    thing.tables = [table for table in thing.tables if table.name != "t01"]
    reports = [report for report in sweeps(world, 9) if report.found]
    assert [report.by_action for report in reports] == [{"escalate": 1}]
    [alert] = world.alerts()
    assert "not complete" in alert["subject"]
