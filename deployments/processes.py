"""Child processes that end when their parent ends, however it ends.

`start_module` runs `python -m MODULE` through this module: the child holds the reading end of a pipe as its standard
input, and stops when the other end is gone. That works after SIGKILL, on Linux and on macOS, and from any thread.
Each child leads a process group of its own, so Ctrl-C reaches the parent alone, which stops its children in order.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recovery.errors import Transient

LOOPBACK = "127.0.0.1"
COMMAND = "deployments.command"
"""The module of `reprise`, for processes that start one of its sub-commands."""
_GRACE_SECONDS = 10.0


def free_port(preferred: int | None = None) -> int:
    """A port of 127.0.0.1 that is free now: `preferred` if it is, else one that the system picks.

    Somebody else may take it before it is used; `start` functions built on this try again with another one.
    """
    for port in (preferred, 0) if preferred else (0,):
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            # As servers bind: a port in TIME_WAIT is free to them.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return int(probe.getsockname()[1])
    raise Transient("this machine has no free port on 127.0.0.1")


def start_module(
    module: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments` as a child that does not outlive this process.

    Args:
        module: as for `python -m`.
        arguments: its command line.
        environment: the child's whole environment; this process's own when None.
        log: the file that its output is appended to; without one the output is dropped.
        directory: the directory it starts in; this process's own when None.
    """
    with contextlib.ExitStack() as files:
        output = files.enter_context(log.open("ab")) if log else subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, "-m", __name__, module, *arguments],
            env=None if environment is None else dict(environment),
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], *, seconds: float) -> bool:
    """Ask `ready` ten times a second; False as soon as the process has ended, or after `seconds`."""
    for _ in range(max(1, round(seconds * 10))):
        if ready():
            return True
        # Waits for the end of the process, so that one which fails at once is noticed at once.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            return False
    return False


def stop(process: subprocess.Popen[bytes], *, grace_seconds: float = _GRACE_SECONDS) -> None:
    """End the child and everything it started: politely, then, after `grace_seconds`, by force. Safe to repeat."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace_seconds)
    # Its children have stayed in its group, unless they made groups of their own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def _end_with_parent(parent: int) -> None:
    # Read the descriptor itself: a thread blocked in the buffered reader would keep the interpreter from exiting.
    with contextlib.suppress(OSError):
        while os.read(parent, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    # Nobody is left who could insist, so this thread does.
    threading.Event().wait(_GRACE_SECONDS)
    os.killpg(os.getpid(), signal.SIGKILL)


def main(arguments: Sequence[str]) -> None:
    """Run the module named first with the rest as its command line, until the parent is gone."""
    module, *rest = arguments
    # The pipe moves away from standard input, which is then empty: the module, and the processes it starts, must
    # neither read from it nor hold it open.
    parent = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=_end_with_parent, args=(parent,), name="end-with-parent", daemon=True).start()
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
