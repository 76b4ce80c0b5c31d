"""An orderly stop of a worker: nothing new is taken, runs end where nothing is in hand, and no run is left Running.

Prefect's process worker ends at the first SIGTERM and takes its runs' processes with it, in the middle of whatever they
do; they then stay Running on the server until somebody notices. Here the first SIGTERM (or Ctrl-C) begins this:

1. The worker looks for no more runs, and its runs see the stop file (`recovery.stopping`): each finishes the round in
   hand, gives back what it holds, publishes its report and ends as usual.
2. Runs that are still there after the grace are cancelled as a person cancels a run: Prefect marks them, sends their
   processes SIGTERM, on which they give back what they hold, and SIGKILL 30 seconds later.
3. The worker ends, by force if it does not by itself.

A second signal leaves out the rest of the grace. Runs that have a container of their own (ECS) go on.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

from recovery.stopping import STOP_FILE

GRACE_SECONDS = 60
"""Time in which runs may end by themselves. Rounds take seconds; ECS kills a Fargate task 120 s after SIGTERM."""
CANCEL_SECONDS = 45
"""Time for cancelled runs: Prefect gives their processes 30 seconds between SIGTERM and SIGKILL."""
END_SECONDS = 10
"""Time for the worker itself, once it has no runs. Together 115 seconds: units and containers must allow 120."""
EVERY = 0.2


class OrderlyStop:
    """Stops one worker. Make it before Prefect's worker starts.

    Args:
        grace_seconds: as GRACE_SECONDS.
        cancel: cancels a run on the server.
        show: shows a person a line.
    """

    def __init__(self, grace_seconds: float, cancel: Callable[[UUID], object], show: Callable[[str], object]) -> None:
        self._grace = grace_seconds
        self._cancel = cancel
        self._show = show
        self._folder = tempfile.TemporaryDirectory(prefix="reprise-worker-")
        self._file = Path(self._folder.name) / "stop"
        os.environ[STOP_FILE] = str(self._file)
        self._runs: set[UUID] = set()
        self._busy: Callable[[], bool] = lambda: False
        self._asked = threading.Event()
        self._asked_again = threading.Event()
        self._over = threading.Event()

    def watch(self, worker: Any) -> None:
        """Follow the runs of a class of Prefect's workers, whose runs are processes beside them.

        Args:
            worker: the class; all of its workers of this process are watched.
        """
        take, run = worker.get_and_submit_flow_runs, worker.run

        async def take_unless_stopping(self_: Any) -> Any:
            # The limit counts a run from the moment it is taken until its process ends.
            self._busy = lambda: bool(self_.limiter.borrowed_tokens)
            return [] if self._asked.is_set() else await take(self_)

        async def run_known(self_: Any, flow_run: Any, *args: Any, **kwargs: Any) -> Any:
            self._runs.add(flow_run.id)
            try:
                return await run(self_, flow_run, *args, **kwargs)
            finally:
                self._runs.discard(flow_run.id)

        worker.get_and_submit_flow_runs = take_unless_stopping
        worker.run = run_known

    def listen(self) -> None:
        """Take the place of the signal handlers that stand now, which come back once all runs have ended."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def heard(number: int, _frame: FrameType | None) -> None:
            if self._over.is_set():
                for each, handler in before.items():
                    signal.signal(each, handler)
                os.kill(os.getpid(), number)
            elif self._asked.is_set():
                self._asked_again.set()
            else:
                self._asked.set()
                threading.Thread(target=self._end, name="orderly-stop", daemon=True).start()

        for number in before:
            signal.signal(number, heard)

    def _end(self) -> None:
        self._show(f"asked to stop: nothing new is taken, and runs have {self._grace:g} s to end")
        self._file.touch()
        if not self._wait(self._grace, self._asked_again):
            for run in sorted(self._runs):
                self._show(f"run {run} has not ended and is cancelled")
                try:
                    self._cancel(run)
                except Exception as error:  # noqa: BLE001 - the server may be away; the process is stopped all the same
                    self._show(f"run {run} could not be marked as cancelled: {error}")
            self._wait(CANCEL_SECONDS, threading.Event())
        self._folder.cleanup()
        self._over.set()
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(END_SECONDS)
        self._show("the worker did not end by itself and is ended")
        os.kill(os.getpid(), signal.SIGKILL)

    def _wait(self, seconds: float, sooner: threading.Event) -> bool:
        """Wait until no run is left, for so long at most; return True when none is."""
        for _ in range(max(1, round(seconds / EVERY))):
            if not self._busy():
                return True
            if sooner.wait(EVERY):
                return False
        return not self._busy()
