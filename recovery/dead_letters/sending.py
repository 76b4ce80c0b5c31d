"""Sending what is to be healed: written ahead, ten at a time, in order on FIFO queues, and confirmed before all
else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from recovery.cases import State
from recovery.dead_letters import records
from recovery.dead_letters.batch import LEASE_ENDS, Batch, MessageWork
from recovery.dead_letters.destinations import Destination, Outgoing
from recovery.dead_letters.outcomes import NotSent, Outcome, paired
from recovery.dead_letters.rules import LEASE_MARGIN
from recovery.dead_letters.send_intents import SIZE, PendingSend, SendIntent
from recovery.dead_letters.verdicts import AlertVerdict, Heal
from recovery.dead_letters.work import Work
from recovery.errors import OutcomeUnknown, Refused, RepriseError, Transient
from recovery.failures import Origin
from recovery.ledger import WRITE_BATCH
from recovery.ledger_writes import LedgerWrite, latest

_ROUNDING = timedelta(milliseconds=1)  # cases keep whole milliseconds


def write_ahead(work: Work, batch: Batch) -> None:
    """Write down what is about to be sent.

    Raises:
        Transient: it is not certain to stand there, so nothing may be sent. Repeating it is safe.
    """
    healing = batch.having(Heal)
    if not batch.intents:
        for start in range(0, len(healing), SIZE):
            pending = tuple(_pending_send(item) for item in healing[start : start + SIZE])
            batch.intents.append(SendIntent(uuid4().hex, batch.queue.arn, pending))
    work.intents.open(batch.intents, work.now())


def send_messages(work: Work, batch: Batch) -> None:
    """Send what is to be healed, ten at a time; on FIFO queues one message of a group at a time.

    Raises:
        Transient: nothing at all was sent (throttled or unreachable); sending again is safe.
    """
    batch.keep_to_leases(batch.to_send(), work.now())
    waiting = batch.to_send()
    if batch.queue.fifo:
        for wave in _waves(waiting):
            batch.keep_to_leases(wave, work.now())  # many waves take long
            _send(work, _unblocked(batch, wave))
    else:
        _send(work, waiting)
    failures = [item.failure for item in waiting]
    throttled = [failure for failure in failures if isinstance(failure, Transient)]
    certainly_not = [failure for failure in throttled if not isinstance(failure, OutcomeUnknown)]
    if waiting and len(certainly_not) == len(waiting):
        for item in waiting:
            item.failure = None
        raise certainly_not[0]


def confirm_sends(work: Work, batch: Batch) -> None:
    """Write down what was sent as what, before anything else: any later run can write the cases from it.

    Raises:
        Transient: it is not certain to stand there, so what was sent stays unconfirmed. Repeating it is safe.
    """
    # The same time when it is repeated: what is counted as recovered must be what the cases say.
    now = batch.recorded_at = batch.recorded_at or work.now()
    writes: list[LedgerWrite] = []
    under_way = []
    for intent in batch.intents:
        members = batch.members(intent)
        if all(item.is_certainly_unsent for item in members):
            writes += work.intents.closing(intent.id, intent.queue)
            continue
        under_way.append(intent)
        became = [item.new_id or ("" if item.is_certainly_unsent else None) for item in members]
        writes.append(work.intents.confirmation(intent, became, now))
        parts: dict[tuple[str, str], list[MessageWork]] = defaultdict(list)
        for item in members:
            if item.new_id:
                # SQS moves a message back in its group; a consumer may choose another one.
                is_moved = batch.queue.fifo and item.message.origin is Origin.SQS_REDRIVE
                parts[item.sent_to, item.message.group_id if is_moved else ""].append(item)
        for n, ((url, group), sent) in enumerate(parts.items()):
            latest = max((item.verdict.delay for item in sent if isinstance(item.verdict, Heal)), default=timedelta(0))
            keys = [records.new_key(item) for item in sent]
            arrived = now + latest + _ROUNDING
            settle = max(timedelta(seconds=batch.policy.settle_seconds), work.comeback_time(url))
            name = f"{intent.id}#{n}" if n else intent.id
            writes += work.unproven.writes(name, batch.queue.arn, url, keys, arrived, settle, group)
    write_all(work, writes)
    batch.intents = under_way
    batch.confirmed = True


def stop_sending(work: Work, batch: Batch) -> None:
    """Send nothing more in this run: what it sent could not be written down."""
    error = next((item.failure for item in batch.items if item.failure is not None), None)
    work.unrecorded = f"the ledger does not take what was sent ({error}): this run sends nothing more"
    work.complain(work.unrecorded)


def write_all(work: Work, writes: Sequence[LedgerWrite]) -> None:
    """Carry out writes on the run's threads, the last of the same key; repeating them is safe."""
    writes = latest(writes)
    work.each(work.ledger.write_items, [writes[n : n + WRITE_BATCH] for n in range(0, len(writes), WRITE_BATCH)])


def _pending_send(item: MessageWork) -> PendingSend:
    assert isinstance(item.verdict, Heal)
    return PendingSend(item.message.message_id, item.content, item.verdict.attempt, item.verdict.tries)


def _waves(items: Sequence[MessageWork]) -> list[list[MessageWork]]:
    """FIFO: the first message of every group, then the second of every group, and so on."""
    groups: dict[str, list[MessageWork]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.message.sequence):
        groups[item.message.group_id].append(item)
    longest = max(map(len, groups.values()), default=0)
    return [[group[n] for group in groups.values() if n < len(group)] for n in range(longest)]


def _unblocked(batch: Batch, wave: Sequence[MessageWork]) -> list[MessageWork]:
    """The messages of a wave whose group has lost none before; the others stay, so that order is kept."""
    stuck = {item.message.group_id for item in batch.items if item.failure is not None}
    for item in wave:
        if item.failure is None and item.message.group_id in stuck:
            item.failure = Transient("an earlier message of its group was not sent, and order is kept")
    return [item for item in wave if item.failure is None]


def _send(work: Work, items: Sequence[MessageWork]) -> None:
    by_destination: dict[str, list[MessageWork]] = defaultdict(list)
    for item in items:
        assert isinstance(item.verdict, Heal)
        by_destination[item.verdict.destination].append(item)
    for url, bound in by_destination.items():
        place = work.destination(url)
        parts = [[bound[index] for index in part] for part in place.parts([item.message for item in bound])]

        def send(part: list[MessageWork], place: Destination = place) -> list[Outcome]:
            # Many sends take long: each looks at its leases itself, or another run may hold the messages by now.
            if min(item.message.lease_until for item in part) - work.now() < LEASE_MARGIN:
                return [NotSent(Transient(LEASE_ENDS)) for _ in part]
            outgoing = []
            for item in part:
                assert isinstance(item.verdict, Heal)
                outgoing.append(Outgoing(item.message, item.verdict.delay, item.verdict.attempt))
            return place.send(outgoing)

        for item, outcome in paired(parts, work.each(send, parts)):
            if not isinstance(outcome, NotSent):
                item.new_id, item.sent_to = outcome.message_id, url
            elif outcome.its_own_fault:
                # The queue will never take this message as it is: a person must know, and it must not be tried for
                # ever.
                item.verdict = AlertVerdict(
                    State.PARKED,
                    f"its {place.label} refuses it: {outcome.error.code or outcome.error}",
                    "compare the message with the limits and key there, then replay or drop it",
                    rule="refused",
                )
            else:
                item.failure = outcome.error
                item.maybe_sent = isinstance(outcome.error, OutcomeUnknown)
                _report_refusal(work, place, outcome.error)


def _report_refusal(work: Work, place: Destination, error: RepriseError) -> None:
    if isinstance(error, Refused):
        work.complain(f"{place.label}: nothing can be sent to it: {error}")
