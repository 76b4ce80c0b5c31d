"""Acts of people on a plan: begin, pause, resume, cancel. Each act is written down before it is done."""

from __future__ import annotations

from recovery.audit import Act, Audit, require_person
from recovery.dead_letters.plans.book import PlanBook
from recovery.dead_letters.plans.carry import go_on, look
from recovery.dead_letters.plans.frozen import Frozen
from recovery.dead_letters.plans.plan import Plan, PlanState, after_check, begin, control
from recovery.dead_letters.plans.request import CarryOutRequest, ControlRequest
from recovery.dead_letters.work import Work
from recovery.errors import Conflict

_ROUNDS = 10


def carry_out(work: Work, request: CarryOutRequest) -> Plan:
    """Begin a plan, and send its first step; carry one on that is under way.

    Raises:
        BadInput: no person, no such plan, another digest, expired, or the same person.
        Conflict: it has ended or waits for a person, or another plan holds a destination.
        Transient, Refused: the ledger or the frozen set could not be read.
    """
    request.check()
    book = PlanBook(work.ledger)
    plan = book.read(request.plan_id)
    begun = begin(plan, request.digest, request.operator, work.now(), request.identity)
    if request.dry_run:
        frozen = Frozen(work.archive, plan.object)
        frozen.head(plan.digest)
        would, most = after_check(begun, look(work, plan, frozen))
        work.facts.append(f"{would.headline}; the next step would send {most}")
        return plan
    book.hold(begun, work.now())
    if plan.state is PlanState.PLANNED:
        _write_down(work, request, "carry out", plan)
        begun = book.write(begun, work.now())
    now = go_on(work, begun)
    work.facts.append(f"{now.headline} (by {request.operator}: {request.reason})")
    if now.state is PlanState.STOPPED:
        work.warn(now.headline)
    return now


def control_plan(book: PlanBook, work: Work, request: ControlRequest) -> Plan:
    """Pause, resume or cancel a plan.

    Raises:
        BadInput: no person or no such plan.
        Conflict: it is in a state in which that means nothing, or another run has just written it: try again.
    """
    require_person(request.operator, request.reason)
    for _ in range(_ROUNDS):
        plan = book.read(request.plan_id)
        made = control(plan, request.control, request.operator, request.reason)
        if request.dry_run:
            return plan
        if made.state is PlanState.RUNNING:
            book.hold(made, work.now())
        _write_down(work, request, request.control.value, plan)
        try:
            return book.write(made, work.now())
        except Conflict:
            continue  # a run that carries it on has just moved its cursor
    raise Conflict(f"plan {request.plan_id}: runs write it again and again; try again")


def _write_down(work: Work, request: CarryOutRequest | ControlRequest, action: str, plan: Plan) -> None:
    subject = f"plan {plan.id} of {plan.count} message(s)"
    Audit(work.ledger).write(
        Act(work.now(), request.operator, action, request.reason, subject, plan.count, request.identity)
    )
