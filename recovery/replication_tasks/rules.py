"""What is decided for one replication. Pure; the order of the rules is the order of the sentences in
docs/paths/replication_tasks.md, whose names stand in each verdict.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from recovery.replication_tasks.causes import Cause, Nature, cause_of
from recovery.replication_tasks.commands import RELOADED_AT_ONCE, by_hand, command, names, reload_tables_command
from recovery.replication_tasks.models import (
    DEPROVISIONED,
    FAILED,
    IN_TRANSITION,
    KEPT_AFTER_STOP,
    READY,
    RECYCLING,
    RUNNING,
    STOPPED,
    Facts,
    History,
    Migration,
    Preparation,
    Verb,
)
from recovery.replication_tasks.policy import ReplicationPolicy, matches
from recovery.replication_tasks.reasons import begins, purpose, times, used_up
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
    if status == STOPPED and not facts.failure:
        return Leave(rule="stopped-on-purpose", reason=purpose(facts))
    if status == DEPROVISIONED and not facts.failure:
        return Leave(rule="stopped-on-purpose", reason="it was stopped, and has been deprovisioned since")
    if status not in {FAILED, STOPPED, DEPROVISIONED}:
        return Leave(rule="unknown-status", reason=f"its status {status!r} is not known here, so nothing is done")
    return _failed(facts, history, policy, now)


# -- while it runs -----------------------------------------------------------------------------------------------


def _running(facts: Facts, history: History, policy: ReplicationPolicy, now: datetime) -> Decision:
    tables = facts.tables_in_error
    if not tables and not facts.errored:
        return Leave(rule="running", reason="it runs; what goes wrong now, DMS retries by itself")
    if not tables:
        return Leave(rule="running", reason=f"it runs; {facts.errored} errors were counted, but no table is set aside")
    count = f"{len(tables)} table{'s' if len(tables) > 1 else ''} in error"
    chosen = tables[:RELOADED_AT_ONCE]
    if not facts.migration.loads:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and a replication without a full load cannot load tables again",
            next_step=f"load these tables by another task, or mend them by hand: {names(tables)}",
        )
    if facts.preparation is Preparation.DO_NOTHING:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and a reload would load over what stands in the target, because the task does not"
            " prepare its tables",
            next_step=f"empty these tables in the target, then run: {reload_tables_command(facts, tables)}",
        )
    if not matches(facts, policy.allow_reload):
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and the policy does not allow to reload them",
            next_step=f"mend what set them aside, then run: {reload_tables_command(facts, tables)}",
        )
    wanted = ReloadTables(rule="table-errors", reason=f"{count} while the rest goes on", tables=chosen)
    return _bounded(wanted, facts, history, policy, now, rest=False)


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
            next_step=cause.next_step
            or "create a new task from a position that still exists, after finding out what was missed",
        )
    if facts.status == DEPROVISIONED and not facts.was_stopped_by_an_error:
        return Escalate(
            rule="position-lost",
            reason=f"{lost}; that it failed, and was not stopped, is told by an old message only",
            next_step=f"if it failed and its target may be emptied, run: {command(facts, Verb.RELOAD)}",
        )
    wanted = Reload(rule="position-lost", reason=f"{lost}: it can only be loaded again")
    return _not_permitted(wanted, facts, policy) or _bounded(wanted, facts, history, policy, now, rest=False)


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
        if facts.load_is_complete and facts.checkpoint:
            return Resume(rule="load-and-cdc", reason="its full load is complete, and change capture has a checkpoint")
        why = "its full load is not complete" if not facts.load_is_complete else "it left no checkpoint to go on from"
        return Reload(rule="load-and-cdc", reason=f"{why}: a resume would run and replicate nothing")
    if facts.serverless:
        return Reload(rule="full-load", reason="DMS cannot resume a full load of a serverless replication")
    if not facts.tables:
        return Reload(rule="full-load", reason="no table statistics tell what a resume would leave out")
    if facts.tables_in_error:
        return Reload(
            rule="full-load",
            reason=f"{len(facts.tables_in_error)} of its tables are in error, and a resume leaves those out",
        )
    return Resume(rule="full-load", reason="a resume loads just the tables that are not finished")


def _has_run(facts: Facts, history: History) -> bool:
    return facts.has_run or history.start_was_refused


# -- what bounds every restart -----------------------------------------------------------------------------------


def _not_permitted(wanted: Action, facts: Facts, policy: ReplicationPolicy) -> Escalate | None:
    empties = facts.empties_target and isinstance(wanted, Start)
    if not (empties or isinstance(wanted, Reload)):
        return None
    if isinstance(wanted, Reload) and facts.preparation is Preparation.DO_NOTHING:
        return Escalate(
            rule="reload-over-data",
            reason=f"{wanted.reason}; a reload would load over what stands in the target, because the task does not"
            " prepare its tables",
            next_step=f"empty the target's tables, then run: {command(facts, wanted.verb)}",
        )
    if matches(facts, policy.allow_reload):
        return None
    how = "drops" if facts.preparation is Preparation.DROP_AND_CREATE else "truncates"
    return Escalate(
        rule="reload-not-allowed",
        reason=f"{wanted.reason}; that {how} its target tables, which the policy does not allow for it",
        next_step=f"if the target may be emptied, run: {command(facts, wanted.verb)}",
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
