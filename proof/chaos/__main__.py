"""python -m proof.chaos [--items N] [--only NAME ...]: outages for real, end to end, on one machine.

Simulated AWS, Prefect server, worker and relay run as they are shipped. While failures of all four paths keep coming,
one of them is taken away for real, and comes back; or a person does what is done to a stack in service:

    server   the Prefect server is killed in the middle of a burst, and started again
    relay    the relay is killed with a batch in its hands, and started again
    worker   the worker is killed with the runs that it has started, and started again
    aws      AWS refuses every connection for a minute
    deaf     the relay hears and sends nothing for longer than its messages stay hidden, and then goes on
    stop     the worker is asked to stop while runs are under way, leaves none of them running, and is started again
    restore  the ledger is restored to an earlier moment, by the steps of docs/operations.md

Afterwards every failure must have been recovered, by events and by the schedules of prefect.yaml alone, asked of AWS
itself. It prints the counts, and exits with 1 when one is missing. Takes up to twenty minutes.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from demo.runs import Runs
from proof.chaos.failures import Failures
from proof.chaos.stack import Stack
from relay.queue import VISIBILITY
from simulated_aws.server import SimulatedAws

CUT_SECONDS = 60.0
DEAF_SECONDS = VISIBILITY + 15.0
LONGEST = 1_200.0
STOP_SECONDS = 120.0
"""The units and containers that we ship give a worker so long."""


def _server(stack: Stack) -> None:
    stack.kill("server")
    stack.start_server()


def _relay(stack: Stack) -> None:
    stack.kill("relay")
    stack.start_relay()


def _worker(stack: Stack) -> None:
    _until("a run to be at work", stack.is_at_work, seconds=300)
    stack.kill("worker")
    stack.start_worker()


def _aws(stack: Stack) -> None:
    stack.aws.fault("refuse_connection", times=None)
    _sleep(CUT_SECONDS)
    stack.aws.lift_faults()


def _deaf(stack: Stack) -> None:
    stack.freeze("relay")
    _sleep(DEAF_SECONDS)
    stack.thaw("relay")


def _stop(stack: Stack) -> None:
    _until("a run to be at work", stack.is_at_work, seconds=300)
    ended = stack.ask_to_stop("worker", seconds=STOP_SECONDS)
    if ended != 0 or stack.is_at_work():
        raise AssertionError(f"the worker that was asked to stop ended with {ended}, or left a run Running")
    stack.start_worker()


def _restore(stack: Stack) -> None:
    before = stack.ledger_items()
    began = stack.aws.clock.now()
    _until("a run to be at work", stack.is_at_work, seconds=300)
    _sleep(10)  # what is done meanwhile is forgotten
    stack.restore_ledger(before, since=began)


OUTAGES: dict[str, Callable[[Stack], None]] = {
    "server": _server,
    "relay": _relay,
    "worker": _worker,
    "aws": _aws,
    "deaf": _deaf,
    "stop": _stop,
    "restore": _restore,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the outages that the command line names; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m proof.chaos", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--items", type=int, default=40, help="dead letters, and outbox rows, in each burst")
    parser.add_argument("--only", nargs="*", choices=[*OUTAGES], default=[*OUTAGES], help="these outages")
    parser.add_argument("--folder", type=Path, help="where logs are kept; a temporary one unless named")
    options = parser.parse_args(arguments)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupt)
    with ExitStack() as children:
        folder = options.folder or Path(children.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        stack = children.enter_context(Stack.built(children.enter_context(SimulatedAws.start()), folder))
        failures = Failures(stack.aws)
        failures.prepare()
        runs = Runs(stack.api_url, stack.api_url)
        children.callback(runs.close)
        for deployment, request in failures.requests().items():
            runs.configure(deployment, request, keep_schedules=True)
        stack.listen(failures.queues, failures.outboxes())
        stack.start_worker()
        stack.start_relay()
        return play(stack, failures, options.only, options.items)


def play(stack: Stack, failures: Failures, outages: Sequence[str], items: int) -> int:
    """A burst before, during and after each outage; then wait until nothing is left."""
    for name in outages:
        _say(f"{name}: failures begin")
        failures.burst(items)
        _sleep(3)
        # Failures for the time in which AWS is cut off are made before it: nobody can write then.
        during = threading.Thread(target=failures.burst, args=(items,)) if name != "aws" else None
        if during:
            during.start()
        OUTAGES[name](stack)
        if during:
            during.join()
        _say(f"{name}: it is back, {failures.summary()}")
        failures.burst(items)
    try:
        _until("everything to be recovered", lambda: not failures.missing(), seconds=LONGEST, every=5)
    except TimeoutError as error:
        _say(str(error))
    _say(failures.summary())
    missing = failures.missing()
    for line in missing:
        _say(f"- {line}")
    _say("every failure was recovered" if not missing else f"{len(missing)} failures were not recovered")
    return 1 if missing else 0


_BEGAN = time.monotonic()
_NEVER = threading.Event()


def _say(line: str) -> None:
    sys.stdout.write(f"{time.monotonic() - _BEGAN:6.0f} s  {line}\n")
    sys.stdout.flush()


def _sleep(seconds: float) -> None:
    _NEVER.wait(seconds)


def _until(what: str, probe: Callable[[], object], *, seconds: float, every: float = 0.5) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        _sleep(every)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
