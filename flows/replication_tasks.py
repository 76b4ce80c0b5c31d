"""DMS tasks restart the right way, or a person is told why not.

from flows.replication_tasks import recover_replication_tasks
recover_replication_tasks(ReplicationRequest(tasks=["orders-*"], dry_run=False))
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from recovery.errors import RepriseError
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.work import Work
from recovery.report import RecoveryReport
from tasks import replication_tasks as do
from tasks.digest import note_day
from tasks.metrics import count_refusal, publish_metrics
from tasks.reports import outcome, refused


@flow(name="replication-tasks", flow_run_name=do.run_name, persist_result=False)
def recover_replication_tasks(
    request: ReplicationRequest = ReplicationRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
    event: dict[str, Any] | None = None,  # noqa: ARG001 - for the person who looks at the run
) -> RecoveryReport | State[RecoveryReport]:
    """Find DMS tasks and serverless replications that failed, and restart them, reload them, or tell a person.

    Args:
        request: which replications, under which policy. Nothing named, nothing touched; dry by default.
        event: the event that started the run, if one did. It only informs; DMS itself is asked.

    Returns:
        The report of the run; a failed state that carries it when something did not go through.
    """
    try:
        with do.at_work(request) as work:
            for _ in range(do.passes(work)):
                if not look_after(work):
                    break
            report = do.publish_report(work)
            publish_metrics(work, report)
            note_day(work, report)
            return outcome(report)
    except RepriseError as error:
        count_refusal("replication_tasks", request, error)
        return refused(error)


def look_after(work: Work) -> bool:
    """One look at all replications; whether anything new was found."""
    batch = do.find_replications(work)
    if not batch.items:
        return False
    do.read_statistics(work, batch)
    do.decide(work, batch)
    if not work.dry_run:
        do.restart(work, batch)
        do.tell_people(work, batch)
        do.record(work, batch)
    do.count(work, batch)
    return True
