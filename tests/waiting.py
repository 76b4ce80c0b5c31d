"""Waiting for something that another process does: bounded, and without sleeping past it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_EVERY_SECONDS = 0.2
_NEVER = threading.Event()


def wait_for(what: str, probe: Callable[[], T | None], *, seconds: float) -> T:
    """The first truthy answer of `probe`, which is asked five times a second for at most `seconds`.

    Only for what other processes do in their own time. Inside a test's own process, time is an argument.

    Raises:
        AssertionError: it did not come; the message says `what`, and the last answer.
    """
    answer: T | None = None
    for _ in range(max(1, round(seconds / _EVERY_SECONDS))):
        if answer := probe():
            return answer
        _NEVER.wait(_EVERY_SECONDS)
    raise AssertionError(f"{what}: not within {seconds:.0f} s, and the last answer was {answer!r}")
