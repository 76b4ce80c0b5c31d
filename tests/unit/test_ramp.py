"""A ramp lets a few go first, and more only once these are proven to be back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.ramp import STEPS, RampState, Step, admit

sizes = st.lists(st.integers(1, 500), max_size=5)
shares = st.floats(0.01, 1.0)


@st.composite
def under_way(draw: st.DrawFn) -> Step:
    """A step in which no more is settled than was sent."""
    sent = draw(st.integers(0, 300))
    proven = draw(st.integers(0, sent))
    return Step(draw(st.integers(0, 6)), sent, proven, draw(st.integers(0, sent - proven)))


@pytest.mark.parametrize(
    ("step", "state", "number", "most"),
    [
        (Step(), RampState.PROBING, 0, 1),
        (Step(0, 1), RampState.PROBING, 0, 0),
        (Step(0, 1, 1), RampState.RAMPING, 1, 10),
        (Step(0, 1, 0, 1), RampState.OPEN, 0, 0),
        (Step(1, 4), RampState.RAMPING, 1, 6),
        (Step(1, 10, 8), RampState.RAMPING, 1, 0),
        (Step(1, 10, 9), RampState.RAMPING, 2, 100),
        (Step(1, 10, 9, 1), RampState.RAMPING, 2, 100),
        (Step(1, 10, 8, 2), RampState.OPEN, 1, 0),
        (Step(1, 3, 3), RampState.RAMPING, 2, 100),  # there were no more
        (Step(2, 100, 90), RampState.CLOSED, 3, None),
        (Step(2, 100, 0, 11), RampState.OPEN, 2, 0),
        (Step(3), RampState.CLOSED, 3, None),
        (Step(3, 1000, 0, 100), RampState.CLOSED, 3, None),
        (Step(3, 1000, 800, 101), RampState.OPEN, 3, 0),
        (Step(0, 0, 0, 1), RampState.OPEN, 0, 0),  # of a send that nobody counted
    ],
)
def test_each_step_waits_for_the_proof_of_the_one_before(
    step: Step, state: RampState, number: int, most: int | None
) -> None:
    """One goes, then ten, then a hundred, then all; too many comebacks stop it."""
    passage = admit(step)
    assert (passage.state, passage.step.number, passage.most) == (state, number, most)


def test_a_next_step_begins_with_nothing_sent() -> None:
    """Sends of an earlier step count for that step only."""
    assert admit(Step(0, 1, 1)).step == Step(1)
    assert admit(Step(1, 10, 3)).step == Step(1, 10, 3)


def test_reasons_say_what_is_waited_for() -> None:
    """A person reads how many are proven, came back, or must be."""
    assert "0 of 1 sent are proven to be back, 1 must be" in admit(Step(0, 1)).reason
    assert "2 of 10 sent came back: the cause persists" in admit(Step(1, 10, 8, 2)).reason
    assert "step 2 of 3 sends 10" in admit(Step(0, 1, 1)).reason


def test_without_steps_everything_goes_until_it_comes_back() -> None:
    """A policy without steps sends all at once, and still stops."""
    assert admit(Step(), ()).most is None
    assert admit(Step(0, 10, 0, 2), ()).state is RampState.OPEN


@given(under_way(), sizes, shares)
def test_no_more_go_than_a_step_holds(step: Step, steps: list[int], share: float) -> None:
    """Everything may go only after the last step; else at most one step's size is under way."""
    passage = admit(step, steps, share)
    if passage.most is None:
        assert passage.state is RampState.CLOSED
        assert passage.step.number >= len(steps)
    elif passage.state is RampState.OPEN:
        assert passage.most == 0
    else:
        assert 0 <= passage.most <= steps[passage.step.number]
        assert passage.most == 0 or passage.step.sent + passage.most <= steps[passage.step.number]


@given(under_way(), sizes, shares)
def test_one_step_at_a_time(step: Step, steps: list[int], share: float) -> None:
    """No step is passed over, and none is passed without a proof."""
    passage = admit(step, steps, share)
    assert passage.step.number in (step.number, step.number + 1)
    assert passage.step.number == step.number or step.proven > 0


@given(under_way(), sizes, shares)
def test_the_same_facts_have_the_same_verdict(step: Step, steps: list[int], share: float) -> None:
    """A repeated question, and one after the answer was kept, changes nothing."""
    passage = admit(step, steps, share)
    assert admit(step, list(steps), share) == passage
    again = admit(passage.step, steps, share)
    assert (again.most, again.step, again.state) == (passage.most, passage.step, passage.state)


def _further(step: Step, steps: list[int], share: float) -> tuple[int, float]:
    """Return the progress of a ramp, as something that can be compared."""
    passage = admit(step, steps, share)
    if passage.state is RampState.OPEN:
        return (-1, 0)
    return (passage.step.number, float("inf") if passage.most is None else passage.most)


@given(under_way(), sizes, shares)
def test_proof_never_slows_it_and_comebacks_never_speed_it(step: Step, steps: list[int], share: float) -> None:
    """With one more of its sends proven as many or more may go; with one more back as many or fewer."""
    now = _further(step, steps, share)
    if step.awaited:
        assert _further(step.after(proven=1), steps, share) >= now
    assert _further(step.after(returned=1), steps, share) <= now


@given(st.lists(st.booleans(), max_size=20))
def test_it_ends(outcomes: list[bool]) -> None:
    """As many proofs as there are steps let everything go; a step that comes back lets nothing go, ever."""
    step = Step()
    for works in outcomes:
        passage = admit(step)
        if not passage.most:
            break
        step = passage.step.after(sent=passage.most)
        step = step.after(proven=step.sent) if works else step.after(returned=step.sent)
    first = outcomes[: len(STEPS)]
    if not all(first):
        assert admit(step).state is RampState.OPEN
    elif len(first) == len(STEPS):
        assert admit(step).state is RampState.CLOSED
