"""The process that forks a child for each run: started by `reprise worker`, ended by the end of its standard input.

python -m deployments.warm_start SOCKET
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

from deployments import flow_run
from deployments.prefect_settings import PROJECT
from deployments.warm_start.forks import Forks, file_times

CODE = ("flows", "tasks", "blocks", "recovery", "deployments")
FLOWS = (
    *("appflow_runs", "cases", "dead_letters", "digest", "discover", "operations", "outbox_records", "plans"),
    "replication_tasks",
)


def main() -> None:
    """Load what every run loads, then fork until nobody can ask any more; in a child, carry the run out."""
    loaded = file_times(PROJECT, CODE)
    # Loaded is what a worker's own process loads, and every story. Objects that live for good are left to themselves.
    flow_run.load()
    for name in FLOWS:
        importlib.import_module(f"flows.{name}")
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        sys.exit(f"warm start: {threads} threads are alive after loading, and a fork would copy the locks they hold")
    if Forks(sys.argv[1], lambda: file_times(PROJECT, CODE) == loaded).serve():
        _as_if_just_started()
        flow_run.engine()


def _as_if_just_started() -> None:
    """Read anew what Prefect reads of the environment when it is imported; the engine takes no argument for its run."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    del sys.argv[1:]
    refresh_global_settings_context()
    setup_logging(incremental=False)


if __name__ == "__main__":
    main()
