"""Forks as the worker's process does, without Prefect: a child runs the text in the variable PROBE.

    python -m tests.project.warm_probe SOCKET FILE

It forks no more once FILE is there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deployments.warm_start.forks import Forks

if Forks(sys.argv[1], lambda: not Path(sys.argv[2]).exists()).serve():
    exec(os.environ["PROBE"])
