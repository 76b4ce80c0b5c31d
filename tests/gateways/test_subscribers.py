"""`reprise apply` notes that nobody hears the alerts, and that a mail waits for its confirmation."""

from __future__ import annotations

from unittest import mock

import pytest

from blocks.connection import Connection
from deployments.apply import __main__ as command
from deployments.apply import condition, saved_estate
from deployments.apply.__main__ import Outcome
from simulated_aws.server import SimulatedAws
from tests.outbox_world import connection_to


@pytest.fixture
def connection(simulated_aws: SimulatedAws) -> Connection:
    simulated_aws.reset()
    simulated_aws.create_estate()
    return connection_to(simulated_aws)


def noted(connection: Connection) -> Outcome:
    """The part of an apply that looks at the estate."""
    outcome = Outcome()
    with mock.patch.object(saved_estate, "connection", return_value=connection):
        command.look_at_estate(outcome, {})
    return outcome


def test_apply_notes_that_nobody_is_subscribed(connection: Connection, simulated_aws: SimulatedAws) -> None:
    """A note that names the topic, and none once somebody is."""
    [note] = noted(connection).notes
    assert f"nobody is subscribed to the alert topic {connection.alert_topic_arn}" in note
    sqs = simulated_aws.client("sqs")
    sqs.create_queue(QueueName="people")
    people = "arn:aws:sqs:us-east-1:000000000000:people"
    simulated_aws.client("sns").subscribe(TopicArn=connection.alert_topic_arn, Protocol="sqs", Endpoint=people)
    assert noted(connection) == Outcome()


def test_a_topic_that_may_not_be_asked_is_a_problem_and_no_note(
    connection: Connection, simulated_aws: SimulatedAws
) -> None:
    """Not known is not the same as nobody."""
    simulated_aws.fault("error", service="sns", operation="GetTopicAttributes", code="AuthorizationError", status=403)
    outcome = noted(connection)
    assert outcome.notes == []
    [problem] = outcome.problems
    assert "AuthorizationError" in problem
    assert condition.estate_answers(connection) == []
