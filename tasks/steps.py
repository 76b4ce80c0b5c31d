"""Steps: how a function of `recovery/` becomes a task, and how a step that cannot be done stops its items only."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger, runtime
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed
from prefect.tasks import Task
from prefect.utilities.annotations import quote

from recovery.errors import RepriseError
from recovery.telemetry import Span
from tasks.policies import REPEATABLE

P = ParamSpec("P")
R = TypeVar("R")


_before: ContextVar[tuple[object, State[Any]] | None] = ContextVar("before", default=None)
"""The flow run, and the end of its last step that went well."""

spans: ContextVar[list[Span] | None] = ContextVar("spans", default=None)
"""Steps of this run so far; None where nobody asked for a trace."""


class Step(Task[P, R]):
    """A task of a story. Its run's graph shows the order of steps, and nothing else.

    Prefect draws an arrow from a task to all that are handed its result, and stories hand one run and one batch to each
    step: a cobweb. So arguments are quoted, which also spares Prefect a walk through them, and each step waits for the
    one before.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        """Run the step.

        Raises:
            Exception: of the function, as it was raised.
        """
        run, before = runtime.flow_run.id, _before.get()
        noted, began = spans.get(), time.time_ns()
        waits = [before[1]] if before is not None and before[0] == run else None
        state: State[Any] = super().__call__(
            *(quote(each) for each in args),
            **{name: quote(each) for name, each in kwargs.items()},
            return_state=True,
            wait_for=waits,
        )
        if noted is not None:
            noted.append(Span(self.name, began, time.time_ns(), "" if state.is_completed() else state.name or "Failed"))
        if state.is_completed():  # Prefect would refuse to go on after one that failed
            # Without its own result, which would draw arrows of its own.
            _before.set((run, Completed(state_details=state.state_details, data=True)))
        if context := FlowRunContext.get():
            # Prefect finds the maker of a result by its place in memory, which the next object may take.
            context.run_results.clear()
        return state.result()  # type: ignore[no-any-return]


def step(
    function: Callable[P, R], name: str, run_name: str | None = None, options: dict[str, Any] = REPEATABLE
) -> Step[P, R]:
    """Declare a task.

    Args:
        function: of `recovery/`; it says in its docstring what it does and what it raises.
        name: as people see it.
        run_name: of each run, with the function's arguments in braces.
        options: when Prefect may repeat it; see `tasks.policies`.
    """
    return Step(function, name=name, task_run_name=run_name, **options)


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
