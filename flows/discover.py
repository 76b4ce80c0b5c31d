"""Every dead-letter queue of the account: its sources, the place of its evidence, and faults of its set-up.

from flows.discover import discover_queues
discover_queues(DiscoverRequest(queues=["orders-*"]))
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from recovery.discover.models import DiscoverRequest, Survey
from recovery.errors import RepriseError
from tasks import discover as do


@flow(name="discover", flow_run_name="discover", persist_result=False)
def discover_queues(
    request: DiscoverRequest = DiscoverRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> Survey | State[Survey]:
    """List dead-letter queues with their sources, consumers, logs, alarms and faults, and a request to paste.

    Args:
        request: the queues to look at. Nothing in AWS is changed.

    Returns:
        The survey; a failed state with one clear line when the queues could not be listed.
    """
    try:
        found = do.look_at_queues(do.office_of(request.estate), request)
        do.show(found)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return found
