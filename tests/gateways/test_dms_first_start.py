"""The very first start of a change capture begins where it was set to begin, or says where it begins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from moto import mock_aws

from recovery.replication_tasks.answers import replication_of
from recovery.replication_tasks.commands import command
from recovery.replication_tasks.models import Verb
from simulated_aws.dms import Fault, Future
from tests.dms_world import Recovering
from tests.unit.replication_tasks.situations import RECOVERABLE

POSITION = "checkpoint:V1#27#mysql-bin-changelog.157832:1975:-1:2002:677883278264080:mysql-bin.157832:1876#0#0#*#0#93"
FAILS_AT_FIRST = Future(faults=(Fault(RECOVERABLE, "starting", 5),))


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


def test_a_task_begins_at_its_own_position(world: Recovering) -> None:
    """The position that the task was created with is named again: a start that names none would begin anywhere."""
    world.start(world.task("orders", "cdc", FAILS_AT_FIRST, CdcStartPosition=POSITION))
    world.advance(60)
    assert world.recover().by_action == {"start": 1}
    assert world.dms.replication("orders").positions == ["", POSITION]
    world.advance(700)
    assert world.recover().recovered == 1


def test_a_serverless_replication_begins_where_its_first_start_stated(world: Recovering) -> None:
    """A config has no position of its own: what the failed start named is lost unless the next one names it."""
    arn = world.config("lake", "cdc", FAILS_AT_FIRST)
    world.client.start_replication(
        ReplicationConfigArn=arn, StartReplicationType="start-replication", CdcStartPosition=POSITION
    )
    world.advance(400)
    assert world.status("lake") == "failed"
    assert world.recover().by_action == {"start": 1}
    assert world.dms.replication("lake").positions == [POSITION, POSITION]


def test_a_time_is_a_position_too() -> None:
    """A serverless replication's start time is named again in the form that a position takes."""
    raw: dict[str, Any] = {
        "ReplicationConfigArn": "arn",
        "ReplicationConfigIdentifier": "lake",
        "ReplicationType": "cdc",
        "Status": "failed",
        "CdcStartTime": datetime(2026, 1, 5, 12, 30, 15, tzinfo=UTC),
    }
    facts = replication_of(raw)
    assert facts.start_position == "2026-01-05T12:30:15"
    assert command(facts, Verb.START).endswith("--cdc-start-position 2026-01-05T12:30:15")
    assert "position" not in command(facts, Verb.RESUME)


def test_without_a_position_the_report_says_what_is_missed(world: Recovering) -> None:
    """Nobody set where to begin: it is started as it was, and people read that it begins now."""
    world.start(world.task("orders", "cdc", FAILS_AT_FIRST))
    world.advance(60)
    report = world.recover()
    assert report.by_action == {"start": 1}
    assert "begins now" in report.groups[0].reason
    assert world.dms.replication("orders").positions == ["", ""]


@pytest.mark.parametrize("migration", ["full-load", "full-load-and-cdc"])
def test_a_full_load_names_no_position(world: Recovering, migration: str) -> None:
    """It loads everything; where its change capture begins follows from that."""
    world.start(world.task("orders", migration, FAILS_AT_FIRST, CdcStartPosition=POSITION))
    world.advance(60)
    report = world.recover(allow_reload=("orders",))
    assert report.by_action == {"start": 1}
    assert "begins" not in report.groups[0].reason
    assert world.dms.replication("orders").positions == ["", ""]


def test_a_resume_names_no_position(world: Recovering) -> None:
    """It goes on from its checkpoint, not from where it once began."""
    world.start(world.task("orders", "cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 30),)), CdcStartPosition=POSITION))
    world.advance(300)
    assert world.recover().by_action == {"resume": 1}
    assert world.dms.replication("orders").positions == ["", ""]
