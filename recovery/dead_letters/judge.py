"""First half of a round: take letters up, learn what is known about them, diagnose, decide. Only leases change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from recovery.cases import Case, DamagedCase
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.consumer_logs import ask_logs
from recovery.dead_letters.flights import Open
from recovery.dead_letters.gateway import name_of
from recovery.dead_letters.letters import BATCH, BATCH_BYTES, Letter, Queue, content_hash, identity, size
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.remembered import remembered
from recovery.dead_letters.rules import Known, decide
from recovery.dead_letters.verdicts import Heal, Hide, Leave
from recovery.dead_letters.work import Work
from recovery.errors import BadInput, Refused, RepriseError
from recovery.failures import (
    DEFAULT_RULES,
    Diagnosis,
    RuleSet,
    body_shape,
    diagnose,
    evidence_for,
    group_of,
    load_rules,
    normalise,
    recognise,
    violates_schema,
)
from recovery.failures.schemas import check_schema
from recovery.ledger import READ_BATCH

ROUND = 2000
"""Letters in one round: one task run each for receiving, diagnosing, deciding, acting, recording and removing."""
ROUND_BYTES = 64 * 1024 * 1024
"""Bytes of letters that a round takes up, so that memory is bounded for letters of any size."""
POLL_SECONDS = 1
"""Long polling asks all of SQS's servers; a short poll may come back empty from a queue that is not."""
EMPTY_POLLS = 5
"""Empty polls in a row after which a drain ends even though SQS still counts messages."""


def receive(work: Work, queue: Queue, policy: DeadLetterPolicy) -> Batch:
    """The letters of the next round; an empty batch when the queue is drained, or the run's bounds are reached.

    Raises:
        Transient: SQS could not be asked and nothing was received; asking again is safe.
        Refused: the queue may not be read.
    """
    letters: list[Letter] = []
    taken = 0
    empties = 0
    visible = max(0, queue.visible - work.taken_of[queue.name])
    while len(letters) < min(ROUND, work.room) and taken < ROUND_BYTES and not work.time_is_up:
        wanted = min(ROUND, work.room) - len(letters)
        affordable = (ROUND_BYTES - taken) // (BATCH * work.largest.get(queue.name, BATCH_BYTES))
        polls = max(1, min(work.threads, -(-wanted // BATCH), -(-visible // BATCH), affordable))
        asked = [BATCH] * (polls - 1) + [wanted - BATCH * (polls - 1)]
        wait = POLL_SECONDS if visible else 0  # nothing is expected: an empty poll and SQS's count then end the drain
        answers = work.each(partial(_poll, work, queue, wait), asked)
        got = [letter for answer in answers if not isinstance(answer, RepriseError) for letter in answer]
        failed = [answer for answer in answers if isinstance(answer, RepriseError)]
        if failed and not got and not letters:
            raise failed[0]
        letters += got
        sizes = [size(letter) for letter in got]
        taken += sum(sizes)
        if sizes:
            work.largest[queue.name] = max(1, *sizes, work.largest.get(queue.name, 0))
        visible = max(0, visible - len(got))
        if failed or (letters and not got):
            break
        if not got:
            # One empty poll proves nothing: the drain ends when SQS counts nothing either, or keeps saying nothing.
            empties += 1
            visible = work.sqs.visible(queue)
            if not visible:
                break
            if empties >= EMPTY_POLLS:
                work.warnings.append(
                    f"queue {queue.name}: SQS counts about {visible} messages but hands out none; more than 120,000"
                    " may be in flight, or another consumer takes them"
                )
                break
    work.taken += len(letters)
    work.taken_of[queue.name] += len(letters)
    return Batch(queue, policy, [_recognised(letter, policy) for letter in letters])


def look_up(work: Work, batch: Batch) -> None:
    """What the ledger knows: the letters' cases, and what interrupted runs left open.

    A letter whose case cannot be read keeps that in `damaged`; a batch keeps in `unreadable` that a flight cannot be.

    Raises:
        Transient: the ledger could not be read; asking again is safe.
    """
    policy = batch.policy
    for item in batch.items:
        item.key = identity(item.letter, policy.identity_attribute, policy.identity_body_path)
        item.content = content_hash(item.letter)
    keys = list(dict.fromkeys(item.key for item in batch.items))
    parts = [keys[start : start + READ_BATCH] for start in range(0, len(keys), READ_BATCH)]
    cases: dict[str, Case] = {}
    opened: Open | None = None
    batch.unreadable = ""
    damaged: list[DamagedCase] = []
    for found in work.each(partial(_read, work, batch.queue, damaged), [*parts, None]):
        if isinstance(found, Open):
            opened = found
        else:
            cases.update(found)
    assert opened is not None
    if opened.unreadable:
        batch.unreadable = opened.unreadable[0].place
        said = [f"queue {batch.queue.name}: {error}" for error in opened.unreadable]
        work.problems += [line for line in said if line not in work.problems]
    damages = {case.key: case for case in damaged}
    for item in batch.items:
        item.damaged = damages.get(item.key)
        item.history = cases.get(item.key)
        item.unconfirmed = opened.about(item.letter, item.content)
        if item.history is not None and item.unconfirmed is not None and not item.unconfirmed.same_letter:
            item.unconfirmed = None  # a letter with a case of its own needs nobody else's


def _read(
    work: Work, queue: Queue, damaged: list[DamagedCase], keys: Sequence[str] | None
) -> Mapping[str, Case] | Open:
    """Cases by key, or what is open of the queue's flights: both are read at once."""
    return work.flights.open_of(queue) if keys is None else remembered(work.ledger, keys, damaged)


def diagnose_letters(work: Work, batch: Batch) -> None:
    """Why the letters failed: evidence by origin, the consumer's logs where the policy names them, then the rules."""
    policy = batch.policy
    rules = rules_of(policy)
    for item in batch.items:
        item.evidence = evidence_for(
            item.letter.body,
            item.letter.attributes,
            item.letter.system,
            origin=item.letter.origin,
            error_attributes=policy.error_attributes,
        )
    ask_logs(work, batch)
    known: dict[tuple[object, ...], Diagnosis] = {}
    bare: dict[str, str] = {}
    for item in batch.items:
        if not item.evidence.is_empty:
            said = (item.evidence.error, *sorted(item.evidence.attributes.items()))
            item.diagnosis = known.get(said) or diagnose(item.evidence, rules)
            if not _is_weak(item.diagnosis):
                known[said] = item.diagnosis  # letters that fail together often say the very same
        if policy.body_schema is not None and not item.pending and _is_silent(item.diagnosis):
            item.diagnosis = violates_schema(item.letter.body, policy.body_schema) or item.diagnosis
        if item.diagnosis is not None:
            error = item.evidence.error or item.diagnosis.reason
            if error not in bare:
                bare[error] = normalise(error)
            item.error = bare[error]
            item.group = group_of(item.diagnosis, item.error)


def decide_letters(work: Work, batch: Batch) -> None:
    """A verdict for each letter. On a FIFO queue a letter that stays holds back all later ones of its group."""
    now = work.now()
    for item in batch.items:
        try:
            item.destination = _destination(work, item.letter, batch.queue, batch.policy)
        except Refused as error:
            item.failure = error
    order = sorted(batch.items, key=lambda item: item.letter.sequence) if batch.queue.fifo else batch.items
    blocked: set[str] = set()
    for item in order:
        if item.failure is not None:
            item.verdict = Leave("it could not be judged")
            blocked.add(item.letter.group_id)
            continue
        if batch.queue.fifo and item.letter.group_id in blocked:
            item.verdict = Leave("an earlier letter of its group stays in the queue, and order is kept")
            continue
        spread = timedelta(seconds=work.sent_to[item.destination] / batch.policy.max_per_second)
        known = Known(
            letter=item.letter,
            queue=batch.queue,
            diagnosis=item.diagnosis,
            group=item.group,
            history=item.history,
            unconfirmed=item.unconfirmed,
            destination=item.destination,
            hidden=batch.queue.in_flight + work.hidden[batch.queue.name],
            follows=batch.queue.fifo and (batch.queue.name, item.letter.group_id) in work.going,
            evidence_pending=item.pending,
            searched=item.searched,
            damaged=item.damaged.place(work.ledger.table) if item.damaged else "",
            unreadable=batch.unreadable,
        )
        item.verdict = decide(known, batch.policy, now, work.draw(), spread)
        if isinstance(item.verdict, Heal):
            work.sent_to[item.destination] += 1
            if batch.queue.fifo:
                work.going.add((batch.queue.name, item.letter.group_id))
        elif isinstance(item.verdict, Hide) and item.verdict.hidden:
            work.hidden[batch.queue.name] += 1
        if item.damaged is not None and isinstance(item.verdict, Leave):
            item.failure = BadInput(f"the ledger's case of it is damaged ({item.damaged.damage})")
        elif batch.unreadable and isinstance(item.verdict, Leave):
            item.failure = BadInput("a flight of its queue, in the ledger, is damaged")
        if isinstance(item.verdict, Leave | Hide):
            blocked.add(item.letter.group_id)


def check(policy: DeadLetterPolicy) -> None:
    """Refuse a policy that cannot be followed, before anything is received.

    Raises:
        BadInput: the rules file or the schema is wrong; the message names rule and field.
    """
    rules_of(policy)
    if policy.body_schema is not None:
        check_schema(policy.body_schema)


def rules_of(policy: DeadLetterPolicy) -> RuleSet:
    """The diagnosis rules that a policy names.

    Raises:
        BadInput: the file is missing or wrong; the message names rule and field.
    """
    if policy.rules_file is None:
        return DEFAULT_RULES
    path = Path(policy.rules_file)
    if not path.is_file():
        raise BadInput(f"rules_file: there is no file {policy.rules_file!r} where the flow runs")
    return load_rules(path)


def _poll(work: Work, queue: Queue, wait: int, most: int) -> list[Letter] | RepriseError:
    try:
        return work.sqs.receive(queue, most, work.lease, wait, work.now())
    except RepriseError as error:
        return error


def _recognised(letter: Letter, policy: DeadLetterPolicy) -> Letter:
    origin = recognise(letter.body, letter.attributes, letter.system, policy.error_attributes)
    return replace(letter, origin=origin, shape=body_shape(letter.body))


def _is_weak(diagnosis: Diagnosis) -> bool:
    """Whether the body had a say in it, and not the error alone."""
    return diagnosis.rule in ("none", "body.unreadable")


def _is_silent(diagnosis: Diagnosis | None) -> bool:
    return diagnosis is None or diagnosis.rule == "none"


def _destination(work: Work, letter: Letter, queue: Queue, policy: DeadLetterPolicy) -> str:
    """URL of the queue that a letter goes back to: its own source, else the one that the policy names, else none."""
    own = queue.sources.get(letter.source_arn, "") if letter.source_arn else ""
    if not own and letter.source_arn:
        own = work.url_of(letter.source_arn.rpartition(":")[2])  # it may exist without naming this queue any more
    if own or not policy.destination:
        return own
    named = work.url_of(name_of(policy.destination))
    problem = ""
    if not named:
        problem = f"destination: queue {policy.destination} does not exist, so letters without a source cannot go there"
    elif name_of(named) == queue.name:
        problem = f"destination: queue {queue.name} cannot be its own destination"
    if problem and problem not in work.problems:
        work.problems.append(problem)
    return "" if problem else named
