"""Putting together what is known of each replication, having it decided (`rules`), and keeping what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from recovery.cases import State
from recovery.failures import fingerprint, normalise
from recovery.replication_tasks.causes import cause_of
from recovery.replication_tasks.memory import is_newer, mark_of
from recovery.replication_tasks.models import FLAPPED, RUNNING
from recovery.replication_tasks.rules import FINDINGS, GIVES_UP, decide
from recovery.replication_tasks.situation import Met, Obstacle, Situation
from recovery.replication_tasks.verdicts import Action, AnyVerdict, Escalate, Leave, Wait
from recovery.replication_tasks.verify import Outcome, Proof, verify
from recovery.replication_tasks.work import OPEN, Batch, ReplicationRun, ReplicationWork
from recovery.scope import StartedBy


def triage_all(run: ReplicationRun, batch: Batch) -> None:
    """Verify earlier restarts, and decide on each replication."""
    for item in batch.items:
        if item.met is not None or (item.failure is None and item.facts.tables is not None):
            triage(run, item, item.met)


def triage(run: ReplicationRun, item: ReplicationWork, met: Met | None = None) -> None:
    """Have one replication decided, with everything that is known of it now.

    Args:
        met: what was met on the way to carry out the last verdict.
    """
    now = run.now()
    if met is not None and met.obstacle is Obstacle.DAMAGED:
        item.verdict = decide(Situation(item.facts, met=met), run.policy, now)
        return
    _diagnose(item)
    item.memory = replace(item.memory, checkpoint=item.facts.checkpoint or item.memory.checkpoint)
    proof = None
    if item.state is None and _is_watched(run, item):
        proof = _verified(run, item, now)
    is_open = item.state is not None or (item.case is not None and item.case.state in OPEN)
    situation = _situation(run, item, proof, met, is_open=is_open)
    new = situation.needs_something and not situation.is_settled
    if new:
        _begin_incident(run, item, now, is_open=is_open)
        situation = _situation(run, item, proof, met, is_open=is_open)
    item.verdict = decide(situation, run.policy, now)
    if new and item.verdict.rule != "given-up":
        mark = mark_of(item.facts)
        finding = item.verdict.rule if item.verdict.rule in FINDINGS else ""
        item.memory = replace(
            item.memory,
            gave_up=mark if item.verdict.rule in GIVES_UP else "",
            asked=mark if isinstance(item.verdict, Escalate) else "",
            finding=finding,
            # The same start, but another finding: people have not heard of it.
            notified=item.memory.notified if finding in {"", item.memory.finding} else "",
        )
    _keep_state(item, item.verdict, is_open=is_open)


def _situation(
    run: ReplicationRun, item: ReplicationWork, proof: Proof | None, met: Met | None, *, is_open: bool
) -> Situation:
    given_up = ""
    if item.memory.gave_up and item.case is not None and item.case.state is State.ESCALATED:
        given_up = item.case.reason
    return Situation(
        item.facts,
        item.memory.history(cause_fixed=item.fixed),
        proof=proof,
        refusal=item.memory.refusal,
        given_up=given_up,
        findings=run.policy.findings,
        known=item.memory.finding if is_open else "",
        latency_seconds=run.policy.latency_seconds,
        quiet_seconds=run.policy.quiet_seconds,
        is_known=item.case is not None,
        is_open=is_open,
        met=met,
    )


def _begin_incident(run: ReplicationRun, item: ReplicationWork, now: datetime, *, is_open: bool) -> None:
    """Remember a new incident, if this is one."""
    if run.request.cause_fixed and not item.fixed:
        item.fixed = True
        item.memory = item.memory.fixed(item.facts, now, run.jitter())
    elif not is_open or item.memory.incident is None or _has_failed_anew(item):
        failed = item.facts.stopped
        late = failed is None or now - failed > timedelta(seconds=run.policy.event_grace_seconds)
        item.missed = not is_open and run.request.started_by is StartedBy.SWEEP and late
        item.memory = item.memory.begun(item.facts, now, run.jitter(), missed=item.missed)


def _has_failed_anew(item: ReplicationWork) -> bool:
    """True when somebody started it after a person was asked to act on it, and it has failed again."""
    known = item.memory.asked or item.memory.gave_up
    return bool(known) and is_newer(mark_of(item.facts), known)


def _is_watched(run: ReplicationRun, item: ReplicationWork) -> bool:
    """True when a restart of this path is to be verified: the last one, or one that stalled and still runs."""
    last = item.memory.last
    if item.case is None or last is None:
        return False
    if item.case.state is State.SENT:
        return True
    stalled = item.case.state is State.ESCALATED and last.outcome == Outcome.STALLED.value
    latest = last.at + timedelta(seconds=run.policy.start_limit_seconds)
    return stalled and item.facts.status == RUNNING and (item.facts.started is None or item.facts.started <= latest)


def _verified(run: ReplicationRun, item: ReplicationWork, now: datetime) -> Proof | None:
    """Return the proof of the last restart, and remember its outcome."""
    restart = item.memory.last
    if restart is None:
        return None
    proof = verify(item.facts, restart, run.policy, now, item.asked)
    match proof.outcome:
        case Outcome.RECOVERED | Outcome.STALLED | Outcome.TAKEN_OVER:
            item.memory = item.memory.with_outcome(proof.outcome.value)
        case Outcome.FAILED_AGAIN | Outcome.NOT_MADE | Outcome.IN_PART:
            if not restart.outcome:
                item.memory = item.memory.with_outcome(FLAPPED if proof.flapped else proof.outcome.value)
            item.state = State.BACKOFF  # until it is decided: the incident goes on
    return proof


def _keep_state(item: ReplicationWork, verdict: AnyVerdict, *, is_open: bool) -> None:
    match verdict:
        case Wait(foreign=True):
            item.state = None
        case Wait(unchanged=True):
            item.state = item.case.state if item.case else None
        case Wait(watches=True):
            item.state = State.SENT
        case Wait():
            item.state = State.BACKOFF
        case Escalate():
            item.state = State.ESCALATED
        case Leave(recovered=True):
            item.state = State.RECOVERED
            failed = item.memory.failed or item.memory.incident
            since = verdict.since
            seconds = max(0.0, (since - failed).total_seconds()) if since and failed else 0.0
            item.recovered_seconds = seconds
            item.memory = replace(item.memory, seconds_to_recover=seconds)
        case Leave():
            item.state = State.SUPERSEDED if is_open or verdict.gone else None
        case _ if isinstance(verdict, Action):
            item.state = State.SENT


def _diagnose(item: ReplicationWork) -> None:
    if item.facts.failure or item.facts.status == "failed":
        cause = cause_of(item.facts)
        text = item.facts.failure
        item.kind, item.cause = cause.kind.value, cause.rule
        item.error = normalise(text) if text else ""
        item.group = fingerprint(cause.kind, text)
    elif item.case is not None:
        item.kind, item.cause, item.group = item.case.kind, item.case.rule, item.case.group
