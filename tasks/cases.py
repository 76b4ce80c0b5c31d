"""The verbs of the cases: read what is known, show it, and end what waits."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from blocks.connection import Connection
from blocks.estate import connect
from recovery.closing import close as closing
from recovery.closing.close import Closed
from recovery.closing.notes import Notes
from recovery.closing.pages import closed_page
from recovery.closing.requests import CloseRequest, NoteRequest, ReopenRequest
from recovery.histories.pages import MOST_ROWS, headline, list_page, list_rows, story_page
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.histories.search import Histories
from recovery.outbox_records.story import Rows
from recovery.paths import Path
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.story import Story
from tasks.links import find_links
from tasks.policies import ONCE, REPEATABLE
from tasks.steps import step


def histories_of(connection: Connection) -> Histories:
    """Return the sources of histories, on a connection."""

    def arns(name: str) -> Sequence[str]:
        dms = ReplicationGateway(connection.client("dms"))
        return [facts.arn for found in (dms.tasks(), dms.replications()) for facts in found if facts.name == name]

    return Histories(
        ledger=connection.ledger,
        archive=connection.archive,
        rows=lambda table: Rows(connection.client("dynamodb"), table),
        arns=arns,
        now=connection.clock.now,
    )


def look_into(estate: str | None) -> Histories:
    """Open what histories are read from.

    Raises:
        BadInput: nothing says where to work.
    """
    return histories_of(connect(estate))


def describe_name() -> str:
    """The name of a run that shows a history."""
    request = CaseRequest.model_validate(runtime.flow_run.parameters["request"])
    return f"describe {request.key or 'nothing'}"[:250]


def _read_history(histories: Histories, request: CaseRequest) -> list[Story]:
    """Everything that the key fits.

    Raises:
        BadInput: nothing is known under that key, or the request cannot be carried out.
        Transient, Refused: the ledger could not be read.
    """
    return histories.describe(request)


read_history = step(_read_history, "read the history", "read the history", REPEATABLE)


def _list_waiting(histories: Histories, request: ListRequest) -> list[Story]:
    """The cases that wait for a person.

    Raises:
        BadInput: a table that is no outbox.
        Transient, Refused: the ledger could not be read.
    """
    return histories.waiting(request)


list_waiting = step(_list_waiting, "list waiting cases", "listed the waiting cases", REPEATABLE)


def close_name() -> str:
    """The name of a run that ends cases."""
    request = CloseRequest.model_validate(runtime.flow_run.parameters["request"])
    return f"{request.how.value} cases"


def _close(histories: Histories, request: CloseRequest) -> Closed:
    """End the cases; running it again ends those that are left."""
    return closing.close_cases(histories, request)


close = step(_close, "close cases", "closed the cases", ONCE)


def _reopen(histories: Histories, request: ReopenRequest) -> Closed:
    """Let the cases wait again; running it again reopens those that are left."""
    return closing.reopen_cases(histories, request)


reopen = step(_reopen, "reopen cases", "reopened the cases", ONCE)


def _note(histories: Histories, request: NoteRequest) -> Notes:
    """Write a comment on a group, and set its owner."""
    return closing.note_group(histories, request)


note = step(_note, "note on a group", "wrote the note", ONCE)


def _show_closed(histories: Histories, closed: Closed) -> None:
    """One page: the cases that were changed, and those that were left alone."""
    create_markdown_artifact(
        key="closed-cases", markdown=closed_page(closed, histories.warnings), description=closed.headline
    )


show_closed = step(_show_closed, "show the outcome", "showed the outcome", ONCE)


def _show_history(histories: Histories, stories: Sequence[Story], request: CaseRequest) -> None:
    """One page."""
    create_markdown_artifact(
        key="case",
        markdown=story_page(stories, histories.warnings, find_links(request)),
        description="; ".join(headline(story) for story in stories)[:500],
    )


show_history = step(_show_history, "show the history", "showed the history", ONCE)


def _show_list(histories: Histories, stories: Sequence[Story], request: ListRequest) -> None:
    """One page by group, with the notes of people, and one table: a page of it at a time."""
    now = histories.now()
    groups = {story.group for story in stories}
    notes = [note for path in Path for note in histories.notes(path).values() if note.group in groups]
    standings = " or ".join(standing.value for standing in request.standings)
    title = "Cases that wait for a person" if standings == "waiting" else f"Cases that are {standings}"
    create_markdown_artifact(
        key="waiting-cases",
        markdown=list_page(stories, histories.warnings, now, notes, title),
        description=f"{len(stories)} cases: {standings}",
    )
    if rows := list_rows(stories, now, request.page):
        pages = -(-len(stories) // MOST_ROWS)
        create_table_artifact(
            key="waiting-cases-one-by-one", table=rows, description=f"{title}, page {request.page} of {pages}"
        )


show_list = step(_show_list, "show the list", "showed the list", ONCE)
