"""The outbox delivers: rows of a DynamoDB table are published to an SNS topic, and no row is forgotten.

from flows.outbox_records import recover_outbox_records
recover_outbox_records(OutboxRequest(table="orders-outbox", topic_arn="arn:aws:sns:...:orders", dry_run=False))
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from recovery.outbox_records.policy import Mode, OutboxRequest
from recovery.outbox_records.work import OutboxRun
from recovery.paths import OUTBOX_RECORDS
from recovery.report import RecoveryReport
from tasks import outbox_records as do
from tasks.frame import recover, run_name


@flow(name="outbox-records", flow_run_name=run_name(OutboxRequest), persist_result=False)
def recover_outbox_records(
    request: OutboxRequest = OutboxRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
    event: dict[str, Any] | None = None,  # noqa: ARG001 - for the person who looks at the run
) -> RecoveryReport | State[RecoveryReport]:
    """Publish the outbox rows that are due, put lost ones in line, or revive exhausted ones.

    Args:
        request: which table and topic, under which policy. Nothing named, nothing touched; dry by default.
        event: the event that started the run, if one did. It only informs; the table itself is asked.

    Returns:
        The report of the run; a failed state that carries it when something did not go through.
    """
    return recover(OUTBOX_RECORDS, do.open_run, request, work_on_table)


def work_on_table(work: OutboxRun) -> None:
    """Do what the mode says; without a table there is nothing to do."""
    if work.request.table:
        do.look_at_table(work.table)
        with do.reporting(work):
            _MODES[work.request.mode](work)


def deliver(work: OutboxRun) -> None:
    """Round by round: claim, publish, mark; until a whole pass moves nothing, or the run's limits are reached."""
    while work.room and not work.time_is_up and do.may_send(work):
        found = do.find_due(work)
        if not found.count:
            break
        if not work.dry_run:
            do.carry_out(do.claim_rows, work, found)
            do.carry_out(do.publish_rows, work, found)
            do.carry_out(do.follow_up, work, found)
            if found.to_mark:
                do.carry_out(do.mark_rows, work, found)
            if found.to_exhaust:
                do.carry_out(do.exhaust_rows, work, found)
        do.note(work, found)
    if work.circuit_open:
        do.try_to(do.show_waiting, work)
    do.try_to(do.look_at_oldest, work)


def find_lost(work: OutboxRun) -> None:
    """Put rows in line that stand in none, or that a clock in the future wrote; a later run delivers them."""
    do.find_far_ahead(work)
    search = do.begin_search(work)
    while not search.is_over and not work.time_is_up:
        do.search_on(work, search)


def revive(work: OutboxRun) -> None:
    """Give exhausted rows their attempts anew; a later run delivers them."""
    for line in do.exhausted_lines(work):
        if work.room and not work.time_is_up:
            do.revive_rows(work, line)


_MODES = {Mode.DELIVER: deliver, Mode.FIND_LOST: find_lost, Mode.REVIVE: revive}
