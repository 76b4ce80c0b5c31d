"""A plain redrive carries no error: its consumer's log may name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.work import Work
from recovery.failures import Origin
from recovery.logs import SECONDS

ASKED_AT_ONCE = 1000
"""Messages in one look-up of log lines: half the queries that it may make, so that slow ones fit into its time."""
LINES_ARE_LATE = timedelta(minutes=15)
"""How long after a message was sent or first received its consumer's log lines may still arrive: as long as a Lambda
function may run. A message that no line names by then has no evidence."""
_FROM_QUEUES = (Origin.SQS_REDRIVE, Origin.UNKNOWN)


def ask_logs(work: Work, batch: Batch) -> None:
    """Give messages without evidence what the log says of them, or the reason why it says nothing yet."""
    group = batch.policy.log_group
    if not group:
        return
    mute = [item for item in batch.items if item.evidence.is_empty and item.message.origin in _FROM_QUEUES]
    began = work.seconds
    for start in range(0, len(mute), ASKED_AT_ONCE):
        part = mute[start : start + ASKED_AT_ONCE]
        if work.seconds - began < SECONDS:
            _ask_log(work, group, part)
        else:  # the lease of the round does not wait for a slow log
            for item in part:
                item.pending = f"its consumer's log {group} was too slow for so many messages at once"


def _ask_log(work: Work, group: str, mute: Sequence[MessageWork]) -> None:
    since = min(item.message.sent_at for item in mute)
    found = work.logs.evidence(group, [item.message.message_id for item in mute], since, work.now())
    if found.problem and found.problem not in work.warnings:
        work.warnings.append(found.problem)
    for item in mute:
        message = item.message
        if message.message_id in found.evidence:
            item.evidence = replace(found.evidence[message.message_id], body=message.body)
        elif found.problem:
            item.pending = f"its consumer's log could not tell yet why it failed: {found.problem}"
        elif message.message_id in found.unnamed:
            if work.now() - max(message.sent_at, message.first_received_at) < LINES_ARE_LATE:
                item.pending = f"no line of log group {group} names it yet; lines may be late"
            else:
                item.searched = f"no line of log group {group} names it"
