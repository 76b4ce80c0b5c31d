"""A Prefect home as a first start leaves it: copied, because making one costs each server half of its start.

`test_locked_set` and `test_wheel` start their servers on an empty folder, as a person does.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import sqlite3
from importlib.metadata import version
from pathlib import Path

from deployments.prefect_server import prefect_server
from deployments.prefect_settings import STATE

DATABASE = "prefect.db"
_KEPT = (DATABASE, "memo_store.toml")
"""The tables, and Prefect's note on the block types that are in them (it looks again when others are installed)."""


def prepare(home: Path) -> Path:
    """Make `home` as a first start would; the same path."""
    home.mkdir(parents=True, exist_ok=True)
    for name in _KEPT:
        shutil.copy(_first() / name, home / name)
    return home


def _first() -> Path:
    """The home that one start of the installed Prefect made; who comes second waits for it."""
    made = STATE / "tests" / f"prefect-{version('prefect')}"
    whole = made / "whole"
    made.parent.mkdir(parents=True, exist_ok=True)
    with (made.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(made, ignore_errors=True)
            with prefect_server(made, ui=False):
                pass
            # The log that SQLite writes ahead goes into the one file that is copied.
            with contextlib.closing(sqlite3.connect(made / DATABASE)) as database:
                database.execute("pragma wal_checkpoint(truncate)")
            whole.touch()
    return made
