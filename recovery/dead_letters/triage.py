"""First half of a round: learn what is known about the messages, diagnose, decide. Nothing in AWS is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from recovery.cases import Case, DamagedCase, State
from recovery.dead_letters import circuits
from recovery.dead_letters.actions import DIRECT
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.conclusions import remember_logs
from recovery.dead_letters.consumer_logs import ask_logs
from recovery.dead_letters.deliveries import CALLED
from recovery.dead_letters.messages import Queue, content_hash, identity, is_by_content
from recovery.dead_letters.names import name_of
from recovery.dead_letters.own_targets import own_target
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.remembered import remembered
from recovery.dead_letters.rules import decide
from recovery.dead_letters.send_intents import Open
from recovery.dead_letters.situation import Gate, Known
from recovery.dead_letters.verdicts import Heal, Hide, Leave
from recovery.dead_letters.work import Work
from recovery.errors import BadInput, Refused, RepriseError
from recovery.failures import (
    DEFAULT_RULES,
    BodyShape,
    Diagnosis,
    Kind,
    Origin,
    RuleSet,
    diagnose,
    evidence_for,
    group_of,
    load_rules,
    normalise,
    violates_schema,
)
from recovery.failures.schemas import check_schema
from recovery.ledger import READ_BATCH

BY_TIME = " (matched by time: no log line names the message, and all that ran when it was received ended so)"


def look_up(work: Work, batch: Batch) -> None:
    """Look up the messages' cases, and the sends that interrupted runs left open.

    A message whose case cannot be read keeps that in `damaged`; a batch keeps in `unreadable` that a send intent cannot
    be.

    Raises:
        Transient: the ledger could not be read; asking again is safe.
    """
    policy = batch.policy
    for item in batch.items:
        item.identity = identity(
            item.message,
            policy.identity_attribute,
            policy.identity_body_path,
            policy.changing,
            policy.error_body_paths,
            queue=batch.queue.arn,
            to_all=not DIRECT.issuperset(policy.targets),
        )
        item.content = content_hash(item.message, policy.changing, policy.error_body_paths)
    keys = list(dict.fromkeys(key for item in batch.items for key in (item.identity, item.message.message_id)))
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
        unreadable = [f"queue {batch.queue.name}: {error}" for error in opened.unreadable]
        for line in unreadable:
            work.complain(line)
    batch.earlier = opened.members
    batch.begun = opened.times
    batch.stored_circuits = circuits.understood(work, batch.queue, opened.circuits)
    batch.circuits = dict(batch.stored_circuits)
    damages = {case.key: case for case in damaged}
    for item in batch.items:
        item.damaged = damages.get(item.identity) or damages.get(item.message.message_id)
        item.history = cases.get(item.identity)
        item.own = cases.get(item.message.message_id)
        item.unconfirmed = opened.about(item.message, item.content)
        if item.history is not None and item.unconfirmed is not None and not item.unconfirmed.same_message:
            item.unconfirmed = None  # a message with a case of its own needs nobody else's
    # A send that was confirmed, and whose run then died: its case may not be written yet.
    sent = {
        item.unconfirmed.new_id: item
        for item in batch.items
        if item.unconfirmed is not None and item.unconfirmed.sent and item.message.origin is not Origin.UNKNOWN
    }
    for key in remembered(work.ledger, sent, damaged) if sent else ():
        sent[key].recorded = True


def _read(
    work: Work, queue: Queue, damaged: list[DamagedCase], keys: Sequence[str] | None
) -> Mapping[str, Case] | Open:
    """Cases by key, or what is open of the queue's send intents: both are read at once."""
    if keys is None:
        return work.intents.open_of(queue.arn, fifo=queue.fifo)
    return remembered(work.ledger, keys, damaged)


def diagnose_messages(work: Work, batch: Batch) -> None:
    """Diagnose the messages: evidence by origin, the consumer's logs where the policy names them, then the rules."""
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
    ask_logs(work, batch, rules.mark)
    known: dict[tuple[object, ...], Diagnosis] = {}
    bare: dict[str, str] = {}
    for item in batch.items:
        if item.failure is None:
            with _alone(work, item):
                _diagnose(item, policy, rules, known, bare)
    remember_logs(work, batch, rules.mark)


def _diagnose(
    item: MessageWork,
    policy: DeadLetterPolicy,
    rules: RuleSet,
    known: dict[tuple[object, ...], Diagnosis],
    bare: dict[str, str],
) -> None:
    concluded = item.diagnosis is not None  # by an earlier run, from lines that are not read twice
    if not concluded and not item.evidence.is_empty:
        words = (item.evidence.error, *sorted(item.evidence.attributes.items()))
        item.diagnosis = known.get(words) or diagnose(item.evidence, rules)
        if not _is_weak(item.diagnosis):
            known[words] = item.diagnosis  # messages that fail together often say the very same
        if item.by_time:
            item.diagnosis = replace(item.diagnosis, reason=f"{item.diagnosis.reason}{BY_TIME}")
    # A pointer is not what its queue's schema describes: the payload lies elsewhere.
    schema = policy.body_schema if item.message.shape is not BodyShape.EXTENDED_POINTER else None
    if schema is not None and not item.pending and _is_silent(item.diagnosis):
        item.diagnosis = violates_schema(item.message.body, schema) or item.diagnosis
    if item.diagnosis is not None:
        error = item.evidence.error or item.diagnosis.reason
        if error not in bare:
            bare[error] = normalise(error)
        if not concluded:
            item.error = bare[error]
        item.group = group_of(item.diagnosis, item.error)


@contextmanager
def _alone(work: Work, item: MessageWork) -> Iterator[None]:
    """Let what nobody expected about one message stop that message only; the run fails at its end."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - any mistake of ours: the others go on
        kind = type(error).__name__
        item.failure = Refused(f"an unexpected {kind} while it was triaged: please report it", code=kind)
        work.complain(f"message {item.message.message_id}: {item.failure}")


def decide_messages(work: Work, batch: Batch) -> None:
    """A verdict for each message. On a FIFO queue a message that stays holds back all later ones of its group."""
    now = work.now()
    for item in batch.items:
        if item.failure is not None:
            continue
        try:
            item.destination = _destination(work, item, batch.queue, batch.policy)
        except RepriseError as error:
            item.failure = error
            work.note_refusal(batch.queue, error)
    circuits.consult(work, batch, now)
    order = _in_order(batch)
    blocked: set[str] = set()
    for item in order:
        if item.failure is not None:
            item.verdict = Leave("it could not be triaged", rule="not-triaged")
            blocked.add(item.message.group_id)
            continue
        if batch.queue.fifo and item.message.group_id in blocked:
            item.verdict = Leave("an earlier message of its group stays in the queue, and order is kept", rule="order")
            continue
        with _alone(work, item):
            follows = batch.queue.fifo and (batch.queue.arn, item.message.group_id) in work.going
            spread = timedelta(seconds=work.sent_to[item.destination] / batch.policy.max_per_second)
            gate = circuits.gate_of(work, batch, item, now)
            known = _known(work, batch, item, gate, follows=follows)
            item.verdict = decide(known, batch.policy, now, work.jitter(), spread)
            circuits.note_verdict(work, batch, item, gate, now)
        if isinstance(item.verdict, Heal):
            work.sent_to[item.destination] += 1
            if is_by_content(item.identity):
                work.by_content.add(batch.queue.name)
            if batch.queue.fifo:
                work.going.add((batch.queue.arn, item.message.group_id))
        elif isinstance(item.verdict, Hide) and item.verdict.hidden:
            work.hidden[batch.queue.arn] += 1
        if item.damaged is not None and isinstance(item.verdict, Leave):
            item.failure = BadInput(f"the ledger's case of it is damaged ({item.damaged.damage})")
        elif batch.unreadable and isinstance(item.verdict, Leave):
            item.failure = BadInput("a send intent of its queue, in the ledger, is damaged")
        if isinstance(item.verdict, Leave | Hide):
            blocked.add(item.message.group_id)


def _in_order(batch: Batch) -> list[MessageWork]:
    """FIFO queues keep their order; else those that came back least often are the first to probe a circuit."""
    if batch.queue.fifo:
        return sorted(batch.items, key=lambda item: item.message.sequence)
    if any(circuit.is_open for circuit in batch.circuits.values()):
        return sorted(batch.items, key=lambda item: item.history.attempts if item.history else 0)
    return batch.items


def _known(work: Work, batch: Batch, item: MessageWork, gate: Gate | None, *, follows: bool) -> Known:
    if item.history is not None and item.history.state is State.SENT:
        work.comebacks[item.destination, item.history.changed] += 1
    return Known(
        message=item.message,
        queue=batch.queue,
        diagnosis=item.diagnosis,
        group=item.group,
        history=item.history,
        own=item.own,
        unconfirmed=item.unconfirmed,
        destination=item.destination,
        no_target=item.no_target,
        own_target=item.own_target,
        hidden=batch.queue.in_flight + work.hidden[batch.queue.arn],
        follows=follows,
        evidence_pending=item.pending,
        searched=item.searched,
        unread=item.unread,
        damaged=item.damaged.place(work.ledger.table) if item.damaged else "",
        unreadable=batch.unreadable,
        removed=item.message.message_id in work.removed,
        reach=batch.reach,
        gate=gate,
    )


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


def _is_weak(diagnosis: Diagnosis) -> bool:
    """True when the body had a say in it, and not the error alone."""
    return diagnosis.rule in ("none", "body.unreadable")


def _is_silent(diagnosis: Diagnosis | None) -> bool:
    return diagnosis is None or diagnosis.rule == "none"


def _destination(work: Work, item: MessageWork, queue: Queue, policy: DeadLetterPolicy) -> str:
    """Return the address that a message goes back to: its source or own target, else the policy's destination."""
    message = item.message
    if message.origin in CALLED:
        return _own_target(work, item, queue, policy)
    own = queue.sources.get(message.source_arn, "") if message.source_arn else ""
    if not own and message.source_arn:
        own = work.url_of(message.source_arn, queue.arn)  # it may exist without naming this queue any more
    if own or not policy.destination:
        return own
    named = work.url_of(policy.destination, queue.arn)
    problem = ""
    if not named:
        problem = (
            f"destination: queue {policy.destination} does not exist, so messages without a source cannot go there"
        )
    elif name_of(named) == queue.name:
        problem = f"destination: queue {queue.name} cannot be its own destination"
    if problem:
        work.complain(problem)
    return "" if problem else named


def _own_target(work: Work, item: MessageWork, queue: Queue, policy: DeadLetterPolicy) -> str:
    """Return the own target of a message that no queue's redrive policy moved; "" with the reason beside it."""
    if not policy.targets:
        item.no_target = "the policy names no targets"
        return ""
    try:
        found = own_target(
            work.callers, item.message, queue.arn, url_of=work.url_of, named=policy.function, allowed=policy.targets
        )
    except Refused as error:
        item.no_target = str(error)
        return ""
    item.own_target = bool(found)
    return found
