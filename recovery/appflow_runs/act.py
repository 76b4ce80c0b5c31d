"""Second half of a run: carry the verdicts out.

An attempt is written down before it is made, under a condition that only one worker meets; the flow and its records
are read once more; then come the calls, which carry the attempt's token or name, so that repeating them starts nothing
twice; then what came of it is written down. Whoever finds an attempt that was begun and not finished makes it again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from recovery.appflow_runs.causes import diagnosed, refusal_of
from recovery.appflow_runs.look import rules_of, verdict_on
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import Attempt, History, Means
from recovery.appflow_runs.policy import matches
from recovery.appflow_runs.records import save
from recovery.appflow_runs.rules import APPEARS_WITHIN, met
from recovery.appflow_runs.verdicts import Reactivate, Rerun, RunTwin
from recovery.appflow_runs.work import AppFlowRun, FlowBatch, FlowWork
from recovery.cases import State
from recovery.errors import BadInput, Conflict, Refused, RepriseError

LEASE = timedelta(minutes=5)
"""For how long a begun attempt belongs to the worker that wrote it down."""
ACTIVATED = "activated"
"""Stands for the run of an activation, which has none."""

_MEANS = {Rerun: Means.RERUN, RunTwin: Means.TWIN, Reactivate: Means.REACTIVATE}


def act(work: AppFlowRun, batch: FlowBatch) -> None:
    """Make the attempts that were decided; one that does not go through leaves its reason in `failure`."""
    for item in batch.items:
        if work.dry_run or item.done or item.failure or not isinstance(item.verdict, Rerun | RunTwin | Reactivate):
            continue
        if work.time_is_up:
            item.verdict = met.out_of_time(work.now())
            continue
        try:
            _carry_out(work, item, item.verdict)
        except RepriseError as error:
            item.failure = error


def _carry_out(work: AppFlowRun, item: FlowWork, verdict: Rerun | RunTwin | Reactivate) -> None:
    before = item.memory
    begun = _begun(before.history, verdict)
    attempt = Attempt(
        number=verdict.attempt,
        means=_MEANS[type(verdict)],
        failed_run=verdict.failed_run,
        claimed=begun.claimed if begun else work.now(),
        lease_ends=work.now() + LEASE,
    )
    try:
        save(work, item, replace(before, history=_with(before.history, attempt)), State.SENT)
    except Conflict:
        item.verdict = met.elsewhere(work.now() + LEASE)
        return
    if not _still_stands(work, item, verdict, before.history):
        if begun is None:
            save(work, item, before, State.BACKOFF)
        return
    if work.now() >= attempt.lease_ends:
        item.verdict = met.elsewhere(work.now() + LEASE)  # this worker was held up, and another one may have taken over
        return
    try:
        if isinstance(verdict, RunTwin):
            assert item.described is not None
            work.appflow.create_twin(verdict, item.described, work.ledger.table)
            if work.now() >= attempt.lease_ends:
                item.verdict = met.elsewhere(work.now() + LEASE)
                return
        run = work.appflow.start(verdict.twin if isinstance(verdict, RunTwin) else item.name, verdict.client_token)
    except Conflict as conflict:
        if work.now() - attempt.claimed >= APPEARS_WITHIN:
            # The run that is in the way is in no record, and has been for too long: a person must look.
            _refused(work, item, attempt, before, conflict)
            return
        if isinstance(verdict, RunTwin):
            item.verdict = met.twin_under_way(work.now())
            return
        # The run that is under way may be the one that an earlier sending of this very call has started, so the
        # attempt stays written down, and counts once a newer run is in the records.
        item.verdict = met.UNDER_WAY
        return
    except (Refused, BadInput) as error:
        made = isinstance(verdict, RunTwin) and error.operation != "appflow:CreateFlow"
        _refused(work, item, attempt if begun or made else None, before, error)
        return
    item.done = True
    started = ACTIVATED if isinstance(verdict, Reactivate) else run
    save(work, item, replace(before, history=_with(before.history, replace(attempt, run=started))), State.SENT)


def _refused(work: AppFlowRun, item: FlowWork, attempt: Attempt | None, before: Memory, error: RepriseError) -> None:
    """Nothing was started by this call: a person is notified, and it is not made again at every run.

    The attempt does not count, unless an earlier call of it may have done something (`attempt`): a twin that was made,
    or a start whose answer was not read. That one stays written down, to be made again or to be cleared away.
    """
    assert item.facts is not None
    refusal = refusal_of(error, item.facts.runs[0].id, work.now())
    item.verdict = met.refused_call(refusal, item.facts.flow)
    history = before.history if attempt is None else _with(before.history, replace(attempt, lease_ends=work.now()))
    save(work, item, replace(before, history=replace(history, refusal=refusal)), State.ESCALATED)


def _still_stands(work: AppFlowRun, item: FlowWork, verdict: Rerun | RunTwin | Reactivate, history: History) -> bool:
    """True when the verdict is the same by what AppFlow reports of the flow and its runs at this moment."""
    assert item.facts is not None
    item.described = work.appflow.flow(item.name)
    if item.described is None:
        item.verdict = met.GONE
        return False
    flow = item.described.flow
    if not matches(flow.name, flow.tags, work.request.flows):
        item.verdict = met.OUT_OF_SCOPE
        return False
    facts = replace(item.facts, flow=flow, runs=work.appflow.runs(item.name))
    if (facts.flow, facts.runs) == (item.facts.flow, item.facts.runs):
        return True
    facts, item.group = diagnosed(facts, history, rules_of(item.policy))
    again = verdict_on(work, item, facts, history)
    item.facts = facts
    if again == verdict:
        return True
    item.verdict = met.changed(again, work.now())
    return False


def _begun(history: History, verdict: Rerun | RunTwin | Reactivate) -> Attempt | None:
    last = history.last
    if last and (last.number, last.failed_run) == (verdict.attempt, verdict.failed_run) and not last.outcome:
        return last
    return None


def _with(history: History, attempt: Attempt) -> History:
    earlier = tuple(
        one for one in history.attempts if (one.number, one.failed_run) != (attempt.number, attempt.failed_run)
    )
    return replace(history, attempts=(*earlier, attempt))
