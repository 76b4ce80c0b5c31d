"""DMS tasks restart the right way, or a person is notified why not.

from flows.replication_tasks import recover_replication_tasks
recover_replication_tasks(ReplicationRequest(tasks=["orders-*"], dry_run=False))
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from recovery.paths import REPLICATION_TASKS
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.work import ReplicationRun
from recovery.report import RecoveryReport
from tasks import replication_tasks as do
from tasks.frame import recover, run_name


@flow(name="replication-tasks", flow_run_name=run_name(ReplicationRequest), persist_result=False)
def recover_replication_tasks(
    request: ReplicationRequest = ReplicationRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
    event: dict[str, Any] | None = None,  # noqa: ARG001 - for the person who looks at the run
) -> RecoveryReport | State[RecoveryReport]:
    """Find DMS tasks and serverless replications that failed, and restart them, reload them, or notify a person.

    Args:
        request: which replications, under which policy. Nothing named, nothing touched; dry by default.
        event: the event that started the run, if one did. It only informs; DMS itself is asked.

    Returns:
        The report of the run; a failed state that carries it when something did not go through.
    """
    return recover(REPLICATION_TASKS, do.open_run, request, look_again)


def look_again(run: ReplicationRun) -> None:
    """Look until nothing new is found, or often enough."""
    for _ in range(run.passes):
        if not look_after(run):
            break


def look_after(run: ReplicationRun) -> bool:
    """Look once at all replications; return True when anything new was found."""
    batch = do.find_replications(run)
    if not batch.items:
        return False
    do.read_statistics(run, batch)
    do.decide(run, batch)
    if not run.dry_run:
        do.restart(run, batch)
        do.notify_people(run, batch)
        do.record(run, batch)
    do.count(run, batch)
    return True
