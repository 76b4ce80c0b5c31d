"""Rules for Prefect's repetition of tasks."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from recovery.errors import OutcomeUnknown, Transient

RETRIES = 3
"""Times that Prefect runs a task again, after botocore's own repetitions within each call."""
DELAYS: list[float] = [2, 5, 10]
"""Seconds before each, lengthened by up to half so that runs that were throttled together do not return together."""
JITTER = 0.5


def passes_by_itself(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """For steps that may be repeated whatever became of them: throttled, unreachable, or the answer was not read."""
    return isinstance(_error(state), Transient)


def was_not_done(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """For sends: only when it is certain that nothing was carried out."""
    error = _error(state)
    return isinstance(error, Transient) and not isinstance(error, OutcomeUnknown)


def _error(state: State[Any]) -> object:
    return state.data


ONCE: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
"""Options of a step that Prefect must not repeat by itself."""

REPEATABLE: dict[str, Any] = {
    **ONCE,
    "retries": RETRIES,
    "retry_delay_seconds": DELAYS,
    "retry_jitter_factor": JITTER,
    "retry_condition_fn": passes_by_itself,
}
"""Options of a step that changes nothing, or changes the same thing in the same way when repeated."""

SEND: dict[str, Any] = {**REPEATABLE, "retry_condition_fn": was_not_done}
"""Options of a step that sends: repeated only when it is certain that nothing was sent."""
