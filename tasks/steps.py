"""Steps: how a function of `recovery/` becomes a task, and how a step that cannot be done stops its items only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.tasks import Task

from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError
from tasks.policies import REPEATABLE

P = ParamSpec("P")
R = TypeVar("R")


def step(
    function: Callable[P, R], name: str, run_name: str | None = None, options: dict[str, Any] = REPEATABLE
) -> Task[P, R]:
    """Declare a task.

    Args:
        function: of `recovery/`; it says in its docstring what it does and what it raises.
        name: as people see it.
        run_name: of each run, with the function's arguments in braces.
        options: when Prefect may repeat it; see `tasks.policies`.
    """
    return Task(function, name=name, task_run_name=run_name, **options)


def go_on(failed: Callable[[RepriseError], object], task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Run a step. An error of the project's own goes to `failed`, and the run goes on.

    Raises:
        Exception: whatever is not one of the project's own errors, since then nothing is known about what happened.
    """
    try:
        return task(*args, **kwargs)
    except RepriseError as error:
        failed(error)
        return None


def inform(missing: str, task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run a step that nothing depends on: whatever goes wrong is one warning in the log, and never fails the run.

    Args:
        missing: what the reader of the log then misses.
    """
    try:
        task(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - the work is done; its numbers must not undo it
        get_run_logger().warning("%s: %s", missing, error)


def carry_out(
    step: Task[[Work, Batch], None], work: Work, batch: Batch, concerns: Sequence[MessageWork] | None = None
) -> None:
    """Run a step. When it failed for good, the letters that it concerns stay in their queue with the reason.

    Args:
        step: a task of `tasks.dead_letters`.
        work, batch: what the step works on.
        concerns: the letters that must stay if it fails; all of the batch unless told.
    """
    go_on(lambda error: give_up(work, batch, error, concerns), step, work, batch)


def give_up(work: Work, batch: Batch, error: RepriseError, concerns: Sequence[MessageWork] | None = None) -> None:
    """A step could not be done for letters: they stay, and what a person must change is one line in the report."""
    batch.give_up(error, concerns)
    work.note_refusal(batch.queue, error)
