"""The verbs of the histories: read what is known, and show it."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from blocks.connection import Connection
from blocks.estate import connect
from recovery.histories.pages import headline, list_page, list_rows, story_page
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.histories.search import Histories
from recovery.outbox_records.story import Rows
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.story import Story
from tasks.policies import ONCE, REPEATABLE


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


@task(name="read the history", **REPEATABLE)
def read_history(histories: Histories, request: CaseRequest) -> list[Story]:
    """Everything that the key fits.

    Raises:
        BadInput: nothing is known under that key, or the request cannot be carried out.
        Transient, Refused: the ledger could not be read.
    """
    return histories.describe(request)


@task(name="list waiting cases", **REPEATABLE)
def list_waiting(histories: Histories, request: ListRequest) -> list[Story]:
    """The cases that wait for a person.

    Raises:
        BadInput: a table that is no outbox.
        Transient, Refused: the ledger could not be read.
    """
    return histories.waiting(request)


@task(name="show the history", **ONCE)
def show_history(histories: Histories, stories: Sequence[Story]) -> None:
    """One page."""
    create_markdown_artifact(
        key="case",
        markdown=story_page(stories, histories.warnings),
        description="; ".join(headline(story) for story in stories)[:500],
    )


@task(name="show the list", **ONCE)
def show_list(histories: Histories, stories: Sequence[Story]) -> None:
    """One page by group, and one table."""
    now = histories.now()
    create_markdown_artifact(
        key="waiting-cases",
        markdown=list_page(stories, histories.warnings, now),
        description=f"{len(stories)} cases wait for a person",
    )
    if stories:
        create_table_artifact(
            key="waiting-cases-one-by-one", table=list_rows(stories, now), description="Cases that wait for a person"
        )
