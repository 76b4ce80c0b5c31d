"""The process that forks, and what makes of its child the process that was asked for."""

from __future__ import annotations

import array
import ctypes
import json
import os
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from deployments.warm_start.hand_over import ANSWER_SECONDS, HEADER, PASSED_ON, send_signal

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when the one that forked it ends."""


SHAPES = ("PYTHON", "LD_", "MALLOC_", "GLIBC_")
"""Beginnings of variables that a process reads while it starts: a child cannot have other ones than its parent."""


class Forks:
    """The children of this process, and the connections of those that wait for them.

    Args:
        address: path of the socket; its folder belongs to this user alone.
        is_current: False once a child would not be what a fresh process is.
    """

    def __init__(self, address: str, is_current: Callable[[], bool]) -> None:
        self._address = address
        self._is_current = is_current
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(64)
        self._woken, self._wakes = os.pipe()
        self._waiting: dict[int, socket.socket] = {}  # by the child's process id
        self._is_open = True

    def serve(self) -> bool:
        """Fork a child for each request until standard input ends and no child is left.

        Returns:
            True in a child, which is by then the process that was asked for; False in this process, at the end.
        """
        for end in (self._woken, self._wakes):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wakes)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in PASSED_ON:
            signal.signal(number, signal.SIG_IGN)  # a stop is the worker's business
        self._selector.register(self._listener, selectors.EVENT_READ, self._asked)
        self._selector.register(0, selectors.EVENT_READ, self._left)
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)
        while self._is_open or self._waiting:
            for key, _ in self._selector.select():
                if key.data():
                    return True
        return False

    def _asked(self) -> bool:
        if not self._is_open or not self._is_current():
            return self._close()
        connection, _ = self._listener.accept()
        connection.settimeout(ANSWER_SECONDS)
        streams: list[int] = []
        try:
            request = _receive(connection, streams)
        except (OSError, ValueError):
            return _refuse(connection, streams)
        if _shape(request["environment"]) != _shape(os.environ):
            return _refuse(connection, streams)
        this = os.getpid()
        child = os.fork()
        if child == 0:
            self._selector.close()
            for each in (self._listener, connection, *self._waiting.values()):
                each.close()
            _become(this, request, streams)
            os.close(self._woken)
            os.close(self._wakes)
            return True
        _close_all(streams)
        self._waiting[child] = connection
        self._selector.register(connection, selectors.EVENT_READ, partial(self._killed, child))
        with suppress(OSError):
            connection.sendall(b"%d\n" % child)
        return False

    def _reap(self) -> bool:
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not child:
                return False
            connection = self._waiting.pop(child)
            with suppress(OSError):
                connection.sendall(b"%d\n" % status)
            with suppress(KeyError):
                self._selector.unregister(connection)
            connection.close()

    def _killed(self, child: int) -> bool:
        """End a child whose process somebody killed: it says nothing, and its connection ends."""
        if child in self._waiting:
            self._selector.unregister(self._waiting[child])
            send_signal(child, signal.SIGKILL)
        return False

    def _left(self) -> bool:
        """The worker has ended."""
        return False if os.read(0, 4096) else self._close()

    def _close(self) -> bool:
        if self._is_open:
            self._is_open = False
            with suppress(FileNotFoundError):  # the worker removes the folder when it ends
                os.unlink(self._address)
            self._selector.unregister(self._listener)
            self._selector.unregister(0)
            self._listener.close()
        return False


def _receive(connection: socket.socket, streams: list[int]) -> dict[str, Any]:
    """Return the request; the streams that came with it are appended."""
    size, most = array.array("i").itemsize, 4
    text, passed, _, _ = connection.recvmsg(HEADER, socket.CMSG_SPACE(most * size))
    for level, kind, given in passed:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.extend(array.array("i", given[: len(given) // size * size]))
    with connection.makefile("rb") as rest:
        body = rest.read(int.from_bytes(text, "big"))
    found: dict[str, Any] = json.loads(body)
    if len(streams) != most:
        raise ValueError(f"{most} streams were expected")
    return found


def _refuse(connection: socket.socket, streams: list[int]) -> bool:
    """Leave the run to the process that asked."""
    _close_all(streams)
    connection.close()
    return False


def _shape(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(SHAPES)}


def _become(forked_by: int, request: Mapping[str, Any], streams: list[int]) -> None:
    """Make this child what a process is that the request's own had started, and wait for its word."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != forked_by:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, *PASSED_ON):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if not os.read(streams[3], 1):
        os._exit(1)
    for target, stream in enumerate(streams[:3]):
        os.dup2(stream, target)
    _close_all(streams)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    for name, limits in request["limits"].items():
        resource.setrlimit(getattr(resource, name), tuple(limits))


def _close_all(streams: list[int]) -> None:
    for stream in streams:
        os.close(stream)
    streams.clear()


def file_times(home: Path, folders: Iterable[str]) -> dict[str, float]:
    """Return the times of all files below folders: code, whether loaded or not yet, and the rules beside it."""
    found = {}
    for folder in folders:
        for place, _, names in os.walk(home / folder):
            for name in names:
                if not name.endswith(".pyc"):
                    file = os.path.join(place, name)
                    with suppress(OSError):
                        found[file] = os.stat(file).st_mtime
    return found
