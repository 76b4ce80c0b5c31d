"""Carrying out one step of a round, so that a step that cannot be done stops its letters and not the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.tasks import Task

from recovery.dead_letters.batch import Batch, Item
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError


def carry_out(
    step: Task[[Work, Batch], None], work: Work, batch: Batch, concerns: Sequence[Item] | None = None
) -> None:
    """Run a step. When it failed for good, the letters that it concerns stay in their queue with the reason.

    Args:
        step: a task of `tasks.dead_letters`.
        work, batch: what the step works on.
        concerns: the letters that must stay if it fails; all of the batch unless told.

    Raises:
        Exception: whatever is not one of the project's own errors, since then nothing is known about what happened.
    """
    state: Any = step(work, batch, return_state=True)
    if state.is_completed():
        return
    # Not `state.data`: Prefect wraps the error in a record of its own.
    error = state.result(raise_on_failure=False)
    if not isinstance(error, RepriseError):
        state.result()
        raise RuntimeError(f"{step.name} ended as {state.name}")
    give_up(work, batch, error, concerns)


def give_up(work: Work, batch: Batch, error: RepriseError, concerns: Sequence[Item] | None = None) -> None:
    """A step could not be done for letters: they stay, and what a person must change is one line in the report."""
    batch.give_up(error, concerns)
    work.note_refusal(batch.queue, error)
