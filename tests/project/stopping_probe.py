"""Flows that say when they began and ended: one ends when its worker is asked to stop, one only by force."""

import os
import threading
from pathlib import Path

from prefect import flow

from recovery.stopping import is_asked_to_stop

_NEVER = threading.Event()


@flow
def obedient(folder: str) -> None:
    """Go on, round by round, until the worker was asked to stop."""
    _begin(folder)
    while not is_asked_to_stop():
        _NEVER.wait(0.1)
    (Path(folder) / "ended").write_text("by itself")


@flow
def absorbed(folder: str) -> None:
    """Go on without looking up; let go of what it holds when it is stopped all the same."""
    _begin(folder)
    try:
        for _ in range(3000):
            _NEVER.wait(0.1)
    finally:
        (Path(folder) / "ended").write_text("let go")


def _begin(folder: str) -> None:
    Path(folder, "began").write_text(str(os.getpid()))
