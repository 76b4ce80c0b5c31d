"""Proof of a restart, from DMS's later state, by the next run. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.replication_tasks.commands import names, reload_tables_command, stop_command
from recovery.replication_tasks.models import (
    FAILED,
    IN_TRANSITION,
    NOT_MADE,
    RUNNING,
    STOPPED,
    Facts,
    Migration,
    Restart,
    Verb,
)
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.reasons import both_ways, what_a_reload_empties
from recovery.replication_tasks.tables import COMPLETED

CLAIM_HOLDS = timedelta(minutes=3)
"""Time after a claim in which DMS may still show the failure that was there before: the call with the SDK's repetitions
takes up to two and a half minutes, and what DMS reports may lag behind what it does. Until then nobody else acts."""


class Outcome(StrEnum):
    """Outcome of a restart."""

    RECOVERED = "recovered"
    WATCHED = "watched"  # too early to know
    FAILED_AGAIN = "failed again"  # decide again
    NOT_MADE = NOT_MADE  # it never reached DMS: decide again
    IN_PART = "its tables are loaded, others are in error"  # decide again, on the others
    STALLED = "stalled"  # it runs, or ended, and did not do its work: a person is notified
    TAKEN_OVER = "taken over"  # a person stopped or changed it since


@dataclass(frozen=True, slots=True)
class Proof:
    """The judgement on one restart.

    Attributes:
        outcome: what became of it.
        rule: the sentence of docs/paths/replication_tasks.md.
        reason: a sentence for a person.
        next_step: what a person does, for `STALLED`.
        flapped: whether it failed again within the policy's `flap_seconds`.
    """

    outcome: Outcome
    rule: str
    reason: str
    next_step: str = ""
    flapped: bool = False


def verify(
    facts: Facts, restart: Restart, policy: ReplicationPolicy, now: datetime, asked: datetime | None = None
) -> Proof:
    """Prove one restart.

    Args:
        facts: what DMS says, with table statistics where there are any.
        restart: the last restart.
        policy: how long is long enough.
        now: aware, UTC.
        asked: when DMS was asked for these facts; None: now. Another run may have claimed a restart since.
    """
    known = (asked or now) - restart.at
    if known < timedelta(0):
        return Proof(Outcome.WATCHED, "just-claimed", "it was restarted after DMS reported this")
    if facts.status in IN_TRANSITION:
        return _starting(facts, restart, policy, now)
    if facts.failure or facts.status == FAILED:  # DMS may give no text
        return _failed_again(facts, restart, policy, known)
    if facts.status == RUNNING:
        return _runs(facts, restart, policy, now, known)
    if facts.status == STOPPED:
        return _ended(facts)
    return Proof(Outcome.TAKEN_OVER, "taken-over", f"it is {facts.status} now: somebody changed it after the restart")


def _starting(facts: Facts, restart: Restart, policy: ReplicationPolicy, now: datetime) -> Proof:
    if now - restart.at < timedelta(seconds=policy.start_limit_seconds):
        return Proof(Outcome.WATCHED, "still-starting", f"it is {facts.status}")
    minutes = policy.start_limit_seconds // 60
    return Proof(
        Outcome.STALLED,
        "still-starting",
        f"it is still {facts.status}, more than {minutes} minutes after its restart",
        "read its log; stop it if it does not move",
    )


def _failed_again(facts: Facts, restart: Restart, policy: ReplicationPolicy, known: timedelta) -> Proof:
    since = facts.stopped is not None and facts.stopped >= restart.at
    if not since and known < CLAIM_HOLDS:
        return Proof(Outcome.WATCHED, "just-claimed", "a restart was just claimed; DMS may not show it yet")
    accepted = facts.accepted is not None and facts.accepted >= restart.at
    if facts.stopped is not None and not since and not accepted:
        # Written down, but never carried out: a crash or a lost request came between.
        return Proof(Outcome.NOT_MADE, "not-carried-out", "a restart was written down, but DMS shows no start after it")
    flapped = not since or (
        facts.stopped is not None and facts.stopped - restart.at < timedelta(seconds=policy.flap_seconds)
    )
    when = "at once" if flapped else "later"
    return Proof(Outcome.FAILED_AGAIN, "failed-again", f"it was restarted and failed again {when}", flapped=flapped)


def _runs(facts: Facts, restart: Restart, policy: ReplicationPolicy, now: datetime, known: timedelta) -> Proof:
    if restart.verb is Verb.RELOAD_TABLES:
        return _tables_reloaded(facts, restart, policy, now, known)
    began = facts.started if facts.started is not None and facts.started > restart.at else restart.at
    age = now - began
    if age < timedelta(seconds=policy.settle_seconds):
        return Proof(Outcome.WATCHED, "settling", "it runs, but not for long enough yet")
    if facts.tables_set_aside:
        # It does run: that some tables are set aside is decided on by itself.
        return Proof(Outcome.FAILED_AGAIN, "failed-again", "it runs, with tables in error")
    loading = facts.migration.loads and not facts.load_is_over
    if _moved(facts, restart, loading=loading):
        what = "its full load moves" if loading else "changes are replicated"
        return Proof(Outcome.RECOVERED, "recovered", f"it has been running since, and {what}")
    if age < timedelta(seconds=policy.quiet_seconds):
        return Proof(Outcome.WATCHED, "no-progress-yet", "it runs, but nothing has moved yet")
    if loading:
        return Proof(
            Outcome.STALLED,
            "stalled-load",
            "it runs, but its full load is not complete and loads no rows",
            f"load what is left again while it runs: {reload_tables_command(facts, facts.tables_loading)}; if that does"
            f" not help, stop it ({stop_command(facts)}), then {both_ways(facts, lost=False)}",
        )
    return Proof(
        Outcome.RECOVERED, "quiet-source", "it has been running since without an error; its source has sent nothing"
    )


def _tables_reloaded(
    facts: Facts, restart: Restart, policy: ReplicationPolicy, now: datetime, known: timedelta
) -> Proof:
    named = [table for table in facts.tables or () if table.label in restart.tables]
    broken = [table for table in named if table in facts.tables_set_aside]
    if broken and known < CLAIM_HOLDS:
        return Proof(Outcome.WATCHED, "just-claimed", "a reload was just claimed; DMS may not show it yet")
    if broken and all(table.load_began is not None and table.load_began < restart.at for table in named):
        return Proof(Outcome.NOT_MADE, "not-carried-out", "a reload was written down, but DMS has begun none since")
    if broken:
        return Proof(Outcome.FAILED_AGAIN, "failed-again", "reloaded tables are in error again", flapped=True)
    complete = {table.label for table in named if table.state == COMPLETED}
    if complete.issuperset(restart.tables):
        left = len(facts.tables_set_aside)
        if left:
            return Proof(Outcome.IN_PART, "more-tables", f"the reloaded tables are complete, {left} more are in error")
        return Proof(Outcome.RECOVERED, "recovered", "the reloaded tables are complete, and no other is in error")
    if now - restart.at < timedelta(seconds=policy.quiet_seconds):
        return Proof(Outcome.WATCHED, "settling", "the tables are being loaded")
    return Proof(
        Outcome.STALLED,
        "stalled-load",
        "the reloaded tables are not complete yet",
        "look at the table statistics and the task's log",
    )


def _ended(facts: Facts) -> Proof:
    finished = facts.stop_code in {"FULL_LOAD_ONLY_FINISHED", "STOPPED_AFTER_FULL_LOAD", "STOPPED_AFTER_CACHED_EVENTS"}
    if not (facts.migration.loads and finished):
        return Proof(Outcome.TAKEN_OVER, "taken-over", "it was stopped on purpose after the restart")
    if facts.load_is_complete:
        return Proof(Outcome.RECOVERED, "recovered", "it has finished its load, and every table is complete")
    left = [table for table in facts.tables or () if table.state != COMPLETED]
    return Proof(
        Outcome.STALLED,
        "stalled-load",
        "it says that its full load is finished, but not every table is complete",
        f"load just these tables again by another task: {names(left) or 'no statistics show which'}; a reload of the"
        f" whole task would empty {what_a_reload_empties(facts)}",
    )


def _moved(facts: Facts, restart: Restart, *, loading: bool) -> bool:
    now, before = facts.progress, restart.before
    if restart.verb in {Verb.START, Verb.RELOAD}:
        # Everything counts from zero again.
        return bool(now.rows or now.completed or now.changes)
    if loading:
        # A table that is loaded again counts from zero, so that the sum may be smaller than it was.
        anew = any(table.load_began and table.load_began >= restart.at and table.rows for table in facts.tables or ())
        return anew or now.rows > before.rows or now.completed > before.completed
    if now.checkpoint and now.checkpoint != before.checkpoint:
        return True
    if facts.migration is not Migration.CDC and now.completed > before.completed:
        return True
    # Counters may begin anew with a resume, so that zero is not a movement.
    return now.changes not in (0, before.changes)
