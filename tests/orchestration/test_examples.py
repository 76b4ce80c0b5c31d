"""Each file in examples/ does what it says, on the simulated AWS."""

from __future__ import annotations

import runpy
import sys
from typing import Any

import pytest

from proof.crash.flow_scenes import Flows
from proof.crash.replication_scenes import Replications
from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import TIMEOUT, DeadLettersWorld
from tests.outbox_world import TABLE, OutboxWorld
from tests.project.checkout import PROJECT, paths


def run(path: str, *arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run an example as a person does; return its lines."""
    monkeypatch.setattr(sys, "argv", [path, *arguments])
    runpy.run_path(str(PROJECT / f"examples/{path}.py"), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def test_every_path_has_an_example() -> None:
    """One file for each path, and no other one."""
    assert sorted(file.stem for file in (PROJECT / "examples").glob("*.py")) == list(paths())


def test_dead_letters(aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The message goes back to its source."""
    world = DeadLettersWorld(aws)
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    look, act = run("dead_letters", pair.dead, monkeypatch=monkeypatch, capsys=capsys)
    assert look.startswith("Dry run: 1 inspected")
    assert act.startswith("1 found")


def test_outbox_records(aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The row is published."""
    world = OutboxWorld(aws)
    world.pending("a")
    look, act = run("outbox_records", TABLE, world.topic_arn, monkeypatch=monkeypatch, capsys=capsys)
    assert look.startswith("Dry run: 1 inspected")
    assert act == "1 found: 1 published."
    assert world.statuses() == {"a": "Successful"}


def test_replication_tasks(aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The task whose change capture failed goes on."""
    scene = Replications(aws)
    scene.stage()
    look, act = run("replication_tasks", "orders", "history", monkeypatch=monkeypatch, capsys=capsys)
    assert look.startswith("Dry run: 1 inspected")
    assert "1 resume" in act


def test_appflow_runs(aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The flow runs again."""
    scene: Any = Flows(aws, None)  # type: ignore[arg-type] # only its stage is set
    scene.stage()
    look, act = run("appflow_runs", "orders", monkeypatch=monkeypatch, capsys=capsys)
    assert look.startswith("Dry run: 1 inspected")
    assert act == "1 found: 1 rerun."
