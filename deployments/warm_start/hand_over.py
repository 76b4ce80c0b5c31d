"""The process that Prefect's worker starts for a run, while a child of another one carries the run out.

It imports little: starting it must cost less than what it saves.
"""

from __future__ import annotations

import array
import json
import os
import resource
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress

SOCKET = "REPRISE__WARM_START"
"""Environment variable that names the socket. It is the worker's own, and nobody's setting."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LIMITS = ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE")
HEADER = 8
"""Bytes of a request's length, which come first."""
ANSWER_SECONDS = 10
"""A process that does not fork within it is not waited for: the run starts as always."""


def run(address: str) -> int | None:
    """Let a child carry out the run of this process.

    The child waits for a word on a pipe, which is given only once this process has committed itself to it: a run is
    carried out there or here, never in both.

    Args:
        address: path of the socket.

    Returns:
        The exit status, or None when nothing was begun: then the caller carries the run out.
    """
    begin, word = os.pipe()
    with socket.socket(socket.AF_UNIX) as connection, open(word, "wb", buffering=0) as given:
        connection.settimeout(ANSWER_SECONDS)
        answers = connection.makefile("rb")
        try:
            connection.connect(address)
            _send(connection, (0, 1, 2, begin))
            child = int(answers.readline())
        except (OSError, ValueError):
            return None
        finally:
            os.close(begin)
        for number in PASSED_ON:
            signal.signal(number, lambda got, _: send_signal(child, got))
        connection.settimeout(None)
        given.write(b"!")
        try:
            status = int(answers.readline())
        except (OSError, ValueError):
            status = signal.SIGKILL  # the process that forked it is gone, and the child with it
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


def send_signal(process: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _send(connection: socket.socket, streams: Sequence[int]) -> None:
    request = {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
    }
    text = json.dumps(request).encode()
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
    connection.sendmsg([len(text).to_bytes(HEADER, "big")], passed)
    connection.sendall(text)
