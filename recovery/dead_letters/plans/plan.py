"""A plan as the ledger keeps it, and the rules of its life. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from recovery.dead_letters.plans.request import Control
from recovery.errors import BadInput, Conflict
from recovery.ramp import Passage, RampState, Step, admit


class PlanState(StrEnum):
    """States of a plan."""

    PLANNED = "planned"  # reviewed or not, nothing was sent
    RUNNING = "running"  # its steps go on with each run of the path
    PAUSED = "paused"  # by a person
    STOPPED = "stopped"  # by itself: the group came back
    CANCELLED = "cancelled"  # by a person: what was not sent stays in the archive
    DONE = "done"  # everything was sent, and the last step is proven


ENDED = frozenset({PlanState.CANCELLED, PlanState.DONE})
HOLDS = frozenset({PlanState.RUNNING, PlanState.PAUSED, PlanState.STOPPED})
"""States in which a plan keeps other plans from its destinations."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan.

    Attributes:
        id, digest: its name, and the fingerprint of the frozen set and of what is done with it.
        object: key of the frozen set in the archive bucket.
        count: messages of the set.
        operator, reason, made: who planned it, on what grounds, when.
        identity: AWS identity of the planner, where a command knew it.
        expires: it must begin before this time.
        steps, share: of its ramp.
        destination, max_per_second, settle_seconds: of its sends.
        destinations: URLs that it sends to.
        another_person: the person who planned it may not carry it out.
        state: its state.
        why: reason of that state, for a person.
        carried_by: who carries it out.
        cursor: lines of the set that are done with.
        first: line at which the step under way begins.
        step: number of the step under way.
        sent, left_out: messages so far; those left out by reason.
        owner, lease: run that carries it on right now, and until when.
        version: of its record.
    """

    id: str
    digest: str
    object: str
    count: int
    operator: str
    reason: str
    made: datetime
    expires: datetime
    steps: tuple[int, ...]
    share: float
    destination: str
    max_per_second: float
    settle_seconds: int
    destinations: tuple[str, ...]
    another_person: bool = False
    identity: str = ""
    state: PlanState = PlanState.PLANNED
    why: str = ""
    carried_by: str = ""
    cursor: int = 0
    first: int = 0
    step: int = 0
    sent: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    owner: str = ""
    lease: datetime | None = None
    version: int = 0

    @property
    def headline(self) -> str:
        """One sentence."""
        why = f": {self.why}" if self.why else ""
        return f"plan {self.id} is {self.state.value}, {self.sent} of {self.count} sent{why}"


def begin(plan: Plan, digest: str, operator: str, now: datetime, identity: str = "") -> Plan:
    """Return the plan as it begins, or as it goes on where it is under way.

    Raises:
        BadInput: another digest, expired, or the same person.
        Conflict: it has ended, or waits for a person.
    """
    if digest != plan.digest:
        raise BadInput(f"digest: plan {plan.id} has another digest: review it again with dead-letters/plan")
    if plan.state in ENDED:
        raise Conflict(f"plan {plan.id} is {plan.state.value}: make a new one for what is left")
    if plan.state in (PlanState.PAUSED, PlanState.STOPPED):
        raise Conflict(f"plan {plan.id} is {plan.state.value} ({plan.why}): resume or cancel it")
    if plan.state is PlanState.RUNNING:
        return plan
    if now >= plan.expires:
        raise BadInput(f"plan_id: plan {plan.id} expired at {plan.expires:%Y-%m-%d %H:%M} UTC: make a new one")
    is_planner = operator.strip().casefold() == plan.operator.strip().casefold()
    if plan.another_person and (is_planner or (identity and identity == plan.identity)):
        raise BadInput(f"operator: plan {plan.id} was made by {plan.operator}; another person must carry it out")
    return replace(plan, state=PlanState.RUNNING, carried_by=operator, why="")


def control(plan: Plan, what: Control, operator: str, reason: str) -> Plan:
    """Return the plan after a person's control.

    Raises:
        Conflict: it is in a state in which that means nothing.
    """
    allowed = {
        Control.PAUSE: {PlanState.RUNNING},
        Control.RESUME: {PlanState.PAUSED, PlanState.STOPPED},
        Control.CANCEL: {PlanState.PLANNED, *HOLDS},
    }[what]
    if plan.state not in allowed:
        raise Conflict(f"plan {plan.id} is {plan.state.value}: {what.value} means nothing there")
    state = {
        Control.PAUSE: PlanState.PAUSED,
        Control.RESUME: PlanState.RUNNING,
        Control.CANCEL: PlanState.CANCELLED,
    }[what]
    began_anew = plan.state is PlanState.STOPPED and what is Control.RESUME
    return replace(
        plan,
        state=state,
        why=f"{what.value} by {operator}: {reason}",
        # A ramp that stopped begins anew behind what it has sent.
        step=0 if began_anew else plan.step,
        first=plan.cursor if began_anew else plan.first,
    )


def passage(plan: Plan, step: Step) -> Passage:
    """Return how many may go now."""
    return admit(step, plan.steps, plan.share)


def after_check(plan: Plan, step: Step) -> tuple[Plan, int]:
    """Return the plan after a look at its step under way, and how many messages may go now.

    Args:
        plan: under way.
        step: counts of what it sent since line `first`.
    """
    verdict = passage(plan, step)
    everything_is_through = plan.cursor >= plan.count
    if verdict.state is RampState.OPEN:
        return replace(plan, state=PlanState.STOPPED, why=f"it stopped itself: {verdict.reason}"), 0
    if everything_is_through:
        if step.awaited:
            return replace(plan, why=f"all is sent; {step.awaited} of the last step are not proven yet"), 0
        return replace(plan, state=PlanState.DONE, why=f"{plan.sent} sent, {sum(plan.left_out.values())} left out"), 0
    most = plan.count - plan.cursor if verdict.most is None else verdict.most
    if verdict.step.number != step.number:
        plan = replace(plan, step=verdict.step.number, first=plan.cursor)
    return replace(plan, why=verdict.reason), most
