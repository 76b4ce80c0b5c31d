"""The cost of a flow run: seconds, core-seconds and memory of runs that find nothing to do, one after another.

The worker takes turns: as shipped, which forks each run from a process that has everything loaded, and with `--cold`,
which starts a Python for each. Core-seconds are those of the worker, of its runs and of what forks them.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from benchmarks.latency import percentile
from demo.scenes import World
from demo.stage import deploy, start_worker, world
from deployments.processes import stop

DEPLOYMENT = "dead-letters/by-hand"
TURNS = (("cold", 25), ("warm", 200), ("cold", 25))
"""Kinds of worker, and the runs of each turn; 200 show whether the process that forks them grows."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_FORKS = "deployments.warm_start"


def run() -> Table:
    """Measure; one table."""
    table = Table(
        title="A flow run that finds nothing to do",
        caption=f"One after another. Load at the end {os.getloadavg()[0]:.1f}. MiB: resident memory of the process that"
        " forks the runs, after the first run and after the last.",
    )
    for column in ("worker", "runs", "median s", "95th percentile s", "core-seconds a run", "MiB first", "MiB last"):
        table.add_column(column, justify="left" if column == "worker" else "right")
    with tempfile.TemporaryDirectory() as folder, world(lambda _: None, Path(folder)) as made:
        deploy(made)
        for kind, runs in TURNS:
            worker = start_worker(made, *(["--cold"] if kind == "cold" else []))
            table.add_row(kind, str(runs), *_turn(made, worker.pid, runs))
            stop(worker)
    return table


def _turn(made: World, worker: int, runs: int) -> list[str]:
    for _ in range(3):  # the worker has started, and its caches are filled
        _run(made)
    first, before, seconds = _resident(worker), _core_seconds(worker), []
    for _ in range(runs):
        began = time.monotonic()
        _run(made)
        seconds.append(time.monotonic() - began)
    spent = (_core_seconds(worker) - before) / runs
    return [
        *(f"{value:.1f}" for value in (statistics.median(seconds), percentile(seconds, 0.95))),
        *(f"{spent:.2f}", first, _resident(worker)),
    ]


def _run(made: World) -> None:
    ended = made.run(DEPLOYMENT, {"queues": ["no-such-queue-*"]})
    assert ended.state == "COMPLETED", ended.message


def _processes(root: int) -> Iterator[tuple[int, list[str]]]:
    """The process, and all that it started and that live: id, and the fields of its state from the third on."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        yield root, Path(f"/proc/{root}/stat").read_text().rpartition(")")[2].split()
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _processes(int(child))


def _core_seconds(root: int) -> float:
    """Processor time of a process and of what it started, the dead included. Fields 14 to 17 of proc_pid_stat(5)."""
    return sum(int(ticks) for _, fields in _processes(root) for ticks in fields[11:15]) / _TICKS


def _resident(root: int) -> str:
    """MiB of the process that forks, or nothing where none does. Field 24 of proc_pid_stat(5)."""
    for process, fields in _processes(root):
        if _FORKS.encode() in Path(f"/proc/{process}/cmdline").read_bytes():
            return f"{int(fields[21]) * _PAGE_MIB:.0f}"
    return ""
