"""The story of an AppFlow flow."""

from __future__ import annotations

from recovery.appflow_runs.memory import Memory
from recovery.cases import Case
from recovery.story import Moment, Story, end_of, story_of


def check(case: Case) -> None:
    """Refuse a case that is not as this path writes it.

    Raises:
        ValueError: names the field and no value.
    """
    Memory.from_json(case.detail)


def story(key: str, case: Case) -> Story:
    """Return the story of a flow by its case."""
    memory = Memory.from_json(case.detail)
    history = memory.history
    moments = [Moment(at=case.first_seen, what="first seen")]
    if history.began is not None:
        event = "its runs began to fail" + (", and no event had reported it" if memory.missed else "")
        moments.append(Moment(at=history.began, what=event))
    error = ""
    for attempt in history.attempts:
        made = f"attempt {attempt.number} ({attempt.means.value}) at run {attempt.failed_run}"
        moments.append(Moment(at=attempt.claimed, what=made))
        if attempt.outcome:
            error = attempt.error
            ended = f"attempt {attempt.number} ended: {attempt.outcome}" + (f", {error}" if error else "")
            moments.append(Moment(at=attempt.ended, what=ended))
    if memory.notified:
        moments.append(Moment(at=None, what="people were notified"))
    if history.recovered is not None:
        moments.append(Moment(at=history.recovered, what="a run succeeded again"))
    moments.append(end_of(case, memory.seconds_to_recover))
    return story_of(key, case, moments, error=error, ids=(case.key,))
