"""Verdicts on what a run met on the way, on proven restarts, and on incidents that ended by themselves. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from recovery.replication_tasks.causes import Nature, cause_of
from recovery.replication_tasks.commands import by_hand
from recovery.replication_tasks.models import IN_TRANSITION, RUNNING, Facts
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.refusals import Refusal
from recovery.replication_tasks.rules.failed import LOOK_AGAIN
from recovery.replication_tasks.situation import Met, Obstacle, Situation
from recovery.replication_tasks.verdicts import Action, AnyVerdict, Escalate, Leave, Wait
from recovery.replication_tasks.verify import Outcome

CALL_REFUSED = "call-refused"
"""The rule of a call that DMS refuses for good."""


def on_the_way(situation: Situation, met: Met, now: datetime) -> AnyVerdict | None:
    """Decide on what was met between a verdict and DMS; None when it is decided as if new."""
    match met.obstacle:
        case Obstacle.DAMAGED:
            return Escalate(
                rule="damaged-case",
                reason="the ledger does not show what was done about it before, so nothing is done",
                next_step=f"look at it in DMS, then delete {met.words}: the next run begins anew with it, and its"
                " restarts count anew",
            )
        case Obstacle.GONE:
            return Leave(rule="gone", reason="it has been deleted", gone=True)
        case Obstacle.CLAIMED:
            return Wait(
                rule="elsewhere",
                reason="another run is taking care of it right now",
                until=now + LOOK_AGAIN,
                foreign=True,
            )
        case Obstacle.CROWDED:
            return Wait(
                rule="instance-busy",
                reason="its replication instance has had enough starts in this run; the next run goes on",
                until=now,
            )
        case Obstacle.TIME_IS_UP:
            return Wait(rule="not-now", reason="the run's time limit was reached first", until=now)
        case Obstacle.CHANGING:
            return Wait(rule="not-now", reason="it keeps changing; the next run decides again", until=now)
        case Obstacle.REFUSED if situation.refusal is not None and met.wanted is not None:
            return refused_call(situation.refusal, situation.facts, met.wanted)
        case Obstacle.STATE if met.wanted is not None:
            return _refused_in_this_state(situation.facts, met, met.wanted)
        case Obstacle.START_TYPE if met.wanted is not None:
            return Escalate(
                rule="refused",
                reason=f"DMS refuses {met.wanted.verb.value} for it: {met.words}",
                next_step=f"find out what it has been through; this was tried: {by_hand(situation.facts, met.wanted)}",
            )
    return None


def _refused_in_this_state(facts: Facts, met: Met, wanted: Action) -> Escalate | None:
    cause = cause_of(_failed_with(facts, met.words))
    if cause.nature is not Nature.LASTING:
        return None
    return Escalate(
        rule="refused", reason=f"DMS refuses {wanted.verb.value}: {cause.reason}", next_step=cause.next_step
    )


def _failed_with(facts: Facts, words: str) -> Facts:
    return Facts(facts.arn, facts.name, facts.migration, "failed", last_failure=words)


def refused_call(refusal: Refusal, facts: Facts, wanted: Action) -> Escalate:
    """Name the permission or the request that stands in the way."""
    words = f": {refusal.words}" if refusal.words else ""
    step = (
        f"allow {refusal.operation} on it to the role that this path works with (and look for a boundary or an"
        " organisation's policy that denies it)"
        if refusal.is_denial
        else f"remove what DMS names ({refusal.code})"
    )
    return Escalate(
        rule=CALL_REFUSED,
        reason=f"DMS refuses {wanted.verb.value} ({refusal.operation}, {refusal.code}){words}",
        next_step=f"{step}; it is tried again hourly, and at once by replication-tasks/by-hand with `cause_fixed`;"
        f" by hand it is: {by_hand(facts, wanted)}",
    )


def unless_refused(situation: Situation, verdict: AnyVerdict, now: datetime) -> AnyVerdict:
    """Return the verdict, unless DMS has just refused the very call: it would refuse it at every sweep."""
    refusal, restarts = situation.refusal, situation.history.restarts
    if refusal is None or not isinstance(verdict, Action):
        return verdict
    if not refusal.stands(verdict.verb, restarts[-1].at if restarts else None, now):
        return verdict
    return refused_call(refusal, situation.facts, verdict)


def proven(situation: Situation, now: datetime) -> AnyVerdict | None:
    """Decide by the proof of the last restart; None when it settles nothing."""
    proof, restarts = situation.proof, situation.history.restarts
    if proof is None or not restarts:
        return None
    match proof.outcome:
        case Outcome.RECOVERED:
            began, at = situation.facts.started, restarts[-1].at
            since = began if began is not None and began >= at else at
            return Leave(rule=proof.rule, reason=proof.reason, recovered=True, since=since)
        case Outcome.WATCHED:
            return Wait(rule=proof.rule, reason=proof.reason, until=now + LOOK_AGAIN, watches=True)
        case Outcome.STALLED:
            return Escalate(rule=proof.rule, reason=proof.reason, next_step=proof.next_step)
        case Outcome.TAKEN_OVER:
            return Leave(rule=proof.rule, reason=proof.reason)
    return None


def ended_by_itself(situation: Situation, policy: ReplicationPolicy, now: datetime) -> AnyVerdict | None:
    """Decide on an incident that DMS or a person ended; None when it was stopped for good."""
    facts, until = situation.facts, now + LOOK_AGAIN
    if facts.status in IN_TRANSITION:
        return Wait(rule="in-transition", reason=f"it is {facts.status}", until=until, unchanged=situation.met is None)
    if facts.status == RUNNING and situation.known:
        if not situation.findings:
            return Leave(rule="running", reason="it runs, and the policy reports no findings any more")
        return Leave(rule="back-by-itself", reason="what was found is over", recovered=True, since=now)
    if facts.status == RUNNING:
        settled = timedelta(seconds=policy.settle_seconds)
        if facts.started is not None and now - facts.started < settled:
            reason = "it was restarted, but not by this path"
            return Wait(rule="settling", reason=reason, until=until, unchanged=True)
        reason = "it runs again; DMS or a person brought it back"
        return Leave(rule="back-by-itself", reason=reason, recovered=True, since=facts.started)
    if facts.migration.loads and facts.load_is_complete and facts.stop_code == "FULL_LOAD_ONLY_FINISHED":
        reason = "its full load is finished; a person brought it back"
        return Leave(rule="back-by-itself", reason=reason, recovered=True, since=facts.stopped)
    return None
