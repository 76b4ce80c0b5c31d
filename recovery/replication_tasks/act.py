"""Restarting: read again, claim, call. Never waits for the outcome; the next run looks at that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from recovery.cases import State
from recovery.errors import Conflict, OutcomeUnknown, Refused, RepriseError, Transient
from recovery.replication_tasks.causes import Nature, cause_of
from recovery.replication_tasks.commands import by_hand
from recovery.replication_tasks.look import judge, tables_of
from recovery.replication_tasks.memory import mark_of
from recovery.replication_tasks.models import IN_TRANSITION, REFUSED, RUNNING, STARTING, Facts, Restart, Verb
from recovery.replication_tasks.records import save
from recovery.replication_tasks.refusals import escalated, refusal_of
from recovery.replication_tasks.verdicts import Action, Escalate, Leave, ReloadTables, Wait
from recovery.replication_tasks.work import Batch, Item, Work

ROUNDS = 3
"""Decisions on one replication in one run, when it keeps changing under our hands."""
WRONG_START_TYPE = "InvalidParameterCombinationException"
"""Real, but not in the service model: the start type does not fit what the replication has been through."""


def restart_all(work: Work, batch: Batch) -> None:
    """Carry out what was decided. What fails for one replication is kept in its `failure`, and the others go on."""
    if work.dry_run:
        return
    for item in batch.items:
        if work.time_is_up:
            left = sum(isinstance(each.decision, Action) and not each.acted for each in batch.items)
            if left:
                work.warnings.append(f"the time limit was reached before {left} replications were restarted")
            for each in batch.items:
                if isinstance(each.decision, Action) and not each.acted:
                    _not_now(work, each, "the run's time limit was reached first")
            return
        if item.failure is None and isinstance(item.decision, Action):
            try:
                restart(work, item)
            except RepriseError as error:
                item.failure = error


def restart(work: Work, item: Item) -> None:
    """Restart one replication in the way that was decided, if that is still right.

    Raises:
        Transient, Refused: it was not restarted.
    """
    for _ in range(ROUNDS):
        wanted = item.decision
        if not isinstance(wanted, Action):
            return
        fresh = work.dms.read(item.facts)
        if fresh is None:
            item.decision, item.state = Leave(rule="gone", reason="it has been deleted"), State.SUPERSEDED
            return
        if _has_moved_on(item.facts, fresh) or _tables_have_moved_on(work, item, wanted):
            _decide_again(work, item, fresh)
            continue
        if not _claim(work, item, wanted):
            return
        if _call(work, item, wanted):
            return
    if isinstance(item.decision, Action):
        _not_now(work, item, "it keeps changing; the next run looks again")


def _has_moved_on(before: Facts, now: Facts) -> bool:
    return (before.status, before.stopped, before.failure, before.preparation) != (
        now.status,
        now.stopped,
        now.failure,
        now.preparation if before.migration.loads else before.preparation,
    )


def _tables_have_moved_on(work: Work, item: Item, wanted: Action) -> bool:
    """Whether the tables to be reloaded are other ones by now: its status tells nothing of them."""
    if not isinstance(wanted, ReloadTables):
        return False
    seen = item.facts.tables_set_aside
    item.facts = replace(item.facts, tables=tables_of(work, item.facts))
    return item.facts.tables_set_aside != seen


def _decide_again(work: Work, item: Item, fresh: Facts) -> None:
    item.asked = work.now()
    item.facts = replace(
        fresh, tables=tables_of(work, fresh), instance_status=item.facts.instance_status, tags=item.facts.tags
    )
    judge(work, item)


def _claim(work: Work, item: Item, wanted: Action) -> bool:
    """Write the restart down before it is asked for, so that no crash forgets it and no other run repeats it."""
    tables = tuple(table.label for table in wanted.tables) if isinstance(wanted, ReloadTables) else ()
    # With the run's name in it no two claims are alike: the ledger takes the very same write twice for one.
    made = Restart(work.now(), wanted.verb, item.facts.progress, tables, by=work.owner)
    try:
        save(work, item, item.memory.restarted(made, work.draw()), State.SENT)
    except Conflict:
        item.state = None  # the other run writes what becomes of it
        item.decision = Wait(
            rule="elsewhere",
            reason="another run is taking care of it right now",
            until=work.now() + timedelta(minutes=5),
        )
        return False
    item.state, item.acted = State.SENT, True
    return True


def _call(work: Work, item: Item, wanted: Action) -> bool:
    """Ask DMS; whether that is the end of it, or it has to be decided again."""
    try:
        if isinstance(wanted, ReloadTables):
            work.dms.reload_tables(item.facts, wanted.tables)
        else:
            work.dms.restart(item.facts, wanted.verb)
    except Conflict as conflict:
        return _refused_by_state(work, item, wanted, conflict)
    except OutcomeUnknown:
        item.did = (
            f"{wanted.verb.value} was asked for, but the answer was not read; the next run sees what became of it"
        )
        return True
    except Transient:
        _take_back(work, item)
        raise
    except Refused as refusal:
        if refusal.code == WRONG_START_TYPE:
            return _wrong_start_type(work, item, wanted, refusal)
        _refused_for_good(work, item, wanted, refusal)
        raise
    item.memory = replace(item.memory, refusal=None)
    item.did = f"{wanted.verb.value} was accepted"
    return True


def _refused_by_state(work: Work, item: Item, wanted: Action, conflict: Conflict) -> bool:
    """DMS does not take it in this state: look why, instead of trying again."""
    fresh = work.dms.read(item.facts)
    if fresh is None:
        item.decision, item.state = Leave(rule="gone", reason="it has been deleted"), State.SUPERSEDED
        return True
    if wanted.verb is not Verb.RELOAD_TABLES and (fresh.status in STARTING or fresh.status == RUNNING):
        # Somebody else was faster, or an earlier run's request that nobody heard of again is at work.
        item.facts = replace(fresh, tables=item.facts.tables, instance_status=item.facts.instance_status)
        item.did = f"{wanted.verb.value} was asked for, and it is {fresh.status}"
        return True
    if fresh.status in IN_TRANSITION:
        # Somebody changes it right now, so it was not carried out.
        item.memory, item.acted = item.memory.without_last(), False
        _decide_again(work, item, fresh)
        if isinstance(item.decision, Action):
            return False
        item.state = State.BACKOFF
        return True
    item.memory = item.memory.judged(REFUSED)  # it counts: whatever refuses it may do so for ever
    said = cause_of(replace(fresh, status="failed", last_failure=str(conflict), stop_reason=""))
    if said.nature is Nature.LASTING:
        item.decision = Escalate(
            rule="refused", reason=f"DMS refuses {wanted.verb.value}: {said.reason}", next_step=said.next_step
        )
        item.state = State.ESCALATED
        return True
    _decide_again(work, item, fresh)
    return not isinstance(item.decision, Action)


def _wrong_start_type(work: Work, item: Item, wanted: Action, refusal: Refused) -> bool:
    if wanted.verb is Verb.START:
        # Certainly not carried out, and it tells what the dates did not: decide again as for one that ran before.
        item.memory = replace(item.memory.without_last(), start_was_refused=True)
        judge(work, item)
        return not isinstance(item.decision, Action)
    item.memory = item.memory.judged(REFUSED)
    item.decision = Escalate(
        rule="refused",
        reason=f"DMS refuses {wanted.verb.value} for it: {refusal_of(refusal, wanted, work.now()).words}",
        next_step=f"find out what it has been through; what was tried is: {by_hand(item.facts, wanted)}",
    )
    item.state = State.ESCALATED
    return True


def _refused_for_good(work: Work, item: Item, wanted: Action, error: Refused) -> None:
    """Certainly not carried out, so it does not count. A person is told, and the next runs do not ask again at once."""
    refusal = refusal_of(error, wanted, work.now())
    item.memory = replace(item.memory.without_last(), refusal=refusal, asked=mark_of(item.facts))
    item.decision, item.state = escalated(refusal, item.facts, wanted), State.ESCALATED
    item.did = f"{wanted.verb.value} was asked for, and refused"
    with suppress(RepriseError):  # the end of the run writes it once more
        save(work, item, item.memory, item.state)


def _take_back(work: Work, item: Item) -> None:
    """It was certainly not carried out, so it does not count. If this cannot be written, the next run finds out."""
    item.acted = False
    try:
        save(work, item, item.memory.without_last(), State.BACKOFF)
    except RepriseError:
        return
    item.state = State.BACKOFF


def _not_now(work: Work, item: Item, reason: str) -> None:
    item.decision = Wait(rule="not-now", reason=reason, until=work.now())
    item.state = State.BACKOFF
