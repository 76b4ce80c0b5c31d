"""The verbs of the replication path. Each task is one step for all replications that need something.

A step keeps what goes wrong with one replication beside it, and the others go on; a task fails only when DMS or the
ledger cannot be asked at all. Nothing is cached or kept by Prefect.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import runtime, task
from prefect.artifacts import create_table_artifact

from blocks.connection import Connection
from blocks.estate import connect
from recovery.pacing import Pace
from recovery.replication_tasks import act, find, look, records, run
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.work import Batch, Work
from recovery.report import RecoveryReport
from tasks.metrics import metrics_of
from tasks.policies import ONCE, REPEATABLE
from tasks.reports import log_groups, name_run, publish

KEY = "replication-tasks"
TITLE = "Replication tasks"


def work_of(connection: Connection, request: ReplicationRequest, pace: Pace | None = None) -> Work:
    """A run's tools, on a connection."""
    return Work(
        dms=ReplicationGateway(connection.client("dms"), pace, connection.client("dms", repeat=False)),
        ledger=connection.ledger,
        archive=connection.archive,
        alerts=connection.alerts,
        now=connection.clock.now,
        requests=connection.requests.by_service,
        request=request,
        owner=connection.owner,
        metrics=metrics_of(connection),
    )


@contextmanager
def at_work(request: ReplicationRequest) -> Iterator[Work]:
    """Open a run's tools.

    Raises:
        BadInput: nothing says where to work.
    """
    work = work_of(connect(request.estate), request)
    try:
        yield work
    finally:
        work.close()


def subject(request: ReplicationRequest) -> str:
    """Return a run's subject for its name."""
    named = list(request.tasks[:3]) + (["..."] if len(request.tasks) > 3 else [])
    return ", ".join(name.rsplit(":", 1)[-1] if name.startswith("arn:") else name for name in named) or "nothing named"


def run_name() -> str:
    """The name of a run that has just begun."""
    request = ReplicationRequest.model_validate(runtime.flow_run.parameters["request"])
    return f"recover {subject(request)}"[:250]


def passes(work: Work) -> int:
    """Return the most passes of a run."""
    return run.passes(work)


@task(name="find replications", **REPEATABLE)
def find_replications(work: Work) -> Batch:
    """Find the replications that failed or are being watched, with the ledger's cases of them."""
    return find.find(work)


@task(name="read statistics", task_run_name="read the statistics of {batch.count}", **REPEATABLE)
def read_statistics(work: Work, batch: Batch) -> None:
    """Table statistics, and the state of the replication instances."""
    look.look_closer(work, batch)


@task(name="decide", task_run_name="decide on {batch.count}", **ONCE)
def decide(work: Work, batch: Batch) -> None:
    """Judge earlier restarts, and decide on each."""
    look.decide_all(work, batch)


@task(name="restart", task_run_name="restart what may be of {batch.count}", **ONCE)
def restart(work: Work, batch: Batch) -> None:
    """Read again, claim, and ask DMS."""
    act.restart_all(work, batch)


@task(name="tell people", **ONCE)
def tell_people(work: Work, batch: Batch) -> None:
    """One alert for each incident that needs a person, and one when it recovered."""
    records.tell(work, batch)


@task(name="record", task_run_name="record {batch.count}", **ONCE)
def record(work: Work, batch: Batch) -> None:
    """Write the cases into the ledger."""
    records.keep(work, batch)


def count(work: Work, batch: Batch) -> None:
    """Count what was found and done; no request is made."""
    records.note(work, batch)


@task(name="publish report", **ONCE)
def publish_report(work: Work) -> RecoveryReport:
    """Store the full list, and show people what was found and done."""
    report = run.finish(work, str(runtime.flow_run.name or "ad hoc run"))
    log_groups(report)
    publish(report, KEY, TITLE)
    if work.rows:
        create_table_artifact(
            key=f"{KEY}-one-by-one", table=work.rows, description="Each replication: what it was, what was decided, why"
        )
    name_run(subject(work.request), report)
    return report
