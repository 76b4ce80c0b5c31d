"""Reprise's care for itself: people are notified of trouble in Prefect, and runs without a process are ended.

from flows.operations import tidy
tidy(TidyRequest(dry_run=False))
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from recovery.errors import RepriseError
from recovery.operations import Notice, TidyRequest
from tasks import operations as do


@flow(name="operations", flow_run_name=do.notice_name, persist_result=False)
def notify(
    request: Notice = Notice(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> str | State[str]:
    """Notify people through the estate's alert topic, of each thing once a window. Automations start it.

    Args:
        request: the notice. Dry by default.

    Returns:
        The action taken; a failed state when the topic did not take it.
    """
    try:
        return do.announce(request)
    except RepriseError as error:
        return Failed(message=str(error), data=error)


@flow(name="operations", flow_run_name="tidy", persist_result=False)
def tidy(
    request: TidyRequest = TidyRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> list[str]:
    """Mark runs as crashed that show no sign of life: their worker or machine is gone, and nobody else would.

    Args:
        request: the work pool, and the longest silence of a run. Dry by default.

    Returns:
        The ids of the runs that were marked.
    """
    silent = do.find_silent_runs(request)
    if request.dry_run or not silent:
        return []
    return do.mark_as_crashed(silent)
