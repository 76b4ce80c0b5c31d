"""Delivering a round of rows: find what is due, claim it, publish it in batches, and mark it as soon as it is out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from recovery.errors import RepriseError
from recovery.outbox_records import changes, fifo, rules
from recovery.outbox_records.due import PAGE, DueKeys
from recovery.outbox_records.gateway import READ_BATCH, WRITE_BATCH
from recovery.outbox_records.groups import Groups
from recovery.outbox_records.message import Message, batches
from recovery.outbox_records.models import Fault, Held, NotSent, Outcome, Sent, lines
from recovery.outbox_records.policy import LEASE_MARGIN_SECONDS
from recovery.outbox_records.reading import read_candidates
from recovery.outbox_records.rounds import Round, RowWork, entry_of
from recovery.outbox_records.settle import prepare, resolve, resolve_stopped, write, write_batch
from recovery.outbox_records.verdicts import Action
from recovery.outbox_records.work import ROUND_BYTES, OutboxRun

CHUNK = 50
"""Rows that one thread publishes and marks: with marks of 25, at most 34 published rows of a thread are unmarked."""


def find_due(work: OutboxRun) -> Round:
    """The next round of due rows, decided; an empty one when a whole pass moved nothing.

    Raises:
        Transient, Refused: the table could not be read.
    """
    work.rounds += 1
    round_ = Round([], f"{work.owner}:{work.rounds}")
    while not round_.candidates and not work.time_is_up:
        if work.due is None:
            _begin_pass(work)
        most = 1 if work.probing else min(work.round_rows, work.room)
        found = fifo.take(work, most) if work.request.is_fifo else _take(work, most)
        if found is None:
            work.due = None
            if work.dry_run or not work.moved_in_pass:
                break
            continue
        kept = [each for each in found if each.verdict.action is not Action.PASS]
        stays = [each for each in kept if each.verdict.action in (Action.LEAVE, Action.WAIT)]
        _stay(work, stays)
        round_.candidates = [each for each in kept if each.verdict.action not in (Action.LEAVE, Action.WAIT)]
    work.taken += round_.count
    return round_


def _begin_pass(work: OutboxRun) -> None:
    until = work.now()
    if work.request.is_fifo:
        until -= timedelta(seconds=work.policy.fifo_settle_seconds)
    page = min(PAGE, work.round_rows, work.room)
    work.due = DueKeys(work.table, lines(work.request.shards), until, page)
    work.moved_in_pass = 0
    work.waiting = []
    work.groups = Groups()


def _take(work: OutboxRun, most: int) -> list[RowWork] | None:
    """Candidates of the next keys; None at the end of the pass."""
    assert work.due is not None
    keys = work.due.take(max(most, 10), work.each)
    if not keys:
        return None
    found: list[RowWork] = []
    step, read = READ_BATCH, 0
    while read < len(keys):
        found += read_candidates(work, keys[read : read + step])
        read += step
        size = sum(each.size for each in found)
        if size >= ROUND_BYTES:
            break
        # The first hundred show how large the rows are: as many more at once as the round has room for.
        affordable = (ROUND_BYTES - size) * len(found) // max(size, 1)
        step = max(READ_BATCH, min(affordable, READ_BATCH * work.threads))
    work.due.put_back(keys[read:])
    # A probe sends one row. The keys of the others come again.
    sending = [each for each in found if each.verdict.action is Action.DELIVER]
    spare = sending[most:]
    work.due.put_back([each.row.key for each in spare])
    beyond = set(map(id, spare))
    return [each for each in found if id(each) not in beyond]


def _stay(work: OutboxRun, candidates: Sequence[RowWork]) -> None:
    # Only the last pass is reported, or a row that stays would be counted once for each.
    for each in candidates:
        each.settled = True
        work.waiting.append(entry_of(work, each))


# -- claiming ----------------------------------------------------------------------------------------------------


def claim(work: OutboxRun, round_: Round) -> None:
    """Claim the rows that are to be published. What another worker has, or what is gone, leaves the round.

    Raises:
        Transient, Refused: some could not be claimed. Claiming again is safe: the token is the same.
    """
    if round_.lease_ends is None:
        round_.lease_ends = work.now() + timedelta(seconds=work.policy.lease_seconds)
    ends = round_.lease_ends
    wanted = [each for each in round_.of(Action.DELIVER) if not each.token]
    for each in wanted:
        each.wanted = True
        each.change = changes.claim(each.row, work.names, round_.token, ends)
    parts = [wanted[start : start + WRITE_BATCH] for start in range(0, len(wanted), WRITE_BATCH)]

    def claim_part(part: Sequence[RowWork]) -> RepriseError | None:
        try:
            results = work.table.change([each.change for each in part if each.change is not None])
        except RepriseError as error:
            for each in part:  # the claim may stand all the same: `mark` takes it back, so that no attempt counts
                each.change = changes.released(each.row, work.names, round_.token)
            return error
        for candidate, result in zip(part, results, strict=True):
            candidate.change = None
            if result.done:
                candidate.token = round_.token
            elif result.problem:
                candidate.verdict = rules.not_claimed(result.problem)
            else:
                candidate.verdict = rules.not_ours(gone=result.item is None)
                candidate.settled = True
        return None

    try:
        failures = [error for error in work.each(claim_part, parts) if error]
    finally:
        if work.request.is_fifo:
            fifo.keep_prefixes(work, round_)
    if failures:
        raise failures[0]


# -- publishing --------------------------------------------------------------------------------------------------


def send(work: OutboxRun, round_: Round) -> None:
    """Publish the claimed rows, and mark each as soon as its batch is out. Nothing is raised for a topic that takes
    nothing: the rows hold the reason, and `work.stopped` does.

    A mark that could not be written stays prepared in its candidate; see `mark`.
    """
    for each in round_.of(Action.DELIVER):
        if each.wanted and not each.token:
            each.verdict = rules.not_claimed()
    ready = [each for each in round_.of(Action.DELIVER) if each.token and each.outcome is None]
    blocked: set[str] = set()
    work.throttled = None
    for wave in sorted({each.wave for each in ready}):
        now_sent = []
        for each in (one for one in ready if one.wave == wave):
            if each.group in blocked:
                resolve(work, each, rules.BEHIND)
            else:
                now_sent.append(each)
        chunks = [now_sent[start : start + CHUNK] for start in range(0, len(now_sent), CHUNK)]
        work.each(lambda chunk: _send_chunk(work, round_, chunk), chunks)
        blocked |= {each.group for each in now_sent if each.group and not fifo.may_pass(work, each)}
    work.moved_in_pass += sum(isinstance(each.outcome, Sent) for each in ready)
    for each in ready:
        _count(work, each)


def _send_chunk(work: OutboxRun, round_: Round, chunk: Sequence[RowWork]) -> None:
    messages = {n: each.message for n, each in enumerate(chunk) if isinstance(each.message, Message)}
    unmarked: list[RowWork] = []
    for batch in batches(messages, work.policy.max_message_bytes):
        candidates = [chunk[n] for n in batch]
        for candidate, outcome in zip(candidates, _publish(work, round_, candidates), strict=True):
            if isinstance(outcome, Held) and work.stopped:
                resolve_stopped(work, candidate, work.stopped)
            else:
                resolve(work, candidate, outcome)
            if candidate.change is not None:
                unmarked.append(candidate)
        if len(unmarked) >= WRITE_BATCH:
            _mark(work, unmarked[:WRITE_BATCH])
            unmarked = unmarked[WRITE_BATCH:]
    for start in range(0, len(unmarked), WRITE_BATCH):
        _mark(work, unmarked[start : start + WRITE_BATCH])


def _publish(work: OutboxRun, round_: Round, candidates: Sequence[RowWork]) -> Sequence[Outcome]:
    if work.stopped:
        return [rules.TOPIC_CLOSED] * len(candidates)
    if work.throttled:
        return [rules.HELD_BACK] * len(candidates)
    assert round_.lease_ends is not None
    last = round_.lease_ends - timedelta(seconds=LEASE_MARGIN_SECONDS)
    messages = [each.message for each in candidates if isinstance(each.message, Message)]
    outcomes = work.topic.publish(messages, lambda: work.now() < last, work.pace)
    faults = [each for each in outcomes if isinstance(each, NotSent)]
    if any(isinstance(each, Sent) for each in outcomes):
        work.doubt(None)
    for candidate, outcome in zip(candidates, outcomes, strict=True):
        if isinstance(outcome, NotSent) and outcome.fault is Fault.DOUBT:
            work.doubt(outcome, candidate.row.row_id)
    for each in faults:
        # Of a probe that meets an incident nobody knows yet whether it is SNS or the one message: another row shows.
        if each.fault is Fault.TOPIC or (each.fault is Fault.INCIDENT and not work.probing):
            work.stop(each)
        elif each.fault is Fault.THROTTLE:
            work.throttled = work.throttled or each
    unread = [each for each in faults if each.fault is Fault.UNKNOWN]
    work.count_answer(unread[0] if len(unread) == len(outcomes) else None)
    return outcomes


def _mark(work: OutboxRun, candidates: Sequence[RowWork]) -> None:
    try:
        write_batch(work, candidates)
    except RepriseError:
        return  # `mark` writes it again, with Prefect's patience
    return


def _count(work: OutboxRun, candidate: RowWork) -> None:
    if isinstance(candidate.outcome, Sent):
        work.sent += 1
        if isinstance(candidate.message, Message):
            work.without_id += not candidate.message.carries_id
            work.notes.update(candidate.message.notes)
    elif isinstance(candidate.outcome, NotSent) and candidate.outcome.fault is not Fault.THROTTLE:
        work.failed += 1


def mark(work: OutboxRun, round_: Round) -> None:
    """Write the marks that are still unwritten, and tidy what somebody else finished. Repeating it is safe.

    Raises:
        Transient, Refused: some could not be written.
    """
    for each in round_.of(Action.TIDY, Action.LIST, Action.GROUP):
        if each.change is None:
            prepare(work, each)
    write(work, round_.candidates)
    work.moved_in_pass += sum(each.settled for each in round_.candidates if each.verdict.action is Action.GROUP)


def note(work: OutboxRun, round_: Round) -> None:
    """Count the round. No request is made."""
    work.exhausted += sum(each.settled for each in round_.candidates if each.verdict.action is Action.EXHAUST)
    work.note(entry_of(work, each) for each in round_.candidates if each.verdict.action is not Action.PASS)
