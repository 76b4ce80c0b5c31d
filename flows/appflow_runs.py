"""AppFlow runs that failed run again, and never twice.

from flows.appflow_runs import recover_appflow_runs
recover_appflow_runs(AppFlowRequest(flows=["orders-*"], dry_run=False))
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from recovery.appflow_runs.policy import AppFlowRequest
from recovery.appflow_runs.work import AppFlowRun, FlowBatch
from recovery.paths import APPFLOW_RUNS
from recovery.report import RecoveryReport
from tasks import appflow_runs as do
from tasks.frame import recover, run_name


@flow(name="appflow-runs", flow_run_name=run_name(AppFlowRequest), persist_result=False)
def recover_appflow_runs(
    request: AppFlowRequest = AppFlowRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
    event: dict[str, Any] | None = None,  # noqa: ARG001 - for the person who looks at the run
) -> RecoveryReport | State[RecoveryReport]:
    """Find AppFlow flows whose run failed, and run them again, wait for their schedule, or notify a person.

    Args:
        request: which flows, under which policy. Nothing named, nothing touched; dry by default.
        event: the event that started the run, if one did. It only informs; AppFlow itself is asked.

    Returns:
        The report of the run; a failed state that carries it when something did not go through.
    """
    return recover(APPFLOW_RUNS, do.open_run, request, look_again)


def look_again(work: AppFlowRun) -> None:
    """Look until nothing new is found, or often enough."""
    for _ in range(work.passes):
        if not look_after(work):
            break


def look_after(work: AppFlowRun) -> bool:
    """Look once at all flows in scope; return True when anything new was found."""
    items, twins = do.find_flows(work)
    if not items and not twins:
        return False
    everything = FlowBatch(items)
    do.recall(work, everything)
    if twins:
        do.tidy_twins(work, everything, twins)
    for batch in everything.portions():
        take_care(work, batch)
    return bool(everything.news)


def take_care(work: AppFlowRun, batch: FlowBatch) -> None:
    """Read, decide, act, notify, remember."""
    do.look_and_decide(work, batch)
    if not work.dry_run:
        if batch.due:
            do.act_on(work, batch)
        if batch.news:
            do.notify_people(work, batch)
            do.record(work, batch)
    do.count(work, batch)
