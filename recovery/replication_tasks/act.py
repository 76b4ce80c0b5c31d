"""Carrying out what was decided: read again, claim, call. Never waits for the outcome; the next run verifies it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

from recovery.cases import State
from recovery.errors import Conflict, OutcomeUnknown, Refused, RepriseError, Transient
from recovery.replication_tasks.inspection import tables_of
from recovery.replication_tasks.memory import mark_of
from recovery.replication_tasks.models import IN_TRANSITION, REFUSED, RUNNING, STARTING, Facts, Restart, Verb
from recovery.replication_tasks.records import save
from recovery.replication_tasks.refusals import refusal_of
from recovery.replication_tasks.situation import Met, Obstacle
from recovery.replication_tasks.triage import triage
from recovery.replication_tasks.verdicts import Action, ReloadTables
from recovery.replication_tasks.work import Batch, ReplicationRun, ReplicationWork

ROUNDS = 3
"""Verdicts on one replication in one run, when it keeps changing under our hands."""
WRONG_START_TYPE = "InvalidParameterCombinationException"
"""Real, but not in the service model: the start type does not fit what the replication has been through."""
_DONE = None
"""Nothing was met: it was carried out, or is at work."""


def restart_all(run: ReplicationRun, batch: Batch) -> None:
    """Carry out what was decided. What fails for one replication is kept in its `failure`, and the others go on."""
    if run.dry_run:
        return
    started: Counter[str] = Counter()
    for item in batch.items:
        if run.time_is_up:
            _leave_the_rest(run, batch)
            return
        if item.failure is None and isinstance(item.verdict, Action):
            if not item.facts.serverless and started[item.facts.instance] >= run.policy.starts_per_instance:
                triage(run, item, Met(Obstacle.CROWDED))
                continue
            try:
                restart(run, item)
            except RepriseError as error:
                item.failure = error
            started[item.facts.instance] += item.acted


def restart(run: ReplicationRun, item: ReplicationWork) -> None:
    """Restart one replication; when it has moved on, it is decided again, and that is carried out.

    Raises:
        Transient, Refused: it was not restarted.
    """
    for _ in range(ROUNDS):
        if not isinstance(item.verdict, Action):
            return
        met = carry_out(run, item, item.verdict)
        if met is _DONE:
            return
        triage(run, item, met)
    if isinstance(item.verdict, Action):
        triage(run, item, Met(Obstacle.CHANGING))


def carry_out(run: ReplicationRun, item: ReplicationWork, wanted: Action) -> Met | None:
    """Ask DMS for what is wanted, if it is still as it was decided; return what was met instead, if anything.

    Raises:
        Transient, Refused: it was not restarted.
    """
    fresh = run.dms.read(item.facts)
    if fresh is None:
        return Met(Obstacle.GONE)
    if _has_moved_on(item.facts, fresh) or _tables_have_moved_on(run, item, wanted):
        return _moved_on(run, item, fresh)
    tables = tuple(table.label for table in wanted.tables) if isinstance(wanted, ReloadTables) else ()
    # With the run's name in it no two claims are alike: the ledger takes the very same write twice for one.
    made = Restart(run.now(), wanted.verb, item.facts.progress, tables, by=run.owner)
    try:
        # Before it is asked for, so that no crash forgets it and no other run repeats it.
        save(run, item, item.memory.restarted(made, run.jitter()), State.SENT)
    except Conflict:
        return Met(Obstacle.CLAIMED)
    item.state, item.acted = State.SENT, True
    return _call(run, item, wanted)


def _has_moved_on(before: Facts, now: Facts) -> bool:
    return (before.status, before.stopped, before.failure, before.preparation) != (
        now.status,
        now.stopped,
        now.failure,
        now.preparation if before.migration.loads else before.preparation,
    )


def _tables_have_moved_on(run: ReplicationRun, item: ReplicationWork, wanted: Action) -> bool:
    """True when the tables to be reloaded are other ones by now: its status shows nothing of them."""
    if not isinstance(wanted, ReloadTables):
        return False
    seen = item.facts.tables_set_aside
    item.facts = replace(item.facts, tables=tables_of(run, item.facts))
    return item.facts.tables_set_aside != seen


def _moved_on(run: ReplicationRun, item: ReplicationWork, fresh: Facts, met: Met | None = None) -> Met:
    item.asked = run.now()
    item.facts = replace(
        fresh, tables=tables_of(run, fresh), instance_status=item.facts.instance_status, tags=item.facts.tags
    )
    return met or Met(Obstacle.MOVED_ON)


def _call(run: ReplicationRun, item: ReplicationWork, wanted: Action) -> Met | None:
    try:
        if isinstance(wanted, ReloadTables):
            run.dms.reload_tables(item.facts, wanted.tables)
        else:
            run.dms.restart(item.facts, wanted.verb)
    except Conflict as conflict:
        return _refused_by_state(run, item, wanted, conflict)
    except OutcomeUnknown:
        item.did = (
            f"{wanted.verb.value} was asked for, but the answer was not read; the next run sees what became of it"
        )
        return _DONE
    except Transient:
        _take_back(run, item)
        raise
    except Refused as refusal:
        if refusal.code == WRONG_START_TYPE:
            return _wrong_start_type(run, item, wanted, refusal)
        _refused_for_good(run, item, wanted, refusal)
        raise
    item.memory = replace(item.memory, refusal=None)
    item.did = f"{wanted.verb.value} was accepted"
    return _DONE


def _refused_by_state(run: ReplicationRun, item: ReplicationWork, wanted: Action, conflict: Conflict) -> Met | None:
    """Find out why DMS does not take it in this state, instead of trying again."""
    fresh = run.dms.read(item.facts)
    if fresh is None:
        return Met(Obstacle.GONE)
    if wanted.verb is not Verb.RELOAD_TABLES and (fresh.status in STARTING or fresh.status == RUNNING):
        # Somebody else was faster, or an earlier run's request that nobody heard of again is at work.
        item.facts = replace(fresh, tables=item.facts.tables, instance_status=item.facts.instance_status)
        item.did = f"{wanted.verb.value} was asked for, and it is {fresh.status}"
        return _DONE
    if fresh.status in IN_TRANSITION:
        # Somebody changes it right now, so it was not carried out.
        item.memory, item.acted = item.memory.without_last(), False
        return _moved_on(run, item, fresh)
    item.memory = item.memory.with_outcome(REFUSED)  # it counts: whatever refuses it may do so for ever
    return _moved_on(run, item, fresh, Met(Obstacle.STATE, str(conflict), wanted))


def _wrong_start_type(run: ReplicationRun, item: ReplicationWork, wanted: Action, refusal: Refused) -> Met:
    if wanted.verb is Verb.START:
        # Certainly not carried out, and it shows what the dates did not: decided again as for one that ran before.
        item.memory = replace(item.memory.without_last(), start_was_refused=True)
        return Met(Obstacle.MOVED_ON)
    item.memory = item.memory.with_outcome(REFUSED)
    return Met(Obstacle.START_TYPE, refusal_of(refusal, wanted.verb, run.now()).words, wanted)


def _refused_for_good(run: ReplicationRun, item: ReplicationWork, wanted: Action, error: Refused) -> None:
    """Certainly not carried out, so it does not count. A person hears of it, and the next runs do not ask at once."""
    refusal = refusal_of(error, wanted.verb, run.now())
    item.memory = replace(item.memory.without_last(), refusal=refusal, asked=mark_of(item.facts))
    triage(run, item, Met(Obstacle.REFUSED, wanted=wanted))
    item.did = f"{wanted.verb.value} was asked for, and refused"
    with suppress(RepriseError):  # the end of the run writes it once more
        save(run, item, item.memory, State.ESCALATED)


def _take_back(run: ReplicationRun, item: ReplicationWork) -> None:
    """It was certainly not carried out, so it does not count. If this cannot be written, the next run finds out."""
    item.acted = False
    try:
        save(run, item, item.memory.without_last(), State.BACKOFF)
    except RepriseError:
        return
    item.state = State.BACKOFF


def _leave_the_rest(run: ReplicationRun, batch: Batch) -> None:
    left = [item for item in batch.items if isinstance(item.verdict, Action) and not item.acted]
    if left:
        run.warnings.append(f"the time limit was reached before {len(left)} replications were restarted")
    for item in left:
        triage(run, item, Met(Obstacle.TIME_IS_UP))
