"""The verbs of the dead-letter path. Each task is one step for up to two thousand messages.

Retries stand only where a step may be repeated; see `tasks.policies`. Nothing is cached or kept by Prefect: messages
live in memory and in AWS only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from prefect import runtime, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from blocks.connection import Connection
from blocks.estate import connect
from recovery.consumers import Consumers
from recovery.dead_letters import outlook, replay, run, sending, settle, triage
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.gateway import Sqs, name_of, queue_problem
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest, ReplayRequest
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError
from recovery.logs import LogBudget, Logs
from recovery.report import RecoveryReport
from tasks.metrics import metrics_of
from tasks.policies import ONCE, REPEATABLE, SEND
from tasks.reports import log_groups, name_run, publish


def work_of(connection: Connection, request: DeadLetterRequest | ReplayRequest) -> Work:
    """A run's tools, on a connection."""
    return Work(
        sqs=Sqs(connection.client("sqs"), connection.client("sqs", repeat=False)),
        ledger=connection.ledger,
        archive=connection.archive,
        alerts=connection.alerts,
        logs=Logs(connection.client("logs")),
        consumers=Consumers(connection.client("lambda"), connection.client("cloudwatch")),
        log_budget=LogBudget(request.log_requests, request.log_seconds)
        if isinstance(request, DeadLetterRequest)
        else None,
        now=connection.clock.now,
        requests=connection.requests.by_service,
        owner=connection.owner,
        limit=request.limit,
        time_limit=timedelta(seconds=request.time_limit_seconds),
        dry_run=request.dry_run,
        archive_keep=timedelta(days=connection.archive_days + 30),
        metrics=metrics_of(connection),
    )


@contextmanager
def at_work(request: DeadLetterRequest | ReplayRequest) -> Iterator[Work]:
    """Open a run's tools; whatever happens, messages that it still holds are made visible again.

    Raises:
        BadInput: nothing says where to work.
    """
    for policy in _policies(request):
        triage.check(policy)
    work = work_of(connect(request.estate), request)
    try:
        yield work
    finally:
        try:
            settle.release(work)
        finally:
            work.close()


def _policies(request: DeadLetterRequest | ReplayRequest) -> Sequence[DeadLetterPolicy]:
    if isinstance(request, ReplayRequest):
        return ()
    return (request.policy, *request.queue_policies.values())


def subject(request: DeadLetterRequest) -> str:
    """Return a run's subject for its name; short, so that the counts behind it are visible."""
    if not request.queues:
        return "no queue named"
    more = len(request.queues) - 1
    return name_of(request.queues[0]) + (f" and {more} more" if more else "")


def run_name() -> str:
    """The name of a run that has just begun."""
    return _name("recover", lambda request: subject(DeadLetterRequest.model_validate(request)))


def replay_name() -> str:
    """The name of a replay that has just begun."""
    return _name("replay", lambda _: "archived messages")


def _name(verb: str, about: Callable[[Any], str]) -> str:
    return f"{verb} {about(runtime.flow_run.parameters['request'])}"[:250]


@task(name="find queues", **REPEATABLE)
def find_queues(work: Work, request: DeadLetterRequest) -> Sequence[Queue]:
    """Find the queues in scope."""
    return run.find_queues(work, request)


@task(name="count recovered", task_run_name="count recovered messages of {queue.name}", **REPEATABLE)
def count_recovered_messages(work: Work, queue: Queue) -> int:
    """Count the messages of earlier runs that stayed away for the settle time."""
    return outlook.count_recovered(work, queue)


def count_recovered(work: Work, queue: Queue) -> None:
    """Count them; what came back and was taken up by this run has a case that says so. A failure is only a warning."""
    try:
        count_recovered_messages(work, queue)
    except RepriseError as error:
        work.warnings.append(f"queue {queue.name}: what has recovered could not be counted: {error}")


@task(name="receive messages", task_run_name="receive from {queue.name}", **REPEATABLE)
def receive_messages(work: Work, queue: Queue, policy: DeadLetterPolicy) -> Batch:
    """The messages of the next round; none when the queue is drained."""
    return triage.receive(work, queue, policy)


@task(name="look up history", task_run_name="look up {batch.count} of {batch.name}", **REPEATABLE)
def look_up_history(work: Work, batch: Batch) -> None:
    """Read the ledger's cases of the messages."""
    triage.look_up(work, batch)


@task(name="diagnose messages", task_run_name="diagnose {batch.count} of {batch.name}", **REPEATABLE)
def diagnose_messages(work: Work, batch: Batch) -> None:
    """Diagnose the messages."""
    triage.diagnose_messages(work, batch)


@task(name="decide", task_run_name="decide on {batch.count} of {batch.name}", **REPEATABLE)
def decide_messages(work: Work, batch: Batch) -> None:
    """Decide about each message."""
    triage.decide_messages(work, batch)


@task(name="write ahead", task_run_name="write ahead {batch.healing} of {batch.name}", **REPEATABLE)
def write_ahead(work: Work, batch: Batch) -> None:
    """Write down what is about to be sent."""
    sending.write_ahead(work, batch)


@task(name="send messages", task_run_name="send {batch.healing} of {batch.name}", **SEND)
def send_messages(work: Work, batch: Batch) -> None:
    """Send what is to be healed."""
    sending.send_messages(work, batch)


@task(name="archive messages", task_run_name="archive {batch.archiving} of {batch.name}", **REPEATABLE)
def archive_messages(work: Work, batch: Batch) -> None:
    """Put copies into the archive."""
    settle.archive_messages(work, batch)


@task(name="record cases", task_run_name="record {batch.count} of {batch.name}", **REPEATABLE)
def record_cases(work: Work, batch: Batch) -> None:
    """Write the cases into the ledger."""
    settle.record_cases(work, batch)


@task(name="alert", task_run_name="alert about {batch.name}", **SEND)
def announce_groups(work: Work, batch: Batch) -> None:
    """Tell people, once for each group."""
    settle.announce_groups(work, batch)


@task(name="remove messages", task_run_name="remove {batch.removing} of {batch.name}", **REPEATABLE)
def remove_messages(work: Work, batch: Batch) -> None:
    """Remove the originals whose copies are safe."""
    settle.remove_messages(work, batch)


@task(name="hide messages", task_run_name="hide {batch.hiding} of {batch.name}", **REPEATABLE)
def hide_messages(work: Work, batch: Batch) -> None:
    """Keep messages hidden until their next attempt is due."""
    settle.hide_messages(work, batch)


def note_problem(work: Work, queue: Queue, error: RepriseError) -> None:
    """A queue that cannot be worked on (any further) is one line in the report."""
    work.problems.append(queue_problem(queue.name, error))


def hold(work: Work, batch: Batch) -> None:
    """Remember what stays, and count the round; no request is made."""
    settle.hold(work, batch)


def note_replay(work: Work, selection: replay.Selection) -> None:
    """Count what was replayed; no request is made."""
    work.note(replay.entries(selection, work.dry_run))


@task(name="release messages", **REPEATABLE)
def release_messages(work: Work) -> int:
    """Make what stays in its queue visible again."""
    return settle.release(work)


@task(name="choose messages", **REPEATABLE)
def choose_messages(work: Work, request: ReplayRequest) -> replay.Selection:
    """The archived messages that the request names."""
    return replay.choose(work, request)


@task(name="fetch messages", task_run_name="fetch {selection.count} from the archive", **REPEATABLE)
def fetch_messages(work: Work, selection: replay.Selection, request: ReplayRequest) -> None:
    """Read them from the archive."""
    replay.fetch(work, selection, request)


@task(name="claim messages", task_run_name="claim {selection.count}", **ONCE)
def claim_messages(work: Work, selection: replay.Selection) -> None:
    """Claim their cases."""
    replay.claim(work, selection)


@task(name="send back", task_run_name="send back {selection.count}", **ONCE)
def send_back(work: Work, selection: replay.Selection, request: ReplayRequest) -> None:
    """Send them back, written ahead."""
    replay.send_back(work, selection, request)


@task(name="publish report", **ONCE)
def publish_report(work: Work, subject: str, key: str, title: str) -> RecoveryReport:
    """Store the full list, and show people what was found and done."""
    report = run.finish(work, str(runtime.flow_run.name or "ad hoc run"))
    log_groups(report)
    publish(report, key, title)
    name_run(subject, report)
    return report


class Turn:
    """A queue, its policy, and how far its messages are; drains of more than one round have a bar on the run's page."""

    def __init__(self, work: Work, queue: Queue, policy: DeadLetterPolicy) -> None:
        self.queue = queue
        self.policy = policy
        self._expected = max(1, min(queue.visible, work.limit))
        self._done = 0
        self._bar: object = None

    def done(self, count: int) -> None:
        """So many more messages are done."""
        self._done += count
        share = min(100.0, 100.0 * self._done / self._expected)
        if self._bar is None:
            if self._done >= self._expected:
                return  # one round did it: a bar would only be in the way
            self._bar = create_progress_artifact(share, description=f"messages of {self.queue.name}")
        else:
            update_progress_artifact(artifact_id=self._bar, progress=share)  # type: ignore[arg-type]
