"""A case of the ledger that somebody damaged stops nothing of the other flows, and says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from recovery.appflow_runs.models import PATH
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.cases import case_key
from simulated_aws.appflow import Outcome
from tests.appflow_world import TABLE, World, a_world
from tests.unit.appflow_runs.situations import DOWN

TWINS = AppFlowPolicy(allow_twin=True)
DAILY = {"scheduleExpression": "rate(1days)", "dataPullMode": "Complete"}


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


def damage(world: World, name: str, how: str) -> dict[str, Any]:
    """Write into a case what no run would write; returns it."""
    key = {"pk": {"S": case_key(PATH, name)}, "sk": {"S": "case"}}
    item: dict[str, Any] = world.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    data = json.loads(item["data"]["S"])
    match how:
        case "cut off":
            item["data"]["S"] = item["data"]["S"][:40]
        case "no attempt":
            item["data"]["S"] = json.dumps(data | {"detail": {"attempts": [{"n": "one"}]}})
        case "odd types":
            item["data"]["S"] = json.dumps(data | {"detail": data["detail"] | {"began": "yesterday", "notified": 7}})
        case "no state of ours":
            item["state"]["S"] = "lost"
        case "no object":
            item["data"]["S"] = json.dumps(data | {"detail": [1, 2]})
    world.dynamodb.put_item(TableName=TABLE, Item=item)
    return item


def stored(world: World, name: str) -> dict[str, Any]:
    key = {"pk": {"S": case_key(PATH, name)}, "sk": {"S": "case"}}
    item: dict[str, Any] = world.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    return item


@pytest.mark.parametrize("how", ["cut off", "no attempt", "odd types", "no state of ours", "no object"])
def test_a_damaged_case_is_one_entry_with_what_to_do(world: World, how: str) -> None:
    """The others go on, nothing is started for it or written over it, and one run names it once."""
    for name in ("orders", "stock", "users"):
        world.flow(name, Outcome.failure(DOWN), Outcome.failure(DOWN))
    world.recover()
    left = damage(world, "stock", how)
    world.advance(minutes=10)
    world.appflow.calls.clear()
    for trigger in ("event", "sweep"):
        report = world.recover(started_by=trigger)
        assert report.unsettled == 1
        [group] = [group for group in report.groups if not group.settled]
        assert (group.count, group.samples) == (1, ("stock",))
        assert case_key(PATH, "stock") in group.next_step
        world.advance(minutes=10)
    assert ("StartFlow", "stock") not in world.changes()
    assert {("StartFlow", "orders"), ("StartFlow", "users")} <= set(world.changes())
    assert stored(world, "stock") == left
    assert world.alerts() == []


def test_the_twin_of_a_flow_whose_case_is_damaged_is_left_alone(world: World) -> None:
    """Its run is in no ledger yet, so it is not removed, whether its flow is named or not."""
    world.flow("orders", Outcome.failure(DOWN), schedule=DAILY)
    world.flow("stock")
    world.advance(minutes=10)
    world.recover(policy=TWINS)
    twins = world.twins()
    assert len(twins) == 1
    damage(world, "orders", "cut off")
    for named in ("*", "stock"):
        world.advance(hours=10)
        assert twins[0] in " ".join(world.recover(named, policy=TWINS).warnings)
    assert world.twins() == twins
