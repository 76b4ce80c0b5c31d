"""Alerts about replications: one for each incident, one for many of one cause, and one when it has recovered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from recovery.alerts import Alert, Announced
from recovery.errors import RepriseError
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import NOT_MADE, PATH, Restart
from recovery.replication_tasks.records import pages, source_of
from recovery.replication_tasks.rules import CALL_REFUSED
from recovery.replication_tasks.verdicts import Escalate
from recovery.replication_tasks.work import Batch, ReplicationRun, ReplicationWork
from recovery.times import shown

ONCE = timedelta(days=365)
"""The window of alerts whose group names the incident: one for each incident."""
TOGETHER = 5
"""More replications than this that need a person for one cause on one instance are one alert."""
LISTED = 100
"""Replications that one alert names."""


def notify(run: ReplicationRun, batch: Batch) -> None:
    """Notify people of what they must do, once for the incident, and when it recovered.

    A replication whose alert is not out yet keeps the reason in `failure`, and the next run sends it.
    """
    if run.dry_run:
        return
    items = [item for item in batch.items if item.failure is None or item.verdict.rule == CALL_REFUSED]
    for many in _alike(items, _cause_to_report):
        _together(run, many, _notify_of_cause)
    for many in _alike(items, _alert_to_close):
        _together(run, many, _notify_of_recovery)
    for item in items:
        if item.failure is None or item.verdict.rule == CALL_REFUSED:
            _together(run, [item], lambda run, one: _notify(run, one[0]))


def _together(
    run: ReplicationRun,
    items: Sequence[ReplicationWork],
    send: Callable[[ReplicationRun, Sequence[ReplicationWork]], None],
) -> None:
    try:
        send(run, items)
    except RepriseError as error:
        for item in items:
            item.failure = error


# -- many of one cause -------------------------------------------------------------------------------------------


def _alike(items: Sequence[ReplicationWork], key: Callable[[ReplicationWork], str]) -> list[Sequence[ReplicationWork]]:
    found: dict[str, list[ReplicationWork]] = defaultdict(list)
    for item in items:
        if name := key(item):
            found[name].append(item)
    return [many for name, many in found.items() if len(many) > TOGETHER or name.startswith("closes ")]


def _cause_to_report(item: ReplicationWork) -> str:
    """Cause, rule and instance make escalations one; "" for one that needs no alert of this kind."""
    if not isinstance(item.verdict, Escalate) or item.verdict.rule == CALL_REFUSED:
        return ""
    if item.memory.mark == item.memory.notified:
        return ""
    return f"{source_of(item)} {item.verdict.rule} {item.group or item.verdict.reason}"


def _alert_to_close(item: ReplicationWork) -> str:
    """The common alert that one which recovered was part of, or ""."""
    recovered = item.recovered_seconds is not None and item.memory.notified_with
    return f"closes {item.memory.notified_with}" if recovered else ""


def _notify_of_cause(run: ReplicationRun, items: Sequence[ReplicationWork]) -> None:
    first = items[0]
    assert isinstance(first.verdict, Escalate)
    names = sorted(item.facts.name for item in items)
    # The same replications at the same failures make the same group, whichever run sends it.
    marks = "\n".join(sorted(f"{item.facts.arn}@{item.memory.mark}" for item in items))
    group = f"many@{sha256(marks.encode()).hexdigest()[:24]}"
    lines = [
        f"{len(items)} DMS replications of {source_of(first)} need a person, all for one cause.",
        "",
        f"Why: {first.verdict.reason}.",
        f"Last failure: {first.error or '(DMS gives no text)'}",
        "",
        f"What to do: {first.verdict.next_step}.",
        "(This names the first of them; the report of the run has the step of each.)",
        "",
        *_listed(names),
    ]
    subject = f"DMS {source_of(first)}: {len(items)} replications need a person: {first.verdict.reason}"
    if run.alerts.announce(Alert(PATH, source_of(first), group, subject, "\n".join(lines)), run.now(), ONCE) is (
        Announced.ELSEWHERE
    ):
        for item in items:
            item.state = item.state if item.acted else None
        return
    for item in items:
        item.memory = replace(item.memory, notified=item.memory.mark, notified_with=group)


def _notify_of_recovery(run: ReplicationRun, items: Sequence[ReplicationWork]) -> None:
    first = items[0]
    names = sorted(item.facts.name for item in items)
    marks = "\n".join(sorted(f"{item.facts.arn}@{item.memory.notified}" for item in items))
    group = f"{first.memory.notified_with}:{sha256(marks.encode()).hexdigest()[:24]}"
    slowest = max(item.recovered_seconds or 0 for item in items)
    lines = [
        f"{len(items)} DMS replications of {source_of(first)} that needed a person have recovered.",
        "",
        f"Time to recover: up to {slowest:.0f} s",
        "",
        *_listed(names),
    ]
    subject = f"DMS {source_of(first)}: {len(items)} replications have recovered"
    if run.alerts.announce(Alert(PATH, source_of(first), group, subject, "\n".join(lines)), run.now(), ONCE) is (
        Announced.ELSEWHERE
    ):
        for item in items:
            item.state, item.recovered_seconds = None, None
        return
    for item in items:
        item.memory = replace(item.memory, notified="", notified_with="")


def _listed(names: Sequence[str]) -> list[str]:
    rest = len(names) - LISTED
    return [*(f"- {name}" for name in names[:LISTED]), *([f"- and {rest} more"] if rest > 0 else [])]


# -- one replication ---------------------------------------------------------------------------------------------


def _notify(run: ReplicationRun, item: ReplicationWork) -> None:
    now, memory = run.now(), item.memory
    if item.recovered_seconds is not None and (memory.notified or memory.refusal_notified):
        if run.alerts.announce_recovery(_recovery(item), now) is Announced.ELSEWHERE:
            item.state, item.recovered_seconds = None, None  # as below; the one who shows it counts it, too
            return
        item.memory = replace(memory, notified="", notified_with="", refusal_notified="")
    if not isinstance(item.verdict, Escalate):
        return
    refused = memory.refusal if item.verdict.rule == CALL_REFUSED else None
    # A refusal is not the failure: who heard of the one must still hear of the other.
    mark = f"{memory.mark}:{refused.operation}:{refused.code}" if refused else memory.mark
    if mark == (memory.refusal_notified if refused else memory.notified):
        return
    if run.alerts.announce(_escalation(item, item.verdict, mark), now, ONCE) is not Announced.ELSEWHERE:
        item.memory = (
            replace(memory, refusal_notified=mark) if refused else replace(memory, notified=mark, notified_with="")
        )
    elif not item.acted:
        item.state = None  # the other run writes it down; should it die first, the next one decides again


def _escalation(item: ReplicationWork, verdict: Escalate, mark: str) -> Alert:
    facts = item.facts
    lines = [
        f"DMS {'serverless replication' if facts.serverless else 'task'} {facts.name} needs a person.",
        "",
        f"Why: {verdict.reason}.",
        f"Last failure: {item.error or '(DMS gives no text)'}",
        f"Status: {facts.status}    Migration: {facts.migration.value}    Kind: {item.kind or '(not known)'}",
        "",
        "Attempts so far:",
        *(_tried(item.memory) or ["- nothing: no restart would have helped or was allowed"]),
        "",
        f"What to do: {verdict.next_step or 'read the log of the task in CloudWatch Logs'}.",
        f"ARN: {facts.arn}",
    ]
    subject = f"DMS {facts.name} needs a person: {verdict.reason}"
    group = _group(item, mark)
    return Alert(PATH, source_of(item), group, subject, "\n".join(lines), kind=item.kind, pages=pages(item))


def _recovery(item: ReplicationWork) -> Alert:
    facts = item.facts
    lines = [
        f"DMS {'serverless replication' if facts.serverless else 'task'} {facts.name} has recovered.",
        "",
        f"How: {item.verdict.reason}.",
        f"Time to recover: {item.recovered_seconds or 0:.0f} s",
        "",
        "Attempts so far:",
        *(_tried(item.memory) or ["- nothing by Reprise"]),
    ]
    group = _group(item, item.memory.notified or item.memory.refusal_notified)
    return Alert(PATH, source_of(item), group, f"DMS {facts.name} has recovered", "\n".join(lines))


def _group(item: ReplicationWork, mark: str) -> str:
    return f"{item.facts.name}@{mark}"


def _tried(memory: Memory) -> list[str]:
    return [f"- {shown(one.at)} {one.verb.value}: {_became(one)}" for one in memory.tried]


def _became(restart: Restart) -> str:
    if restart.outcome == NOT_MADE:
        return "written down, but DMS shows no start after it (the run ended first, or its request was lost)"
    return restart.outcome or "not verified yet"
