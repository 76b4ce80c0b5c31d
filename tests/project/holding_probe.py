"""A flow that says when it began and ended, and ends when asked to: for tests that look at runs from outside."""

import os
import threading
import time
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

_NEVER = threading.Event()


@flow
def hold(folder: str) -> None:
    """Write `<run>.<attempt>.began` (with the process's id), wait until `release` is there, write `.ended`."""
    here = Path(folder)
    mark = f"{flow_run.id}.{flow_run.run_count}"
    (here / f"{mark}.began").write_text(f"{os.getpid()} {time.time()}")
    for _ in range(1200):
        if (here / "release").exists():
            break
        _NEVER.wait(0.1)
    (here / f"{mark}.ended").write_text(f"{os.getpid()} {time.time()}")
