"""Records of flows: ledger cases, alerts, report entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from recovery.alerts import Alert, Announced
from recovery.appflow_runs.advice import unblock
from recovery.appflow_runs.causes import refusal_of, words_of
from recovery.appflow_runs.deactivation import forecast
from recovery.appflow_runs.look import LAG
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH, Refusal
from recovery.appflow_runs.remembered import DAMAGED
from recovery.appflow_runs.verdicts import Escalate, Leave, Reactivate, Rerun, RunTwin, Verdict, Wait
from recovery.appflow_runs.work import AppFlowRun, FlowBatch, FlowWork
from recovery.cases import Case, State
from recovery.console import flows, region_of
from recovery.errors import BadInput, Conflict, Refused, RepriseError
from recovery.report import SAMPLES, Entry
from recovery.times import shown

KEEP = timedelta(days=400)
"""The ledger forgets a flow of which it heard nothing for so long."""
ONCE = timedelta(days=365)
"""The window of alerts whose group names the incident: one for each incident and sentence."""

REFUSAL_WINDOW = timedelta(days=1)
"""The window of alerts on calls that AppFlow refuses: one for each call and error code, however many flows."""

_NOTHING_TO_REPORT = frozenset({"S1", "S2", "S3", "R2", "R3", "R4", "D1", "D2"})
_TAKEN_OVER = frozenset({"S1", "S2", "R3", "T3", "D1", "D2"})
_REFUSED = "refused:"
_REPORTED_ONLY = frozenset({"ResourceNotFoundException", DAMAGED})
_EXHAUSTED = frozenset({"C3", "C4", "C5"})


def save(work: AppFlowRun, item: FlowWork, memory: Memory, state: State | None) -> None:
    """Write the case of a flow in place of the one that was read.

    Raises:
        Conflict: another worker wrote it since.
        Transient, Refused: it is not written.
    """
    now = work.now()
    old = item.case
    new = state or State.SENT
    verdict = item.verdict
    diagnosis = item.facts.diagnosis if item.facts else None
    case = Case(
        path=PATH,
        key=item.name,
        source="appflow",
        state=new,
        kind=diagnosis.kind.value if diagnosis else "",
        rule=diagnosis.rule if diagnosis else "",
        group=item.group,
        first_seen=old.first_seen if old else now,
        changed=old.changed if old and old.state is new else now,
        expires=now + KEEP,
        attempts=len(memory.history.attempts),
        due=verdict.until if isinstance(verdict, Wait) else None,
        reason=verdict.reason,
        # The step is for people: flows.cases shows it.
        detail=memory.as_json() | ({"step": _step(verdict)} if _step(verdict) else {}),
    )
    work.ledger.change_case(case, expected=old)
    item.case, item.memory = case, memory


def notify(work: AppFlowRun, batch: FlowBatch) -> None:
    """Notify people: what they must do, a schedule that is about to be switched off, and that a flow has recovered.

    A flow whose alert is not out yet keeps the reason in `failure`, and is not settled.
    """
    for item in batch.items:
        if work.dry_run or item.quiet or item.facts is None or item.failure is not None:
            continue
        try:
            _notify(work, item)
        except RepriseError as error:
            item.failure = error
    if not work.dry_run:
        _notify_unreadable(work, [item for item in batch.items if item.facts is None and item.failure is not None])


def notify_refusal(work: AppFlowRun, refusal: Refusal, names: Sequence[str], next_step: str) -> Announced:
    """Notify people of a call that AppFlow refuses, once for all flows alike.

    Raises:
        Transient, Refused: it was not reported.
    """
    return work.alerts.announce(_refusal_alert(refusal, names, next_step), work.now(), REFUSAL_WINDOW)


def _notify_unreadable(work: AppFlowRun, items: Sequence[FlowWork]) -> None:
    alike: dict[str, list[FlowWork]] = {}
    for item in items:
        if isinstance(item.failure, Refused | BadInput) and item.failure.code not in _REPORTED_ONLY:
            alike.setdefault(refusal_of(item.failure, "", work.now()).call, []).append(item)
    for group in alike.values():
        assert group[0].failure is not None
        refusal = refusal_of(group[0].failure, "", work.now())
        try:
            notify_refusal(work, refusal, [item.name for item in group], "let the path read these flows")
        except RepriseError as error:
            work.complain(f"people could not be notified that AppFlow refuses {refusal.call}: {words_of(error)}")


def keep(work: AppFlowRun, batch: FlowBatch) -> None:
    """Write down what was found, where it differs from what the ledger holds."""
    for item in batch.items:
        if work.dry_run or item.quiet or item.facts is None or item.failure is not None or item.postponed:
            continue
        state = state_of(item)
        if not _is_news(item, state):
            continue
        try:
            save(work, item, item.memory, state)
        except Conflict:
            continue  # another worker has just written what it found, which is as new
        except RepriseError as error:
            item.failure = error


def note(work: AppFlowRun, batch: FlowBatch) -> None:
    """Count what was found and done, for the report."""
    for item in batch.items:
        for gap in item.gaps:
            span = f"from {shown(gap.start)} to {shown(gap.end)}"
            work.warn(f"flow {item.name}: no successful run has pulled the data {span}")
        if not item.quiet:
            work.seen[item.name] = item.summary.stamp
        if item.recovered_seconds is not None:
            work.recovered += 1
            work.seconds_to_recover += item.recovered_seconds
        if item.missed:
            work.missed_events += 1
        if has_news(item):
            work.note([entry(work, item)])


def state_of(item: FlowWork) -> State:
    """Return the state of the flow's case after this run."""
    verdict = item.verdict
    history = item.memory.history
    if isinstance(verdict, Rerun | RunTwin | Reactivate):
        return State.SENT
    if isinstance(verdict, Escalate):
        return State.EXHAUSTED if verdict.rule in _EXHAUSTED else State.ESCALATED
    if isinstance(verdict, Wait) or verdict.rule == "R2":
        begun = history.last is not None and not history.last.outcome and history.began is not None
        return State.SENT if begun else State.BACKOFF
    return State.SUPERSEDED if verdict.rule in _TAKEN_OVER else State.RECOVERED


def has_news(item: FlowWork) -> bool:
    """True when the report should list the flow."""
    if item.failure is not None or item.recovered_seconds is not None:
        return True
    return not item.quiet and not (isinstance(item.verdict, Leave) and item.verdict.rule in _NOTHING_TO_REPORT)


def entry(work: AppFlowRun, item: FlowWork) -> Entry:
    """Return the report's entry for one flow."""
    verdict = item.verdict
    facts = item.facts
    diagnosis = facts.diagnosis if facts else None
    action, reason = verdict.action, verdict.reason
    if item.recovered_seconds is not None and isinstance(verdict, Leave):
        action = "recovered"
        reason = f"{verdict.reason}, {item.recovered_seconds:.0f} s after the first failure"
    elif verdict.rule in {"R5", "R6"}:
        action = "partial"
    if item.deactivation is not None:
        reason += f"; {forecast(item.deactivation)}"
    if item.failure is not None:
        reason += f"; did not go through: {words_of(item.failure)}"
    return Entry(
        key=item.name,
        source=facts.flow.source or "appflow" if facts else "appflow",
        action=action,
        reason=reason,
        kind=diagnosis.kind.value if diagnosis else "",
        diagnosis=diagnosis.rule if diagnosis else "",
        rule=verdict.rule,
        group=item.group,
        error=facts.error if facts else "",
        attempt=verdict.attempt
        if isinstance(verdict, Rerun | RunTwin | Reactivate)
        else len(item.memory.history.attempts),
        max_attempts=item.policy.max_attempts,
        settled=item.failure is None,
        next_step=_step(verdict),
        exhausted=isinstance(verdict, Escalate) and verdict.rule in _EXHAUSTED,
        pages=_pages(work),
    )


def _pages(work: AppFlowRun) -> tuple[tuple[str, str], ...]:
    # The topic is of the region in which the run works: SNS takes no other.
    address = flows(region_of(work.alerts.topic_arn))
    return (("flows", address),) if address else ()


def _notify(work: AppFlowRun, item: FlowWork) -> None:
    assert item.facts is not None
    now = work.now()
    memory = item.memory
    if item.recovered_seconds is not None and memory.notified:
        ours = [group for group in memory.notified if not group.startswith(_REFUSED)]
        if ours and work.alerts.announce_recovery(_recovery(item, ours[0]), now) is Announced.ELSEWHERE:
            item.postponed = True
            return
        memory = replace(memory, notified=())
    due: list[tuple[Alert, timedelta]] = []
    refusal = memory.history.refusal
    if isinstance(item.verdict, Escalate):
        if item.verdict.rule == "C6" and refusal is not None:
            due.append((_refusal_alert(refusal, [item.name], unblock(item.facts.flow)), REFUSAL_WINDOW))
        else:
            due.append((replace(_escalation(item, item.verdict), pages=_pages(work)), ONCE))
    if isinstance(item.verdict, Wait) and item.verdict.next_step:
        due.append((_long_wait(item, item.verdict), ONCE))
    if item.deactivation is not None and item.deactivation.warn:
        due.append((_deactivation(item), ONCE))
    for alert, window in due:
        if alert.group in memory.notified:
            continue
        if work.alerts.announce(alert, now, window) is Announced.ELSEWHERE:
            item.postponed = True
            continue
        memory = replace(memory, notified=(*memory.notified, alert.group))
    item.memory = memory


def _escalation(item: FlowWork, verdict: Escalate) -> Alert:
    assert item.facts is not None
    flow = item.facts.flow
    kind = item.facts.diagnosis.kind.value if item.facts.diagnosis else ""
    newest = item.facts.runs[0]
    lines = [
        f"AppFlow flow {flow.name} needs a person.",
        "",
        f"Why: {verdict.reason}.",
        f"Last error: {item.facts.error or '(none)'}",
        f"Run: {newest.id} of {shown(newest.started)}; failures in a row: {item.facts.failures_in_a_row}",
        f"Kind: {kind or '(not diagnosed)'}    Attempts made: {len(item.memory.history.attempts)}",
    ]
    if item.deactivation is not None:
        lines.append(f"Besides, {forecast(item.deactivation)}.")
    lines += [
        "",
        f"What to do: {verdict.next_step}.",
        "When the cause is fixed, appflow-runs/by-hand with cause_fixed runs it again, where it can be run.",
    ]
    subject = f"Reprise: AppFlow flow {flow.name} needs a person ({kind or 'not diagnosed'})"
    group = f"{_stuck(item)}:R1" if verdict.rule == "R1" else f"{_incident(item)}:{verdict.rule}:{kind}"
    return Alert(PATH, flow.name, group, subject, "\n".join(lines), kind=kind)


def _long_wait(item: FlowWork, verdict: Wait) -> Alert:
    assert item.facts is not None
    flow = item.facts.flow
    lines = [
        f"AppFlow flow {flow.name} failed, and its next scheduled run is far away: {shown(verdict.until)}.",
        "",
        f"Why it waits: {verdict.reason}.",
        f"Last error: {item.facts.error or '(none)'}",
        "",
        f"What to do: nothing, or {verdict.next_step}.",
    ]
    subject = f"Reprise: AppFlow flow {flow.name} waits until {verdict.until:%Y-%m-%d}"
    return Alert(PATH, flow.name, f"{_incident(item)}:far", subject, "\n".join(lines))


def _deactivation(item: FlowWork) -> Alert:
    assert item.facts is not None
    assert item.deactivation is not None
    flow = item.facts.flow
    lines = [
        f"AppFlow is about to switch off the schedule of flow {flow.name}.",
        "",
        f"{forecast(item.deactivation)}.",
        f"Last error: {item.facts.error or '(none)'}",
        f"Decided: {item.verdict.reason}.",
        "",
        "What to do: fix the cause before then. A flow that was switched off is activated by",
        f"aws appflow start-flow --flow-name {flow.name}",
    ]
    subject = f"Reprise: AppFlow is about to switch off flow {flow.name}"
    return Alert(PATH, flow.name, f"{_incident(item)}:switch-off", subject, "\n".join(lines))


def _refusal_alert(refusal: Refusal, names: Sequence[str], next_step: str) -> Alert:
    lines = [
        f"A call of AppFlow does not go through: {refusal.call}.",
        "",
        f"It answered: {refusal.words or '(nothing)'}",
        f"Flows: {', '.join(names[:SAMPLES])}{', ...' if len(names) > SAMPLES else ''}. What else meets it in the next"
        " 24 hours is in the reports of the runs only.",
        "",
        f"What to do: {next_step}.",
    ]
    subject = f"Reprise: {refusal.call} does not go through"
    return Alert(PATH, "appflow", f"{_REFUSED}{refusal.call}", subject, "\n".join(lines), len(names))


def _recovery(item: FlowWork, group: str) -> Alert:
    text = (
        f"AppFlow flow {item.name} has recovered: {item.verdict.reason}. It took"
        f" {item.recovered_seconds or 0:.0f} s from the first failure."
    )
    return Alert(PATH, item.name, group, f"Reprise: AppFlow flow {item.name} has recovered", text)


def _step(verdict: Verdict) -> str:
    """The next step for a person; "" where nobody need do anything."""
    return verdict.next_step if isinstance(verdict, Escalate | Wait) else ""


def _incident(item: FlowWork) -> str:
    began = item.memory.history.began
    newest = item.facts.runs[0].id if item.facts and item.facts.runs else ""
    return began.isoformat(timespec="milliseconds") if began else newest


def _stuck(item: FlowWork) -> str:
    """A run that never ends is one trouble, whatever runs and fails beside it."""
    assert item.facts is not None
    return next((run.id for run in reversed(item.facts.runs) if run.is_under_way), "")


def _is_news(item: FlowWork, state: State) -> bool:
    """True when the case differs by more than the time at which the flow was last read."""
    old = item.case
    if old is None or old.state is not state:
        return True
    due = item.verdict.until if isinstance(item.verdict, Wait) else None
    if {**old.detail, "read": None} != {**item.memory.as_json(), "read": None} or old.due != due:
        return True
    last, read = item.summary.last_at, Memory.from_json(old.detail).read_at
    return last is not None and (read is None or read - last < LAG)
