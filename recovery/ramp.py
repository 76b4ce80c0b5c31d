"""A ramp: a few go first, and more only once these are proven to be back. Pure.

Circuits of failure groups and plans that a person approved share it. Its owner keeps a `Step` in the ledger, counts
what was sent, is proven and came back, and asks `admit` before each send:

    passage = admit(step)
    going = waiting[: passage.most]   # all of them where `most` is None
    step = passage.step.after(sent=len(going))

An open ramp lets nothing go. Its owner ends there, or begins anew with `Step()` once it has waited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

STEPS = (1, 10, 100)
"""Messages of each step; the rest follows."""
SHARE = 0.9
"""Share of what a step sent that must be proven, so that the next one follows."""
_ROUNDING = 1e-9


class RampState(StrEnum):
    """States of a ramp."""

    PROBING = "probing"  # the first step: one message tries
    RAMPING = "ramping"  # a later step
    CLOSED = "closed"  # all steps are passed: everything may go
    OPEN = "open"  # too many came back: nothing may go


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a ramp and its outcome so far.

    Attributes:
        number: 0 for the first; the number of steps for the rest.
        sent: messages that it sent, or that were claimed to be sent.
        proven: of these, proven to be back.
        returned: of these, came back.
    """

    number: int = 0
    sent: int = 0
    proven: int = 0
    returned: int = 0

    @property
    def awaited(self) -> int:
        """Messages of which neither is known yet."""
        return max(0, self.sent - self.proven - self.returned)

    def after(self, *, sent: int = 0, proven: int = 0, returned: int = 0) -> Step:
        """Return the step after so many more."""
        return replace(self, sent=self.sent + sent, proven=self.proven + proven, returned=self.returned + returned)


@dataclass(frozen=True, slots=True)
class Passage:
    """The verdict on a ramp.

    Attributes:
        state: its state.
        step: the step that counts from now on: the next one where the last is passed.
        most: messages that may go now; None: all.
        reason: for a person.
    """

    state: RampState
    step: Step
    most: int | None
    reason: str


def admit(step: Step, steps: Sequence[int] = STEPS, share: float = SHARE) -> Passage:
    """Return how many may go now.

    Args:
        step: the step under way.
        steps: messages of each step, before the rest.
        share: share of what a step sent that must be proven, from above 0 to 1.
    """
    needed = max(1, math.ceil(share * step.sent - _ROUNDING))
    if step.returned > max(0, step.sent - needed):
        reason = f"{step.returned} of {step.sent} sent came back: the cause persists"
        return Passage(RampState.OPEN, step, 0, reason)
    if step.number >= len(steps):
        return Passage(RampState.CLOSED, step, None, "all steps are proven: everything may go")
    if step.sent and step.proven >= needed:
        return _next(step, steps)
    state = RampState.RAMPING if step.number else RampState.PROBING
    size = steps[step.number]
    if not step.sent:
        reason = f"step {step.number + 1} of {len(steps)} sends {size}"
    else:
        reason = (
            f"step {step.number + 1} of {len(steps)}: {step.proven} of {step.sent} sent are proven to be back,"
            f" {needed} must be"
        )
    return Passage(state, step, max(0, size - step.sent), reason)


def _next(step: Step, steps: Sequence[int]) -> Passage:
    number = step.number + 1
    proven = f"{step.proven} of {step.sent} sent are proven to be back"
    if number >= len(steps):
        return Passage(RampState.CLOSED, Step(number), None, f"{proven}: everything may go")
    reason = f"{proven}: step {number + 1} of {len(steps)} sends {steps[number]}"
    return Passage(RampState.RAMPING, Step(number), steps[number], reason)
