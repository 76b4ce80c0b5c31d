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
