"""Second half of a run: carry the verdicts out.

An attempt is written down before it is made, under a condition that only one worker meets; the flow's records are read
once more; then come the calls, which carry the attempt's token or name, so that repeating them starts nothing twice;
then what came of it is written down. Whoever finds an attempt that was begun and not finished makes it again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from recovery.appflow_runs.causes import diagnosed
from recovery.appflow_runs.look import rules_of, verdict_on
from recovery.appflow_runs.models import Attempt, History, Means
from recovery.appflow_runs.records import save
from recovery.appflow_runs.rules import LOOK_AGAIN
from recovery.appflow_runs.verdicts import Leave, Reactivate, Rerun, RunTwin, Wait
from recovery.appflow_runs.work import Batch, Item, Work
from recovery.cases import State
from recovery.errors import BadInput, Conflict, Refused, RepriseError

LEASE = timedelta(minutes=5)
"""For how long a begun attempt belongs to the worker that wrote it down."""
ACTIVATED = "activated"
"""What stands for the run of an activation, which has none."""

_MEANS = {Rerun: Means.RERUN, RunTwin: Means.TWIN, Reactivate: Means.REACTIVATE}


def act(work: Work, batch: Batch) -> None:
    """Make the attempts that were decided; one that does not go through leaves its reason in `failure`."""
    for item in batch.items:
        if work.dry_run or item.done or item.failure or not isinstance(item.verdict, Rerun | RunTwin | Reactivate):
            continue
        try:
            _carry_out(work, item, item.verdict)
        except RepriseError as error:
            item.failure = error


def _carry_out(work: Work, item: Item, verdict: Rerun | RunTwin | Reactivate) -> None:
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
        item.verdict = Wait("T6", "another run of this deployment is making the attempt", work.now() + LEASE)
        return
    if not _still_stands(work, item, verdict, before.history):
        if begun is None:
            save(work, item, before, State.BACKOFF)
        return
    try:
        run = _call(work, item, verdict)
    except Conflict:
        if isinstance(verdict, RunTwin):
            item.verdict = Wait("T1", "its temporary twin is running", work.now() + LOOK_AGAIN)
            return
        item.verdict = Leave("R2", "a run was under way when this one should start")
        save(work, item, before, State.BACKOFF)
        return
    except (Refused, BadInput):
        # Nothing was started, and the same call will be refused again: the attempt does not count.
        if not isinstance(verdict, RunTwin) or work.appflow.delete_twin(verdict.twin):
            save(work, item, before, State.BACKOFF)
        raise
    item.done = True
    save(work, item, replace(before, history=_with(before.history, replace(attempt, run=run))), State.SENT)


def _call(work: Work, item: Item, verdict: Rerun | RunTwin | Reactivate) -> str:
    if isinstance(verdict, RunTwin):
        assert item.described is not None
        work.appflow.create_twin(verdict, item.described, work.ledger.table)
        return work.appflow.start(verdict.twin, verdict.client_token)
    run = work.appflow.start(item.name, verdict.client_token)
    return run if isinstance(verdict, Rerun) else ACTIVATED


def _still_stands(work: Work, item: Item, verdict: Rerun | RunTwin | Reactivate, history: History) -> bool:
    """Whether the verdict is the same by the flow's records of this moment."""
    assert item.facts is not None
    facts = replace(item.facts, runs=work.appflow.runs(item.name))
    if facts.runs == item.facts.runs:
        return True
    facts, item.group = diagnosed(facts, history, rules_of(item.policy))
    again = verdict_on(work, item, facts, history)
    if again == verdict:
        return True
    item.facts = facts
    # What is new is looked at whole by the next run; here only the attempt is called off.
    item.verdict = (
        again if isinstance(again, Leave) else Wait("O2", "its records have just changed", work.now() + LOOK_AGAIN)
    )
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
