"""Temporary twins that earlier runs made: their records are copied to the ledger, then they are removed.

This comes first in every run and does not depend on what is decided about their flows, so that no twin outlives the
attempt that made it, whatever stopped the run that should have removed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recovery.appflow_runs.causes import diagnose_run
from recovery.appflow_runs.gateway import LEDGER_TAG, TWIN_TAG, Summary, from_tag, plain
from recovery.appflow_runs.look import rules_of
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH, Attempt, Means, Run, RunStatus
from recovery.appflow_runs.records import save
from recovery.appflow_runs.rules import APPEARS_WITHIN
from recovery.appflow_runs.verdicts import twin_name
from recovery.appflow_runs.work import Item, Work
from recovery.errors import Conflict, RepriseError

ABANDONED = "abandoned"
"""Outcome of an attempt whose twin never ran."""


def tidy_twins(work: Work, items: Sequence[Item], twins: Sequence[Summary]) -> None:
    """Settle the twins that stand in the account. One that cannot be settled is a problem; the others go on.

    Raises:
        Transient, Refused: the ledger cannot be read.
    """
    owners = {item.name: item for item in items}
    others = [name for twin in twins if (name := from_tag(twin.tags.get(TWIN_TAG, ""))) and name not in owners]
    cases = work.ledger.read_cases(PATH, others)
    for twin in twins:
        name = from_tag(twin.tags.get(TWIN_TAG, ""))
        owner, case = owners.get(name), cases.get(name)
        if owner is None and case is not None:
            # The flow is outside this request, or was removed; its twin is ours all the same.
            arn = f"{twin.arn.rpartition('/')[0]}/{case.key}"
            owner = Item(replace(twin, name=case.key, arn=arn), work.request.policy_for(case.key))
            owner.case = case
            owner.memory = Memory.from_json(case.detail)
        try:
            _settle(work, owner, twin)
        except RepriseError as error:
            work.fail(f"temporary twin {twin.name}: {error}")


def _settle(work: Work, owner: Item | None, twin: Summary) -> None:
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
        owner.twin_runs = runs
        if any(run.is_under_way for run in runs):
            return
        if not runs and work.now() - attempt.claimed < APPEARS_WITHIN:
            return  # not started yet, or not in the records yet
        if work.dry_run:
            return
        if not _copy(work, owner, attempt, runs[0] if runs else None):
            return
    _remove(work, twin)


def _copy(work: Work, owner: Item, attempt: Attempt, run: Run | None) -> bool:
    """Put what became of the twin's run into the ledger; False when another worker is doing it."""
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
    try:
        save(work, owner, memory, owner.case.state if owner.case else None)
    except Conflict:
        return False
    return True


def _attempt_of(owner: Item, twin: Summary) -> Attempt | None:
    for attempt in owner.memory.history.attempts:
        if (
            attempt.means is Means.TWIN
            and twin_name(owner.summary.arn, attempt.failed_run, attempt.number) == twin.name
        ):
            return attempt
    return None


def _remove(work: Work, twin: Summary) -> None:
    if not work.dry_run and work.appflow.delete_twin(twin.name):
        work.twins_removed += 1
