"""The gate of a run's sends: the circuit of its topic, the alarm that opens it, the probe that closes it."""

from __future__ import annotations

from datetime import timedelta

from recovery.alerts import Alert, Announced
from recovery.errors import RepriseError
from recovery.failures import normalise
from recovery.outbox_records import changes
from recovery.outbox_records.circuit import State
from recovery.outbox_records.due import PAGE, DueKeys
from recovery.outbox_records.models import NotSent, Sent, Status, lines
from recovery.outbox_records.reading import read_candidates
from recovery.outbox_records.rounds import Round
from recovery.outbox_records.rules import diagnosis_of
from recovery.outbox_records.settle import write
from recovery.outbox_records.verdicts import Action
from recovery.outbox_records.work import PATH, OutboxRun

PROBES = 3
"""Rows with which one run tries an open circuit, when each fails for a reason of its own."""
_SUBJECT = "circuit"


def may_send(work: OutboxRun) -> bool:
    """True when the next round may be sent. `work.probing` is then set when that round is the probe.

    Raises:
        Transient, Refused: the ledger could not be read.
    """
    if work.stopped or work.held_back:
        return False
    if work.alarmed is None:
        work.alarmed = _look_at_alarm(work)
    state = work.circuit.read()
    work.circuit_open = state.is_open
    work.throttled_since = state.throttled
    if not state.is_open:
        work.probing = False
        calm = timedelta(seconds=work.policy.calm_seconds)
        if state.closed and not work.dry_run and work.now() - state.closed >= calm:
            announce_closed(work)
        return True
    if work.dry_run:
        work.warn(_describe(work, state))
        return True
    if work.probing or not work.alarmed:
        if work.probing and work.probes < PROBES:
            return True  # the probe before failed for a reason of its row: another row shows more
        if not work.probing and work.circuit.begin_probe(work.now(), timedelta(seconds=work.policy.probe_seconds)):
            work.probing = True
            return True
    work.complain(_describe(work, state))
    announce_open(work, state)
    return False


def _look_at_alarm(work: OutboxRun) -> bool:
    name = work.request.circuit_alarm
    if not name:
        return False
    try:
        alarmed = work.watch.is_alarmed(name)
    except RepriseError as error:
        work.warn(f"circuit_alarm: the alarm could not be read, so it opens nothing: {error}")
        return False
    if alarmed is None:
        work.warn(f"circuit_alarm: there is no CloudWatch alarm {name!r}, so it opens nothing")
        return False
    if alarmed and not work.dry_run:
        work.circuit.open(f"the CloudWatch alarm {name} is in ALARM", "DEPENDENCY_FAILURE", work.now())
    return alarmed


def after_round(work: OutboxRun, round_: Round) -> None:
    """Open the circuit when the round met a topic that takes nothing; close it when the probe went out.

    Raises:
        Transient, Refused: the ledger could not be written; the next run meets the same topic and opens it then.
    """
    stopped = work.stopped
    sent = any(isinstance(each.outcome, Sent) for each in round_.candidates)
    if sent and work.throttled_since:
        work.circuit.flows(work.now())
        work.throttled_since = None
    if work.throttled and not sent and not stopped:
        stopped = _hold_back(work, work.throttled)
    if stopped:
        diagnosis = diagnosis_of(stopped.code, stopped.text)
        work.circuit.open(normalise(stopped.text), diagnosis.kind, work.now())
        work.circuit_open = True
        state = work.circuit.read()
        work.complain(_describe(work, state))
        announce_open(work, state)
        return
    if not work.probing:
        return
    if sent:
        work.probing = False
        work.circuit_open = False
        if work.circuit.close(work.now()):
            work.facts.append("the probe went out: the circuit is closed, and everything due follows")
            if not work.policy.calm_seconds:
                announce_closed(work)
        return
    if any(isinstance(each.outcome, NotSent) for each in round_.candidates):
        work.probes += 1


def _hold_back(work: OutboxRun, throttled: NotSent) -> NotSent | None:
    """End the sends of this run; the throttle as the topic's error when it has lasted without anything going out."""
    work.held_back = True
    since = work.circuit.throttled(work.now())
    work.warn(
        f"SNS throttles ({normalise(throttled.text)}): rows stay due, and keep their attempts; this run ended at"
        f" {work.pace.rate:,.0f} messages a second (messages_per_second {work.policy.messages_per_second:,.0f})"
    )
    if work.now() - since < timedelta(seconds=work.policy.throttled_seconds):
        return None
    work.stop(throttled)
    return work.stopped


def show_waiting(work: OutboxRun) -> int:
    """While the circuit is open: rows that were not tried yet show the topic's error, a round of them; how many."""
    state = work.circuit.read()
    if not state.is_open or work.dry_run:
        return 0
    if work.probing:
        work.circuit.end_probe(work.now(), tried=work.probes > 0)
        work.probing = False
    keys = DueKeys(work.table, lines(work.request.shards), work.now(), min(PAGE, work.round_rows)).take(
        work.round_rows, work.each
    )
    waiting = [
        each
        for each in read_candidates(work, keys)
        if each.verdict.action is Action.DELIVER and each.row.status is not Status.FAILURE
    ]
    for each in waiting:
        each.change = changes.shown(each.row, work.names, error=state.error, kind=state.kind)
    write(work, waiting)
    if keys:
        more = "at least " if len(keys) >= work.round_rows else ""
        work.facts.append(f"{more}{len(keys)} due rows wait for their topic")
    return len(waiting)


# -- notifying people ----------------------------------------------------------------------------------------------


def announce_open(work: OutboxRun, state: State) -> None:
    """Notify people once that a topic's circuit is open."""
    try:
        work.alerts.announce(
            Alert(
                path=PATH,
                source=_topic_name(work),
                group=_SUBJECT,
                is_circuit=True,
                subject=f"Outbox: the topic {_topic_name(work)} takes nothing",
                text="\n".join(
                    [
                        _describe(work, state),
                        f"Kind: {state.kind or '-'}.",
                        f"Table: {work.table.name}. Its rows keep their attempts, and wait.",
                        "What to do: fix the topic (its existence, its policy, its key). Nothing else is needed: each"
                        " run probes it with one row, and the first probe that goes out lets everything go.",
                    ]
                ),
            ),
            work.now(),
            timedelta(seconds=work.policy.alert_window_seconds),
        )
    except RepriseError as error:
        work.complain(f"the alert about the topic could not be sent: {error}")


def announce_closed(work: OutboxRun) -> None:
    """Notify people that the topic takes messages again, where they were notified that it did not."""
    try:
        announced = work.alerts.announce_recovery(
            Alert(
                path=PATH,
                source=_topic_name(work),
                group=_SUBJECT,
                is_circuit=True,
                subject=f"Outbox: the topic {_topic_name(work)} takes messages again",
                text=f"A probe of the outbox table {work.table.name} went out. Everything that is due follows.",
            ),
            work.now(),
        )
        if announced is not Announced.ELSEWHERE:
            work.circuit.notified(work.now())
    except RepriseError as error:
        work.warn(f"people could not be notified that the topic takes messages again: {error}")


def _describe(work: OutboxRun, state: State) -> str:
    since = f" since {state.since:%Y-%m-%d %H:%M:%S} UTC" if state.since else ""
    return f"the circuit of topic {_topic_name(work)} is open{since}, nothing is sent: {state.error}"


def _topic_name(work: OutboxRun) -> str:
    return work.request.topic_arn.rpartition(":")[2]
