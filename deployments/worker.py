"""`reprise worker`: Prefect's own worker for the pool of this project, which stops in an orderly way."""

from __future__ import annotations

import argparse
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from deployments.orderly_stop import GRACE_SECONDS, OrderlyStop
from deployments.prefect_settings import require_server
from deployments.warm_start import service as warm_start


def main(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Start a worker for the Prefect server at PREFECT_API_URL.

    Args:
        options: options of `prefect worker start`, which win over those of this command, and --stop-seconds, the
            time in which runs may end after SIGTERM; --cold starts each run in a Python of its own.
    """
    parser = argparse.ArgumentParser(prog="reprise worker", add_help=False, allow_abbrev=False)
    parser.add_argument("--stop-seconds", type=float, default=GRACE_SECONDS)
    parser.add_argument("--cold", action="store_true")
    known, rest = parser.parse_known_args(options)
    # The pool starts each run by the name `python`, which must be that of this environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # Without it a missing server would be replaced by a throw-away one, in which no run is ever found.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_ENABLED", "false")
    # Only now: Prefect reads its settings when it is imported.
    from prefect.settings import PREFECT_API_URL
    from prefect.utilities import processutils
    from prefect.workers.process import ProcessWorker

    from deployments.apply.pool import LIMIT, NAME

    # A profile may name the server instead.
    require_server({"PREFECT_API_URL": PREFECT_API_URL.value() or ""})
    # Prefect ends by SIGINT, which a shell without job control lets its `reprise worker &` ignore.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if warm_start.is_possible() and not known.cold:
        warm_start.WarmStart(lambda line: print(line, flush=True)).begin()
    stop = OrderlyStop(known.stop_seconds, _cancel, lambda line: print(line, flush=True))
    stop.watch(ProcessWorker)
    prefects = processutils.setup_signal_handlers_worker

    def set_up(pid: int, process_name: str, print_fn: Callable[[str], object]) -> None:
        prefects(pid, process_name, print_fn)
        stop.listen()

    processutils.setup_signal_handlers_worker = set_up
    sys.argv = ["prefect", "worker", "start", "--pool", NAME, "--limit", str(LIMIT), *rest]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _cancel(run: UUID) -> None:
    """Ask for the end of a run as a person would; its worker sees to it, and marks it."""
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelling

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Cancelling(message="its worker was asked to stop; a later run goes on"))
