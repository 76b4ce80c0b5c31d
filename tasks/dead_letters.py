"""The steps of the dead-letter path. Each task is one step for up to two thousand messages.

Retries stand only where a step may be repeated; see `tasks.policies`. Nothing is cached or kept by Prefect: messages
live in memory and in AWS only.
"""

from __future__ import annotations

from datetime import timedelta

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from blocks.connection import Connection
from recovery.alarms import Watch
from recovery.aws import CONNECTIONS
from recovery.consumers import Consumers
from recovery.dead_letters import (
    announcing,
    circuits,
    find,
    outlook,
    receiving,
    replay,
    sending,
    settle,
    staying,
    triage,
)
from recovery.dead_letters.ages import QueueAges
from recovery.dead_letters.callers import Callers
from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.plans.carry import carry_all_on
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.work import Work
from recovery.logs import LogAllowance, Logs
from tasks.policies import ONCE, SEND
from tasks.steps import step


def open_run(connection: Connection, request: DeadLetterRequest | ReplayRequest) -> Work:
    """Return a run's tools, on a connection; whatever happens, messages that it still holds are made visible again.

    Raises:
        BadInput: a policy cannot be followed, which must be stated before anything is received.
    """
    if isinstance(request, DeadLetterRequest):
        for policy in (request.policy, *request.queue_policies.values()):
            triage.check(policy)
    tools = connection.tools()
    tools.setdefault("threads", CONNECTIONS)
    work = Work(
        Sqs(connection.client("sqs"), connection.client("sqs", repeat=False)),
        Logs(connection.client("logs")),
        QueueAges(connection.client("cloudwatch")),
        request,
        callers=Callers(connection.client),
        consumers=Consumers(connection.client("lambda"), connection.client("cloudwatch")),
        watch=Watch(connection.client("cloudwatch")),
        log_allowance=LogAllowance(request.log_requests, request.log_seconds)
        if isinstance(request, DeadLetterRequest)
        else None,
        archive_keep=timedelta(days=connection.archive_days + 30),
        **tools,
    )
    work.at_close.callback(staying.release, work)
    return work


def show_progress(work: Work, turn: receiving.Turn) -> None:
    """Show on the run's page how far the messages of a queue are; what one round did needs no bar."""
    expected = max(1, min(turn.queue.visible, work.request.limit))
    share = min(100.0, 100.0 * turn.taken / expected)
    if turn.bar is not None:
        update_progress_artifact(artifact_id=turn.bar, progress=share)  # type: ignore[arg-type]
    elif turn.taken < expected:
        turn.bar = create_progress_artifact(share, description=f"messages of {turn.name}")


find_queues = step(find.find_queues, "find queues", "found the queues")
receive_messages = step(receiving.receive, "receive messages", "received from {turn.name}")
look_up_history = step(triage.look_up, "look up history", "looked up {batch.count} of {batch.name}")
diagnose_messages = step(triage.diagnose_messages, "diagnose messages", "diagnosed {batch.count} of {batch.name}")
decide_messages = step(triage.decide_messages, "decide", "decided on {batch.count} of {batch.name}")
write_circuits = step(circuits.write_circuits, "write circuits", "wrote circuits of {batch.name}")
write_ahead = step(sending.write_ahead, "write ahead", "wrote ahead {batch.healing} of {batch.name}")
send_messages = step(sending.send_messages, "send messages", "sent {batch.healing} of {batch.name}", SEND)
confirm_sends = step(sending.confirm_sends, "confirm sends", "confirmed {batch.sent} of {batch.name}")
archive_messages = step(settle.archive_messages, "archive messages", "archived {batch.archiving} of {batch.name}")
record_cases = step(settle.record_cases, "record cases", "recorded {batch.recording} of {batch.name}")
announce_groups = step(announcing.announce_groups, "alert", "alerted people", SEND)
remove_messages = step(settle.remove_messages, "remove messages", "removed {batch.removing} of {batch.name}")
hide_messages = step(settle.hide_messages, "hide messages", "hid {batch.hiding} of {batch.name}")
count_recovered = step(outlook.count_recovered, "count recovered", "counted what recovered")
notify_of_circuits = circuits.notify
"""Notify people which circuits this run opened or closed; mostly none, so it is no step."""
carry_plans_on = step(carry_all_on, "carry plans on", "carried plans on", options=ONCE)
release_messages = step(staying.release, "release messages", "released what stays")
postpone_alerts = announcing.postpone
"""Put aside what people must be notified of; no request is made."""
leave_unannounced = announcing.give_up
close_round = staying.close_round
"""Remember what stays, and count the round."""
turns_of = receiving.turns_of
report_backlog = receiving.report_backlog
choose_messages = step(replay.choose, "choose messages", "chose the messages")
replay_part = step(replay.replay_part, "replay", "replayed {part.count} of {part.name}", ONCE)
note_replay = replay.note
"""Count what was replayed; no request is made."""
