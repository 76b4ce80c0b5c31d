"""What is decided for one replication. Pure; the order of the rules is the order of the sentences in
docs/paths/replication_tasks.md, whose names stand in each verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from recovery.replication_tasks.causes import Cause, Nature, cause_of
from recovery.replication_tasks.commands import RELOADED_AT_ONCE, by_hand, command, names, reload_tables_command
from recovery.replication_tasks.models import (
    DEPROVISIONED,
    FAILED,
    IN_TRANSITION,
    KEPT_AFTER_STOP,
    MISSING,
    READY,
    RECYCLING,
    RUNNING,
    STOPPED,
    Facts,
    History,
    Migration,
    Preparation,
    Table,
    Verb,
)
from recovery.replication_tasks.policy import ReplicationPolicy, matches
from recovery.replication_tasks.reasons import (
    begins,
    both_ways,
    counted,
    purpose,
    times,
    used_up,
    what_a_reload_empties,
)
from recovery.replication_tasks.verdicts import (
    Action,
    Decision,
    Escalate,
    Leave,
    Reload,
    ReloadTables,
    Resume,
    Start,
    Wait,
)

RULES = (
    "in-transition",
    "running",
    "table-errors",
    "ready",
    "failed-move",
    "load-with-errors",
    "stopped-on-purpose",
    "unknown-status",
    "recycling",
    "instance-away",
    "instance-down",
    "position-lost",
    "not-transient",
    "not-again",
    "first-start",
    "cdc",
    "load-and-cdc",
    "full-load",
    "reload-over-data",
    "reload-not-allowed",
    "budget",
    "keeps-coming-back",
    "backoff",
)
"""The rules in the order in which they are asked."""

LOOK_AGAIN = timedelta(minutes=5)

_INSTANCE_COMES_BACK = frozenset(
    {"creating", "modifying", "upgrading", "rebooting", "resetting-master-credentials", "maintenance"}
)


def decide(facts: Facts, history: History, policy: ReplicationPolicy, now: datetime) -> Decision:
    """What to do with one replication.

    Args:
        facts: what DMS says of it now.
        history: what the ledger remembers of it.
        policy: what may be done.
        now: aware, UTC.
    """
    status = facts.status
    if status in IN_TRANSITION:
        return Wait(
            rule="in-transition", reason=f"it is {status}; DMS accepts nothing meanwhile", until=now + LOOK_AGAIN
        )
    if status == RUNNING:
        return _running(facts, history, policy, now)
    if status in READY:
        return Leave(rule="ready", reason="nobody has started it since it was made or changed")
    if status == "failed-move":
        return Escalate(
            rule="failed-move",
            reason="moving it to another replication instance failed, and it does not run",
            next_step=f"move it again, or resume it where it is: {command(facts, Verb.RESUME)}",
        )
    if status == STOPPED and not facts.failure and policy.findings and _has_errors(facts):
        return _loaded_with_errors(facts)
    if status == STOPPED and not facts.failure:
        return Leave(rule="stopped-on-purpose", reason=purpose(facts))
    if status == DEPROVISIONED and not facts.failure:
        return Leave(rule="stopped-on-purpose", reason="it was stopped, and has been deprovisioned since")
    if status not in {FAILED, STOPPED, DEPROVISIONED}:
        return Leave(rule="unknown-status", reason=f"its status {status!r} is not known here, so nothing is done")
    return _failed(facts, history, policy, now)


# -- while it runs -----------------------------------------------------------------------------------------------


def _running(facts: Facts, history: History, policy: ReplicationPolicy, now: datetime) -> Decision:
    tables = facts.tables_set_aside
    if not tables and not facts.errored:
        return Leave(rule="running", reason="it runs; what goes wrong now, DMS retries by itself")
    if not tables:
        return Leave(rule="running", reason=f"it runs; {facts.errored} errors were counted, but no table is set aside")
    count = f"{counted(tables)} set aside ({_states(tables)}: {names(tables)})"
    loadable = tuple(table for table in tables if table.state != MISSING)
    if not loadable:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and what the source does not have cannot be loaded",
            next_step="create the tables on the source, or take them out of the table mapping",
        )
    if not facts.migration.loads:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and a replication without a full load cannot load tables again",
            next_step=f"load these tables by another task, or repair them by hand: {names(tables)}",
        )
    if facts.preparation is Preparation.DO_NOTHING:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and a reload would load over what stands in the target, because the task does not"
            " prepare its tables",
            next_step=f"empty these tables in the target, then run: {reload_tables_command(facts, loadable)}",
        )
    if not matches(facts, policy.allow_reload):
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and the policy does not allow to reload them",
            next_step=f"remove what set them aside, then run: {reload_tables_command(facts, loadable)}",
        )
    wanted = ReloadTables(
        rule="table-errors", reason=f"{count} while the rest goes on", tables=loadable[:RELOADED_AT_ONCE]
    )
    return _bounded(wanted, facts, history, policy, now, rest=False)


def _states(tables: Sequence[Table]) -> str:
    return ", ".join(sorted({table.state.removeprefix("Table ") for table in tables}))


def _has_errors(facts: Facts) -> bool:
    # `TablesErrored` may lag behind or count what once was: where there are statistics, they tell.
    return facts.migration.loads and bool(facts.tables_set_aside or (facts.errored and not facts.tables))


def _loaded_with_errors(facts: Facts) -> Escalate:
    broken = facts.tables_set_aside
    told = f"{counted(broken)} ({_states(broken)}: {names(broken)})" if broken else f"{facts.errored} tables"
    way = f"resume the task, then load just these again: {reload_tables_command(facts, broken)}"
    if not facts.migration.captures or not broken:
        way = "load just these tables by another task"
    return Escalate(
        rule="load-with-errors",
        reason=f"its full load ended, but {told} of {len(facts.tables or ()) or 'its'} are not loaded",
        next_step=f"read in the task's log what set them aside and remove it, then {way}; a reload of the whole task"
        f" would empty {what_a_reload_empties(facts)}",
    )


# -- after it failed ---------------------------------------------------------------------------------------------


def _failed(facts: Facts, history: History, policy: ReplicationPolicy, now: datetime) -> Decision:
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
    if cause.nature is Nature.LASTING and not history.cause_is_mended:
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
    refused = _not_permitted(wanted, facts, policy)
    if refused is not None:
        return refused
    # The next sweep would not know any more that a person has mended it: a rest would lose that.
    rested = cause.nature is Nature.PASSING or history.cause_is_mended
    return _bounded(wanted, facts, history, policy, now, rest=not rested)


def _instance(facts: Facts, now: datetime) -> Decision | None:
    status = facts.instance_status
    if facts.serverless or status in {"", "available"}:
        return None
    if status in _INSTANCE_COMES_BACK:
        return Wait(rule="instance-away", reason=f"its replication instance is {status}", until=now + LOOK_AGAIN)
    step = "give the replication instance more storage" if status == "storage-full" else "mend the replication instance"
    return Escalate(
        rule="instance-down",
        reason=f"its replication instance is {status}: no restart helps",
        next_step=f"{step}; the task is then restarted by the next sweep",
    )


def _lost(facts: Facts, cause: Cause, now: datetime) -> str:
    """Why it can never be resumed, or ""."""
    if cause.nature is Nature.POSITION_LOST:
        return cause.reason
    if facts.serverless and facts.has_run:
        ends = _deprovisioned_at(facts)
        if facts.status == DEPROVISIONED or (ends is not None and ends <= now):
            return "it has been deprovisioned, and its position with it"
    return ""


def _deprovisioned_at(facts: Facts) -> datetime | None:
    """When this life of a serverless replication ends (or ended). A moment before its last start or stop is of an
    earlier life, and one that cannot be placed says nothing: DMS itself refuses to resume what is gone.
    """
    lives = max((moment for moment in (facts.started, facts.stopped) if moment is not None), default=None)
    if facts.deprovisions is not None and lives is not None and facts.deprovisions > lives:
        return facts.deprovisions
    return facts.stopped + KEPT_AFTER_STOP if facts.stopped else None


def _without_position(
    lost: str, cause: Cause, facts: Facts, history: History, policy: ReplicationPolicy, now: datetime
) -> Decision:
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
            reason=f"{lost}; that it failed, and was not stopped, is told by an old message only",
            next_step=f"if it failed: {both_ways(facts, lost=True)}",
        )
    wanted = Reload(
        rule="position-lost",
        reason=f"{lost}: it can only be loaded again, which empties {what_a_reload_empties(facts)}",
    )
    refused = _not_permitted(wanted, facts, policy, first=_first(cause), lost=True)
    return refused or _bounded(wanted, facts, history, policy, now, rest=True)


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
            reason=f"{counted(broken)} set aside ({_states(broken)}: {names(broken)}), all others are loaded, and a"
            " resume leaves those out",
            next_step="load just these tables by another task; a reload of the whole task would empty"
            f" {what_a_reload_empties(facts)}",
        )
    return Resume(rule="full-load", reason="a resume loads just the tables that are not finished")


def _goes_on(facts: Facts) -> Resume:
    """A checkpoint is worth more than single tables: those are decided on one by one, once it runs."""
    loading, aside = facts.tables_loading, facts.tables_set_aside
    if not facts.tables:
        why = "no statistics tell of its tables"
    elif loading:
        why = f"a resume loads again what never finished: {names(loading)}"
    elif aside:
        why = f"{counted(aside)} set aside ({_states(aside)}: {names(aside)}) come after it runs"
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
    why = "every table is past its load" if facts.tables else "no statistics tell how far its load came"
    return Escalate(rule=rule, reason=f"{cannot}, and {why}", next_step=both_ways(facts, lost=False))


def _has_run(facts: Facts, history: History) -> bool:
    return facts.has_run or history.start_was_refused


# -- what bounds every restart -----------------------------------------------------------------------------------


def _not_permitted(
    wanted: Action, facts: Facts, policy: ReplicationPolicy, *, first: str = "", lost: bool = False
) -> Escalate | None:
    empties = facts.empties_target and isinstance(wanted, Start)
    if not (empties or isinstance(wanted, Reload)):
        return None
    if isinstance(wanted, Reload) and facts.preparation is Preparation.DO_NOTHING:
        return Escalate(
            rule="reload-over-data",
            reason=f"{wanted.reason}; a reload would load over what stands in the target, because the task does not"
            " prepare its tables",
            next_step=f"{first}{both_ways(facts, lost=lost)}; empty the target's tables before (2)",
        )
    if matches(facts, policy.allow_reload):
        return None
    how = "drops" if facts.preparation is Preparation.DROP_AND_CREATE else "truncates"
    step = both_ways(facts, lost=lost)
    if isinstance(wanted, Start):
        step = f"if the target may be emptied, run: {command(facts, wanted.verb)}"
    return Escalate(
        rule="reload-not-allowed",
        reason=f"{wanted.reason}; that {how} its target tables, which the policy does not allow for it",
        next_step=f"{first}{step}",
    )


def _bounded(
    wanted: Action, facts: Facts, history: History, policy: ReplicationPolicy, now: datetime, *, rest: bool
) -> Decision:
    recent = [restart for restart in history.restarts if now - restart.at < timedelta(seconds=policy.window_seconds)]
    if len(recent) >= policy.budget:
        return Escalate(
            rule="budget",
            reason=used_up(recent, wanted, policy),
            next_step=f"find out why it does not stay up; then run: {by_hand(facts, wanted)}",
        )
    if history.came_back >= policy.flaps:
        return Escalate(
            rule="keeps-coming-back",
            reason=f"{times(history.came_back)} in a row it failed again within"
            f" {policy.flap_seconds // 60} minutes of its restart",
            next_step=f"find out why it does not stay up; then run: {by_hand(facts, wanted)}",
        )
    attempt = len(recent) + 1
    if recent:
        until = recent[-1].at + policy.backoff.delay(attempt, history.draw)
    elif rest:
        since = facts.stopped or history.incident or now
        until = since + policy.backoff.delay(attempt, history.draw)
    else:
        return wanted
    if until > now:
        return Wait(rule="backoff", reason=f"{wanted.reason}; it is given a rest first", until=until)
    return wanted
