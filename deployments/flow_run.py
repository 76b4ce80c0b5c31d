"""The process that a worker starts for a flow run: Prefect's engine, once everything that each run needs is loaded.

    python -m deployments.flow_run        (the `command` of the work pools; the id comes with the environment)

Where the worker keeps a process that has loaded it already, a child of that one carries the run out (`warm_start`).
Otherwise it is loaded here: a quarter of a million objects (260,000, counted) that live as long as the process.
Python's collector looks through them again and again meanwhile, which takes a seventh of the time until the flow begins
(measured: 0.3 of 2.1 s), so it starts when they are there. What runs then is `python -m prefect.engine`.
"""

from __future__ import annotations

import gc
import importlib
import os
import runpy
import sys
import warnings

from deployments.warm_start.hand_over import SOCKET, run

NEEDED = (
    *("anyio._backends._asyncio", "prefect.flow_engine", "prefect_aws", "boto3", "blocks.estate", "recovery.failures"),
    "tasks.digest",
)
"""Modules that every path's run loads. The engine loads the flow itself. anyio's is loaded late otherwise: in a forked
child that import has failed inside Python's own lock (KeyError), and the run never began."""


def main() -> None:
    """Carry out the flow run that the environment names."""
    address = os.environ.pop(SOCKET, "")
    if address and (status := run(address)) is not None:
        sys.exit(status)
    load()
    engine()


def load() -> None:
    """Load what every run needs. The collector is off from here until the engine runs."""
    gc.disable()
    for module in NEEDED:
        importlib.import_module(module)


def engine() -> None:
    """Run Prefect's engine as a program."""
    gc.freeze()
    gc.enable()
    # Loading the flow engine has loaded this module under its own name already; now it runs, as a program.
    warnings.filterwarnings("ignore", "'prefect.engine' found in sys.modules", RuntimeWarning)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
