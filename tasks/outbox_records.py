"""The verbs of the outbox path. Each task is one step for a round of up to a thousand rows.

Retries stand only where a step may be repeated; see `tasks.policies`. A step that cannot be done leaves its rows as
they are: every lease ends by itself. Nothing is cached or kept by Prefect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prefect import runtime, task
from prefect.tasks import Task

from blocks.connection import Connection
from blocks.estate import connect
from recovery.errors import RepriseError
from recovery.outbox_records import deliver, gate, lost, revive, run, settle
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.lost import Search
from recovery.outbox_records.policy import OutboxRequest
from recovery.outbox_records.rounds import Round
from recovery.outbox_records.topic import Topic, Watch
from recovery.outbox_records.work import Work
from recovery.report import RecoveryReport
from tasks.metrics import metrics_of
from tasks.policies import ONCE, REPEATABLE
from tasks.reports import log_groups, name_run, publish

KEY = "outbox-records"
TITLE = "Outbox records"


def work_of(
    connection: Connection, request: OutboxRequest, *, pause: Callable[[float], None] = time.sleep, **more: Any
) -> Work:
    """A run's tools, on a connection; `pause` waits for seconds, and `more` goes to `Work` as it is."""
    return Work(
        request=request,
        table=OutboxTable(connection.client("dynamodb"), request, pause),
        topic=Topic(connection.client("sns", repeat=False), request.topic_arn, pause),
        watch=Watch(connection.client("cloudwatch")),
        ledger=connection.ledger,
        archive=connection.archive,
        alerts=connection.alerts,
        now=connection.clock.now,
        requests=connection.requests.by_service,
        owner=connection.owner,
        pause=pause,
        metrics=metrics_of(connection),
        **more,
    )


@contextmanager
def at_work(request: OutboxRequest) -> Iterator[Work]:
    """Open a run's tools.

    Raises:
        BadInput: nothing says where to work, a table has no topic, or the topic is somewhere else.
    """
    connection = connect(request.estate)
    run.check(request, connection.client("dynamodb").meta.region_name)
    work = work_of(connection, request)
    try:
        yield work
    finally:
        work.close()


def subject(request: OutboxRequest) -> str:
    """What a run is about, for its name."""
    return request.table or "no table named"


def run_name() -> str:
    """The name of a run that has just begun."""
    request = OutboxRequest.model_validate(runtime.flow_run.parameters["request"])
    return f"{request.mode.value.replace('_', ' ')} {subject(request)}"[:250]


@contextmanager
def reporting(work: Work) -> Iterator[None]:
    """What cannot be done is a problem in the report, beside what was done before."""
    try:
        yield
    except RepriseError as error:
        work.complain(str(error))


@task(name="look at the table", **REPEATABLE)
def look_at_table(work: Work) -> None:
    """Learn its key, and whether its indexes are as the request says."""
    run.begin(work)


@task(name="may send", **REPEATABLE)
def may_send(work: Work) -> bool:
    """Whether the topic's circuit lets the next round go."""
    return gate.may_send(work)


@task(name="find due rows", **REPEATABLE)
def find_due(work: Work) -> Round:
    """The next round of due rows, decided."""
    return deliver.find_due(work)


@task(name="claim rows", task_run_name="claim {round_.to_send} rows", **REPEATABLE)
def claim_rows(work: Work, round_: Round) -> None:
    """Take the rows that are to be published."""
    deliver.claim(work, round_)


@task(name="publish rows", task_run_name="publish {round_.to_send} rows", **ONCE)
def publish_rows(work: Work, round_: Round) -> None:
    """Publish them in batches of ten, and mark each as soon as it is out."""
    deliver.send(work, round_)


@task(name="follow up on the topic", **REPEATABLE)
def follow_up(work: Work, round_: Round) -> None:
    """Open the topic's circuit when it takes nothing; close it when the probe went out."""
    gate.after_round(work, round_)


@task(name="mark rows", task_run_name="mark the rest of {round_.count} rows", **REPEATABLE)
def mark_rows(work: Work, round_: Round) -> None:
    """Write the marks that are not written yet, and tidy what somebody else has finished."""
    deliver.mark(work, round_)


@task(name="exhaust rows", task_run_name="exhaust {round_.to_exhaust} rows", **REPEATABLE)
def exhaust_rows(work: Work, round_: Round) -> None:
    """Tell people, then mark the rows that are not published any more."""
    settle.exhaust(work, round_)


@task(name="show waiting rows", **REPEATABLE)
def show_waiting(work: Work) -> int:
    """Rows that wait for their topic show its error."""
    return gate.show_waiting(work)


@task(name="begin the search", **REPEATABLE)
def begin_search(work: Work) -> Search:
    """Where the last search ended, or the beginning."""
    return lost.begin(work)


@task(name="find rows due far ahead", **REPEATABLE)
def find_far_ahead(work: Work) -> int:
    """Rows that a clock in the future wrote are due now."""
    return lost.find_far_ahead(work)


@task(name="search for lost rows", **REPEATABLE)
def search_on(work: Work, search: Search) -> int:
    """Some pages of the table: lost rows are put in line."""
    return lost.search_on(work, search)


@task(name="revive exhausted rows", task_run_name="revive {line}", **REPEATABLE)
def revive_rows(work: Work, line: str) -> int:
    """Exhausted rows of one partition get a fresh budget."""
    return revive.revive(work, line)


@task(name="look at the oldest row", **REPEATABLE)
def look_at_oldest(work: Work) -> None:
    """How long the oldest unfinished row has waited."""
    run.look_at_oldest(work)


def note(work: Work, round_: Round) -> None:
    """Count the round; no request is made."""
    deliver.note(work, round_)


def exhausted_lines(work: Work) -> list[str]:
    """The partitions in which exhausted rows are listed."""
    return revive.exhausted_lines(work)


@task(name="publish report", **ONCE)
def publish_report(work: Work) -> RecoveryReport:
    """Store the full list, publish the numbers, and show people what was found and done."""
    report = run.finish(work, str(runtime.flow_run.name or "ad hoc run"))
    log_groups(report)
    publish(report, KEY, TITLE)
    name_run(subject(work.request), report)
    return report


def carry_out(step: Task[[Work, Round], None], work: Work, round_: Round) -> None:
    """Run a step of a round. When it failed for good, the rows that it has not settled say why, and the run goes on.

    Raises:
        Exception: whatever is not one of the project's own errors, since then nothing is known about what happened.
    """

    def failed(error: RepriseError) -> None:
        round_.give_up(error)
        work.complain(f"{step.name}: {error}")

    attempt(lambda: step(work, round_, return_state=True), step.name, failed)


def try_to(step: Task[[Work], Any], work: Work) -> None:
    """Run a step that only informs; a failure is a warning in the report."""
    attempt(lambda: step(work, return_state=True), step.name, lambda error: work.warn(f"{step.name}: {error}"))


def attempt(run_step: Callable[[], Any], name: str, failed: Callable[[RepriseError], None]) -> None:
    """Run a step; an error of ours goes to `failed`, another one is raised."""
    state = run_step()
    if state.is_completed():
        return
    # Not `state.data`: Prefect wraps the error in a record of its own.
    error = state.result(raise_on_failure=False)
    if not isinstance(error, RepriseError):
        state.result()
        raise RuntimeError(f"{name} ended as {state.name}")
    failed(error)
