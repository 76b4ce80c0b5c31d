"""Health of a server on which everything is registered: slots that nobody gives back, runs without a process, an
estate that does not answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import StateType

from blocks.connection import Connection
from deployments.apply.registered import Snapshot
from recovery.aws import calling
from recovery.errors import RepriseError
from recovery.operations import TidyRequest
from tasks.operations import silent_runs

_HOLDING = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def occupied_slots(client: SyncPrefectClient, deployments: Snapshot) -> list[str]:
    """Deployments whose slot is taken although none of their runs is alive, with what to do about each."""
    found = []
    for name, current in deployments.items():
        if current.global_concurrency_limit is None:
            continue
        # The limit that came with the deployment may be a moment old, so the slot is read before the runs.
        limit = client.read_global_concurrency_limit_by_name(current.global_concurrency_limit.name)
        if not limit.active_slots:
            continue
        alive = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": _HOLDING}}}),
            deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [current.id]}}),
            limit=1,
        )
        if not alive:
            found.append(
                f"deployment {name}: its slot is occupied and none of its runs is alive, so every "
                "further run waits or is cancelled. With leases on disk or in Redis it comes free by itself within "
                "5 minutes; if it does not, free it: "
                f"prefect global-concurrency-limit update {limit.name} --active-slots 0"
            )
    return found


def runs_without_a_process(client: SyncPrefectClient, pool: str) -> list[str]:
    """Runs of the work pool that have shown no sign of life for ten minutes."""
    silent = silent_runs(client, TidyRequest(work_pool=pool), datetime.now(UTC))
    return [f"flow run {run}: {reason} operations/tidy marks it as crashed" for run, reason in silent.items()]


def estate_answers(connection: Connection) -> list[str]:
    """Return the parts of the estate that cannot be reached with these credentials."""

    def ledger() -> None:
        with calling("dynamodb:DescribeTable"):
            connection.client("dynamodb").describe_table(TableName=connection.ledger_table)

    def archive() -> None:
        with calling("s3:ListBucket"):
            connection.client("s3").head_bucket(Bucket=connection.archive_bucket)

    def topic() -> None:
        with calling("sns:GetTopicAttributes"):
            connection.client("sns").get_topic_attributes(TopicArn=connection.alert_topic_arn)

    asked: dict[str, Callable[[], None]] = {
        f"ledger table {connection.ledger_table}": ledger,
        f"archive bucket {connection.archive_bucket}": archive,
        f"alert topic {connection.alert_topic_arn}": topic,
    }
    found = []
    for what, ask in asked.items():
        try:
            ask()
        except RepriseError as error:
            found.append(f"estate: {what}: {error}")
    return found
