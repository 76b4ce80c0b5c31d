"""Dead letters come back: messages in SQS dead-letter queues are diagnosed, then healed, alerted about or archived.

from flows.dead_letters import recover_dead_letters
recover_dead_letters(DeadLetterRequest(queues=["orders-dlq"], dry_run=False))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.tasks import Task

from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.dead_letters.receiving import Turn
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.sending import stop_sending
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError, Transient
from recovery.paths import DEAD_LETTERS
from recovery.report import RecoveryReport
from tasks import dead_letters as do
from tasks.frame import recover, run_name
from tasks.steps import go_on

REPLAY = replace(DEAD_LETTERS, label="replay from the archive", key="dead-letters-replay")


@flow(name="dead-letters", flow_run_name=run_name(DeadLetterRequest), persist_result=False)
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
    return recover(DEAD_LETTERS, do.open_run, request, take_care)


def take_care(work: Work) -> None:
    """Empty the queues, count what earlier runs brought back, and let go of what stays."""
    queues = do.find_queues(work)
    drain(work, queues)
    go_on(partial(not_counted, work), do.count_recovered, work, queues)
    do.notify_of_circuits(work)
    if queues and not work.dry_run:
        go_on(partial(not_carried_on, work), do.carry_plans_on, work)
    do.release_messages(work)


def not_counted(work: Work, error: RepriseError) -> None:
    """Counting changes nothing, so a failure of it is only a warning."""
    work.warn(f"what has recovered could not be counted: {error}")


def not_carried_on(work: Work, error: RepriseError) -> None:
    """Plans wait where they are for the next run."""
    work.warn(f"plans under way could not be carried on: {error}")


def drain(work: Work, queues: Sequence[Queue]) -> None:
    """Take up messages, one round of each queue in turn, until all are empty or the run's limits are reached."""
    everything = turns = do.turns_of(work, queues)
    while turns and not work.unrecorded:
        turns = [turn for n, turn in enumerate(turns) if take_up(work, turn, work.share(len(turns) - n))]
        notify(work)
    do.report_backlog(work, everything)


def take_up(work: Work, turn: Turn, share: int) -> bool:
    """Take up one round of a queue; return True when there may be more. What goes wrong stops that queue only."""
    if work.unrecorded:
        return False
    batch: Batch | None = None
    try:
        batch = do.receive_messages(work, turn, share)
        if batch.items:
            triage(work, batch)
            if not work.dry_run:
                settle(work, batch)
            do.show_progress(work, turn)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other queues go on, and the run fails at its end
        work.note_trouble(turn.queue, batch, error)
        return False
    except BaseException:
        if batch is not None:
            batch.interrupt(Transient("the run was stopped"))
        raise
    finally:
        if batch is not None:
            do.close_round(work, batch)
    return bool(batch.items) and not turn.drained


def triage(work: Work, batch: Batch) -> None:
    """Learn what is known about the messages, and decide."""
    carry_out(do.look_up_history, work, batch)
    carry_out(do.diagnose_messages, work, batch)
    carry_out(do.decide_messages, work, batch)


def settle(work: Work, batch: Batch) -> None:
    """Carry the verdicts out: copies first, deletes last; and what heals first, since it waits for nobody else."""
    if batch.circuit_changes:
        write_circuits(work, batch)
    if batch.healing:
        carry_out(do.write_ahead, work, batch, batch.to_send())
    if batch.healing:
        carry_out(do.send_messages, work, batch, batch.to_send())
    if batch.intents and not confirmed(work, batch):
        return
    if batch.recording:
        carry_out(do.record_cases, work, batch, batch.to_record())
    if batch.removing:
        carry_out(do.remove_messages, work, batch, batch.to_remove())
    if batch.hiding:
        carry_out(do.hide_messages, work, batch, batch.to_hide())
    keep(work, batch)


def write_circuits(work: Work, batch: Batch) -> None:
    """Write down what came back and which probes go. Nothing of a group whose circuit is not written is sent."""

    def give_up(error: RepriseError) -> None:
        batch.give_up(error, batch.without_circuit())
        work.note_refusal(batch.queue, error)

    go_on(give_up, do.write_circuits, work, batch)


def confirmed(work: Work, batch: Batch) -> bool:
    """Write down what was sent as what; a run that cannot do that sends nothing more."""
    carry_out(do.confirm_sends, work, batch)
    if not batch.confirmed:
        stop_sending(work, batch)
    return batch.confirmed


def keep(work: Work, batch: Batch) -> None:
    """Archive what cannot be sent; then the originals may go, but for those about which people must know."""
    if batch.archiving:
        carry_out(do.archive_messages, work, batch, batch.to_archive())
        if batch.recording:
            carry_out(do.record_cases, work, batch, batch.to_record())
    do.postpone_alerts(work, batch)
    if batch.removing:
        carry_out(do.remove_messages, work, batch, batch.to_remove())


def notify(work: Work) -> None:
    """Notify people, once for each cause, whatever queues it is in; then the originals may go."""
    if any(batch.alerting for batch in work.postponed):
        go_on(partial(do.leave_unannounced, work), do.announce_groups, work)
    while work.postponed:
        batch = work.postponed.pop()
        if batch.removing:
            carry_out(do.remove_messages, work, batch, batch.to_remove())
        do.close_round(work, batch)


def carry_out(
    task: Task[[Work, Batch], None], work: Work, batch: Batch, concerns: Sequence[MessageWork] | None = None
) -> None:
    """Run a step. When it failed for good, the messages that it concerns (all) stay in their queue with the reason."""

    def give_up(error: RepriseError) -> None:
        batch.give_up(error, concerns)
        work.note_refusal(batch.queue, error)

    go_on(give_up, task, work, batch)


@flow(name="dead-letters-replay", flow_run_name=run_name(ReplayRequest), persist_result=False)
def replay_archived_messages(
    request: ReplayRequest = ReplayRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> RecoveryReport | State[RecoveryReport]:
    """Send archived messages back, unchanged and with all attempts again, after their cause was fixed.

    Args:
        request: which messages. No filter named, nothing touched; dry by default.

    Returns:
        The report of the run; a failed state that carries it when something did not go through.
    """
    return recover(REPLAY, do.open_run, request, send_back)


def send_back(work: Work) -> None:
    """Choose the messages, and send them back, a hundred at a time."""
    for part in do.choose_messages(work):
        do.replay_part(work, part)
        do.note_replay(work, part)
