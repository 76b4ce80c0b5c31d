"""Dead letters come back: messages in SQS dead-letter queues are diagnosed, then healed, alerted about or archived.

from flows.dead_letters import recover_dead_letters
recover_dead_letters(DeadLetterRequest(queues=["orders-dlq"], dry_run=False))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from recovery.dead_letters.batch import Batch
from recovery.dead_letters.policy import DeadLetterRequest, ReplayRequest
from recovery.dead_letters.verdicts import Hide
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError
from recovery.report import RecoveryReport
from tasks import dead_letters as do
from tasks.digest import note_day
from tasks.metrics import count_refusal, publish_metrics
from tasks.reports import outcome, refused
from tasks.steps import carry_out


@flow(name="dead-letters", flow_run_name=do.run_name, persist_result=False)
def recover_dead_letters(
    request: DeadLetterRequest = DeadLetterRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
    event: dict[str, Any] | None = None,  # noqa: ARG001 - for the person who looks at the run
) -> RecoveryReport | State[RecoveryReport]:
    """Find dead letters, say why they failed, and bring them back or park them safely.

    Args:
        request: which queues, under which policy. Nothing named, nothing touched; dry by default.
        event: the event that started the run, if one did. It only informs; SQS itself is asked.

    Returns:
        The report of the run; a failed state that carries it when something did not go through.
    """
    try:
        with do.at_work(request) as work:
            queues = do.find_queues(work, request)
            drain(work, [do.Turn(work, queue, request.policy_for(queue.name)) for queue in queues])
            for queue in queues:
                do.count_recovered(work, queue)
            do.release_messages(work)
            report = do.publish_report(work, do.subject(request), "dead-letters", "Dead letters")
            publish_metrics(work, report)
            note_day(work, report)
            return outcome(report)
    except RepriseError as error:
        count_refusal("dead_letters", request, error)
        return refused(error)


def drain(work: Work, turns: Sequence[do.Turn]) -> None:
    """Take up messages, one round of each queue in turn, until all are empty or the run's bounds are reached."""
    while turns:
        turns = [turn for turn in turns if take_up(work, turn)]


def take_up(work: Work, turn: do.Turn) -> bool:
    """One round of a queue; whether there may be more."""
    try:
        batch = do.receive_messages(work, turn.queue, turn.policy)
        if batch.items:
            triage(work, batch)
            if not work.dry_run:
                settle(work, batch)
            do.hold(work, batch)
            turn.done(batch.count)
        return bool(batch.items)
    except RepriseError as error:
        do.note_problem(work, turn.queue, error)
        return False


def triage(work: Work, batch: Batch) -> None:
    """Learn what is known about the messages, and decide."""
    carry_out(do.look_up_history, work, batch)
    carry_out(do.diagnose_messages, work, batch)
    carry_out(do.decide_messages, work, batch)


def settle(work: Work, batch: Batch) -> None:
    """Carry the verdicts out: copies first, deletes last."""
    if batch.archiving:
        carry_out(do.archive_messages, work, batch, batch.to_archive())
    if batch.healing:
        carry_out(do.write_ahead, work, batch, batch.to_send())
    if batch.healing:
        carry_out(do.send_messages, work, batch, batch.to_send())
    if batch.archiving:  # messages that their own queue has just refused
        carry_out(do.archive_messages, work, batch, batch.to_archive())
    carry_out(do.record_cases, work, batch)
    if batch.alerting:
        carry_out(do.announce_groups, work, batch, batch.to_announce())
    if batch.removing:
        carry_out(do.remove_messages, work, batch, batch.to_remove())
    if batch.hiding:
        carry_out(do.hide_messages, work, batch, batch.having(Hide))


@flow(name="dead-letters", flow_run_name=do.replay_name, persist_result=False)
def replay_archived_messages(
    request: ReplayRequest = ReplayRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> RecoveryReport | State[RecoveryReport]:
    """Send archived messages back, unchanged and with all attempts again, after their cause was fixed.

    Args:
        request: which messages. No filter named, nothing touched; dry by default.

    Returns:
        The report of the run; a failed state that carries it when something did not go through.
    """
    try:
        with do.at_work(request) as work:
            selection = do.choose_messages(work, request)
            do.fetch_messages(work, selection, request)
            if not work.dry_run:
                do.claim_messages(work, selection)
                do.send_back(work, selection, request)
            do.note_replay(work, selection)
            report = do.publish_report(work, "replay", "dead-letters-replay", "Replay from the archive")
            publish_metrics(work, report)
            note_day(work, report)
            return outcome(report)
    except RepriseError as error:
        count_refusal("dead_letters", request, error)
        return refused(error)
