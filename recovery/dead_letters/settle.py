"""Second half of a round: carry the verdicts out. Copies first, deletes last.

The order of the steps is what keeps letters safe; a process killed between any two requests loses nothing:
flight -> sends -> archive -> cases (and the flight's confirmation) -> alerts -> deletes (and the flight's closing).
Each step can be repeated: it takes up only what earlier steps left undone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from recovery.alerts import Alert as AlertMessage
from recovery.alerts import Announced
from recovery.archive import Pointer, bundle_key, bundles, encode
from recovery.cases import State
from recovery.dead_letters import records
from recovery.dead_letters.batch import Batch, Item
from recovery.dead_letters.flights import SIZE, Flight, Passenger
from recovery.dead_letters.gateway import NotSent, Outcome
from recovery.dead_letters.letters import BATCH, Queue, batches, entry, size
from recovery.dead_letters.verdicts import Alert, Heal, Hide, Leave
from recovery.dead_letters.work import PATH, Work
from recovery.errors import OutcomeUnknown, Refused, RepriseError, Transient
from recovery.ledger import Item as Write

_LOOKS = 5  # a publish takes well under a second; after these seconds its sender is taken for dead


def write_ahead(work: Work, batch: Batch) -> None:
    """Write down what is about to be sent.

    Raises:
        Transient: it is not certain to stand there, so nothing may be sent. Repeating it is safe.
    """
    healing = batch.having(Heal)
    if not batch.flights:
        for start in range(0, len(healing), SIZE):
            passengers = tuple(_passenger(item) for item in healing[start : start + SIZE])
            batch.flights.append(Flight(uuid4().hex, batch.queue.name, passengers))
    work.flights.open(batch.flights, work.now())


def send_letters(work: Work, batch: Batch) -> None:
    """Send what is to be healed, ten at a time; on FIFO queues one letter of a group at a time.

    Raises:
        Transient: nothing at all was sent (throttled or unreachable); sending again is safe.
    """
    waiting = batch.to_send()
    if batch.queue.fifo:
        for wave in _waves(waiting):
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


def archive_letters(work: Work, batch: Batch) -> None:
    """Put copies into the archive, many to one object.

    Raises:
        Transient, Refused: some copies are not safe; repeating it is safe.
    """
    waiting = batch.to_archive()
    for item in waiting:
        _copy_payload(work, item)
    lines = [encode(records.archive_record(item, work.now())) for item in waiting]
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
    now = work.now()
    cases = [case for item in batch.items for case in records.cases(item, batch, now, work.archive_keep)]
    writes = [records.write(case) for case in cases]
    work.each(work.ledger.write_items, [writes[start : start + 25] for start in range(0, len(writes), 25)])
    confirmations: list[Write] = []
    for flight in batch.flights:
        unsent = [item.letter.message_id for item in _aboard(batch, flight) if not item.new_id]
        confirmations.append(work.flights.confirmation(flight, unsent, now))
    work.ledger.write_items(confirmations)


def announce_groups(work: Work, batch: Batch) -> None:
    """Tell people, once for each group of alike failures. Letters whose alert is not out yet stay in their queue.

    Raises:
        Transient: no alert at all went out; repeating it is safe.
    """
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in batch.items:
        if item.failure is None and item.wants_alert:
            groups[records.alert_group(item)].append(item)
    window = timedelta(seconds=batch.policy.alert_window_seconds)
    for group, items in groups.items():
        try:
            said = _announce(work, records.alert(group, items, batch.queue.name), window)
        except RepriseError as error:
            batch.give_up(error, items)
            continue
        if said is Announced.ELSEWHERE:
            batch.give_up(
                Transient("another run has been sending this group's alert, and has not said that it is out"), items
            )


def remove_letters(work: Work, batch: Batch) -> None:
    """Remove the originals whose copies are safe and recorded, and close the flights all of whose letters are gone.

    Raises:
        Transient: some could not be removed yet; repeating it is safe.
    """
    gone = [item for item in batch.items if item.is_gone_for_good and not item.removed]
    parts = [gone[start : start + BATCH] for start in range(0, len(gone), BATCH)]
    outcomes = work.each(lambda part: work.sqs.delete(batch.queue, [item.letter for item in part]), parts)
    later: list[RepriseError] = []
    for item, outcome in _paired(parts, outcomes):
        if not isinstance(outcome, NotSent):
            item.removed = True
        elif isinstance(outcome.error, Transient):
            later.append(outcome.error)
        else:
            item.failure = outcome.error
    if later:
        raise later[0]
    _close_flights(work, batch)


def hide_letters(work: Work, batch: Batch) -> None:
    """Keep letters hidden until their next attempt; their due time stands in the ledger already."""
    now = work.now()
    waiting = [item for item in batch.having(Hide) if isinstance(item.verdict, Hide) and item.verdict.hidden]
    parts = [waiting[start : start + BATCH] for start in range(0, len(waiting), BATCH)]

    def hide(part: list[Item]) -> list[Outcome]:
        receipts = []
        for item in part:
            assert isinstance(item.verdict, Hide)
            seconds = max(0, round((item.verdict.until - now).total_seconds()))
            receipts.append((item.letter.receipt, min(43_200, seconds)))
        return work.sqs.hide(batch.queue, receipts)

    for _, outcome in _paired(parts, work.each(hide, parts)):
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
            work.held.append((batch.queue, item.letter.receipt))
    work.note(records.entry(item, batch) for item in batch.items)


def release(work: Work) -> int:
    """Make everything that was only looked at, or could not be settled, visible again; returns how many."""
    by_queue: dict[str, tuple[Queue, list[str]]] = {}
    for queue, receipt in work.held:
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


def _announce(work: Work, message: AlertMessage, window: timedelta) -> Announced:
    """Send an alert, or wait a moment for another run that is sending it right now."""
    said = work.alerts.announce(message, work.now(), window)
    for _ in range(_LOOKS):
        if said is not Announced.ELSEWHERE:
            break
        work.pause(1.0)
        said = work.alerts.announce(message, work.now(), window)
    return said


def _passenger(item: Item) -> Passenger:
    assert isinstance(item.verdict, Heal)
    return Passenger(item.letter.message_id, item.content, item.verdict.attempt, item.verdict.tries)


def _waves(items: Sequence[Item]) -> list[list[Item]]:
    """FIFO: the first letter of every group, then the second of every group, and so on."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.letter.sequence):
        groups[item.letter.group_id].append(item)
    longest = max(map(len, groups.values()), default=0)
    return [[group[n] for group in groups.values() if n < len(group)] for n in range(longest)]


def _unblocked(batch: Batch, wave: Sequence[Item]) -> list[Item]:
    """The letters of a wave whose group has lost none before; the others stay, so that order is kept."""
    stuck = {item.letter.group_id for item in batch.items if item.failure is not None}
    for item in wave:
        if item.letter.group_id in stuck:
            item.failure = Transient("an earlier letter of its group was not sent, and order is kept")
    return [item for item in wave if item.failure is None]


def _send(work: Work, items: Sequence[Item]) -> None:
    by_destination: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        assert isinstance(item.verdict, Heal)
        by_destination[item.verdict.destination].append(item)
    for url, bound in by_destination.items():
        fifo = url.endswith(".fifo")
        parts = [[bound[index] for index in part] for part in batches([size(item.letter) for item in bound])]

        def send(part: list[Item], url: str = url, fifo: bool = fifo) -> list[Outcome]:
            entries = []
            for index, item in enumerate(part):
                assert isinstance(item.verdict, Heal)
                entries.append(entry(item.letter, index, item.verdict.delay, fifo=fifo, attempt=item.verdict.attempt))
            return work.sqs.send(url, entries, fifo=fifo)

        for item, outcome in _paired(parts, work.each(send, parts)):
            if not isinstance(outcome, NotSent):
                item.new_id = outcome.message_id
            elif outcome.its_own_fault:
                # The queue will never take this letter as it is: a person must know, and it must not be tried for ever.
                item.verdict = Alert(
                    State.PARKED,
                    f"its queue refuses it: {_said(outcome.error)}",
                    "compare the letter with the queue's limits and key, then replay or drop it",
                )
            else:
                item.failure = outcome.error
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


def _aboard(batch: Batch, flight: Flight) -> list[Item]:
    ids = {passenger.message_id for passenger in flight.passengers}
    return [item for item in batch.items if item.letter.message_id in ids]


def _close_flights(work: Work, batch: Batch) -> None:
    settle = timedelta(seconds=batch.policy.settle_seconds)
    writes: list[Write] = []
    closed = []
    for flight in batch.flights:
        aboard = _aboard(batch, flight)
        if not all(item.removed for item in aboard):
            continue
        keys = [records.new_key(item) for item in aboard if item.new_id]
        latest = max((item.verdict.delay for item in aboard if isinstance(item.verdict, Heal)), default=timedelta(0))
        writes += work.flights.closing(flight, keys, work.now() + latest + settle)
        closed.append(flight)
    work.ledger.write_items(writes)
    batch.flights = [flight for flight in batch.flights if flight not in closed]


def _copy_payload(work: Work, item: Item) -> None:
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


def _paired(parts: Sequence[Sequence[Item]], outcomes: Sequence[Sequence[Outcome]]) -> list[tuple[Item, Outcome]]:
    return [pair for part, said in zip(parts, outcomes, strict=True) for pair in zip(part, said, strict=True)]
