"""A worker's process for a flow run is Prefect's engine, loaded without the collector and run with it."""

from __future__ import annotations

import gc
import runpy
import subprocess
import sys

import pytest

from deployments import flow_run
from deployments.prefect_settings import PROJECT


def test_the_engine_runs_with_the_collector_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects loaded by then are left alone; the run's own are collected as always."""
    seen: list[tuple[str, bool, bool]] = []

    def engine(name: str, **_: object) -> None:
        seen.append((name, gc.isenabled(), gc.get_freeze_count() > 100_000))

    monkeypatch.setattr(runpy, "run_module", engine)
    try:
        flow_run.main()
    finally:
        gc.unfreeze()
    assert seen == [("prefect.engine", True, True)]
    assert set(flow_run.NEEDED) <= set(sys.modules)


def test_a_run_that_nobody_named_is_refused_by_the_engine() -> None:
    """Nothing is carried out, and the engine says why; it does not complain of how it was started."""
    done = subprocess.run(
        [sys.executable, "-m", "deployments.flow_run"],
        env={"PREFECT_HOME": str(PROJECT / ".prefect"), "PATH": ""},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Invalid flow run id" in done.stdout + done.stderr
    assert "RuntimeWarning" not in done.stderr


def test_what_forks_runs_has_loaded_all_and_shows_no_other_warnings() -> None:
    """A child that shows a warning imports what shows it, inside whatever it imports then: Python's lock broke so."""
    code = """
import runpy, sys, types, warnings
from deployments.warm_start import forks

def serve():
    warnings.warn("of a child", ResourceWarning)
    print("anyio._backends._asyncio" in sys.modules)

forks.Forks = lambda *_: types.SimpleNamespace(serve=serve)
runpy.run_module("deployments.warm_start", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "no-socket"],
        env={"PREFECT_HOME": str(PROJECT / ".prefect"), "PATH": ""},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "True"
    assert "of a child" not in done.stderr
