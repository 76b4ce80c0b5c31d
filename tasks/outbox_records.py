"""The verbs of the outbox path. Each task is one step for a round of up to a thousand rows.

A step that cannot be done leaves its rows as they are: every lease ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.tasks import Task

from blocks.connection import Connection
from recovery.alarms import Watch
from recovery.aws import THREADS
from recovery.errors import RepriseError
from recovery.outbox_records import deliver, gate, lost, oldest, revive, settle
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.policy import OutboxRequest
from recovery.outbox_records.rounds import Round
from recovery.outbox_records.topic import Topic
from recovery.outbox_records.work import OutboxRun
from tasks.policies import ONCE
from tasks.steps import go_on, step


def open_run(connection: Connection, request: OutboxRequest) -> OutboxRun:
    """Return a run's tools, on a connection.

    Raises:
        BadInput: a table has no topic, or the topic is somewhere else.
    """
    dynamodb = connection.client("dynamodb")
    request.check(dynamodb.meta.region_name)
    return OutboxRun(
        OutboxTable(dynamodb, request),
        Topic(connection.client("sns", repeat=False), request.topic_arn),
        Watch(connection.client("cloudwatch")),
        request,
        **connection.tools() | {"threads": THREADS},
    )


look_at_table = step(OutboxTable.describe, "inspect the table", "inspected the table")
may_send = step(gate.may_send, "may send", "asked whether the topic is open")
find_due = step(deliver.find_due, "find due rows", "found the rows due")
claim_rows = step(deliver.claim, "claim rows", "claimed {round_.to_send} rows")
publish_rows = step(deliver.send, "publish rows", "published {round_.to_send} rows", ONCE)
follow_up = step(gate.after_round, "follow up on the topic", "followed up on the topic")
mark_rows = step(deliver.mark, "mark rows", "marked the rest of {round_.count} rows")
exhaust_rows = step(settle.exhaust, "exhaust rows", "exhausted {round_.to_exhaust} rows")
show_waiting = step(gate.show_waiting, "show waiting rows", "showed the waiting rows")
begin_search = step(lost.begin, "begin the search", "began the search")
find_far_ahead = step(lost.find_far_ahead, "find rows due far ahead", "found rows due far ahead")
search_on = step(lost.search_on, "search for lost rows", "searched for lost rows")
revive_rows = step(revive.revive, "revive exhausted rows", "revived {line}")
look_at_oldest = step(oldest.look_at_oldest, "inspect the oldest row", "inspected the oldest row")
note = deliver.note
"""Count the round; no request is made."""
exhausted_lines = revive.exhausted_lines


@contextmanager
def reporting(work: OutboxRun) -> Iterator[None]:
    """Turn what cannot be done into a problem in the report, beside what was done before."""
    try:
        yield
    except RepriseError as error:
        work.complain(str(error))


def carry_out(task: Task[[OutboxRun, Round], None], work: OutboxRun, round_: Round) -> None:
    """Run a step of a round. When it failed for good, the rows that it has not settled say why, and the run goes on."""

    def failed(error: RepriseError) -> None:
        round_.give_up(error)
        work.complain(f"{task.name}: {error}")

    go_on(failed, task, work, round_)


def try_to(task: Task[[OutboxRun], Any], work: OutboxRun) -> None:
    """Run a step that only informs; a failure is a warning in the report."""
    go_on(lambda error: work.warn(f"{task.name}: {error}"), task, work)
