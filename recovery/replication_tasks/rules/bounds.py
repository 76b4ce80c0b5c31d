"""Bounds of every restart: permission, attempts within a window, and the waits between them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from recovery.replication_tasks.commands import by_hand, command
from recovery.replication_tasks.models import Facts, History, Preparation
from recovery.replication_tasks.policy import ReplicationPolicy, matches
from recovery.replication_tasks.reasons import both_ways, times, used_up
from recovery.replication_tasks.verdicts import Action, AnyVerdict, Escalate, Reload, Start, Wait


def not_permitted(
    wanted: Action, facts: Facts, policy: ReplicationPolicy, *, first: str = "", lost: bool = False
) -> Escalate | None:
    """Return the question to a person, where the policy does not allow what would empty a target."""
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


def bounded(
    wanted: Action, facts: Facts, history: History, policy: ReplicationPolicy, now: datetime, *, rest: bool
) -> AnyVerdict:
    """Return what is wanted, when it is due; else a wait, or a person's turn once attempts are used up.

    Args:
        rest: wait before the first restart, too: something must come back first.
    """
    recent = [restart for restart in history.restarts if now - restart.at < timedelta(seconds=policy.window_seconds)]
    if len(recent) >= policy.max_attempts:
        return Escalate(
            rule="max-attempts",
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
        until = recent[-1].at + policy.backoff.delay(attempt, history.jitter)
    elif rest:
        since = facts.stopped or history.incident or now
        until = since + policy.backoff.delay(attempt, history.jitter)
    else:
        return wanted
    if until > now:
        return Wait(rule="backoff", reason=f"{wanted.reason}; it is given a rest first", until=until)
    return wanted
