"""The process that forks, as a worker keeps it: started with it, started again when it has ended, ended with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from deployments.warm_start.hand_over import SOCKET

REST_SECONDS = 5.0
"""Time before it is started again: its end is a change of files, or a trouble that may come back."""


class WarmStart:
    """Keeps the process that forks.

    Args:
        show: shows a person a line.
    """

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show
        self._folder = tempfile.TemporaryDirectory(prefix="reprise-warm-")
        self._socket = Path(self._folder.name) / "socket"

    def begin(self) -> None:
        """Start it; runs of this process's children are handed over from the moment when it has loaded everything."""
        os.environ[SOCKET] = str(self._socket)
        threading.Thread(target=self._keep, name="warm-start", daemon=True).start()

    def _keep(self) -> None:
        while True:
            self._socket.unlink(missing_ok=True)
            # Its standard input ends with this process. In a session of its own it gets no Ctrl-C of the terminal.
            serving = subprocess.Popen(
                [sys.executable, "-m", "deployments.warm_start", str(self._socket)],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            status = serving.wait()
            if status:
                self._show(f"warm start ended with {status}; runs start as without it until it is back")
            threading.Event().wait(REST_SECONDS)


def is_possible() -> bool:
    """True on Linux: macOS does not promise that a process that has loaded its libraries may be forked."""
    return sys.platform == "linux"
