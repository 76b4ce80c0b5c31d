"""The verbs of the survey of dead-letter queues. Nothing in AWS is changed."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from blocks.connection import Connection
from blocks.estate import connect
from recovery.consumers import Consumers
from recovery.discover.gateway import Surveyor
from recovery.discover.models import DiscoverRequest, Survey
from recovery.discover.pages import headline, markdown, table
from recovery.discover.survey import Office, survey
from tasks.policies import ONCE
from tasks.reports import rename_run
from tasks.steps import step


def office_of(estate: str | None) -> Office:
    """Return the tools of a survey.

    Raises:
        BadInput: nothing says where to work.
    """
    return office_on(connect(estate))


def office_on(connection: Connection) -> Office:
    """Return the tools of a survey, on a connection."""
    cloudwatch = connection.client("cloudwatch")
    surveyor = Surveyor(connection.client("sqs"), cloudwatch, connection.client("logs"))
    prefix = connection.ledger_table.removesuffix("-ledger")  # the template names all of an estate by one prefix
    own = (f"{prefix}-events", f"{prefix}-events-parked")
    return Office(surveyor, Consumers(connection.client("lambda"), cloudwatch), connection.clock.now, own)


def _look_at_queues(office: Office, request: DiscoverRequest) -> Survey:
    """Read queues, consumers, log groups and alarms.

    Raises:
        Refused, Transient: the queues could not be listed.
    """
    return survey(office, request.queues)


look_at_queues = step(_look_at_queues, "inspect queues", "inspected the queues")


def _show(found: Survey) -> None:
    """Make the page and the table, and put the result into the run's name."""
    create_markdown_artifact(key="discover", markdown=markdown(found), description=headline(found))
    if found.rows:
        create_table_artifact(key="discover-queues", table=table(found), description=headline(found))
    rename_run(f"discover: {headline(found)}")


show = step(_show, "show the survey", "showed the survey", ONCE)
