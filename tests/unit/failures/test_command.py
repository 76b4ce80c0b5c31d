"""The command line filter: JSON lines in, JSON lines out, and on past what cannot be read."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recovery.failures.__main__ import run as diagnose_lines

GOOD = json.dumps({"id": 1, "error": "Read timed out", "body": None, "attributes": {}})


def run(*, lines: list[str], **options: Any) -> tuple[int, str]:
    out = io.StringIO()
    return diagnose_lines(lines, out, **options), out.getvalue()


def test_each_line_gets_an_answer() -> None:
    """With the id it came with."""
    code, out = run(lines=[GOOD, json.dumps({"id": "b", "error": "KeyError: 'x'"}), "", json.dumps({"error": None})])
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(answer["id"], answer["kind"]) for answer in answers] == [
        (1, "TIMEOUT"),
        ("b", "CODE_BUG"),
        (None, "UNKNOWN"),
    ]
    assert all(answer["rule"] and answer["reason"] for answer in answers)


def test_lines_that_cannot_be_read_are_reported_with_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """The rest goes on, and the exit code says that something was wrong."""
    code, out = run(lines=["nonsense", GOOD, "[1]", '{"error": 5}', '{"error": "x", "attributes": []}', "[" * 100_000])
    assert code == 1
    assert len(out.splitlines()) == 1
    said = capsys.readouterr().err
    assert [line.split(":")[0] for line in said.splitlines()] == ["line 1", "line 3", "line 4", "line 5", "line 6"]


def test_explain_lists_every_rule_that_matched_in_order() -> None:
    """So that a person sees what else was in question."""
    code, out = run(
        explained=True, lines=[json.dumps({"id": 1, "error": "503 Service Unavailable: rate limit exceeded"})]
    )
    answer = json.loads(out)
    assert code == 0
    assert answer["matched"][0]["rule"] == answer["rule"]
    assert len(answer["matched"]) >= 2
    scores = [match["score"] for match in answer["matched"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["quote"] == "rate limit exceeded"


def test_summary_is_a_table_of_kinds_and_groups() -> None:
    """Alike failures count together."""
    lines = [json.dumps({"id": n, "error": f"connect ECONNREFUSED 10.0.0.{n}:5432"}) for n in range(5)]
    code, out = run(summary=True, lines=[*lines, GOOD])
    assert code == 0
    assert out.startswith("6 failures, 2 kinds, 2 groups")
    assert "5   83.3 %  DEPENDENCY_FAILURE" in out
    assert "connect ECONNREFUSED <host>" in out
    assert "10.0.0" not in out


def test_a_rule_file_is_tried_on_an_archive_before_it_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a wrong one ends the run with its mistake."""
    file = tmp_path / "rules.json"
    rule = {
        "id": "own",
        "kind": "CODE_BUG",
        "phrases": "read timed out",
        "why": "w",
        "example": "Read timed out",
        "counter": "x",
        "action": "alert",
    }
    file.write_text(json.dumps({"version": 1, "rules": [rule]}), encoding="utf-8")
    code, out = run(rules_file=str(file), lines=[GOOD])
    assert (code, json.loads(out)["rule"], json.loads(out)["action"]) == (0, "own", "alert")
    file.write_text("{}", encoding="utf-8")
    assert run(rules_file=str(file), lines=[GOOD]) == (2, "")
    assert "version" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    """The form that the README documents works."""
    done = subprocess.run(
        [sys.executable, "-m", "recovery.failures"],
        input=GOOD + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["kind"] == "TIMEOUT"
    assert done.stderr == ""
