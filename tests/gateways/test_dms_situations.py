"""Each situation of the table, put into the strict DMS, decided from what DMS then says, and carried out to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.replication_tasks.models import Facts, Verb
from recovery.replication_tasks.rules import decide
from recovery.replication_tasks.situation import Situation
from recovery.replication_tasks.verdicts import AnyVerdict, ReloadTables, Wait
from tests.dms_world import START, World
from tests.unit.replication_tasks.situations import NOW, SITUATIONS, Row

BY_ID = {situation.id: situation for situation in SITUATIONS}


def seen(world: World, situation: Row) -> Facts:
    """The facts of a situation as the gateway reads them from the simulator."""
    assert START == NOW
    arn = world.install(situation.facts)
    if situation.rule == "position-lost":
        world.dms.lose_position(arn, situation.facts.failure)
    # CloudWatch is asked by itself (test_dms_latency.py).
    return replace(world.facts(arn), lag=situation.facts.lag)


def carry_out(world: World, facts: Facts, decision: AnyVerdict) -> None:
    verb = getattr(decision, "verb", None)
    if isinstance(decision, ReloadTables):
        world.gateway.reload_tables(facts, decision.tables)
    elif isinstance(verb, Verb):
        world.gateway.restart(facts, verb)


@pytest.mark.parametrize("key", BY_ID)
def test_gateway_reads_what_the_situation_says(key: str) -> None:
    """The facts that a person wrote down are those that the gateway reads from a DMS in this state."""
    situation, world = BY_ID[key], World()
    facts = seen(world, situation)
    reported = situation.facts
    assert replace(facts, arn=reported.arn, instance=reported.instance) == replace(
        reported,
        # The simulator chooses an instance's name and a replication's beginning.
        started=facts.started,
        tables=reported.tables or (),
    )


@pytest.mark.parametrize("key", BY_ID)
def test_verdict_leads_to_its_end_state(key: str) -> None:
    """Carried out on the strict DMS, the verdict of each situation ends where the table says."""
    situation, world = BY_ID[key], World()
    facts = seen(world, situation)
    decision = decide(Situation(facts, situation.history), situation.policy, NOW)
    assert (type(decision).__name__, decision.rule) == (situation.verdict, situation.rule)
    if isinstance(decision, Wait):
        assert what_follows(world, facts, situation, decision) == situation.end
        return
    before = world.dms.replication(facts.arn).emptied
    carry_out(world, facts, decision)
    world.advance(300)  # past the setting up of a serverless replication and past a whole load
    world.advance(300)
    thing = world.dms.replication(facts.arn)
    states = {table.state for table in thing.tables}
    match situation.end:
        case "untouched":
            assert thing.starts == []
            assert thing.emptied == before
            assert thing.status == situation.facts.status
        case "replicating":
            assert thing.status == "running"
            assert not thing.idle
            assert sum(table.changes for table in thing.tables) > 0
            assert states == {"Table completed"}
        case "in-part":
            assert thing.status == "running"
            assert thing.starts == ["resume-processing"]
            assert thing.emptied == before
            assert all(table.changes > 0 for table in thing.tables if table.state == "Table completed")
        case "resumed":
            assert thing.starts == ["resume-processing"]
            assert thing.emptied == before
        case "loaded":
            assert thing.status == "stopped"
            assert thing.stop_reason == "Stop Reason FULL_LOAD_ONLY_FINISHED"
            assert states == {"Table completed"}
            assert all(table.rows == 1000 for table in thing.tables)
        case "fixed":
            assert thing.status == "running"
            assert states == {"Table completed"}
        case other:
            pytest.fail(f"{other!r} is not an end state")
    # Every target that was emptied was allowed to be, by a verdict with that effect.
    if thing.emptied > before:
        assert decision.verb in {Verb.START, Verb.RELOAD}  # type: ignore[union-attr]
        assert situation.policy.allow_reload


def what_follows(world: World, facts: Facts, situation: Row, wait: Wait) -> str:
    """The verdict at the time that a wait names."""
    assert wait.until > NOW
    thing = world.dms.replication(facts.arn)
    assert thing.starts == []
    if situation.facts.status == "stopping":
        thing.stop_reason = ""
    world.advance((wait.until - NOW) / timedelta(seconds=1))
    if thing.status == "deleted":
        return "gone"
    later = world.facts(facts.arn)
    return type(decide(Situation(later, situation.history), situation.policy, world.now)).__name__
