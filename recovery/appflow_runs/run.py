"""The end of a run: its full list and its report. And all steps in their order, for whoever needs no Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from recovery.appflow_runs.act import act
from recovery.appflow_runs.look import batches, find_flows, look, recall
from recovery.appflow_runs.models import PATH
from recovery.appflow_runs.policy import Cause
from recovery.appflow_runs.records import keep, note, tell
from recovery.appflow_runs.twins import tidy_twins
from recovery.appflow_runs.work import Item, Work
from recovery.errors import Refused, Transient
from recovery.report import LISTED, RecoveryReport

MOST_PASSES = 3


def recover(work: Work, run: str) -> RecoveryReport:
    """One run from the first call to the report, as the flow does it with a task for each step.

    Raises:
        Transient, Refused: AppFlow or the ledger could not be asked at all.
    """
    for _ in range(passes(work)):
        items, twins = find_flows(work)
        recall(work, items)
        tidy_twins(work, items, twins)
        for batch in batches(items):
            look(work, batch)
            act(work, batch)
            tell(work, batch)
            keep(work, batch)
            note(work, batch)
        if not anything_new(items):
            break
    return finish(work, run)


def passes(work: Work) -> int:
    """How often a run looks at most: what fails while an event's run is at work starts no run of its own."""
    return MOST_PASSES if work.request.trigger is Cause.EVENT and not work.dry_run else 1


def anything_new(items: Sequence[Item]) -> bool:
    """Whether this look found anything, so that another one is worth its calls."""
    return any(not item.quiet for item in items)


def finish(work: Work, run: str) -> RecoveryReport:
    """The report of the run; the full list is stored first, and a list that cannot be stored is only a warning."""
    told = work.tally.found or work.problems or work.warnings
    if work.outside and (told or work.request.trigger is Cause.BY_HAND):
        names = ", ".join(work.outside[:LISTED])
        work.warnings.append(f"{len(work.outside)} failed flows are outside the request and were not touched: {names}")
    address = ""
    lines = work.full_list()
    if lines is not None and not work.dry_run:
        try:
            address = work.archive.put_report(report_key(run, work.started), lines)
        except (Transient, Refused) as error:
            work.warnings.append(f"the full list of this run could not be stored: {error}")
    return work.report(run, address)


def report_key(run: str, started: datetime) -> str:
    """The key of a run's full list."""
    plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in run)[:100]
    return f"reports/path={PATH}/date={started:%Y-%m-%d}/{started:%H%M%S}-{plain}.ndjson.gz"
