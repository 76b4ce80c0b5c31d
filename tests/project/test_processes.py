"""The project ends the processes that it starts: children end with their parent. A taken port is stepped around."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.prefect_server import prefect_server
from deployments.processes import LOOPBACK, free_port, start_module, stop, wait_until_ready
from recovery.errors import Transient
from tests.waiting import wait_for

_PARENT = """
import sys, threading
from deployments.processes import start_module
child = start_module("http.server", ["--bind", "127.0.0.1", sys.argv[1]])
print(child.pid, flush=True)
threading.Event().wait()
"""

_STUBBORN = """
import signal, subprocess, sys, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", sys.argv[1]])
threading.Event().wait()
"""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(last: signal.Signals) -> None:
    """However the parent dies, its child ends within a moment, and its port is free again."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as parent:
        wait_for("the child's port", lambda: _listens(port), seconds=20)
        parent.send_signal(last)
    wait_for("the end of the child", lambda: not _listens(port), seconds=20)


def test_a_child_that_will_not_stop_is_made_to(tmp_path: Path) -> None:
    """`stop` ends a child that ignores SIGTERM, and what that child started."""
    (tmp_path / "stubborn.py").write_text(_STUBBORN, encoding="utf-8")
    port = free_port()
    child = start_module("stubborn", [str(port)], environment={**os.environ, "PYTHONPATH": str(tmp_path)})
    wait_for("the grandchild's port", lambda: _listens(port), seconds=20)
    stop(child, grace_seconds=0.2)
    assert child.returncode == -signal.SIGKILL
    wait_for("the end of the grandchild", lambda: not _listens(port), seconds=10)
    stop(child)  # Once more is no mistake.


def test_a_child_that_fails_is_noticed_at_once(tmp_path: Path) -> None:
    """Nobody waits a minute for a program that has already ended, and its output says why."""
    log = tmp_path / "log"
    child = start_module("no_such_module", log=log)
    try:
        assert wait_until_ready(child, lambda: False, seconds=60) is False
        assert child.poll() == 1
    finally:
        stop(child)
    assert "no_such_module" in log.read_text(encoding="utf-8")


def test_a_childs_standard_input_is_empty(tmp_path: Path) -> None:
    """A child that asks for input gets its end, not the pipe that ties it to its parent."""
    (tmp_path / "asks.py").write_text("import sys; print('got', repr(sys.stdin.read()))", encoding="utf-8")
    log = tmp_path / "log"
    child = start_module("asks", log=log, environment={**os.environ, "PYTHONPATH": str(tmp_path)})
    try:
        assert child.wait(timeout=20) == 0
    finally:
        stop(child)
    assert log.read_text(encoding="utf-8") == "got ''\n"


def test_a_busy_port_is_stepped_around() -> None:
    """The preferred port is taken when it is free, and another one when it is not."""
    preferred = free_port()
    assert free_port(preferred) == preferred
    with socket.create_server((LOOPBACK, preferred)):
        assert free_port(preferred) not in (preferred, 0)


def test_a_server_that_does_not_come_up_says_so(tmp_path: Path) -> None:
    """The error names the address, the time and the log."""
    with (
        pytest.raises(Transient, match=r"did not answer in 0 s; the end of .*server\.log"),
        prefect_server(tmp_path / "home", ui=False, startup_seconds=0.2),
    ):
        pytest.fail("it answered")
