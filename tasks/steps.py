"""Steps: how a function of `recovery/` becomes a task, and how a step that cannot be done stops its items only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.tasks import Task

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
