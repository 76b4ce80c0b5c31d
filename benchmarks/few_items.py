"""Requests that a failure costs where items are few: DMS replication tasks and AppFlow flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.table import Table

from benchmarks.traffic import environment
from demo import appflow_scene as appflow
from demo import dms_scene as dms
from simulated_aws.server import SimulatedAws

COUNT = 40
SWEEP_SECONDS = 600
MOST_SWEEPS = 20
TAG = "tag:reprise=recover"


class Bare:
    """As much of a demo's world as making an actor needs."""

    def __init__(self, aws: SimulatedAws) -> None:
        self.aws = aws


def fail_flows(aws: SimulatedAws) -> None:
    """AppFlow flows whose run fails once, because their source is down."""
    world: Any = Bare(aws)
    for n in range(COUNT):
        actor = appflow.Actor(f"orders-{n}", (appflow.DOWN,), "", ())
        aws.control("POST", "appflow/script", {"flow": actor.name, "outcomes": [dict(appflow.DOWN)]})
        appflow.make(world, actor)
        aws.client("appflow").start_flow(flowName=actor.name)
    aws.clock.advance(60)


def fail_replications(aws: SimulatedAws) -> None:
    """DMS tasks that replicate changes and lose their connection once."""
    client = aws.client("dms")
    instance = client.create_replication_instance(
        ReplicationInstanceIdentifier="bench", ReplicationInstanceClass="dms.t3.medium"
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    ends = {
        f"{kind.capitalize()}EndpointArn": client.create_endpoint(
            EndpointIdentifier=f"bench-{kind}", EndpointType=kind, EngineName="aurora-postgresql"
        )["Endpoint"]["EndpointArn"]
        for kind in ("source", "target")
    }
    arns = []
    for n in range(COUNT):
        task = client.create_replication_task(
            ReplicationTaskIdentifier=f"orders-{n}",
            MigrationType="cdc",
            ReplicationInstanceArn=instance,
            TableMappings=dms.TABLES,
            Tags=[{"Key": "reprise", "Value": "recover"}],
            **ends,
        )
        arns.append(task["ReplicationTask"]["ReplicationTaskArn"])
        future = {**dms.QUICK, "faults": [{"text": dms.RECOVERABLE, "stage": "cdc", "after_seconds": 2}]}
        aws.control("POST", "dms/script", {"replication": f"orders-{n}", "future": future})
    aws.clock.advance(60)
    for arn in arns:
        client.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=dms.FIRST)
    aws.clock.advance(60)


def run() -> Table:
    """Sweeps until all have recovered, then one that finds nothing."""
    from prefect.testing.utilities import prefect_test_harness

    from flows.appflow_runs import recover_appflow_runs
    from flows.replication_tasks import recover_replication_tasks
    from recovery.appflow_runs.policy import AppFlowRequest
    from recovery.replication_tasks.policy import ReplicationRequest
    from recovery.scope import StartedBy

    table = Table(
        title=f"{COUNT} items that fail once and recover, swept every {SWEEP_SECONDS // 60} minutes",
        caption="requests for each item, of all sweeps until the last one counts as recovered",
        title_justify="left",
    )
    table.add_column("path")
    for column in (
        "sweeps",
        "requests for each item",
        "of these",
        "requests of a sweep that finds nothing, for each item",
    ):
        table.add_column(column, justify="right")
    paths: list[tuple[str, Callable[[SimulatedAws], None], Callable[[], Any]]] = [
        (
            "AppFlow flows",
            fail_flows,
            lambda: recover_appflow_runs(AppFlowRequest(flows=(TAG,), dry_run=False, started_by=StartedBy.SWEEP)),
        ),
        (
            "DMS replication tasks",
            fail_replications,
            lambda: recover_replication_tasks(ReplicationRequest.model_validate({"tasks": [TAG], "dry_run": False})),
        ),
    ]
    with SimulatedAws.start() as aws, prefect_test_harness(server_startup_timeout=120):
        for name, fail, sweep in paths:
            aws.reset()
            aws.create_estate()
            fail(aws)
            with environment(aws):
                aws.clear_requests()
                sweeps, recovered = 0, 0
                while recovered < COUNT and sweeps < MOST_SWEEPS:
                    recovered += sweep().recovered
                    sweeps += 1
                    aws.clock.advance(SWEEP_SECONDS)
                assert recovered == COUNT, f"{name}: {recovered} of {COUNT} recovered in {sweeps} sweeps"
                spent = aws.request_counts()
                aws.clear_requests()
                sweep()
                idle = sum(aws.request_counts().values())
            parts = ", ".join(f"{operation} {count / COUNT:.1f}" for operation, count in sorted(spent.items()))
            table.add_row(name, str(sweeps), f"{sum(spent.values()) / COUNT:.1f}", parts, f"{idle / COUNT:.2f}")
    return table
