"""The verbs of the AppFlow path. Each task is one step for up to a hundred flows.

A step keeps what goes wrong with one flow beside it, and the others go on; a task fails only when AppFlow or the ledger
cannot be asked at all. Nothing is cached or kept by Prefect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect import runtime, task

from blocks.connection import Connection
from blocks.estate import connect
from recovery.appflow_runs import act, look, records, run, twins
from recovery.appflow_runs.answers import Summary
from recovery.appflow_runs.gateway import AppFlowGateway
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.appflow_runs.work import Batch, Item, Work
from recovery.pacing import Pace
from recovery.report import RecoveryReport
from tasks.metrics import metrics_of
from tasks.policies import ONCE, REPEATABLE
from tasks.reports import log_groups, name_run, publish

KEY = "appflow-runs"
TITLE = "AppFlow runs"


def work_of(connection: Connection, request: AppFlowRequest, pace: Pace | None = None) -> Work:
    """A run's tools, on a connection."""
    return Work(
        appflow=AppFlowGateway(connection.client("appflow"), pace),
        ledger=connection.ledger,
        archive=connection.archive,
        alerts=connection.alerts,
        now=connection.clock.now,
        requests=connection.requests.by_service,
        request=request,
        metrics=metrics_of(connection),
    )


@contextmanager
def at_work(request: AppFlowRequest) -> Iterator[Work]:
    """Open a run's tools.

    Raises:
        BadInput: nothing says where to work, or a rules file is wrong.
    """
    for policy in (request.policy, *request.flow_policies.values()):
        look.rules_of(policy)  # a wrong rules file must be told before anything is read
    work = work_of(connect(request.estate), request)
    try:
        yield work
    finally:
        work.close()


def subject(request: AppFlowRequest) -> str:
    """What a run is about, for its name."""
    named = list(request.flows[:3]) + (["..."] if len(request.flows) > 3 else [])
    return ", ".join(named) or "no flow named"


def run_name() -> str:
    """The name of a run that has just begun."""
    request = AppFlowRequest.model_validate(runtime.flow_run.parameters["request"])
    return f"recover {subject(request)}"[:250]


def passes(work: Work) -> int:
    """How often a run looks at most."""
    return run.passes(work)


def anything_new(items: Sequence[Item]) -> bool:
    """Whether a look found anything."""
    return run.anything_new(items)


def in_batches(items: Sequence[Item]) -> Sequence[Batch]:
    """The flows in portions of a hundred."""
    return look.batches(items)


@task(name="find flows", **REPEATABLE)
def find_flows(work: Work) -> tuple[list[Item], list[Summary]]:
    """Which flows are meant, and which temporary twins stand there."""
    return look.find_flows(work)


@task(name="recall", task_run_name="recall {batch.count} flows", **REPEATABLE)
def recall(work: Work, batch: Batch) -> None:
    """What the ledger remembers of them."""
    look.recall(work, batch.items)


@task(name="tidy up twins", **REPEATABLE)
def tidy_twins(work: Work, batch: Batch, found: list[Summary]) -> None:
    """Copy what temporary twins did to the ledger, and remove them."""
    twins.tidy_twins(work, batch.items, found)


@task(name="look and decide", task_run_name="look at {batch.count} flows", **REPEATABLE)
def look_and_decide(work: Work, batch: Batch) -> None:
    """Read what may have changed, diagnose, decide."""
    look.look(work, batch)


@task(name="act", task_run_name="act on {batch.due} of {batch.count} flows", **ONCE)
def act_on(work: Work, batch: Batch) -> None:
    """Write attempts down, look once more, and make them."""
    act.act(work, batch)


@task(name="tell people", **ONCE)
def tell_people(work: Work, batch: Batch) -> None:
    """One alert for each incident that needs a person, one before a schedule is switched off, one on recovery."""
    records.tell(work, batch)


@task(name="record", task_run_name="record {batch.count} flows", **ONCE)
def record(work: Work, batch: Batch) -> None:
    """Write what is new into the ledger."""
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
    name_run(subject(work.request), report)
    return report
