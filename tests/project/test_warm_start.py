"""A run in a forked child is to its worker what a process of its own is."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deployments.prefect_settings import PROJECT
from deployments.warm_start import service
from deployments.warm_start.hand_over import SOCKET
from tests.waiting import wait_for

pytestmark = pytest.mark.skipif(not service.is_possible(), reason="only Linux promises that a loaded process may fork")

STARTED_COLD = 77
HAND_OVER = f"""
import os, sys
from deployments.warm_start.hand_over import run
status = run(os.environ.pop("{SOCKET}"))
sys.exit({STARTED_COLD} if status is None else status)
"""


class Forking:
    """A process that forks, and the processes whose children it makes."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.changed = folder / "socket", folder / "changed"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.project.warm_probe", str(self.socket), str(self.changed)],
            stdin=subprocess.PIPE,
            cwd=PROJECT,
            start_new_session=True,
        )
        wait_for("the socket", self.socket.exists, seconds=60)

    def start(self, probe: str, variables: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """A process as a worker starts it: its output and its end are seen."""
        return subprocess.Popen(
            [sys.executable, "-c", HAND_OVER],
            env={**os.environ, SOCKET: str(self.socket), "PROBE": probe, **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"cwd": PROJECT, **options},
        )

    def end(self) -> None:
        """As when the worker ends."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


@pytest.fixture
def forking(tmp_path: Path) -> Iterator[Forking]:
    made = Forking(tmp_path)
    yield made
    made.end()


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line of the child, which is under way then."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_streams_environment_folder_and_status_are_the_process_s(forking: Forking, tmp_path: Path) -> None:
    """The child writes to the worker's pipes, in the process's folder, and ends as it ends."""
    probe = "import os, sys; print(os.environ['MINE'], os.getcwd()); print('noted', file=sys.stderr); sys.exit(5)"
    process = forking.start(probe, variables={"MINE": "of this run"}, cwd=PROJECT / "tests")
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == (f"of this run {PROJECT}/tests\n", "noted\n", 5)


def test_children_are_processes_of_their_own(forking: Forking) -> None:
    """Nothing that one of them does to itself is there in the next, and they run side by side."""
    leave = "import os, sys; os.environ['LEFT'] = 'x'; sys.left = 1; print(os.getpid(), flush=True); sys.stdin.read()"
    first = forking.start(leave, stdin=subprocess.PIPE)
    child = first_line(first)
    second = forking.start("import os, sys; print(os.getpid(), 'LEFT' in os.environ, hasattr(sys, 'left'))")
    other, *seen = second.communicate(timeout=60)[0].split()
    assert other != child
    assert seen == ["False", "False"]
    first.communicate(timeout=60)


def test_no_two_children_draw_the_same_numbers(forking: Forking) -> None:
    """Jitter that all runs share is none."""
    drawn = [forking.start("import random; print(random.random())").communicate(timeout=60)[0] for _ in range(2)]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_reaches_the_child(forking: Forking, number: signal.Signals) -> None:
    """It may end in its own way, as a run does that gives back what it holds."""
    probe = f"""
import signal, sys
signal.signal({int(number)}, lambda *_: (print("gave back", flush=True), sys.exit(3)))
print("ready", flush=True)
signal.pause()
"""
    process = forking.start(probe)
    assert first_line(process) == "ready"
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == "gave back\n"
    assert process.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_child_that_a_signal_ends_ends_its_process_so(forking: Forking, number: signal.Signals) -> None:
    """The worker sees a crash where there was one."""
    process = forking.start(f"import os; os.kill(os.getpid(), {int(number)})")
    process.communicate(timeout=60)
    assert process.returncode == -number


def test_a_process_that_is_killed_takes_its_child_with_it(forking: Forking) -> None:
    """Nobody waits for it any more, and the worker has given its place away."""
    process = forking.start("import os, signal; print(os.getpid(), flush=True); signal.pause()")
    child = int(first_line(process))
    process.kill()
    process.communicate(timeout=60)
    wait_for("the child's end", lambda: not Path(f"/proc/{child}").exists(), seconds=60)


def test_children_end_with_the_process_that_forked_them(forking: Forking) -> None:
    """None is left behind that nobody knows, and the worker sees a crash."""
    process = forking.start("import os, signal; print(os.getpid(), flush=True); signal.pause()")
    child = int(first_line(process))
    forking.process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    wait_for("the child's end", lambda: not Path(f"/proc/{child}").exists(), seconds=60)


def test_a_run_goes_on_when_the_worker_ends(forking: Forking) -> None:
    """As a process of the stock worker does; nothing new is forked, and the forking process ends after it."""
    process = forking.start("import sys; print('ready', flush=True); sys.stdin.read()", stdin=subprocess.PIPE)
    assert first_line(process) == "ready"
    assert forking.process.stdin
    forking.process.stdin.close()
    wait_for("no socket", lambda: not forking.socket.exists(), seconds=60)
    late = forking.start("print('never')")
    assert late.communicate(timeout=60)[0] == ""
    assert late.returncode == STARTED_COLD
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert forking.process.wait(60) == 0


def test_limits_are_the_process_s(forking: Forking) -> None:
    """A limit on memory that a command sets holds for the run."""
    most = 3 << 30

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    process = forking.start("import resource; print(resource.getrlimit(resource.RLIMIT_AS))", preexec_fn=limit)
    assert process.communicate(timeout=60)[0] == f"({most}, {most})\n"


@pytest.mark.parametrize("variables", [{"PYTHONPATH": "/elsewhere"}, {"LD_PRELOAD": "nothing.so"}])
def test_a_run_that_must_start_otherwise_starts_by_itself(forking: Forking, variables: dict[str, str]) -> None:
    """Python and the linker read some variables only while a process starts."""
    process = forking.start("print('never')", variables=variables)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == STARTED_COLD


def test_nothing_is_forked_once_files_have_changed(forking: Forking) -> None:
    """A run of the new code with half of the old one loaded would be neither."""
    forking.changed.touch()
    process = forking.start("print('never')")
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == STARTED_COLD
    assert forking.process.wait(60) == 0


def test_nobody_serves(tmp_path: Path) -> None:
    """The run starts as always, at once."""
    process = subprocess.run(
        [sys.executable, "-c", HAND_OVER],
        env={**os.environ, SOCKET: str(tmp_path / "none")},
        cwd=PROJECT,
        check=False,
        timeout=60,
    )
    assert process.returncode == STARTED_COLD
