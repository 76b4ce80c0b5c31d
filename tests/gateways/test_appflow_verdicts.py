"""Each hand-written situation in the strict AppFlow: read, decided as the table says, and acted on to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.appflow_runs.act import act
from recovery.appflow_runs.answers import Described
from recovery.appflow_runs.gateway import AppFlowGateway
from recovery.appflow_runs.look import find_flows, look, recall
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH, FlowStatus, Means, RunStatus
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.appflow_runs.twins import tidy_twins
from recovery.appflow_runs.verdicts import RunTwin, client_token, twin_name
from recovery.appflow_runs.work import FlowBatch, FlowWork
from recovery.cases import Case, State
from tests.appflow_world import START, World, a_world
from tests.unit.appflow_runs.situations import ARN, NAME, NOW, SITUATIONS, Situation

assert START == NOW


def build(world: World, row: Situation) -> None:
    """The situation in simulator and ledger."""
    world.install(row.facts.flow, row.runs)
    if row.history or row.refused_ago is not None:
        world.ledger.change_case(_case(row), expected=None)
    if row.twin_runs is not None:
        last = row.history[-1]
        name, token = (make(ARN, last.failed_run, last.number) for make in (twin_name, client_token))
        verdict = RunTwin("W9", "", name, token, last.failed_run, last.number)
        gateway = AppFlowGateway(world.client, world.pace())
        described = gateway.flow(NAME)
        assert isinstance(described, Described)
        gateway.create_twin(verdict, described, world.ledger.table)
        gateway.start(name, token)
        world.advance(seconds=1.5)  # it is in the records now, and has not ended
    world.appflow.calls.clear()


def _case(row: Situation) -> Case:
    return Case(
        path=PATH,
        key=NAME,
        source="appflow",
        state=State.SENT,
        kind="",
        rule="",
        group="",
        first_seen=NOW - timedelta(days=1),
        changed=NOW - timedelta(minutes=1),
        expires=NOW + timedelta(days=400),
        attempts=len(row.history),
        detail=Memory(history=row.known).as_json(),
    )


def first_triage(world: World, row: Situation) -> FlowWork:
    """Findings and actions of the first run."""
    work = world.work(AppFlowRequest(flows=(NAME,), policy=row.policy, dry_run=False))
    items, twins = find_flows(work)
    batch = FlowBatch(items)
    recall(work, batch)
    tidy_twins(work, batch, twins)
    look(work, batch)
    act(work, batch)
    work.close()
    return items[0]


@pytest.mark.parametrize("row", SITUATIONS, ids=lambda row: f"{row.sentence} {row.about}")
def test_verdict_to_its_end(row: Situation) -> None:
    """Read through the API, the situation is decided by the same sentence; a day of sweeps later its end is there."""
    with a_world() as world:
        build(world, row)
        before = world.definition(NAME)
        runs = len(world.appflow.flow(NAME).runs)
        item = first_triage(world, row)
        assert item.failure is None
        assert (item.verdict.rule, item.verdict.action) == (row.sentence, row.action)
        if row.action in ("leave", "wait", "escalate"):
            assert world.changes() == []
        world.sweeps(24, every=60, policy=row.policy)
        assert world.twins() == []
        assert world.definition(NAME) == before
        flow = world.appflow.flow(NAME)
        match row.end:
            case "untouched":
                assert world.changes() == []
                assert flow.status == row.status.value
            case "ran again":
                assert world.changes() == [("StartFlow", NAME)]
                assert len(flow.runs) == runs + 1
                assert flow.runs[-1].status == "Successful"
            case "twin ran":
                assert [operation for operation, _ in world.changes() if operation != "StartFlow"][-1] == "DeleteFlow"
                assert not [call for call in world.changes() if call[1] == NAME]
                made = [one for one in world.memory(NAME).history.attempts if one.means is Means.TWIN]
                assert made[-1].outcome == RunStatus.SUCCESSFUL
            case "switched on":
                assert set(world.changes()) == {("StartFlow", NAME)}
                assert flow.status == FlowStatus.ACTIVE.value
                assert flow.runs[-1].status == "Successful"
            case other:
                raise AssertionError(other)


@pytest.mark.parametrize("row", SITUATIONS, ids=lambda row: f"{row.sentence} {row.about}")
def test_gateway_reads_what_the_situation_says(row: Situation) -> None:
    """The facts that a person wrote down are those that the gateway reads from an AppFlow in this state."""
    with a_world() as world:
        world.install(row.facts.flow, row.runs)
        gateway = AppFlowGateway(world.client, world.pace())
        described = gateway.flow(NAME)
        assert described is not None
        schedule = described.flow.schedule
        assert replace(described.flow, tags={}) == row.facts.flow
        assert schedule == row.schedule
        read = gateway.runs(NAME)
        reported = {one.id: one for one in row.runs}
        assert [one.id for one in read] == [one.id for one in row.runs]
        for one in read:
            expected = reported[one.id]
            assert (one.status, one.started, one.updated) == (expected.status, expected.started, expected.updated)
            assert one.message == expected.message
            assert one.wrote == expected.wrote
