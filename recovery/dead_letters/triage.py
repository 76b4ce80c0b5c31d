"""First half of a round: take messages up, learn what is known about them, diagnose, decide. Only leases change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from recovery.cases import Case, DamagedCase
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.consumer_logs import ask_logs
from recovery.dead_letters.gateway import name_of
from recovery.dead_letters.messages import BATCH, BATCH_BYTES, Message, Queue, content_hash, identity, size
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.remembered import remembered
from recovery.dead_letters.rules import Known, decide
from recovery.dead_letters.send_intents import Open
from recovery.dead_letters.verdicts import Heal, Hide, Leave
from recovery.dead_letters.work import Work
from recovery.errors import BadInput, Refused, RepriseError
from recovery.failures import (
    DEFAULT_RULES,
    Diagnosis,
    Kind,
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
"""Messages in one round: one task run each for receiving, diagnosing, deciding, acting, recording and removing."""
ROUND_BYTES = 64 * 1024 * 1024
"""Bytes of messages that a round takes up, so that memory is bounded for messages of any size."""
POLL_SECONDS = 1
"""Long polling asks all of SQS's servers; a short poll may come back empty from a queue that is not."""
BY_TIME = " (matched by time: no log line names the message, and all that ran when it was received ended so)"
EMPTY_POLLS = 5
"""Empty polls in a row after which a drain ends even though SQS still counts messages."""


def receive(work: Work, queue: Queue, policy: DeadLetterPolicy) -> Batch:
    """The messages of the next round; an empty batch when the queue is drained, or the run's bounds are reached.

    Raises:
        Transient: SQS could not be asked and nothing was received; asking again is safe.
        Refused: the queue may not be read.
    """
    messages: list[Message] = []
    taken = 0
    empties = 0
    visible = max(0, queue.visible - work.taken_of[queue.name])
    while len(messages) < min(ROUND, work.room) and taken < ROUND_BYTES and not work.time_is_up:
        wanted = min(ROUND, work.room) - len(messages)
        affordable = (ROUND_BYTES - taken) // (BATCH * work.largest.get(queue.name, BATCH_BYTES))
        polls = max(1, min(work.threads, -(-wanted // BATCH), -(-visible // BATCH), affordable))
        asked = [BATCH] * (polls - 1) + [wanted - BATCH * (polls - 1)]
        wait = POLL_SECONDS if visible else 0  # nothing is expected: an empty poll and SQS's count then end the drain
        answers = work.each(partial(_poll, work, queue, wait), asked)
        got = [message for answer in answers if not isinstance(answer, RepriseError) for message in answer]
        failed = [answer for answer in answers if isinstance(answer, RepriseError)]
        if failed and not got and not messages:
            raise failed[0]
        messages += got
        sizes = [size(message) for message in got]
        taken += sum(sizes)
        if sizes:
            work.largest[queue.name] = max(1, *sizes, work.largest.get(queue.name, 0))
        visible = max(0, visible - len(got))
        if failed or (messages and not got):
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
    work.taken += len(messages)
    work.taken_of[queue.name] += len(messages)
    return Batch(queue, policy, [_recognised(message, policy) for message in messages])


def look_up(work: Work, batch: Batch) -> None:
    """What the ledger knows: the messages' cases, and what interrupted runs left open.

    A message whose case cannot be read keeps that in `damaged`; a batch keeps in `unreadable` that a send intent cannot
    be.

    Raises:
        Transient: the ledger could not be read; asking again is safe.
    """
    policy = batch.policy
    for item in batch.items:
        item.key = identity(item.message, policy.identity_attribute, policy.identity_body_path)
        item.content = content_hash(item.message)
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
        item.unconfirmed = opened.about(item.message, item.content)
        if item.history is not None and item.unconfirmed is not None and not item.unconfirmed.same_message:
            item.unconfirmed = None  # a message with a case of its own needs nobody else's


def _read(
    work: Work, queue: Queue, damaged: list[DamagedCase], keys: Sequence[str] | None
) -> Mapping[str, Case] | Open:
    """Cases by key, or what is open of the queue's send intents: both are read at once."""
    return work.intents.open_of(queue) if keys is None else remembered(work.ledger, keys, damaged)


def diagnose_messages(work: Work, batch: Batch) -> None:
    """Why the messages failed: evidence by origin, the consumer's logs where the policy names them, then the rules."""
    policy = batch.policy
    rules = rules_of(policy)
    for item in batch.items:
        item.evidence = evidence_for(
            item.message.body,
            item.message.attributes,
            item.message.system,
            origin=item.message.origin,
            error_attributes=policy.error_attributes,
            error_body_paths=policy.error_body_paths,
        )
    ask_logs(work, batch)
    known: dict[tuple[object, ...], Diagnosis] = {}
    bare: dict[str, str] = {}
    for item in batch.items:
        if not item.evidence.is_empty:
            said = (item.evidence.error, *sorted(item.evidence.attributes.items()))
            item.diagnosis = known.get(said) or diagnose(item.evidence, rules)
            if not _is_weak(item.diagnosis):
                known[said] = item.diagnosis  # messages that fail together often say the very same
            if item.by_time:
                item.diagnosis = replace(item.diagnosis, reason=f"{item.diagnosis.reason}{BY_TIME}")
        if policy.body_schema is not None and not item.pending and _is_silent(item.diagnosis):
            item.diagnosis = violates_schema(item.message.body, policy.body_schema) or item.diagnosis
        if item.diagnosis is not None:
            error = item.evidence.error or item.diagnosis.reason
            if error not in bare:
                bare[error] = normalise(error)
            item.error = bare[error]
            item.group = group_of(item.diagnosis, item.error)


def decide_messages(work: Work, batch: Batch) -> None:
    """A verdict for each message. On a FIFO queue a message that stays holds back all later ones of its group."""
    now = work.now()
    for item in batch.items:
        try:
            item.destination = _destination(work, item.message, batch.queue, batch.policy)
        except Refused as error:
            item.failure = error
    order = sorted(batch.items, key=lambda item: item.message.sequence) if batch.queue.fifo else batch.items
    blocked: set[str] = set()
    for item in order:
        if item.failure is not None:
            item.verdict = Leave("it could not be triaged")
            blocked.add(item.message.group_id)
            continue
        if batch.queue.fifo and item.message.group_id in blocked:
            item.verdict = Leave("an earlier message of its group stays in the queue, and order is kept")
            continue
        spread = timedelta(seconds=work.sent_to[item.destination] / batch.policy.max_per_second)
        known = Known(
            message=item.message,
            queue=batch.queue,
            diagnosis=item.diagnosis,
            group=item.group,
            history=item.history,
            unconfirmed=item.unconfirmed,
            destination=item.destination,
            hidden=batch.queue.in_flight + work.hidden[batch.queue.name],
            follows=batch.queue.fifo and (batch.queue.name, item.message.group_id) in work.going,
            evidence_pending=item.pending,
            searched=item.searched,
            unread=item.unread,
            damaged=item.damaged.place(work.ledger.table) if item.damaged else "",
            unreadable=batch.unreadable,
        )
        item.verdict = decide(known, batch.policy, now, work.jitter(), spread)
        if isinstance(item.verdict, Heal):
            work.sent_to[item.destination] += 1
            if batch.queue.fifo:
                work.going.add((batch.queue.name, item.message.group_id))
        elif isinstance(item.verdict, Hide) and item.verdict.hidden:
            work.hidden[batch.queue.name] += 1
        if item.damaged is not None and isinstance(item.verdict, Leave):
            item.failure = BadInput(f"the ledger's case of it is damaged ({item.damaged.damage})")
        elif batch.unreadable and isinstance(item.verdict, Leave):
            item.failure = BadInput("a send intent of its queue, in the ledger, is damaged")
        if isinstance(item.verdict, Leave | Hide):
            blocked.add(item.message.group_id)


def check(policy: DeadLetterPolicy) -> None:
    """Refuse a policy that cannot be followed, before anything is received.

    Raises:
        BadInput: the rules file or the schema is wrong; the message names rule and field.
    """
    rules = rules_of(policy)
    known = rules.own_kinds | set(Kind)
    if unknown := sorted(kind for kind in policy.actions if kind not in known):
        raise BadInput(f"actions: {unknown[0]}: expected one of {', '.join((*Kind, *sorted(rules.own_kinds)))}")
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


def _poll(work: Work, queue: Queue, wait: int, most: int) -> list[Message] | RepriseError:
    try:
        return work.sqs.receive(queue, most, work.lease, wait, work.now())
    except RepriseError as error:
        return error


def _recognised(message: Message, policy: DeadLetterPolicy) -> Message:
    origin = recognise(message.body, message.attributes, message.system, policy.error_attributes)
    return replace(message, origin=origin, shape=body_shape(message.body))


def _is_weak(diagnosis: Diagnosis) -> bool:
    """Whether the body had a say in it, and not the error alone."""
    return diagnosis.rule in ("none", "body.unreadable")


def _is_silent(diagnosis: Diagnosis | None) -> bool:
    return diagnosis is None or diagnosis.rule == "none"


def _destination(work: Work, message: Message, queue: Queue, policy: DeadLetterPolicy) -> str:
    """URL of the queue that a message goes back to: its own source, else the one that the policy names, else none."""
    own = queue.sources.get(message.source_arn, "") if message.source_arn else ""
    if not own and message.source_arn:
        own = work.url_of(message.source_arn.rpartition(":")[2])  # it may exist without naming this queue any more
    if own or not policy.destination:
        return own
    named = work.url_of(name_of(policy.destination))
    problem = ""
    if not named:
        problem = (
            f"destination: queue {policy.destination} does not exist, so messages without a source cannot go there"
        )
    elif name_of(named) == queue.name:
        problem = f"destination: queue {queue.name} cannot be its own destination"
    if problem and problem not in work.problems:
        work.problems.append(problem)
    return "" if problem else named
