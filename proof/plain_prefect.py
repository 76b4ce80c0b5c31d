"""A stand-in for Prefect's engine: a flow's own function runs without a server, and its tasks are plain calls.

Tests, the crash harness and the benchmarks run the shipped story with it. There are no repetitions of tasks; artifacts
are kept in memory, and lines of the run's log go nowhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock
from uuid import uuid4

from prefect import Flow
from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from prefect.logging import disable_run_logger

from recovery.errors import Incomplete
from recovery.report import RecoveryReport
from recovery.run import RecoveryRun
from tasks import dead_letters, frame
from tasks.steps import Step

_given: ContextVar[RecoveryRun | None] = ContextVar("given", default=None)
_patches = ExitStack()
_lock = threading.Lock()
_inside = 0
_open = frame.opened


def play(flow: Flow[..., Any], request: Any, work: RecoveryRun | None = None) -> RecoveryReport:
    """Run a flow's own function; return its report, also when the run failed because something did not go through.

    Args:
        work: tools for the run; made from the environment unless given.

    Raises:
        RepriseError: the run could not begin or go on.
    """
    token = _given.set(work)
    try:
        with plain_prefect():
            ended = flow.fn(request)
    finally:
        _given.reset(token)
    if not isinstance(ended, State):
        assert isinstance(ended, RecoveryReport)
        return ended
    error: Any = ended.data
    if isinstance(error, Incomplete):
        return cast(RecoveryReport, error.report)
    raise error


@contextmanager
def plain_prefect() -> Iterator[None]:
    """Tasks are plain calls. Several threads may be inside: the first one in patches, the last one out restores."""
    global _inside
    with _lock:
        if not _inside:
            _patches.enter_context(disable_run_logger())
            for target, name, stand_in in (
                (Step, "__call__", lambda task, *args, **kwargs: task.fn(*args, **kwargs)),
                (Artifact, "create", lambda *_, **__: SimpleNamespace(id=uuid4())),
                (dead_letters, "update_progress_artifact", lambda *_, **__: None),
                (frame, "opened", lambda make, request: _given.get() or _open(make, request)),
            ):
                _patches.enter_context(mock.patch.object(target, name, stand_in))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _patches.close()
