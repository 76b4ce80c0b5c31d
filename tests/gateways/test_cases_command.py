"""`reprise cases`, typed by a person against a simulated AWS."""

from __future__ import annotations

import csv
import io
import json

import pytest

from deployments.command import run
from recovery.cases import State
from simulated_aws.server import SimulatedAws
from tests.unit.histories.test_story import case


@pytest.fixture
def typed(aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """A shell in which the estate's variables are set, and two cases that wait."""
    aws.create_estate()
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("blocks.estate._load", lambda _: None)
    from blocks.estate import connect

    connect().ledger.write_cases([case("m1", State.PARKED), case("m2", State.EXHAUSTED, group="OTHER-1")])

    def type_in(line: str, status: int = 0) -> str:
        assert run(line.split()) == status
        return capsys.readouterr().out

    return type_in


def test_cases_are_listed_closed_reopened_and_audited(typed: object) -> None:
    """Nothing changes without --yes; lists are complete in each form; the audit names the person and the identity."""
    assert callable(typed)
    rows = list(csv.DictReader(io.StringIO(typed("cases list --form csv"))))
    assert {row["key"] for row in rows} == {"m1", "m2"}
    assert "2 case(s)" in typed("cases list --since 2026-01-01 --before 2026-12-31 --kind TIMEOUT")
    assert "0 case(s)" in typed("cases list --before 2026-01-01")
    assert "0 case(s)" in typed("cases list --since 2026-12-31T00:00Z")
    assert "would be" in typed("cases close dismiss --reason done --operator ann --group OTHER-1")
    assert "2 case(s)" in typed("cases list")
    typed("cases close dismiss --reason done --operator ann --group OTHER-1 --yes")
    assert [json.loads(line)["key"] for line in typed("cases list --form json").splitlines()] == ["m1"]
    assert "owner team-a" in typed("cases note TIMEOUT-1234 seen --owner team-a --operator ann")
    assert "1 case(s)" in typed("cases list --owner team-a")
    typed("cases reopen --reason wrong --operator bob --key m2 --yes")
    assert "2 case(s)" in typed("cases list")
    acts = typed("cases audit").splitlines()
    assert [act.split(" ", 2)[2].split(" ")[0] for act in acts] == ["ann", "ann", "bob"]
    assert all("arn:aws:" in act for act in acts)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("cases close shred --reason r --key m1", "how"),
        ("cases close snooze --reason r --key m1 --until soon", "until"),
        ("cases close dismiss --reason r", "sources"),
        ("cases list --form xml", "form"),
        ("cases list --since yesterday", "since"),
        ("cases audit yesterday", "day"),
    ],
)
def test_a_mistake_is_one_line(typed: object, capsys: pytest.CaptureFixture[str], line: str, named: str) -> None:
    """The field is named, and nothing is done."""
    assert callable(typed)
    assert run(line.split()) == 2
    [line_out] = capsys.readouterr().err.splitlines()
    assert f"{named}: " in line_out
