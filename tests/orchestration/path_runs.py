"""Reports, pages and alerts of a path's runs, as Prefect and SNS keep them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact, State

from recovery.errors import Incomplete
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws


def report_of(state: State[Any]) -> RecoveryReport:
    """The report that a failed run carries."""
    error = state.result(raise_on_failure=False)
    assert isinstance(error, Incomplete)
    assert isinstance(error.report, RecoveryReport)
    return error.report


def artifacts(key: str) -> list[str]:
    """All artifacts of this key, the oldest first."""

    async def read() -> list[Artifact]:
        async with get_client() as client:
            return await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))

    return [str(page.data) for page in sorted(asyncio.run(read()), key=lambda page: str(page.created))]


def subscribe_people(aws: SimulatedAws) -> None:
    """A queue of people at the alert topic."""
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=aws.environment["REPRISE_ALERT_TOPIC_ARN"], Protocol="sqs", Endpoint=arn)


def alerts(aws: SimulatedAws) -> list[str]:
    """Subjects of the alerts that the people have."""
    return [json.loads(message["body"])["Subject"] for message in aws.messages("people")]
