"""Learning more about what was found, judging earlier restarts, and deciding."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from recovery.cases import State
from recovery.errors import Conflict, RepriseError
from recovery.failures import fingerprint, normalise
from recovery.replication_tasks.causes import cause_of
from recovery.replication_tasks.find import OPEN, has_failed
from recovery.replication_tasks.memory import is_newer, mark_of
from recovery.replication_tasks.models import DEPROVISIONED, FLAPPED, IN_TRANSITION, RUNNING, Facts, Table
from recovery.replication_tasks.policy import Trigger
from recovery.replication_tasks.refusals import escalated
from recovery.replication_tasks.rules import LOOK_AGAIN, decide
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
from recovery.replication_tasks.verify import Outcome, verify
from recovery.replication_tasks.work import Batch, Item, Work

GIVES_UP = frozenset({"not-again", "budget", "keeps-coming-back"})
"""Rules after which only a person, or another failure, begins restarts again."""


def look_closer(work: Work, batch: Batch) -> None:
    """Table statistics and settings of each, and the state of the replication instances.

    A replication whose statistics cannot be had keeps the reason in `failure`, and is left alone.

    Raises:
        Transient, Refused: the instances could not be asked about.
    """
    classic = any(not item.facts.serverless for item in batch.items)
    instances = work.dms.instances() if classic else {}
    for item in batch.items:
        if work.time_is_up:
            left = sum(each.facts.tables is None and each.failure is None for each in batch.items)
            work.warnings.append(f"the time limit was reached before {left} replications were looked at")
            return
        if item.failure is not None:
            continue
        try:
            _look_closer(work, item, instances.get(item.facts.instance, ""))
        except RepriseError as error:
            item.failure = error


def _look_closer(work: Work, item: Item, instance_status: str) -> None:
    facts = item.facts
    if facts.migration.loads and has_failed(facts):
        # The list comes without settings, and they tell whether a load empties its target.
        asked = work.now()
        fresh = work.dms.read(facts)
        if fresh is not None:
            facts, item.asked = replace(fresh, tags=facts.tags), asked
    item.facts = replace(facts, instance_status=instance_status, tables=tables_of(work, facts))


def tables_of(work: Work, facts: Facts) -> tuple[Table, ...]:
    """The table statistics, as far as there are any.

    Raises:
        Transient, Refused, Conflict: they could not be read, and they would decide.
    """
    if facts.status == DEPROVISIONED:
        return ()  # DMS has thrown them away
    try:
        return work.dms.tables(facts)
    except Conflict:
        if facts.migration.loads and facts.has_run:
            raise
        return ()  # nothing about change capture alone, or about a first start, is decided by them


def decide_all(work: Work, batch: Batch) -> None:
    """Judge earlier restarts, and decide on each replication."""
    for item in batch.items:
        if item.failure is None and item.facts.tables is not None:
            judge(work, item)


def judge(work: Work, item: Item) -> None:
    """What is decided for one replication, with everything that is known of it now."""
    now = work.now()
    _diagnose(item)
    item.memory = replace(item.memory, checkpoint=item.facts.checkpoint or item.memory.checkpoint)
    if item.state is None and _is_watched(work, item) and _verified(work, item, now):
        return
    if not _needs_something(item):
        _healthy(work, item, now)
        return
    open_case = item.state is not None or (item.case is not None and item.case.state in OPEN)
    if work.request.cause_is_mended and not item.mended:
        item.mended = True
        item.memory = item.memory.mended(item.facts, now, work.draw())
    elif not open_case or item.memory.incident is None or _has_failed_anew(item):
        failed = item.facts.stopped
        late = failed is None or now - failed > timedelta(seconds=work.policy.event_grace_seconds)
        item.missed = not open_case and work.request.trigger is Trigger.SWEEP and late
        item.memory = item.memory.begun(item.facts, now, work.draw(), missed=item.missed)
    if _was_given_up(item):
        return
    decision = decide(item.facts, item.memory.history(cause_is_mended=item.mended), work.policy, now)
    item.decision = _unless_refused(item, decision, now)
    mark = mark_of(item.facts)
    item.memory = replace(
        item.memory,
        gave_up=mark if item.decision.rule in GIVES_UP else "",
        asked=mark if isinstance(item.decision, Escalate) else "",
    )
    match item.decision:
        case Start() | Resume() | Reload() | ReloadTables():
            item.state = State.SENT
        case Wait():
            item.state = State.BACKOFF
        case Escalate():
            item.state = State.ESCALATED
        case Leave():
            item.state = State.SUPERSEDED if open_case else None


def _needs_something(item: Item) -> bool:
    """Whether something is wrong with it by all that is known. `TablesErrored` may count what once was, or lag behind:
    of what runs, the statistics tell.
    """
    if item.facts.status != RUNNING:
        return has_failed(item.facts)
    return bool(item.facts.tables_set_aside) or (item.case is None and item.facts.errored > 0)


def _was_given_up(item: Item) -> bool:
    """Whether its restarts are used up and it has not failed anew since: then no passing of time begins them again."""
    given_up = item.memory.gave_up
    if not given_up or item.case is None or item.case.state is not State.ESCALATED:
        return False
    step = "mend what makes it fail, then start it, or run replication-tasks/by-hand with `cause_is_mended`"
    item.decision = Escalate(rule="given-up", reason=item.case.reason, next_step=step)
    item.state = State.ESCALATED
    return True


def _unless_refused(item: Item, decision: Decision, now: datetime) -> Decision:
    """What was decided, unless DMS has just refused the very call: it would refuse it at every sweep."""
    refusal, last = item.memory.refusal, item.memory.last
    if refusal is None or not isinstance(decision, Action):
        return decision
    if not refusal.stands(decision, last.at if last else None, now):
        return decision
    return escalated(refusal, item.facts, decision)


def _has_failed_anew(item: Item) -> bool:
    """Whether somebody started it after a person was asked to act on it, and it has failed again."""
    known = item.memory.asked or item.memory.gave_up
    return bool(known) and is_newer(mark_of(item.facts), known)


def _is_watched(work: Work, item: Item) -> bool:
    """Whether a restart of this path is to be judged: the last one, or one that stalled and still runs."""
    last = item.memory.last
    if item.case is None or last is None:
        return False
    if item.case.state is State.SENT:
        return True
    stalled = item.case.state is State.ESCALATED and last.outcome == Outcome.STALLED.value
    latest = last.at + timedelta(seconds=work.policy.start_limit_seconds)
    return stalled and item.facts.status == RUNNING and (item.facts.started is None or item.facts.started <= latest)


def _verified(work: Work, item: Item, now: datetime) -> bool:
    """Judge the last restart; whether that settles what this run does with it."""
    restart = item.memory.last
    if restart is None:
        return False
    proof = verify(item.facts, restart, work.policy, now, item.asked)
    match proof.outcome:
        case Outcome.RECOVERED:
            item.memory = item.memory.judged(proof.outcome.value)
            _recover(item, item.facts.started if _began_after(item.facts, restart.at) else restart.at)
            item.decision = Leave(rule=proof.rule, reason=proof.reason)
        case Outcome.WATCHED:
            item.decision = Wait(rule=proof.rule, reason=proof.reason, until=now + LOOK_AGAIN)
            item.state = State.SENT
        case Outcome.STALLED:
            item.memory = item.memory.judged(proof.outcome.value)
            item.decision = Escalate(rule=proof.rule, reason=proof.reason, next_step=proof.next_step)
            item.state = State.ESCALATED
        case Outcome.TAKEN_OVER:
            item.memory = item.memory.judged(proof.outcome.value)
            item.decision = Leave(rule=proof.rule, reason=proof.reason)
            item.state = State.SUPERSEDED
        case Outcome.FAILED_AGAIN | Outcome.NOT_MADE | Outcome.IN_PART:
            if not restart.outcome:
                item.memory = item.memory.judged(FLAPPED if proof.flapped else proof.outcome.value)
            item.state = State.BACKOFF  # until it is decided: the incident goes on
            return False
    return True


def _healthy(work: Work, item: Item, now: datetime) -> None:
    """Its incident ends without a restart of ours: DMS or a person brought it back, or it was stopped for good."""
    facts = item.facts
    until = now + LOOK_AGAIN
    kept = item.case.state if item.case else None
    if facts.status in IN_TRANSITION:
        item.decision = Wait(rule="in-transition", reason=f"it is {facts.status}", until=until)
        item.state = kept
    elif facts.status == RUNNING:
        settled = timedelta(seconds=work.policy.settle_seconds)
        if facts.started is not None and now - facts.started < settled:
            item.decision = Wait(rule="settling", reason="it was restarted, but not by this path", until=until)
            item.state = kept
            return
        _recover(item, facts.started)
        item.decision = Leave(rule="back-by-itself", reason="it runs again; DMS or a person brought it back")
    elif facts.migration.loads and facts.load_is_complete and facts.stop_code == "FULL_LOAD_ONLY_FINISHED":
        _recover(item, facts.stopped)
        item.decision = Leave(rule="back-by-itself", reason="its full load is finished; a person brought it back")
    else:
        item.decision = decide(facts, item.memory.history(), work.policy, now)
        item.state = State.SUPERSEDED


def _recover(item: Item, since: datetime | None) -> None:
    item.state = State.RECOVERED
    failed = item.memory.failed or item.memory.incident
    seconds = max(0.0, (since - failed).total_seconds()) if since and failed else 0.0
    item.recovered_seconds = seconds
    item.memory = replace(item.memory, seconds_to_recover=seconds)


def _began_after(facts: Facts, moment: datetime) -> bool:
    return facts.started is not None and facts.started >= moment


def _diagnose(item: Item) -> None:
    if item.facts.failure or item.facts.status == "failed":
        cause = cause_of(item.facts)
        text = item.facts.failure
        item.kind, item.cause = cause.kind.value, cause.rule
        item.error = normalise(text) if text else ""
        item.group = fingerprint(cause.kind, text)
    elif item.case is not None:
        item.kind, item.cause, item.group = item.case.kind, item.case.rule, item.case.group
