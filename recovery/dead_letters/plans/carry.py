"""Carrying a plan out: exactly the frozen set, a step at a time, each step in a run of its own.

A run takes the plan (a lease in its record), looks at what the step under way has sent, and sends as many as the ramp
admits, a hundred at a time, through the claims and send intents of a replay. The record's cursor moves behind each
hundred; a crash between leaves cases that say what was sent, so that nothing is sent twice beyond the declared window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby, islice

from recovery.cases import Case, DamagedCase, State
from recovery.dead_letters import replay
from recovery.dead_letters.claims import Chosen, Part, arn_of, give_back, message_of
from recovery.dead_letters.outcomes import OF_CONTENT
from recovery.dead_letters.plans.book import PlanBook
from recovery.dead_letters.plans.frozen import Frozen, Line, sha_of
from recovery.dead_letters.plans.patch import Patch, Unfit, apply
from recovery.dead_letters.plans.plan import Plan, PlanState, after_check
from recovery.dead_letters.remembered import remembered
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.send_intents import SIZE
from recovery.dead_letters.work import Work
from recovery.errors import Conflict, Refused, RepriseError
from recovery.events.outward import PLAN_FINISHED, PLAN_STEPPED, PLAN_STOPPED, Outward
from recovery.ramp import Step
from recovery.records import DamagedRecord


@dataclass
class _Outcome:
    """Outcome of a hundred lines.

    Attributes:
        sent: messages of the plan that were sent, by this run or an interrupted one.
        left_out: messages that are never sent by this plan, by reason.
        later: reason why the run ends here, and the next one begins with these lines again.
        stop: reason why a person must act first.
    """

    sent: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    later: str = ""
    stop: str = ""


def go_on(work: Work, plan: Plan) -> Plan:
    """Carry a plan on as far as its ramp admits now; return it as it is then.

    Raises:
        Conflict: another run carries it on, or somebody changed it meanwhile.
        Transient, Refused: the ledger or the frozen set could not be read, or what was sent could not be written down.
    """
    book = PlanBook(work.ledger)
    book.hold(plan, work.now())
    before = plan = book.take(plan, work.owner, work.now())
    frozen = Frozen(work.archive, plan.object)
    try:
        patch = Patch.model_validate(frozen.head(plan.digest)["patch"])
        plan, most = after_check(plan, look(work, plan, frozen))
        if plan.state is PlanState.RUNNING and most:
            plan = _send(work, book, plan, frozen, patch, most)
    finally:
        plan = book.release(plan, work.now())
    if (event := event_of(before, plan, work.now())) is not None:
        work.events.append(event)
    return plan


def event_of(before: Plan, plan: Plan, now: datetime) -> Outward | None:
    """Return the event of what a run did to a plan; None when nothing of it is news."""
    if plan.state is PlanState.STOPPED and before.state is not PlanState.STOPPED:
        name = PLAN_STOPPED
    elif plan.state is PlanState.DONE and before.state is not PlanState.DONE:
        name = PLAN_FINISHED
    elif plan.cursor > before.cursor and plan.first == before.cursor:
        name = PLAN_STEPPED
    else:
        return None
    payload: dict[str, str | int] = {
        "subject": plan.headline,
        "text": plan.why,
        "sent": plan.sent,
        "count": plan.count,
        "planned_by": plan.operator,
        "carried_by": plan.carried_by,
    }
    return Outward(name, ("plan", plan.id), f"{plan.step}#{plan.first}", now, payload)


def look(work: Work, plan: Plan, frozen: Frozen) -> Step:
    """Return the step under way with what is known of its messages: sent, proven to be back, come back.

    A message is proven when a sweep has counted it as recovered: its consumer took it, and it stayed away.
    """
    damaged: list[DamagedRecord] = []
    _, taken = work.unproven.awaited(damaged)
    sent = proven = returned = 0
    for lines in _hundreds(frozen.lines(plan.first, plan.cursor)):
        cases = _read(work, lines)
        went = [(line, cases[line.id]) for line in lines if _was_sent(cases.get(line.id), plan)]
        new = remembered(work.ledger, [str(case.detail["next"]) for _, case in went], [])
        for line, case in went:
            sent += 1
            now = new.get(str(case.detail["next"]))
            counted = taken[line.to].counted if line.to in taken else None
            if now is None or now.state is State.RECOVERED:
                proven += now is not None
            elif now.state is State.SENT:
                proven += counted is not None and now.changed <= counted
            else:
                returned += 1
    return Step(plan.step, sent, proven, returned)


def _send(work: Work, book: PlanBook, plan: Plan, frozen: Frozen, patch: Patch, most: int) -> Plan:
    """Send at most so many, and write the cursor behind each hundred."""
    asked = work.request
    work.request = ReplayRequest(
        destination=plan.destination or None,
        max_per_second=plan.max_per_second,
        settle_seconds=plan.settle_seconds,
        dry_run=False,
    )
    lines = frozen.lines(plan.cursor)
    try:
        while most > 0 and work.room and not work.time_is_up and not work.unrecorded:
            hundred = list(islice(lines, min(SIZE, most, work.room)))
            if not hundred:
                break
            done = _send_hundred(work, plan, patch, hundred)
            if done.later or done.stop:
                state = PlanState.STOPPED if done.stop else plan.state
                why = done.stop or f"the next run goes on: {done.later}"
                return book.take(replace(plan, state=state, why=why), work.owner, work.now())
            most -= done.sent
            left = Counter(plan.left_out) + done.left_out
            plan = replace(plan, cursor=plan.cursor + len(hundred), sent=plan.sent + done.sent, left_out=dict(left))
            plan = book.keep(plan, work.owner, work.now())
            if plan.state is not PlanState.RUNNING:
                break  # a person has just paused or cancelled it
    finally:
        work.request = asked
    return plan


def _send_hundred(work: Work, plan: Plan, patch: Patch, lines: Sequence[Line]) -> _Outcome:
    done = _Outcome()
    cases = _read(work, lines)
    ready: list[tuple[Line, Case]] = []
    for line in lines:
        case = cases.get(line.id)
        if _was_sent(case, plan):
            done.sent += 1
            continue
        reason = left_out(case, line, work.now())
        if reason == BUSY:
            done.later = reason
            return done
        if reason or case is None:
            done.left_out[reason] += 1
        else:
            ready.append((line, case))
    for _, same in groupby(ready, key=lambda one: (one[1].source, arn_of(one[1]))):
        pairs = list(same)
        by_id = {line.id: line for line, _ in pairs}
        part = Part([case for _, case in pairs])
        for one in part.chosen:
            one.mark = {"plan": plan.id, "by": plan.carried_by}
        replay.replay_part(work, part, lambda part, by_id=by_id: _prepare(work, part, by_id, patch))  # type: ignore[misc]
        for one in part.chosen:
            _count(one, done)
        done.stop = done.stop or _refused_head(part)
        replay.note(work, part)
        if done.later or done.stop:
            break
    return done


_GONE = frozenset({"NoSuchKey", "InvalidObjectState"})
"""Refusals of the archive that speak of one object: deleted by a lifecycle rule, or in cold storage."""
BUSY = "an interrupted run holds some of its messages: they are free when its claim ends"


def left_out(case: Case | None, line: Line, now: datetime) -> str:
    """Return the reason why a message of the set is not sent, or ""."""
    if case is None:
        return "the ledger knows it no more"
    if case.is_closed:
        return f"it was {case.closing['how']} meanwhile"
    if case.state not in replay.REPLAYABLE:
        return "it was sent meanwhile" if case.state is State.REPLAYED else f"it is {case.state.value} meanwhile"
    lease = str(case.detail.get("lease", ""))
    if case.state is State.REPLAYING and lease and datetime.fromisoformat(lease) > now:
        return BUSY
    pointer = case.detail.get("archive", {})
    if (str(case.detail.get("content", "")), pointer.get("key"), pointer.get("line")) != (
        line.content,
        line.key,
        line.line,
    ):
        return "it changed since it was planned"
    return ""


def _prepare(work: Work, part: Part, lines: dict[str, Line], patch: Patch) -> None:
    """Check that exactly what was planned is sent; what differs is given back and left out."""
    wrong: list[Chosen] = []
    for one in part.ready():
        line = lines[one.case.key]
        try:
            made = apply(patch, message_of(one))
        except Unfit as error:
            one.failure = Refused(f"the change does not fit any more: {error}")
        else:
            if one.destination != line.to:
                one.failure = Refused("it would go to another queue than planned")
            elif sha_of(made) != line.sha:
                one.failure = Refused("it is not what was planned")
            else:
                one.is_changed = made is not one.message
                one.message = made
        if one.failure is not None:
            wrong.append(one)
    give_back(work, wrong, None)


def _count(one: Chosen, done: _Outcome) -> None:
    error = one.failure
    if error is None:
        done.sent += 1
    elif not isinstance(error, Refused):
        done.later = str(error)
    elif not error.code or error.code.rpartition(".")[2] in OF_CONTENT | _GONE:
        done.left_out[str(error)] += 1
    else:
        done.stop = f"it stopped itself: {error}"


def _refused_head(part: Part) -> str:
    """Return why a FIFO group cannot go on: a message was refused that others follow; "" when none was."""
    refused: dict[str, Chosen] = {}
    for one in part.chosen:
        if one.message is None or one.failure is None:
            continue
        head = refused.get(one.message.group_id)
        if isinstance(one.failure, Conflict) and head is not None:
            return (
                f"it stopped itself: message {head.case.key} was refused ({head.failure}), and those behind it in its"
                " group keep their order: dismiss it, then resume; or cancel, and plan with a change"
            )
        if isinstance(one.failure, Refused):
            refused.setdefault(one.message.group_id, one)
    return ""


def _was_sent(case: Case | None, plan: Plan) -> bool:
    return (
        case is not None
        and case.state is State.REPLAYED
        and case.detail.get("plan") == plan.id
        and bool(case.detail.get("next"))
    )


def _read(work: Work, lines: Sequence[Line]) -> dict[str, Case]:
    damaged: list[DamagedCase] = []
    return remembered(work.ledger, [line.id for line in lines], damaged)


def _hundreds(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while hundred := list(islice(lines, SIZE)):
        yield hundred


def carry_all_on(work: Work) -> None:
    """Carry all plans on that are under way; trouble with one is a line of the report, and the others go on.

    Raises:
        Transient, Refused: the ledger could not be read.
    """
    damaged: list[DamagedRecord] = []
    for plan in PlanBook(work.ledger).all(damaged):
        if plan.state is not PlanState.RUNNING:
            continue
        try:
            now = go_on(work, plan)
        except Conflict:
            continue  # another run does
        except RepriseError as error:
            work.complain(f"plan {plan.id} could not be carried on: {error}")
            continue
        work.facts.append(f"{now.headline} (planned by {plan.operator}: {plan.reason}; begun by {plan.carried_by})")
        if now.state is PlanState.STOPPED:
            work.warn(now.headline)
    for one in damaged:
        work.warn(f"a plan is damaged: put right {one.place}")
