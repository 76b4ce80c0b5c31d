"""Beginning and end of a run: which queues there are, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from recovery.dead_letters.gateway import queue_problem
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.dead_letters.work import PATH, Work
from recovery.errors import Refused, RepriseError, Transient
from recovery.report import RecoveryReport


def find_queues(work: Work, request: DeadLetterRequest) -> Sequence[Queue]:
    """The queues that the request names. One that cannot be had is a problem in the report; the others go on.

    Raises:
        Transient: no queue could be had, and for one at least it may be otherwise soon. Asking again is safe.
    """
    urls, failed = work.sqs.find(request.queues)
    queues = []
    for url in urls:
        try:
            queues.append(work.sqs.describe(url))
        except RepriseError as error:
            failed[url.rstrip("/").rsplit("/", 1)[-1]] = error
    for said in failed.values():
        if isinstance(said, Transient) and not queues:
            raise said
    work.problems += [queue_problem(name, error) for name, error in failed.items()]
    work.visible = {queue.name: queue.visible for queue in queues}
    for queue in queues:
        if work.dry_run and queue.has_redrive:
            work.warnings.append(
                f"queue {queue.name}: has a dead-letter queue of its own, so even this look counts as a receive there"
            )
    # Not always the same one first: with more messages than a run takes up, the last would never have its turn.
    first = int(work.jitter() * len(queues))
    return queues[first:] + queues[:first]


def store_list(work: Work, run: str) -> str:
    """Put the full list of the run into the archive; returns its address, or "" when there is nothing to list.

    Raises:
        Transient, Refused: it is not stored.
    """
    lines = work.full_list()
    if lines is None or work.dry_run:
        return ""
    return work.archive.put_report(report_key(run, work.started), lines)


def report_key(run: str, started: datetime) -> str:
    """The key of a run's full list."""
    plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in run)[:100]
    return f"reports/path={PATH}/date={started:%Y-%m-%d}/{started:%H%M%S}-{plain}.ndjson.gz"


def finish(work: Work, run: str) -> RecoveryReport:
    """The report of the run; the full list is stored first, and a list that cannot be stored is only a warning."""
    address = ""
    try:
        address = store_list(work, run)
    except (Transient, Refused) as error:
        work.warnings.append(f"the full list of this run could not be stored: {error}")
    return work.report(run, address)
