"""Temporary twins that earlier runs made: their records are copied to the ledger, then they are removed.

This comes first in every run and does not depend on what is decided about their flows, so that no twin outlives the
attempt that made it, whatever stopped the run that should have removed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from recovery.appflow_runs.answers import Summary
from recovery.appflow_runs.causes import diagnose_run, refusal_of, words_of
from recovery.appflow_runs.gateway import LEDGER_TAG, TWIN_TAG, from_tag, plain
from recovery.appflow_runs.look import rules_of
from recovery.appflow_runs.models import Attempt, Means, Run, RunStatus
from recovery.appflow_runs.records import notify_refusal, save
from recovery.appflow_runs.remembered import remembered
from recovery.appflow_runs.verdicts import twin_name
from recovery.appflow_runs.work import AppFlowRun, FlowBatch, FlowWork
from recovery.errors import Conflict, Refused, RepriseError

ABANDONED = "abandoned"
"""Outcome of an attempt whose twin was never started."""
TOKEN_LIVES = timedelta(hours=8)
"""For so long AppFlow answers a repeated client token with the first call's run (API reference, StartFlow)."""


def tidy_twins(work: AppFlowRun, batch: FlowBatch, twins: Sequence[Summary]) -> None:
    """Settle the twins that stand in the account. One that cannot be settled is a problem; the others go on.

    Raises:
        Transient, Refused: the ledger cannot be read.
    """
    owners = {item.name: item for item in batch.items}
    others = [name for twin in twins if (name := from_tag(twin.tags.get(TWIN_TAG, ""))) and name not in owners]
    cases, damaged = remembered(work, others)
    unknown = damaged.keys() | {i.name for i in batch.items if i.failure is not None or (i.quiet and i.case is None)}
    for twin in twins:
        name = from_tag(twin.tags.get(TWIN_TAG, ""))
        if name in unknown:
            work.warn(f"temporary twin {twin.name}: the ledger's case of its flow is damaged, so it was left alone")
            continue
        owner = owners.get(name)
        if owner is None and name in cases:
            case, memory = cases[name]
            # The flow is outside this request, or was removed; its twin is ours all the same.
            arn = f"{twin.arn.rpartition('/')[0]}/{case.key}"
            owner = FlowWork(replace(twin, name=case.key, arn=arn), work.request.policy_for(case.key))
            owner.case = case
            owner.memory = memory
        try:
            _settle(work, owner, twin)
        except Conflict:
            _leave_to_another(owner)
        except RepriseError as error:
            if isinstance(error, Refused) and error.code == "ResourceNotFoundException":
                _leave_to_another(owner)
                continue
            work.complain(f"temporary twin {twin.name}: {words_of(error)}")
            if isinstance(error, Refused) and not work.dry_run:
                _notify(work, error, twin)


def _notify(work: AppFlowRun, error: Refused, twin: Summary) -> None:
    step = "let the path read and delete temporary twins, and delete those that stand idle"
    try:
        notify_refusal(work, refusal_of(error, "", work.now()), [twin.name], step)
    except RepriseError as failure:
        work.complain(f"people could not be notified of temporary twin {twin.name}: {words_of(failure)}")


def _settle(work: AppFlowRun, owner: FlowWork | None, twin: Summary) -> None:
    attempt = _attempt_of(owner, twin) if owner else None
    if owner is None or attempt is None:
        if twin.tags.get(LEDGER_TAG) != plain(work.ledger.table):
            work.warn(f"temporary twin {twin.name} belongs to another ledger and was left alone")
        elif not any(run.is_under_way for run in work.appflow.runs(twin.name)):
            # An attempt is in the ledger before its twin is made, so this one was called off or forgotten.
            _remove(work, twin)
        return
    if not attempt.outcome:
        runs = work.appflow.runs(twin.name)
        run = _deciding(runs, attempt)
        if attempt == owner.memory.history.last:
            owner.twin_runs = (run,) if run is not None else ()
        if any(run.is_under_way for run in runs):
            return
        if run is None and (attempt.run or work.now() - attempt.claimed < TOKEN_LIVES):
            # Started, and not in the records: nobody knows what became of it, so it is watched for ever. Or perhaps
            # never started: while its token lives the attempt is made again with it, and cannot run twice.
            return
        if work.dry_run:
            return
        _copy(work, owner, attempt, run)
    _remove(work, twin)


def _deciding(runs: Sequence[Run], attempt: Attempt) -> Run | None:
    """The run that shows what became of the attempt; None while AppFlow shows no such run.

    A success counts whoever started it: what a person ran through the twin is not run again.
    """
    for run in runs:
        if run.is_under_way or run.status is RunStatus.SUCCESSFUL:
            return run
    if attempt.run:
        return next((run for run in runs if run.id == attempt.run), None)
    return runs[0] if runs else None


def _leave_to_another(owner: FlowWork | None) -> None:
    """Another run has just settled this twin, so what was read of its flow is out of date: the next run looks."""
    if owner is not None:
        owner.quiet = True


def _copy(work: AppFlowRun, owner: FlowWork, attempt: Attempt, run: Run | None) -> None:
    """Put what became of the twin's run into the ledger.

    Raises:
        Conflict: another run has written the flow's case since it was read.
    """
    ended = replace(attempt, outcome=ABANDONED)
    if run is not None:
        failed = run.status is RunStatus.ERROR
        diagnosis, error = diagnose_run(run, rules_of(owner.policy)) if failed else (None, "")
        ended = replace(
            attempt,
            run=run.id,
            outcome=run.status.value,
            ended=run.updated,
            records=run.records,
            error=error,
            diagnosis=diagnosis,
        )
    history = owner.memory.history
    attempts = tuple(ended if one == attempt else one for one in history.attempts)
    memory = replace(owner.memory, history=replace(history, attempts=attempts))
    save(work, owner, memory, owner.case.state if owner.case else None)


def _attempt_of(owner: FlowWork, twin: Summary) -> Attempt | None:
    for attempt in owner.memory.history.attempts:
        if (
            attempt.means is Means.TWIN
            and twin_name(owner.summary.arn, attempt.failed_run, attempt.number) == twin.name
        ):
            return attempt
    return None


def _remove(work: AppFlowRun, twin: Summary) -> None:
    if not work.dry_run and work.appflow.delete_twin(twin.name):
        work.twins_removed += 1
