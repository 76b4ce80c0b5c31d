"""A run in a forked process that is really killed: SIGKILL at a request, as a power cut does it.

The parent is warm (modules loaded, clients made and never used), so a fork costs a hundredth of a second, and the
child's clients open connections of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import httpx
from botocore.httpsession import URLLib3Session

PATIENCE = 60.0
"""Seconds after which a run that does not end is a violation by itself."""

STAGEHAND = "TransactWriteItems"
"""The operation by which a scene itself writes while a run is under way. No path uses it, so it is no crash point."""


@dataclass(frozen=True)
class Kill:
    """Point at which a process dies.

    Attributes:
        nth: at its nth request, counted from 1: AWS's API and the Prefect server's, repetitions included.
        answered: after the request was carried out, before its answer is read; else before it is sent.
    """

    nth: int
    answered: bool

    def __str__(self) -> str:
        return f"killed {'after' if self.answered else 'before'} request {self.nth}"


@dataclass(frozen=True)
class Ended:
    """End of a child process.

    Attributes:
        killed: by its own SIGKILL.
        value: its function's return value (JSON), None where it did not come to that.
        error: the traceback of its exception, or a note that it did not end.
    """

    killed: bool
    value: Any = None
    error: str = ""


Hook = Callable[[bool], None]
"""Called before each request is sent (False) and after its answer arrived and before it is read (True)."""


@contextlib.contextmanager
def around_requests(hook: Hook, *, http: bool = True) -> Iterator[None]:
    """Call `hook` around every HTTP request of this process, the SDK's own repetitions included.

    Args:
        hook: see `Hook`.
        http: True counts requests of httpx (the Prefect server's API), too.
    """
    send, handle = URLLib3Session.send, httpx.HTTPTransport.handle_request

    def watched_send(self: Any, request: Any) -> Any:
        if STAGEHAND.encode() in (request.headers.get("X-Amz-Target") or b""):
            return send(self, request)
        hook(False)
        answer = send(self, request)
        hook(True)
        return answer

    def watched_handle(self: Any, request: Any) -> Any:
        hook(False)
        answer = handle(self, request)
        hook(True)
        return answer

    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(URLLib3Session, "send", watched_send))
        if http:
            patches.enter_context(mock.patch.object(httpx.HTTPTransport, "handle_request", watched_handle))
        yield


def die_at(kill: Kill) -> Hook:
    """A hook that kills this process at a request."""
    lock, count = threading.Lock(), 0

    def hook(answered: bool) -> None:
        nonlocal count
        with lock:
            count += not answered
            if count == kill.nth and answered is kill.answered:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def in_child(work: Callable[[], Any], kill: Kill | None = None, *, seconds: float = PATIENCE) -> Ended:
    """Run a function in a forked process, to its end or to its death.

    Args:
        work: returns JSON values.
        kill: the point at which it dies; None: nowhere.
        seconds: the longest that it may take.
    """
    child = Child(work, kill)
    return child.wait(seconds)


class Child:
    """A forked process that carries out a function; `wait` for its end."""

    def __init__(self, work: Callable[[], Any], kill: Kill | None = None) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reader)
            _carry_out(work, kill, writer)
        os.close(writer)

    def kill(self) -> None:
        """End it with SIGKILL, wherever it is."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = PATIENCE) -> Ended:
        """Return its end; it is killed when it does not end in time."""
        output, late = self._read(time.monotonic() + seconds)
        if late:
            self.kill()
        _, status = os.waitpid(self.pid, 0)
        if late:
            return Ended(False, error=f"it did not end within {seconds:.0f} s")
        if os.WIFSIGNALED(status):
            return Ended(os.WTERMSIG(status) == signal.SIGKILL, error=f"signal {os.WTERMSIG(status)}")
        answer = json.loads(output or "{}")
        return Ended(False, answer.get("value"), answer.get("error", "" if output else "it ended without a word"))

    def _read(self, until: float) -> tuple[bytes, bool]:
        output = b""
        try:
            while True:
                ready, _, _ = select.select([self._reader], [], [], max(0.0, until - time.monotonic()))
                if not ready:
                    return output, True
                chunk = os.read(self._reader, 1 << 16)
                if not chunk:
                    return output, False
                output += chunk
        finally:
            os.close(self._reader)


def _carry_out(work: Callable[[], Any], kill: Kill | None, writer: int) -> None:
    """The child's whole life. It never returns, and tidies nothing up that is the parent's."""
    code = 1
    try:
        # Handlers of the parent's test runner must not act in the child.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with around_requests(die_at(kill)) if kill else contextlib.nullcontext():
            answer: dict[str, Any] = {"value": work()}
        code = 0
    except BaseException:  # noqa: BLE001 - reported to the parent, whatever it is
        answer = {"error": traceback.format_exc()}
    try:
        data = json.dumps(answer, default=str).encode()
        while data:
            data = data[os.write(writer, data) :]
    finally:
        os._exit(code)
