"""First half of a run: the flows in scope, what AWS and the ledger say of them, the verdicts. Changes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from recovery.appflow_runs.answers import Summary
from recovery.appflow_runs.causes import diagnosed
from recovery.appflow_runs.deactivation import approaching
from recovery.appflow_runs.memory import Memory, up_to_date
from recovery.appflow_runs.models import (
    TWIN_PREFIX,
    FlowFacts,
    FlowStatus,
    History,
    Run,
    RunStatus,
    Trigger,
)
from recovery.appflow_runs.policy import AppFlowPolicy, is_name, matches
from recovery.appflow_runs.remembered import remembered, set_aside
from recovery.appflow_runs.rules import decide
from recovery.appflow_runs.verdicts import Verdict
from recovery.appflow_runs.work import AppFlowRun, FlowBatch, FlowWork
from recovery.cases import State
from recovery.errors import BadInput, Refused, RepriseError, Transient
from recovery.failures import (
    DEFAULT_RULES,
    Diagnosis,
    Kind,
    RuleSet,
    load_rules,
)
from recovery.scope import StartedBy

LAG = timedelta(minutes=10)
"""After this time the list of flows and the records of a run agree; before it, a flow is read again."""
FIRST_SIGHT = timedelta(hours=1)
"""An older failure of a flow that was never looked at before is from before our time, and no event was missed."""

_SETTLED = frozenset({State.RECOVERED, State.SUPERSEDED, State.ESCALATED, State.EXHAUSTED})


def find_flows(work: AppFlowRun) -> tuple[list[FlowWork], list[Summary]]:
    """The flows that the request means, by name, and the temporary twins that stand there.

    Raises:
        Transient, Refused: AppFlow could not be asked.
    """
    request = work.request
    if not request.flows:
        return [], []
    listed, unread = work.appflow.list_flows()
    twins = [summary for summary in listed if summary.name.startswith(TWIN_PREFIX)]
    users = [summary for summary in listed if not summary.name.startswith(TWIN_PREFIX)]
    in_scope = [summary for summary in users if matches(summary.name, summary.tags, request.flows)]
    in_scope.sort(key=_need)
    there = {summary.name for summary in users}
    for line in unread:
        there.add(line.name)
        if line.name.startswith(TWIN_PREFIX) or matches(line.name, line.tags, request.flows):
            work.complain(str(line.problem))
    for pattern in request.flows:
        if is_name(pattern) and pattern not in there:
            work.complain(f"flow {pattern}: there is no flow of this name in this account and region")
    ours = {summary.name for summary in in_scope}
    work.outside = sorted(s.name for s in users if s.last_status == RunStatus.ERROR and s.name not in ours)
    if len(in_scope) > request.limit:
        beyond = len(in_scope) - request.limit
        work.warn(f"{beyond} flows beyond the limit of {request.limit} were not looked at (limit)")
    return [FlowWork(summary, request.policy_for(summary.name)) for summary in in_scope[: request.limit]], twins


def _need(summary: Summary) -> tuple[bool, bool, str]:
    """Failed flows first, then those that AppFlow or a person switched off: what lies beyond the limit is well."""
    is_off = summary.status is not FlowStatus.ACTIVE
    return summary.last_status != RunStatus.ERROR, not is_off, summary.name


def recall(work: AppFlowRun, batch: FlowBatch) -> None:
    """Read what the ledger remembers. A flow whose case is damaged keeps that in `failure`, and is left alone.

    Raises:
        Transient, Refused: the ledger cannot be read.
    """
    found, damaged = remembered(work, [item.name for item in batch.items])
    for item in batch.items:
        if item.name in damaged:
            item.quiet = work.seen.get(item.name) == item.summary.stamp  # reported by an earlier pass of this run
            if not item.quiet:
                set_aside(work, item, damaged[item.name])
            continue
        item.case, item.memory = found.get(item.name, (None, Memory()))
        if item.summary.created and item.memory.read_at and item.summary.created > item.memory.read_at:
            item.memory = Memory()  # another flow under the name of one that was deleted


def look(work: AppFlowRun, batch: FlowBatch) -> None:
    """Read the flows of which something may have changed, diagnose and decide.

    A flow that cannot be read keeps its reason in `failure`; the others go on.

    Raises:
        Transient: of several flows none could be read; looking again is safe.
    """
    unread = 0
    for item in batch.items:
        if item.quiet or item.facts is not None or item.failure is not None:
            continue
        if is_quiet(work, item):
            item.quiet = True
            item.gaps = item.memory.coverage.gaps()
            continue
        if work.time_is_up:
            item.quiet = True
            unread += 1
            continue
        try:
            _read(work, item)
        except RepriseError as error:
            item.failure = error
            continue
        triage(work, item)
    if unread:
        work.warn(f"{unread} flows were not looked at before the run's time was up (time_limit_seconds)")
    tried = [item for item in batch.items if not item.quiet]
    failures = [item.failure for item in tried if isinstance(item.failure, Transient)]
    # One flow that cannot be read is that flow's trouble: the list of flows was read, and other batches wait.
    if len(tried) > 1 and len(failures) == len(tried) and failures[0] is not None:
        for item in tried:
            item.failure = None
        raise failures[0]


def is_quiet(work: AppFlowRun, item: FlowWork) -> bool:
    """True when nothing can have changed since the flow's records were last read.

    The list of flows shows status and time of each newest run. It lags behind, so it is believed only when the records
    were read well after the run that it names, and only for flows about which nothing is pending.
    """
    if work.seen.get(item.name) == item.summary.stamp:
        return True  # an earlier pass of this very run
    if work.request.cause_fixed or item.case is None or item.case.state not in _SETTLED:
        return False
    if item.twin_runs is not None or item.memory.summary != stamp(item) or item.memory.read_at is None:
        return False
    if item.memory.history.refusal is not None:
        return False  # it is tried again after a while
    return item.summary.last_at is None or item.memory.read_at - item.summary.last_at >= LAG


def stamp(item: FlowWork) -> str:
    """The stamp of a quiet flow: its newest run, its status, and the policy, which a person may have changed."""
    policy = hashlib.sha256(item.policy.model_dump_json().encode()).hexdigest()[:12]
    return f"{item.summary.stamp}|{policy}"


def triage(work: AppFlowRun, item: FlowWork) -> None:
    """Bring the memory up to date with the facts, and decide."""
    assert item.facts is not None
    facts = item.facts
    history, seconds = up_to_date(item.memory.history, facts, item.policy)
    coverage = item.memory.coverage
    if facts.flow.trigger is Trigger.SCHEDULED and facts.flow.schedule and facts.flow.schedule.incremental:
        coverage = coverage.with_runs(facts.runs)
    newest = facts.runs[0] if facts.runs else None
    noticed = item.memory.noticed
    now = work.now()
    if newest is not None and newest.status is RunStatus.ERROR and newest.id != noticed:
        item.missed = _was_missed(work, item, newest, now)
        noticed = newest.id
    item.memory = replace(
        item.memory,
        history=history,
        coverage=coverage,
        noticed=noticed,
        missed=item.missed if noticed != item.memory.noticed else item.memory.missed,
        summary=stamp(item),
        read_at=now,
        seconds_to_recover=seconds if seconds is not None else item.memory.seconds_to_recover,
    )
    if seconds is not None:
        item.recovered_seconds = seconds
    item.gaps = coverage.gaps()
    item.verdict = verdict_on(work, item, facts, history)
    item.deactivation = approaching(facts, item.policy, now)


def _was_missed(work: AppFlowRun, item: FlowWork, failed: Run, now: datetime) -> bool:
    """True when a sweep is the first to notice a failure that an event should have announced."""
    if work.request.started_by is not StartedBy.SWEEP:
        return False
    if failed.id in {attempt.run for attempt in item.memory.history.attempts}:
        return False  # our own run, whose end is being watched
    age = now - failed.updated
    known = item.case is not None or age <= FIRST_SIGHT
    return known and age > item.policy.event_grace


def verdict_on(work: AppFlowRun, item: FlowWork, facts: FlowFacts, history: History) -> Verdict:
    """Return the verdict by these facts, the item's policy and a person's word."""
    policy = item.policy
    if work.request.cause_fixed:
        facts, policy = _fixed(facts, history, policy)
        history = replace(history, refusal=None)
    return decide(facts, history, policy, work.now())


def _read(work: AppFlowRun, item: FlowWork) -> None:
    runs = work.appflow.runs(item.name)
    facts = FlowFacts(item.summary.as_flow(), runs, twin_runs=item.twin_runs)
    if _needs_description(item, facts):
        item.described = work.appflow.flow(item.name)
        if item.described is None:
            raise Refused(f"flow {item.name}: it was removed a moment ago")
        facts = replace(facts, flow=item.described.flow)
    item.facts, item.group = diagnosed(facts, item.memory.history, rules_of(item.policy))


def _needs_description(item: FlowWork, facts: FlowFacts) -> bool:
    """True when more than the list of flows shows is needed: on-demand flows that are well cost one call, not two."""
    if item.summary.trigger != Trigger.ON_DEMAND or not facts.runs:
        return True
    newest = facts.runs[0]
    return newest.status is RunStatus.ERROR or bool(newest.failed_records)


def rules_of(policy: AppFlowPolicy) -> RuleSet:
    """The diagnosis rules that a policy names.

    Raises:
        BadInput: there is no such file, or it is not a valid one.
    """
    if policy.rules_file is None:
        return DEFAULT_RULES
    path = Path(policy.rules_file)
    if not path.is_file():
        raise BadInput(f"rules_file: there is no file {policy.rules_file!r} where the flow runs")
    return load_rules(path)


def _fixed(facts: FlowFacts, history: History, policy: AppFlowPolicy) -> tuple[FlowFacts, AppFlowPolicy]:
    """Let pass what failed, with all attempts again: a person says that the cause is fixed. Numbers go on counting."""
    made = len(history.attempts)
    fresh = policy.model_copy(
        update={
            "max_attempts": made + policy.max_attempts,
            "max_attempts_when_unknown": made + policy.max_attempts,
            "max_age_hours": 8760.0,
        }
    )
    if facts.diagnosis is None:
        return facts, fresh
    kind = facts.diagnosis.kind if facts.diagnosis.kind is not Kind.UNKNOWN else Kind.DEPENDENCY_FAILURE
    by_hand = Diagnosis(kind, True, "by-hand", "a person says that the cause is fixed")
    return replace(facts, diagnosis=by_hand), fresh
