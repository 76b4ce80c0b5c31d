"""`reprise server`: Prefect's server, with its garbage collected apart.

On SQLite a stock server stands still for a minute now and then. Seen with its collector watched: a collection ran in
the thread of the event loop, met an old cursor, and waited for the cursor's connection; that connection was waiting
inside SQLite for the lock of a transaction; and that transaction could not go on, because its next statement was to
come from the event loop. SQLite gives up after the 60 s that Prefect sets. Here collections run in a thread of their
own, which may wait as long as it likes (docs/decisions/0005). Everything else is `prefect server start`.
"""

from __future__ import annotations

import gc
import runpy
import sys
import threading
from collections.abc import Callable
from typing import Annotated

from cyclopts import Parameter

EVERY = 1.0
"""Seconds between collections of what is young."""
ALL_EVERY = 60
"""Collections of what is young between two of everything."""
LOADED = 30
"""Collections after which the server has loaded what it keeps: that is not looked through again."""


def collect_apart(every: float = EVERY) -> Callable[[], None]:
    """Collect garbage in a thread of its own from now on; returns what ends that.

    Args:
        every: seconds between collections.
    """
    gc.disable()
    over = threading.Event()

    def collect() -> None:
        done = 0
        while not over.wait(every):
            done += 1
            gc.collect(2 if done % ALL_EVERY == 0 else 1)
            if done == LOADED:
                gc.freeze()

    thread = threading.Thread(target=collect, name="collect-garbage", daemon=True)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()
        gc.unfreeze()
        gc.enable()

    return end


def main(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Start the Prefect server, and return when it has ended.

    Args:
        options: options of `prefect server start`.
    """
    collect_apart()
    sys.argv = ["prefect", "server", "start", *options]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
