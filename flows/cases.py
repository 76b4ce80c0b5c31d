"""One place that answers "what happened to X", and "what waits for a person".

from flows.cases import describe_case, list_cases
describe_case(CaseRequest(key="3f0c9a52-3b1f-4a44-8f6e-0b1f0e9f2a77"))
list_cases(ListRequest(paths=["dead_letters"], older_than_hours=24))
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from recovery.errors import RepriseError
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.story import Story
from tasks import cases as do


@flow(name="cases", flow_run_name=do.describe_name, persist_result=False)
def describe_case(
    request: CaseRequest = CaseRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> list[Story] | State[list[Story]]:
    """Show the whole history of a message, an outbox row, a DMS task or an AppFlow flow. Only reads.

    Args:
        request: what, and where to look.

    Returns:
        One story for each path on which the key is known; a failed state with a clear line when there is none.
    """
    try:
        histories = do.look_into(request.estate)
        stories = do.read_history(histories, request)
        do.show_history(histories, stories)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return stories


@flow(name="cases", flow_run_name="list waiting cases", persist_result=False)
def list_cases(
    request: ListRequest = ListRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> list[Story] | State[list[Story]]:
    """List the cases that wait for a person, by path, group and age. Only reads.

    Args:
        request: which of them.

    Returns:
        Their stories, as short as the ledger's index has them; a failed state when the ledger cannot be read.
    """
    try:
        histories = do.look_into(request.estate)
        stories = do.list_waiting(histories, request)
        do.show_list(histories, stories)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return stories
