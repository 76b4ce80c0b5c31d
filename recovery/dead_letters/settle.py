"""Second half of a round: carry the verdicts out. Copies first, deletes last.

The order of the steps is what keeps messages safe; a process killed between any two requests loses nothing:
send intent -> sends -> their confirmation -> cases -> deletes (and the intent's closing); then, for what is kept,
archive -> cases -> alerts -> deletes. What heals waits for neither S3 nor SNS. Each step can be repeated: it takes up
only what earlier steps left undone. The sends are in `sending`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from recovery.archive import Pointer, bundle_key, bundles, encode
from recovery.dead_letters import records
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.messages import BATCH
from recovery.dead_letters.outcomes import NotSent, Outcome, paired
from recovery.dead_letters.sending import write_all
from recovery.dead_letters.verdicts import Finish, Hide
from recovery.dead_letters.work import PATH, Work
from recovery.errors import Refused, RepriseError, Transient
from recovery.ledger_writes import LedgerWrite


def archive_messages(work: Work, batch: Batch) -> None:
    """Put copies into the archive, many to one object. Once S3 does not answer, the rest is left without asking.

    Raises:
        Transient, Refused: some copies are not safe; repeating it is safe.
    """
    if _is_stopped(work, "s3", batch, batch.to_archive()):
        return
    batch.keep_to_leases(batch.to_archive(), work.now())
    waiting = batch.to_archive()
    work.each(partial(_copy_payload, work), waiting)
    waiting = [item for item in waiting if item.failure is None]
    lines = [encode(records.archive_record(item, batch, work.now())) for item in waiting]
    start = 0
    for bundle in bundles(lines):
        work.bundles += 1
        key = bundle_key(PATH, batch.queue.name, work.now(), f"{work.owner[:12]}-{work.bundles:05d}")
        try:
            work.archive.put_bundle(key, bundle)
        except Transient as error:
            if not work.stop_asking("s3", error):
                raise
            _is_stopped(work, "s3", batch, batch.to_archive())
            return
        for line, item in enumerate(waiting[start : start + len(bundle)]):
            item.pointer = Pointer(key, line)
        start += len(bundle)


def _is_stopped(work: Work, service: str, batch: Batch, items: Sequence[MessageWork]) -> bool:
    """Give items up when the service that they need does not answer; return True then."""
    if service in work.silent:
        batch.give_up(Transient(work.silent[service]), items)
    return service in work.silent


def record_cases(work: Work, batch: Batch) -> None:
    """Write the cases of all that went through so far.

    Raises:
        Transient: some are not written, so no original may be removed. Repeating it is safe.
    """
    now = batch.recorded_at = batch.recorded_at or work.now()
    ready = batch.to_record()
    cases = [case for item in ready for case in records.cases(item, batch, now, work.archive_keep)]
    write_all(work, [records.write(case) for case in cases])
    for item in ready:
        item.recorded = True


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
            work.removed.add(item.message.message_id)
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
            work.hidden[batch.queue.arn] -= 1


def _close_intents(work: Work, batch: Batch) -> None:
    writes: list[LedgerWrite] = []
    closed = []
    for intent in batch.intents:
        members = batch.members(intent)
        if not all(item.removed or item.is_certainly_unsent for item in members):
            continue
        writes += work.intents.closing(intent.id, intent.queue)
        closed.append(intent)
    finished: dict[str, set[str]] = defaultdict(set)  # by an earlier run's intent
    for item in batch.items:
        if item.removed and isinstance(item.verdict, Finish) and item.unconfirmed is not None:
            finished[item.unconfirmed.intent].add(item.message.message_id)
    for earlier, removed in finished.items():
        if earlier and batch.earlier.get(earlier, set()) <= removed:
            writes += work.intents.closing(earlier, batch.queue.arn)
    write_all(work, writes)
    batch.intents = [intent for intent in batch.intents if intent not in closed]


def _copy_payload(work: Work, item: MessageWork) -> None:
    """An extended-client pointer: its payload is copied beside the archive, so that it outlives its own lifecycle."""
    payload = records.payload_of(item)
    if payload is None:
        return
    if "s3" in work.silent:
        item.failure = Transient(work.silent["s3"])
        return
    bucket, key = payload
    try:
        work.archive.copy_payload(bucket, key, records.payload_copy_key(item))
    except Refused as error:
        work.warn(f"payload s3://{bucket}/...: could not be copied into the archive ({error.code})")
    except Transient as error:
        work.stop_asking("s3", error)
        item.failure = error  # this one waits for the next run; the others need not
