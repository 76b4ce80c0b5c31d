"""`reprise worker`: Prefect's own worker for the pool of this project, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def main(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Start a worker for the Prefect server at PREFECT_API_URL.

    Args:
        options: options of `prefect worker start`, which win over those of this command.
    """
    # The pool starts each run by the name `python`, which must be that of this environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # Without it a missing server would be replaced by a throw-away one, in which no run is ever found.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_ENABLED", "false")
    # Only now: Prefect reads its settings when it is imported.
    from deployments.apply.pool import LIMIT, NAME

    sys.argv = ["prefect", "worker", "start", "--pool", NAME, "--limit", str(LIMIT), *options]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
