"""Verdicts on what failed, or stopped in error. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from recovery.replication_tasks.causes import Cause, Nature, cause_of
from recovery.replication_tasks.commands import names
from recovery.replication_tasks.models import (
    DEPROVISIONED,
    KEPT_AFTER_STOP,
    RECYCLING,
    STOPPED,
    Facts,
    History,
    Migration,
)
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.reasons import begins, both_ways, counted, states, times, what_a_reload_empties
from recovery.replication_tasks.rules.bounds import bounded, not_permitted
from recovery.replication_tasks.verdicts import Action, AnyVerdict, Escalate, Reload, Resume, Start, Wait

LOOK_AGAIN = timedelta(minutes=5)

_INSTANCE_COMES_BACK = frozenset(
    {"creating", "modifying", "upgrading", "rebooting", "resetting-master-credentials", "maintenance"}
)


def after_it_failed(facts: Facts, history: History, policy: ReplicationPolicy, now: datetime) -> AnyVerdict:
    """Decide on one that failed: wait, restart it in the one right way, or ask a person."""
    if facts.stop_code in RECYCLING and facts.status == STOPPED:
        until = (facts.stopped or history.incident or now) + timedelta(seconds=policy.recycle_seconds)
        if until > now:
            return Wait(rule="recycling", reason="DMS is restarting it by itself", until=until)
    instance = _instance(facts, now)
    if instance is not None:
        return instance
    cause = cause_of(facts)
    lost = _lost(facts, cause, now)
    if lost:
        return _without_position(lost, cause, facts, history, policy, now)
    if cause.nature is Nature.LASTING and not history.cause_fixed:
        return Escalate(rule="not-transient", reason=f"{cause.reason}: no restart helps", next_step=cause.next_step)
    if cause.nature in {Nature.PRESSURE, Nature.UNSURE} and history.tried >= policy.unsure_restarts:
        return Escalate(
            rule="not-again",
            reason=f"{cause.reason}, and {times(history.tried)} restarted it did not help"
            if history.tried
            else f"{cause.reason}, and the policy restarts nothing of the kind",
            next_step=cause.next_step,
        )
    wanted = _wanted(facts, history)
    if isinstance(wanted, Escalate):
        return wanted
    refused = not_permitted(wanted, facts, policy)
    if refused is not None:
        return refused
    # The next sweep would not know any more that a person has fixed it: a rest would lose that.
    rested = cause.nature is Nature.PASSING or history.cause_fixed
    return bounded(wanted, facts, history, policy, now, rest=not rested)


def _instance(facts: Facts, now: datetime) -> AnyVerdict | None:
    status = facts.instance_status
    if facts.serverless or status in {"", "available"}:
        return None
    if status in _INSTANCE_COMES_BACK:
        return Wait(rule="instance-away", reason=f"its replication instance is {status}", until=now + LOOK_AGAIN)
    step = "give the replication instance more storage" if status == "storage-full" else "fix the replication instance"
    return Escalate(
        rule="instance-down",
        reason=f"its replication instance is {status}: no restart helps",
        next_step=f"{step}; the task is then restarted by the next sweep",
    )


def _lost(facts: Facts, cause: Cause, now: datetime) -> str:
    """The reason for which it can never be resumed, or ""."""
    if cause.nature is Nature.POSITION_LOST:
        return cause.reason
    if facts.serverless and facts.has_run:
        ends = _deprovisioned_at(facts)
        if facts.status == DEPROVISIONED or (ends is not None and ends <= now):
            return "it has been deprovisioned, and its position with it"
    return ""


def _deprovisioned_at(facts: Facts) -> datetime | None:
    """The end of this life of a serverless replication. A moment before its last start or stop is of an
    earlier life, and one that cannot be placed says nothing: DMS itself refuses to resume what is gone.
    """
    lives = max((moment for moment in (facts.started, facts.stopped) if moment is not None), default=None)
    if facts.deprovisions is not None and lives is not None and facts.deprovisions > lives:
        return facts.deprovisions
    return facts.stopped + KEPT_AFTER_STOP if facts.stopped else None


def _without_position(
    lost: str, cause: Cause, facts: Facts, history: History, policy: ReplicationPolicy, now: datetime
) -> AnyVerdict:
    if not facts.migration.loads or not _has_run(facts, history):
        return Escalate(
            rule="position-lost",
            reason=f"{lost}: it cannot be resumed, and there is no full load that could be repeated",
            next_step=f"{_first(cause)}create a new task from a position that still exists, after finding out what was"
            " missed",
        )
    if facts.status == DEPROVISIONED and not facts.was_stopped_by_an_error:
        return Escalate(
            rule="position-lost",
            reason=f"{lost}; that it failed, and was not stopped, is reported by an old message only",
            next_step=f"if it failed: {both_ways(facts, lost=True)}",
        )
    wanted = Reload(
        rule="position-lost",
        reason=f"{lost}: it can only be loaded again, which empties {what_a_reload_empties(facts)}",
    )
    refused = not_permitted(wanted, facts, policy, first=_first(cause), lost=True)
    return refused or bounded(wanted, facts, history, policy, now, rest=True)


def _first(cause: Cause) -> str:
    return f"{cause.next_step}; then " if cause.nature is Nature.POSITION_LOST and cause.next_step else ""


def _wanted(facts: Facts, history: History) -> Action | Escalate:
    """The right way to restart what may be restarted."""
    if not _has_run(facts, history):
        return Start(rule="first-start", reason=f"it failed on its very first start, before it ran{begins(facts)}")
    if facts.migration is Migration.CDC:
        if facts.checkpoint:
            return Resume(rule="cdc", reason="change capture goes on from its checkpoint")
        return Escalate(
            rule="cdc",
            reason="it ran before, but left no checkpoint to go on from",
            next_step="create a new task from a position that you choose, after finding out what was missed",
        )
    if facts.migration is Migration.FULL_LOAD_AND_CDC:
        return _goes_on(facts) if facts.checkpoint else _without_checkpoint(facts, "load-and-cdc")
    if facts.serverless:
        return _without_checkpoint(facts, "full-load")
    if facts.load_is_over and facts.tables_set_aside:
        broken = facts.tables_set_aside
        return Escalate(
            rule="full-load",
            reason=f"{counted(broken)} set aside ({states(broken)}: {names(broken)}), all others are loaded, and a"
            " resume leaves those out",
            next_step="load just these tables by another task; a reload of the whole task would empty"
            f" {what_a_reload_empties(facts)}",
        )
    return Resume(rule="full-load", reason="a resume loads just the tables that are not finished")


def _goes_on(facts: Facts) -> Resume:
    """A checkpoint is worth more than single tables: those are decided on one by one, once it runs."""
    loading, aside = facts.tables_loading, facts.tables_set_aside
    if not facts.tables:
        why = "no statistics report its tables"
    elif loading:
        why = f"a resume loads again what never finished: {names(loading)}"
    elif aside:
        why = f"{counted(aside)} set aside ({states(aside)}: {names(aside)}) come after it runs"
    else:
        why = "its full load is complete"
    return Resume(rule="load-and-cdc", reason=f"change capture goes on from its checkpoint; {why}")


def _without_checkpoint(facts: Facts, rule: str) -> Reload | Escalate:
    """Nothing to go on from: whole only where the load itself never finished."""
    cannot = (
        "DMS cannot resume a full load of a serverless replication" if rule == "full-load" else "it has no checkpoint"
    )
    if facts.tables_loading:
        return Reload(
            rule=rule,
            reason=f"{cannot}, and its full load never finished ({counted(facts.tables_loading)} of"
            f" {len(facts.tables or ())} left); loading again empties {what_a_reload_empties(facts)}",
        )
    why = "every table is past its load" if facts.tables else "no statistics show how far its load came"
    return Escalate(rule=rule, reason=f"{cannot}, and {why}", next_step=both_ways(facts, lost=False))


def _has_run(facts: Facts, history: History) -> bool:
    return facts.has_run or history.start_was_refused
