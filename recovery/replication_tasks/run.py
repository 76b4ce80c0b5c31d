"""The end of a run: its full list and its report. And all steps in their order, for whoever needs no Prefect."""

from __future__ import annotations

from datetime import datetime

from recovery.errors import Refused, Transient
from recovery.replication_tasks.act import restart_all
from recovery.replication_tasks.find import find
from recovery.replication_tasks.look import decide_all, look_closer
from recovery.replication_tasks.models import PATH
from recovery.replication_tasks.policy import Trigger
from recovery.replication_tasks.records import keep, note, tell
from recovery.replication_tasks.work import Work
from recovery.report import LISTED, RecoveryReport

PASSES = 5
"""A run that an event started looks again until nothing new is found; so often at most."""


def recover(work: Work, run: str) -> RecoveryReport:
    """One run from the first call to the report, as the flow does it with a task for each step.

    Raises:
        Transient, Refused: DMS or the ledger could not be asked at all.
    """
    for _ in range(passes(work)):
        batch = find(work)
        if not batch.items:
            break
        look_closer(work, batch)
        decide_all(work, batch)
        restart_all(work, batch)
        tell(work, batch)
        keep(work, batch)
        note(work, batch)
    return finish(work, run)


def passes(work: Work) -> int:
    """How often a run looks: what fails while an event's run is at work rings no second run."""
    return PASSES if work.request.trigger is Trigger.EVENT else 1


def finish(work: Work, run: str) -> RecoveryReport:
    """The report of the run; the full list is stored first, and a list that cannot be stored is only a warning."""
    told = work.tally.found or work.problems or work.warnings
    if work.outside:
        names = ", ".join(sorted(work.outside.values())[:LISTED])
        line = f"{len(work.outside)} failed replications are outside the request, and not touched: {names}"
        # Every sweep finds them: by themselves they are worth no page every ten minutes.
        (work.warnings if told or work.request.trigger is Trigger.BY_HAND else work.facts).append(line)
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
