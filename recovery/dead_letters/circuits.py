"""Circuits of a run: read with the send intents of a queue, asked before each send, written before what they let go.

An item of the ledger for each group whose messages came back, beside the send intents, so that reading costs nothing:
    pk `intent#<queue ARN>`  sk `circuit#<group>`

A write names the version that it replaces, so that of two workers one takes the probes. A run that dies with them
delays the next probe; it lets nothing go.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from recovery.alerts import LEASE, Announced
from recovery.cases import Case, State
from recovery.dead_letters import circuit_alerts, untried
from recovery.dead_letters.circuit import Circuit, Comeback
from recovery.dead_letters.circuit_alerts import SHOWN
from recovery.dead_letters.circuit_item import from_json
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.send_intents import partition
from recovery.dead_letters.situation import Gate
from recovery.dead_letters.verdicts import Heal
from recovery.errors import Conflict, RepriseError, Transient
from recovery.failures import TRANSIENT_KINDS
from recovery.records import DamagedRecord, Record

if TYPE_CHECKING:
    from recovery.dead_letters.batch import Batch, MessageWork
    from recovery.dead_letters.work import Work

KEEP = timedelta(days=30)
"""Time for which an open circuit stays in the ledger."""
KEEP_CLOSED = timedelta(days=2)
"""Time for which it stays there once it is closed, or was never opened."""
UNEXPLAINED = "unexplained"
"""Name of the group of messages about which nothing is known, where a policy heals such."""
_ROUNDS = 5
_ALARM_LOOK = timedelta(minutes=15)


def understood(work: Work, queue: Queue, records: Sequence[Record]) -> dict[str, Circuit]:
    """Return circuits by name; one that is damaged counts as closed, with a warning."""
    found: dict[str, Circuit] = {}
    for record in records:
        name = record.sk.partition("#")[2]
        try:
            found[name] = work.circuits[queue.arn, name] = from_json(name, record.data, record.version)
        except ValueError:
            place = DamagedRecord(record.pk, record.sk).place
            work.warn(f"queue {queue.name}: {place} is damaged, so the circuit of its group stays closed: delete it")
    return found


def consult(work: Work, batch: Batch, now: datetime) -> None:
    """Find the circuit of each message, and let what came back speak. Nothing is written yet."""
    if not batch.policy.circuit_opens_after:
        for name in batch.circuits:
            work.circuits.pop((batch.queue.arn, name), None)
        batch.circuits = {}
        return
    comebacks: dict[str, list[Comeback]] = defaultdict(list)
    for item in batch.items:
        item.circuit = _circuit_of(item, batch.policy)
        history = item.history
        if history is None or item.failure is not None or item.message.message_id in work.removed:
            continue
        if history.state in (State.SENT, State.BACK) and not history.detail.get("counted"):
            mark = str(history.detail.get("probe", ""))
            name = mark.rpartition("/")[0] or item.circuit
            origin = (*history.detail.get("earlier", ()), history.key)[0]
            comebacks[name].append(Comeback(origin, history.changed, mark, _fails_elsewhere(batch, name, item)))
            item.spoke_to = name
            batch.came_back[name].append(item)
    batch.comebacks = comebacks
    untried.open_circuits(batch, now)
    for name in {*batch.circuits, *comebacks}:
        before = batch.circuits.get(name, Circuit(name))
        after = _with_comebacks(batch, before, now)
        if after != before:
            batch.circuits[name] = after
            batch.circuit_changes.add(name)


def gate_of(work: Work, batch: Batch, item: MessageWork, now: datetime) -> Gate | None:
    """Return what stands between a message and its send; None when nothing does."""
    alarm = batch.policy.circuit_alarm
    if alarm and work.is_alarmed(alarm):
        reason = f"the CloudWatch alarm {alarm} is in ALARM, and nothing is sent until it ends"
        return Gate(rule="alarm", reason=reason, again=now + _ALARM_LOOK)
    circuit = batch.circuits.get(item.circuit)
    room = circuit.room(now) if circuit is not None else None
    if circuit is None or room is None:
        return None
    ahead = work.gated[batch.queue.arn, item.circuit]
    again = circuit.again(now, ahead, _pause(work, batch, item))
    return Gate(rule="circuit", reason=circuit.why(now), again=again, passes=room > 0, mark=circuit.mark)


def note_verdict(work: Work, batch: Batch, item: MessageWork, gate: Gate | None, now: datetime) -> None:
    """Count a probe, or a message that waits for one."""
    if gate is None or gate.rule != "circuit":
        return
    verdict = item.verdict
    if isinstance(verdict, Heal) and verdict.rule == "probe":
        until = now + verdict.delay + _pause(work, batch, item)
        batch.circuits[item.circuit] = batch.circuits[item.circuit].claimed(1, until)
        batch.circuit_changes.add(item.circuit)
        batch.probes[item.circuit].append(item)
    elif verdict.rule == "circuit":
        work.gated[batch.queue.arn, item.circuit] += 1


def write_circuits(work: Work, batch: Batch) -> None:
    """Write down what came back and which probes are about to go. Repeating it is safe.

    Raises:
        Transient, DamagedRecord: some circuits are not written, so what they concern must not be sent.
    """
    failed = [error for error in work.each(partial(_write, work, batch), sorted(batch.circuit_changes)) if error]
    if failed:
        raise failed[0]


def count_proofs(work: Work, queue: Queue, cases: Sequence[Case]) -> None:
    """Let what is proven to be back speak: a ramp goes on, or its circuit closes.

    Raises:
        Transient, Refused: a circuit could not be read or written; it goes on when its probes should be known.
    """
    probes: Counter[str] = Counter(str(case.detail["probe"]) for case in cases if "probe" in case.detail)
    names = {mark.rpartition("/")[0] for mark in probes}
    groups = {case.group or UNEXPLAINED for case in cases}
    names |= {name for (arn, name), circuit in work.circuits.items() if arn == queue.arn and circuit.since} & groups
    for name in sorted(names - {""}):

        def proven(circuit: Circuit, name: str = name) -> Circuit:
            ours = probes[circuit.mark] if circuit.mark else 0
            others = sum(
                circuit.since is not None
                and case.changed >= circuit.since
                and (case.group or UNEXPLAINED) == name
                and case.detail.get("probe", "") != circuit.mark
                for case in cases
            )
            return circuit.after_proofs(ours, others, work.now())

        _change(work, queue.arn, name, proven)


def notify(work: Work) -> None:
    """Notify people of circuits that opened or closed: in one alert of each for each queue.

    A circuit's item says that people know, and only once they do; so a run that dies between the two, or cannot reach
    the topic, leaves the alert to the next run.
    """
    if work.dry_run:
        return
    changed: dict[str, list[str]] = defaultdict(list)
    for (arn, name), circuit in sorted(work.circuits.items(), key=lambda each: each[0]):
        if not circuit.announced:
            changed[arn].append(name)
    for arn, names in changed.items():
        queue = arn.rpartition(":")[2]
        try:
            read = work.each(partial(_read, work, arn), names)
            news = [circuit for circuit in read if not circuit.announced]
            for is_open, alert_of, lines_of in (
                (True, circuit_alerts.opened, circuit_alerts.openings),
                (False, circuit_alerts.closed, circuit_alerts.closings),
            ):
                ours = [circuit for circuit in news if circuit.is_open is is_open]
                if not ours:
                    continue
                work.facts.extend(f"queue {queue}: {line}" for line in lines_of(ours))
                if work.alerts.announce(alert_of(queue, ours), work.now(), LEASE) is Announced.SENT:
                    work.each(partial(_mark_announced, work, arn), ours)
        except RepriseError as error:
            work.warn(f"queue {queue}: the next run sends the alert about its circuits: {error}")


def _mark_announced(work: Work, arn: str, circuit: Circuit) -> None:
    def announced(now: Circuit) -> Circuit:
        return replace(now, announced=True) if now.is_open is circuit.is_open else now

    _change(work, arn, circuit.name, announced)


def describe_open(work: Work) -> list[str]:
    """Return a line for each circuit that is open, the fullest first, at most as many as people read."""
    standing = [
        (work.gated[key], queue, circuit)
        for key, circuit in work.circuits.items()
        for queue in [key[0].rpartition(":")[2]]
        if circuit.is_open
    ]
    standing.sort(key=lambda one: (-one[0], one[1], one[2].name))
    lines = [
        f"queue {queue}, group {circuit.name} ({circuit.kind or 'not triaged'}): {circuit.why(work.now())}"
        + (f"; {gated} message(s) met here wait, without using attempts" if gated else "")
        for gated, queue, circuit in standing[:SHOWN]
    ]
    if len(standing) > SHOWN:
        lines.append(f"{len(standing) - SHOWN} more circuits are open")
    return lines


def _circuit_of(item: MessageWork, policy: DeadLetterPolicy) -> str:
    """Return the name of a message's circuit. Words that differ each time that a message fails make no group of their
    own: such messages have one circuit for each kind."""
    history = item.history
    if history is not None and history.state is State.BACKOFF and history.detail.get("circuit"):
        return str(history.detail["circuit"])
    if alike := untried.name_of_alike(item, policy):
        return alike
    group = item.group or (history.group if history else "")
    if history is not None and history.group and history.group != group:
        return f"various-{item.diagnosis.kind.value if item.diagnosis else history.kind}"
    return group or UNEXPLAINED


def _fails_elsewhere(batch: Batch, name: str, item: MessageWork) -> bool:
    """True when a message fails for a cause of its own now, which says nothing of the cause of its circuit."""
    kind = item.diagnosis.kind if item.diagnosis else None
    circuit = batch.circuits.get(name)
    if kind is None or circuit is None or not circuit.kind:
        return False
    return kind not in TRANSIENT_KINDS and kind.value != circuit.kind


def _with_comebacks(batch: Batch, circuit: Circuit, now: datetime) -> Circuit:
    policy = batch.policy
    comebacks = batch.comebacks.get(circuit.name, ())
    circuit = circuit.renewed(now).after_comebacks(comebacks, now, policy.circuit_opens_after, policy.backoff)
    if comebacks and not circuit.error:
        item = batch.came_back[circuit.name][0]
        kind = item.diagnosis.kind.value if item.diagnosis else ""
        circuit = replace(circuit, kind=kind, error=item.error[:300])
    return circuit


def _pause(work: Work, batch: Batch, item: MessageWork) -> timedelta:
    """Return the time from a probe's send until a run has surely counted it."""
    policy = batch.policy
    comeback = work.comeback_time(item.destination) if item.destination else timedelta(0)
    return max(timedelta(seconds=policy.settle_seconds), comeback) + 2 * timedelta(seconds=policy.sweep_seconds)


def _write(work: Work, batch: Batch, name: str) -> RepriseError | None:
    """Write one circuit; when another worker was faster, let ours speak to what that one wrote."""
    now = work.now()
    read, circuit = batch.stored_circuits.get(name, Circuit(name)), batch.circuits[name]
    for _ in range(_ROUNDS):
        try:
            version = _put(work, batch.queue.arn, circuit)
        except Conflict:
            try:
                read = _read(work, batch.queue.arn, name)
            except DamagedRecord:
                # The report names it; until a person deletes it, its group goes on as if there were none.
                batch.circuit_changes.discard(name)
                return None
            except RepriseError as error:
                return error
            circuit = _claim_again(work, batch, _with_comebacks(batch, read, now), circuit, now)
            continue
        except RepriseError as error:
            return error
        batch.circuits[name] = work.circuits[batch.queue.arn, name] = replace(circuit, version=version)
        batch.circuit_changes.discard(name)
        return None
    return Transient("another run keeps writing the circuit of its group", code="Conflict")


def _claim_again(work: Work, batch: Batch, circuit: Circuit, wanted: Circuit, now: datetime) -> Circuit:
    """Return another worker's circuit with our probes; those for which it has no room stay in their queue."""
    if circuit.is_open and not wanted.is_open and not batch.queue.has_redrive:
        # It opened since: what was to follow freely probes now.
        batch.probes[circuit.name] = [item for item in batch.to_send() if item.circuit == circuit.name]
    claims = batch.probes[circuit.name]
    room = circuit.room(now)
    if room is not None and room < len(claims):
        batch.give_up(Transient("another run sends the probes of its group", code="Conflict"), claims[room:])
        del claims[room:]
    until = now
    for item in claims:
        if isinstance(item.verdict, Heal):
            item.verdict = replace(item.verdict, probe=circuit.mark)
            until = max(until, now + item.verdict.delay + _pause(work, batch, item))
    return circuit.claimed(len(claims), until) if claims and room is not None else circuit


def _read(work: Work, arn: str, name: str) -> Circuit:
    record = work.ledger.read_record(partition(arn), f"circuit#{name}")
    try:
        return from_json(name, record.data, record.version) if record.version else Circuit(name)
    except ValueError:
        raise DamagedRecord(record.pk, record.sk) from None


def _put(work: Work, arn: str, circuit: Circuit) -> int:
    record = Record(partition(arn), f"circuit#{circuit.name}", circuit.as_json(), circuit.version)
    return work.ledger.write_record(record, work.now() + (KEEP if circuit.is_open else KEEP_CLOSED)).version


def _change(work: Work, arn: str, name: str, of: Callable[[Circuit], Circuit]) -> None:
    """Replace a circuit by a function of it, whoever else writes."""
    for _ in range(_ROUNDS):
        before = _read(work, arn, name)
        after = of(before)
        if after == before or not before.version:
            work.circuits[arn, name] = before
            return
        try:
            version = _put(work, arn, after)
        except Conflict:
            continue
        work.circuits[arn, name] = replace(after, version=version)
        return
    raise Transient("another run keeps writing a circuit", code="Conflict")
