"""Verdicts are made in the rules alone, and those on what a run meets carry their sentence and a reason."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta

from recovery.appflow_runs import verdicts
from recovery.appflow_runs.rules import LOOK_AGAIN, met
from recovery.appflow_runs.verdicts import Leave, Rerun, Wait
from tests.project.checkout import modules, text

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MADE_BY = {"Escalate", "Leave", "Reactivate", "Rerun", "RunTwin", "Wait"}


def test_a_change_calls_an_attempt_off() -> None:
    """A flow that needs nothing any more is left; another one waits until the next run decides anew."""
    left = Leave("R1", "it ran")
    assert met.changed(left, NOW) is left
    assert met.changed(Wait("B1", "a backoff", NOW + timedelta(days=1)), NOW) == Wait(
        "O2", "it has changed just now", NOW + LOOK_AGAIN
    )


def test_no_verdict_is_made_outside_the_rules() -> None:
    """Gathering and acting make none: whoever wants to know why a flow was left reads the rules."""
    assert vars(verdicts).keys() >= MADE_BY
    assert Rerun.__name__ in MADE_BY
    path = [file for file in modules() if str(file).startswith("recovery/appflow_runs/")]
    outside = [
        f"{file}:{node.lineno}"
        for file in path
        if not str(file).startswith("recovery/appflow_runs/rules/")
        for node in ast.walk(ast.parse(text(file)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MADE_BY
    ]
    assert outside == []
