"""Sending what is to be healed: written ahead, ten at a time, in order on FIFO queues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import uuid4

from recovery.cases import State
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.gateway import NotSent, Outcome, paired
from recovery.dead_letters.messages import batches, entry, size
from recovery.dead_letters.send_intents import SIZE, PendingSend, SendIntent
from recovery.dead_letters.verdicts import AlertVerdict, Heal
from recovery.dead_letters.work import Work
from recovery.errors import OutcomeUnknown, Refused, RepriseError, Transient


def write_ahead(work: Work, batch: Batch) -> None:
    """Write down what is about to be sent.

    Raises:
        Transient: it is not certain to stand there, so nothing may be sent. Repeating it is safe.
    """
    healing = batch.having(Heal)
    if not batch.intents:
        for start in range(0, len(healing), SIZE):
            pending = tuple(_pending_send(item) for item in healing[start : start + SIZE])
            batch.intents.append(SendIntent(uuid4().hex, batch.queue.name, pending))
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
        fifo = url.endswith(".fifo")
        parts = [[bound[index] for index in part] for part in batches([size(item.message) for item in bound])]

        def send(part: list[MessageWork], url: str = url, fifo: bool = fifo) -> list[Outcome]:
            entries = []
            for index, item in enumerate(part):
                assert isinstance(item.verdict, Heal)
                entries.append(entry(item.message, index, item.verdict.delay, fifo=fifo, attempt=item.verdict.attempt))
            return work.sqs.send(url, entries, fifo=fifo)

        for item, outcome in paired(parts, work.each(send, parts)):
            if not isinstance(outcome, NotSent):
                item.new_id = outcome.message_id
            elif outcome.its_own_fault:
                # The queue will never take this message as it is: a person must know, and it must not be tried for
                # ever.
                item.verdict = AlertVerdict(
                    State.PARKED,
                    f"its queue refuses it: {_said(outcome.error)}",
                    "compare the message with the queue's limits and key, then replay or drop it",
                )
            else:
                item.failure = outcome.error
                item.maybe_sent = isinstance(outcome.error, OutcomeUnknown)
                _tell_of_refusal(work, url, outcome.error)


def _tell_of_refusal(work: Work, url: str, error: RepriseError) -> None:
    if not isinstance(error, Refused):
        return
    name = url.rsplit("/", 1)[1]
    line = f"queue {name}: nothing can be sent to it: {error}"
    if line not in work.problems:
        work.problems.append(line)


def _said(error: RepriseError) -> str:
    return error.code or str(error)
