"""Second half of a round: carry the verdicts out. Copies first, deletes last.

The order of the steps is what keeps messages safe; a process killed between any two requests loses nothing:
send intent -> sends -> archive -> cases (and the send intent's confirmation) -> alerts -> deletes (and the send
intent's closing). Each step can be repeated: it takes up only what earlier steps left undone. The sends are in
`sending`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from recovery.alerts import Alert, Announced
from recovery.archive import Pointer, bundle_key, bundles, encode
from recovery.dead_letters import records
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.gateway import NotSent, Outcome, paired
from recovery.dead_letters.messages import BATCH, Queue
from recovery.dead_letters.rules import LEASE_MARGIN
from recovery.dead_letters.verdicts import Heal, Hide, Leave
from recovery.dead_letters.work import PATH, Work
from recovery.errors import OutcomeUnknown, Refused, RepriseError, Transient
from recovery.ledger import WRITE_BATCH, LedgerWrite

_ROUNDING = timedelta(milliseconds=1)  # cases keep whole milliseconds
_LOOKS = 5  # a publish takes well under a second; after these seconds its sender is taken for dead


def archive_messages(work: Work, batch: Batch) -> None:
    """Put copies into the archive, many to one object.

    Raises:
        Transient, Refused: some copies are not safe; repeating it is safe.
    """
    batch.keep_to_leases(batch.to_archive(), work.now())
    waiting = batch.to_archive()
    work.each(partial(_copy_payload, work), waiting)
    waiting = [item for item in waiting if item.failure is None]
    lines = [encode(records.archive_record(item, batch, work.now())) for item in waiting]
    start = 0
    for bundle in bundles(lines):
        work.bundles += 1
        key = bundle_key(PATH, batch.queue.name, work.now(), f"{work.owner[:12]}-{work.bundles:05d}")
        work.archive.put_bundle(key, bundle)
        for line, item in enumerate(waiting[start : start + len(bundle)]):
            item.pointer = Pointer(key, line)
        start += len(bundle)


def record_cases(work: Work, batch: Batch) -> None:
    """Write the cases, then that they are written.

    Raises:
        Transient: some are not written, so no original may be removed. Repeating it is safe.
    """
    # The same time when it is repeated: what a send intent is counted by must be what its cases say.
    now = batch.recorded_at = batch.recorded_at or work.now()
    settle = timedelta(seconds=batch.policy.settle_seconds)
    cases = [case for item in batch.items for case in records.cases(item, batch, now, work.archive_keep)]
    writes = [records.write(case) for case in cases]
    _write(work, writes)
    confirmations: list[LedgerWrite] = []
    under_way = []
    for intent in batch.intents:
        members = batch.members(intent)
        if all(item.is_certainly_unsent for item in members):
            confirmations += work.intents.closing(intent)
            continue
        under_way.append(intent)
        unsent = [item.message.message_id for item in members if item.is_certainly_unsent]
        unconfirmed = [item.message.message_id for item in members if item.maybe_sent and not item.new_id]
        confirmations.append(work.intents.confirmation(intent, unconfirmed, unsent, now))
        keys = [records.new_key(item) for item in members if item.new_id]
        latest = max((item.verdict.delay for item in members if isinstance(item.verdict, Heal)), default=timedelta(0))
        confirmations += work.intents.settling(intent, keys, now + latest + _ROUNDING, settle)
    _write(work, confirmations)
    batch.intents = under_way


def announce_groups(work: Work, batch: Batch) -> None:
    """Tell people, once for each group of alike failures. Messages whose alert is not out yet stay in their queue.

    Raises:
        Transient: SNS or the ledger was throttled before an alert was published; repeating is safe, since an alert
            that is out is known to be out.
    """
    groups: dict[str, list[MessageWork]] = defaultdict(list)
    for item in batch.to_announce():
        groups[records.alert_group(item)].append(item)
    window = timedelta(seconds=batch.policy.alert_window_seconds)
    throttled: Transient | None = None
    for group, items in groups.items():
        try:
            said = _announce(work, records.alert(group, items, batch.queue.name), window)
        except RepriseError as error:
            if isinstance(error, Transient) and not isinstance(error, OutcomeUnknown):
                throttled = error
            else:
                batch.give_up(error, items)
                work.note_refusal(batch.queue, error)
            continue
        if said is Announced.ELSEWHERE:
            batch.give_up(
                Transient("another run has been sending this group's alert, and has not said that it is out"), items
            )
    if throttled is not None:
        raise throttled


def remove_messages(work: Work, batch: Batch) -> None:
    """Remove the originals whose copies are safe and recorded, and close the send intents all of whose messages are
    gone.

    Raises:
        Transient: some could not be removed yet; repeating it is safe.
    """
    batch.keep_to_leases(batch.to_remove(), work.now())
    gone = batch.to_remove()
    parts = [gone[start : start + BATCH] for start in range(0, len(gone), BATCH)]
    outcomes = work.each(lambda part: work.sqs.delete(batch.queue, [item.message for item in part]), parts)
    later: list[RepriseError] = []
    for item, outcome in paired(parts, outcomes):
        if not isinstance(outcome, NotSent):
            item.removed = True
        elif isinstance(outcome.error, Transient):
            later.append(outcome.error)
        else:
            item.failure = outcome.error
    if later:
        raise later[0]
    _close_intents(work, batch)


def hide_messages(work: Work, batch: Batch) -> None:
    """Keep messages hidden until their next attempt; their due time stands in the ledger already."""
    now = work.now()
    batch.keep_to_leases(batch.having(Hide), work.now())
    waiting = [item for item in batch.having(Hide) if isinstance(item.verdict, Hide) and item.verdict.hidden]
    parts = [waiting[start : start + BATCH] for start in range(0, len(waiting), BATCH)]

    def hide(part: list[MessageWork]) -> list[Outcome]:
        receipts = []
        for item in part:
            assert isinstance(item.verdict, Hide)
            seconds = max(0, round((item.verdict.until - now).total_seconds()))
            receipts.append((item.message.receipt, min(43_200, seconds)))
        return work.sqs.hide(batch.queue, receipts)

    for _, outcome in paired(parts, work.each(hide, parts)):
        if isinstance(outcome, NotSent):
            # It shows up earlier than planned, and the ledger still keeps it waiting.
            work.hidden[batch.queue.name] -= 1


def hold(work: Work, batch: Batch) -> None:
    """Remember what stays in the queue: it is made visible again at the end of the run, not before, so that this run
    does not receive it twice."""
    for item in batch.items:
        stays = item.failure is not None and not item.removed
        left = isinstance(item.verdict, Leave) or (isinstance(item.verdict, Hide) and not item.verdict.hidden)
        if work.dry_run or stays or left:
            work.held.append((batch.queue, item.message.receipt, item.message.lease_until))
    work.note(records.entry(item, batch) for item in batch.items)


def release(work: Work) -> int:
    """Make everything that was only looked at, or could not be settled, visible again; returns how many."""
    by_queue: dict[str, tuple[Queue, list[str]]] = {}
    now = work.now()
    for queue, receipt, lease_until in work.held:
        if lease_until - now < LEASE_MARGIN:
            continue  # it shows up by itself, or another run holds it already
        by_queue.setdefault(queue.url, (queue, []))[1].append(receipt)
    parts = [
        (queue, receipts[start : start + BATCH])
        for queue, receipts in by_queue.values()
        for start in range(0, len(receipts), BATCH)
    ]
    outcomes = work.each(lambda part: work.sqs.hide(part[0], [(receipt, 0) for receipt in part[1]]), parts)
    work.held.clear()
    # What could not be made visible now shows up by itself when its lease ends.
    return sum(not isinstance(outcome, NotSent) for part in outcomes for outcome in part)


def _announce(work: Work, message: Alert, window: timedelta) -> Announced:
    """Send an alert, or wait a moment for another run that is sending it right now."""
    said = work.alerts.announce(message, work.now(), window)
    for _ in range(_LOOKS):
        if said is not Announced.ELSEWHERE:
            break
        work.sleep(1.0)
        said = work.alerts.announce(message, work.now(), window)
    return said


def _write(work: Work, writes: Sequence[LedgerWrite]) -> None:
    """Carry out writes on the run's threads; repeating them is safe."""
    work.each(work.ledger.write_items, [writes[n : n + WRITE_BATCH] for n in range(0, len(writes), WRITE_BATCH)])


def _close_intents(work: Work, batch: Batch) -> None:
    writes: list[LedgerWrite] = []
    closed = []
    for intent in batch.intents:
        members = batch.members(intent)
        if not all(item.removed or item.is_certainly_unsent for item in members):
            continue
        writes += work.intents.closing(intent)
        closed.append(intent)
    _write(work, writes)
    batch.intents = [intent for intent in batch.intents if intent not in closed]


def _copy_payload(work: Work, item: MessageWork) -> None:
    """An extended-client pointer: its payload is copied beside the archive, so that it outlives its own lifecycle."""
    payload = records.payload_of(item)
    if payload is None:
        return
    bucket, key = payload
    try:
        work.archive.copy_payload(bucket, key, records.payload_copy_key(item))
    except Refused as error:
        warning = f"payload s3://{bucket}/...: could not be copied into the archive ({error.code})"
        if warning not in work.warnings:
            work.warnings.append(warning)
    except Transient as error:
        item.failure = error  # this one waits for the next run; the others need not
