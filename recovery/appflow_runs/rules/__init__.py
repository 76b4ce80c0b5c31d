"""Verdicts on a flow whose run failed. Pure: the order of the rules is the order of docs/paths/appflow_runs.md.

The ids (`S1`, `O3` ...) are those of the sentences there.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from recovery.appflow_runs.advice import (
    far_schedule,
    find_run,
    fix,
    how_to_run,
    refused,
    unblock,
    unread_schedule,
)
from recovery.appflow_runs.attempts import next_attempt, open_attempt
from recovery.appflow_runs.models import (
    LONGEST_RUN,
    Flow,
    FlowFacts,
    FlowStatus,
    History,
    Means,
    Run,
    RunStatus,
    Trigger,
)
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.appflow_runs.schedule import next_run, understood
from recovery.appflow_runs.verdicts import (
    Escalate,
    Leave,
    Reactivate,
    Rerun,
    RunTwin,
    Verdict,
    Wait,
    client_token,
    twin_name,
)
from recovery.failures.models import Kind

LOOK_AGAIN = timedelta(minutes=10)
"""The next sweep, for AWS names no time."""
APPEARS_WITHIN = timedelta(hours=1)
"""Execution records lag behind StartFlow, usually by seconds; a started run that is missing for longer is a riddle."""
REFUSAL_STANDS = timedelta(hours=1)
"""For so long a call that AppFlow refused is not tried again."""
EVENT_REPORT = timedelta(minutes=5)
"""An event-triggered flow reports every five minutes (user guide, flow notifications)."""


def decide(facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime) -> Verdict:
    """The verdict on one flow.

    Args:
        facts: what AWS says now.
        history: what the ledger remembers, brought up to date (`recovery.appflow_runs.memory.up_to_date`).
        policy: what is allowed.
        now: the present time, aware.
    """
    flow = facts.flow
    if flow.is_twin:
        return Leave("S1", "a temporary twin, which is removed by the attempt that made it")
    if flow.status in (FlowStatus.DEPRECATED, FlowStatus.DELETED):
        return Leave("S2", f"the flow is {flow.status.value.lower()}")
    if not facts.runs:
        return Leave("S3", "the flow has not run")
    newest = facts.runs[0]
    return _under_way(facts, now) or _fine(newest, flow, policy) or _failed(newest, facts, history, policy, now)


def _under_way(facts: FlowFacts, now: datetime) -> Verdict | None:
    running = [run for run in facts.runs if run.is_under_way]
    stuck = [run for run in _since_success(facts.runs) if run.is_under_way and _never_ends(run, now)]
    if stuck:
        return Escalate(
            "R1",
            "a run has been under way for more than 48 hours, when AppFlow ends runs: what became of it is not known",
            f"look at run {stuck[-1].id} in the AppFlow console; cancel it, or ask AWS support",
        )
    if any(not _never_ends(run, now) for run in running):
        return Leave("R2", "a run is under way")
    return None


def _since_success(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Later successes show that what came before them, whatever became of it, holds nothing up."""
    for place, run in enumerate(runs):
        if run.status is RunStatus.SUCCESSFUL:
            return runs[:place]
    return runs


def _never_ends(run: Run, now: datetime) -> bool:
    return now - run.started > LONGEST_RUN + APPEARS_WITHIN


def _fine(newest: Run, flow: Flow, policy: AppFlowPolicy) -> Verdict | None:
    if newest.status is RunStatus.CANCELED:
        return Leave("R3", "a person cancelled the newest run")
    if newest.status is RunStatus.SUCCESSFUL:
        if not newest.failed_records:
            return Leave("R4", "the newest run succeeded")
        if not policy.rerun_partial:
            return Leave(
                "R5", f"the newest run succeeded, but {newest.failed_records} records failed: look at its error output"
            )
        if flow.trigger is not Trigger.ON_DEMAND:
            return Leave(
                "R6",
                f"the newest run succeeded, but {newest.failed_records} records failed, and only an on-demand flow "
                "can pull them again",
            )
    return None


def _failed(newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime) -> Verdict:
    """The newest run failed (or left records behind that the policy wants again)."""
    return (
        _attempt_under_way(newest, facts, history, now)
        or _switched_off_on_purpose(facts)
        or _cause(newest, facts, history, policy, now)
        or _switched_off_by_appflow(newest, facts, history, policy, now)
        or _by_trigger(newest, facts, history, policy, now)
    )


def _attempt_under_way(newest: Run, facts: FlowFacts, history: History, now: datetime) -> Verdict | None:
    last = history.last
    if last is None:
        return None
    answers = last.failed_run == newest.id
    begun = last.run
    under_way = [run for run in facts.twin_runs or () if run.is_under_way]
    if last.means is Means.TWIN:
        begun = begun or (under_way[0].id if under_way else "")
        if under_way and not _never_ends(under_way[-1], now):
            # Also when the flow has failed again since: two pulls at once are never wanted.
            return Wait("T1", "its temporary twin is running", now + LOOK_AGAIN)
        if last.outcome == RunStatus.SUCCESSFUL and answers:
            return Leave("T2", "its temporary twin has made the transfer; the schedule goes on by itself")
        if last.outcome == RunStatus.CANCELED and answers:
            return Leave("T3", "a person cancelled its temporary twin")
    recent = now - last.claimed < APPEARS_WITHIN
    # Somebody else's run may have failed since: ours can still be under way, or have succeeded.
    unseen = last.means is Means.RERUN and bool(begun) and all(run.id != begun for run in facts.runs)
    if last.outcome or not (answers or facts.twin_runs is not None or (unseen and recent)):
        return None
    if begun and last.means is not Means.REACTIVATE:
        if recent:
            return Wait("T4", f"run {begun} was started and is not in the records yet", now + LOOK_AGAIN)
        shows = "has shown it under way for more than 48 hours" if under_way else "shows no record of it"
        return Escalate(
            "T5",
            f"AppFlow started run {begun} but {shows}, so a second start could double it",
            find_run(last, facts.flow),
        )
    if answers and not begun and now < last.lease_ends:
        return Wait("T6", "another run of this deployment is making the attempt", last.lease_ends)
    return None


def _switched_off_on_purpose(facts: FlowFacts) -> Verdict | None:
    flow = facts.flow
    if flow.status is FlowStatus.DRAFT:
        return Leave("D1", "the flow is a draft that nobody has activated")
    if flow.status is FlowStatus.SUSPENDED and not facts.switched_off:
        return Leave("D2", "a person switched the flow off")
    return None


def _cause(newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime) -> Verdict | None:
    flow = facts.flow
    partial = newest.status is RunStatus.SUCCESSFUL
    kind = facts.diagnosis.kind if facts.diagnosis else Kind.UNKNOWN
    reason = facts.diagnosis.reason if facts.diagnosis else "the run's error does not show why"
    off = " and AppFlow switched the flow off" if facts.switched_off else ""
    if not partial and facts.diagnosis and kind is not Kind.UNKNOWN and not facts.diagnosis.transient:
        return Escalate("C1", f"this does not pass by itself: {reason}{off}", fix(facts.diagnosis, flow))
    by_us = flow.trigger is Trigger.ON_DEMAND or facts.switched_off
    old = _too_old("C2", newest, facts, history, policy, now) if by_us else None
    if old is not None:
        return old
    most = policy.max_attempts
    if kind is Kind.UNKNOWN and not partial:
        most = min(most, policy.max_attempts_when_unknown)
    if open_attempt(newest, history) is None and len(history.attempts) >= most:
        rule = "C3" if most == policy.max_attempts else "C4"
        why = f"failed again after {len(history.attempts)} attempts" if history.attempts else "no attempts are allowed"
        return Escalate(rule, f"{why}: {reason}{off}", f"look at the error; {how_to_run(flow)}")
    in_a_row = facts.failures_in_a_row
    if not by_us and in_a_row > policy.max_attempts:
        return Escalate("C5", f"failed {in_a_row} times in a row: {reason}", f"look at the error; {how_to_run(flow)}")
    refusal = history.refusal
    if refusal is not None and refusal.failed_run == newest.id and now < refusal.at + REFUSAL_STANDS:
        return Escalate("C6", refused(refusal), unblock(flow))
    return None


def _switched_off_by_appflow(
    newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime
) -> Verdict | None:
    flow = facts.flow
    if not facts.switched_off:
        return None
    if not policy.allow_reactivate or not facts.says_why_off:
        who = "AppFlow" if facts.says_why_off else "AppFlow, or a person,"
        return Escalate(
            "A1",
            f"{who} switched the flow off after {facts.failures_in_a_row} failures in a row",
            f"activate it: aws appflow start-flow --flow-name {flow.name}",
        )
    last = history.last
    if last and last.failed_run == newest.id and last.run and now - last.claimed < LOOK_AGAIN:
        return Wait("A2", "it was activated a moment ago", last.claimed + LOOK_AGAIN)
    number, due = next_attempt(newest, facts, history, policy)
    if now < due:
        return Wait("A3", f"attempt {number} of {policy.max_attempts} to activate it again is due later", due)
    return Reactivate(
        "A4",
        "AppFlow switched the flow off for a cause that passes by itself",
        client_token(flow.arn, newest.id, number),
        newest.id,
        number,
    )


def _by_trigger(newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime) -> Verdict:
    if facts.flow.trigger is Trigger.ON_DEMAND:
        return _on_demand(newest, facts, history, policy, now)
    if facts.flow.trigger is Trigger.EVENT:
        return _event(now)
    return _scheduled(newest, facts, policy, now) or _through_a_twin(newest, facts, history, policy, now)


def _on_demand(newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime) -> Verdict:
    flow = facts.flow
    if flow.inserts and facts.wrote_since_success and not policy.allow_duplicates:
        return Escalate(
            "O1",
            "the failed run had written records, and its destination inserts: running it again would double them",
            f"remove what was written or accept duplicates (allow_duplicates); {how_to_run(flow)}",
        )
    number, due = next_attempt(newest, facts, history, policy)
    if now < due:
        return Wait("O2", f"attempt {number} of {policy.max_attempts} is due later", due)
    cause = facts.diagnosis.reason if facts.diagnosis else "the cause is not known"
    return Rerun(
        "O3",
        f"attempt {number} of {policy.max_attempts}: {cause}",
        client_token(flow.arn, newest.id, number),
        newest.id,
        number,
    )


def _event(now: datetime) -> Verdict:
    return Wait(
        "E1",
        "an event-triggered flow cannot be run again; the next events run it, and those of the failure may be lost",
        now + EVENT_REPORT,
    )


def _scheduled(newest: Run, facts: FlowFacts, policy: AppFlowPolicy, now: datetime) -> Verdict | None:
    """Wait for a schedule that is near; None where it is far, or over."""
    schedule = facts.flow.schedule
    if schedule is None or not understood(schedule.expression):
        return Escalate(
            "W1",
            "StartFlow would not run it, and its schedule cannot be read, so nobody knows when it runs next",
            unread_schedule(facts.flow),
        )
    following = next_run(schedule, now, newest.started)
    if following is not None and following - now <= policy.near:
        return Wait("W2", "StartFlow would not run it; its next schedule is near", following)
    return None


def _why_no_twin(facts: FlowFacts, history: History, policy: AppFlowPolicy) -> tuple[str, str] | None:
    flow = facts.flow
    if flow.schedule is None or flow.schedule.incremental:
        return "W3", "that run pulls everything since the last success, while a twin would pull all there is"
    if flow.writes_objects:
        return "W4", "a twin would write its objects under its own name"
    if not policy.allow_twin:
        return "W5", "the policy does not allow a temporary twin (allow_twin)"
    wrote = facts.wrote_since_success or history.twin_wrote
    if flow.inserts and wrote and not policy.allow_duplicates:
        return "W6", "records had been written, and the destination inserts (allow_duplicates)"
    return None


def _through_a_twin(newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime) -> Verdict:
    flow = facts.flow
    following = next_run(flow.schedule, now, newest.started) if flow.schedule else None
    why_not = _why_no_twin(facts, history, policy)
    if why_not is not None:
        rule, text = why_not
        if following is None:
            return Escalate("W7", f"no further schedule is known, and there is no twin: {text}", how_to_run(flow))
        far = following - now > policy.far
        step = far_schedule(flow) if far else ""
        return Wait(rule, f"it waits for its next schedule: {text}", following, step)
    old = _too_old("C2", newest, facts, history, policy, now)
    if old is not None:
        return old
    number, due = next_attempt(newest, facts, history, policy)
    if now < due:
        return Wait("W8", f"attempt {number} of {policy.max_attempts} through a temporary twin is due later", due)
    return RunTwin(
        "W9",
        f"attempt {number} of {policy.max_attempts}: its next schedule is far, so a temporary twin makes it once",
        twin_name(flow.arn, newest.id, number),
        client_token(flow.arn, newest.id, number),
        newest.id,
        number,
    )


def _too_old(
    rule: str, newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy, now: datetime
) -> Escalate | None:
    if history.attempts or now - newest.updated <= policy.max_age:
        return None
    off = " and AppFlow switched the flow off" if facts.switched_off else ""
    return Escalate(
        rule,
        f"the run failed more than {policy.max_age_hours:g} hours ago{off}",
        f"decide whether it is still wanted; {how_to_run(facts.flow)}",
    )
