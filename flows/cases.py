"""One place that answers "what happened to X", and "what waits for a person".

from flows.cases import describe_case, list_cases
describe_case(CaseRequest(key="3f0c9a52-3b1f-4a44-8f6e-0b1f0e9f2a77"))
list_cases(ListRequest(paths=["dead_letters"], older_than_seconds=86_400))
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from recovery.closing.close import Closed
from recovery.closing.notes import Notes
from recovery.closing.requests import CloseRequest, NoteRequest, ReopenRequest
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
        do.show_history(histories, stories, request)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return stories


@flow(name="cases", flow_run_name="list waiting cases", persist_result=False)
def list_cases(
    request: ListRequest = ListRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> list[Story] | State[list[Story]]:
    """List the cases that wait for a person (or were ended by one), by any of their facts. Only reads.

    Args:
        request: which of them.

    Returns:
        Their stories, as short as the ledger's index has them; a failed state when the ledger cannot be read.
    """
    try:
        histories = do.look_into(request.estate)
        stories = do.list_waiting(histories, request)
        do.show_list(histories, stories, request)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return stories


@flow(name="cases", flow_run_name=do.close_name, persist_result=False)
def close_cases(
    request: CloseRequest = CloseRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> Closed | State[Closed]:
    """End cases that wait for a person, on every path: dismiss, resolve, or snooze until a time.

    Args:
        request: which of them, how, by whom and on what grounds. Nothing named, nothing touched; dry by default.

    Returns:
        The outcome; a failed state with a clear line when it could not be carried out.
    """
    try:
        histories = do.look_into(request.estate)
        closed = do.close(histories, request)
        do.show_closed(histories, closed)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return Failed(message=closed.failed, data=closed) if closed.failed else closed


@flow(name="cases", flow_run_name="reopen cases", persist_result=False)
def reopen_cases(
    request: ReopenRequest = ReopenRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> Closed | State[Closed]:
    """Let dismissed, resolved or snoozed cases wait for a person again, exactly as they were.

    Args:
        request: which of them, by whom and on what grounds. Nothing named, nothing touched; dry by default.

    Returns:
        The outcome; a failed state with a clear line when it could not be carried out.
    """
    try:
        histories = do.look_into(request.estate)
        reopened = do.reopen(histories, request)
        do.show_closed(histories, reopened)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return Failed(message=reopened.failed, data=reopened) if reopened.failed else reopened


@flow(name="cases", flow_run_name="note on a group", persist_result=False)
def note_group(
    request: NoteRequest = NoteRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> Notes | State[Notes]:
    """Write a comment on a group of alike failures, or name its owner; `cases/list` shows both.

    Args:
        request: the group, the author and the comment.

    Returns:
        All notes on the group; a failed state with a clear line when it could not be written.
    """
    try:
        return do.note(do.look_into(request.estate), request)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
