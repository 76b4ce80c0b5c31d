"""Nothing is lost wherever a process dies: a sample of what `make prove` tries, and that the harness finds defects.

In processes of their own: the harness forks, which a process full of other tests' threads had better not do.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.project.checkout import PROJECT

pytestmark = pytest.mark.timeout(900)


def prove(*arguments: str) -> str:
    """Run the harness; its report."""
    ended = subprocess.run(
        [sys.executable, "-m", "proof.crash", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-5_000:]
    return ended.stdout


def test_a_sample_of_all_crash_points_loses_nothing() -> None:
    """Every path, killed at some of its requests: two runs later all is where it belongs, with no copy too many."""
    report = prove("--part", "points", "--stride", "71")
    assert "0 violations" in report
    for scene in ("dead letters, FIFO", "outbox, standard", "replications, tasks", "flows, twin to make", "relay"):
        assert scene in report


def test_the_harness_finds_planted_defects() -> None:
    """Messages removed too early, sends not written ahead, rows marked too early: each is found."""
    assert prove("--part", "planted").count("planted: ") == 3


def test_a_story_of_faults_loses_nothing() -> None:
    """Outbox rows, with faults of three classes in each of five runs: in the end each has arrived, and says so."""
    report = prove("--part", "faults", "--only", "outbox, standard", "--stories", "1")
    assert "0 violations" in report
    assert "Troubled runs: " in report


def test_several_workers_settle_each_item_once() -> None:
    """Four processes at once on messages, ordered and probing ones, rows, replications and flows."""
    report = prove("--part", "workers", "--workers", "4")
    assert report.count("4 workers: 0 lost, 0 settled twice") == 6


def test_trouble_that_lasts_loses_nothing() -> None:
    """A backlog above the limit, sweep after sweep: the consumer's own record agrees with the reports."""
    report = prove("--part", "lasting", "--only", "backlog", "--stories", "1")
    assert "backlog above limit" in report
    assert "0 violations" in report
