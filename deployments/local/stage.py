"""The demo's world: simulated AWS with estate and sample workload, and a Prefect server; then deployments and a worker.

Everything is a child of the calling process, listens on 127.0.0.1 on a free port, keeps its files in one folder, and
ends with the block.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deployments.bootstrap import POOL
from deployments.local.guard import require_simulated_aws
from deployments.local.runs import Runs
from deployments.local.scenes import DemoFailed, World
from deployments.local.server import SimulatedAws
from deployments.prefect_server import prefect_server
from deployments.prefect_settings import PROJECT

FOLDER = PROJECT / ".reprise" / "demo"
UI_PORT = 4200
AWS_PORT = 4566
VISIBILITY_SECONDS = 2
"""A real consumer takes half a minute between two attempts; nobody watches a demo that long."""


@contextlib.contextmanager
def world(say: Callable[[str], None], folder: Path = FOLDER) -> Iterator[World]:
    """Start what a world is made of; stop everything at the end.

    Args:
        say: tells a person what happens, in one line.
        folder: the demo's own folder; emptied first. Another demo that still runs there keeps it, and this one takes
            the next: `demo-2` beside `demo`.

    Raises:
        Transient: the Prefect server did not start.
    """
    with contextlib.ExitStack() as children:
        folder = children.enter_context(_own(folder))
        with _errors_to(folder / "aws.log"):
            aws = children.enter_context(SimulatedAws.start(AWS_PORT))
        # The server's start is most of the waiting: the estate is created meanwhile.
        with ThreadPoolExecutor(1) as pool:
            filled = pool.submit(_fill, aws)
            prefect = children.enter_context(prefect_server(folder / "prefect", port=UI_PORT))
            filled.result()
        say(f"simulated AWS on {aws.endpoint}, Prefect on {prefect.ui_url}")
        environment = _with_own_python(prefect.client_environment(aws.environ()))
        require_simulated_aws(environment)
        runs = Runs(prefect.api_url, prefect.ui_url)
        children.callback(runs.close)
        made = World(aws, prefect, runs, folder, environment, say, children)
        children.callback(made.stopping.set)
        yield made


def deploy(made: World) -> None:
    """Work pool, blocks and deployments, and a worker.

    Raises:
        DemoFailed: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "deployments.bootstrap"],
        env=dict(made.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (made.folder / "bootstrap.log").write_text(done.stdout)
    if done.returncode:
        raise DemoFailed(f"bootstrap failed:\n{done.stdout}")
    made.start("prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "demo", log="worker.log")
    made.say(f"deployments registered, worker started on the pool {POOL!r}")


@contextlib.contextmanager
def _own(folder: Path) -> Iterator[Path]:
    """The folder, or one beside it, emptied and held by this process until the block ends."""
    for number in itertools.count(1):
        mine = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        mine.mkdir(parents=True, exist_ok=True)
        with (mine / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            for old in mine.iterdir():
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                elif old.name != "lock":
                    old.unlink()
            yield mine
            return


@contextlib.contextmanager
def _errors_to(log: Path) -> Iterator[None]:
    """Processes that are started in the block, and share this one's standard error, write it to a file instead: what
    they say when Ctrl-C reaches them as well would stand between the lines of the view."""
    with log.open("ab") as file:
        kept = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _with_own_python(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker starts runs by the name `python`: that must be this one, whether or not its environment is active."""
    own = str(Path(sys.executable).parent)
    return {**environment, "PATH": os.pathsep.join([own, environment.get("PATH", os.defpath)])}


def _fill(aws: SimulatedAws) -> None:
    aws.create_estate()
    aws.create_sample_workload(VisibilitySeconds=str(VISIBILITY_SECONDS))
