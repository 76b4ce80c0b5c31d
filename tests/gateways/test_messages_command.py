"""`reprise messages` and `reprise plans`, typed by a person against a simulated AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.command import run
from recovery.audit import Audit
from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import AUTH, DeadLettersWorld, Pair

Typed = Callable[[str], str]


@pytest.fixture
def world(simulated_aws: SimulatedAws, sdk_does_not_wait: None) -> DeadLettersWorld:
    return DeadLettersWorld(simulated_aws)


@pytest.fixture
def pair(world: DeadLettersWorld) -> Pair:
    return world.pair()


@pytest.fixture
def died(world: DeadLettersWorld, pair: Pair) -> str:
    [message] = world.die(pair, [AUTH], MessageBody='{{"customer": "SECRET", "n": 1}}')
    world.recover(pair.dead)
    return message


@pytest.fixture
def typed(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A shell in which the estate's variables are set."""
    for name, value in world.aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("blocks.estate._load", lambda _: None)

    def type_in(line: str) -> str:
        assert run(line.split(" ")) == 0
        return capsys.readouterr().out

    return type_in


def test_a_look_is_masked_unless_asked_otherwise_and_is_on_record(
    world: DeadLettersWorld, died: str, typed: Typed
) -> None:
    """Structure and types by default; all of it with a reason; each look stands in the audit."""
    look = typed(f"messages show {died}")
    assert '"customer": "<string of 6>"' in look
    assert "SECRET" not in look
    assert "parked" in look
    assert "SECRET" not in typed(f"messages show {died} --body none")
    assert "SECRET" in typed(f"messages show {died} --value /customer")
    assert "SECRET" in typed(f"messages show {died} --body full --reason case-7 --operator ann")
    acts = list(Audit(world.connection().ledger).of_day(world.aws.clock.now().date(), []))
    assert [act.action for act in acts] == ["show"] * 4
    assert (acts[-1].operator, acts[-1].reason) == ("ann", "case-7")
    assert died in acts[-1].subject
    assert died in typed("messages list")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("messages show {died} --body all", "body"),
        ("messages show {died} --body full", "reason"),
        ("messages show nobody", "key"),
        ("plans carry-out nothing abc --reason r", "plan_id"),
        ("plans make --reason r", "queues"),
        ("plans make --reason r --queue x --patch /no/such/file", "patch"),
    ],
)
def test_a_mistake_is_one_line(
    died: str, typed: Typed, capsys: pytest.CaptureFixture[str], line: str, named: str
) -> None:
    """The field is named, and nothing is shown or done."""
    assert run(line.format(died=died).split(" ")) == 2
    captured = capsys.readouterr()
    assert f"{named}: " in captured.err
    assert len(captured.err.splitlines()) == 1
    assert "SECRET" not in captured.out


def test_a_plan_is_made_carried_out_and_controlled_by_commands(
    world: DeadLettersWorld, pair: Pair, died: str, typed: Typed, tmp_path: Path
) -> None:
    """The review prints the command that carries exactly that out; nothing goes without --yes."""
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    patch = tmp_path / "patch.json"
    patch.write_text(json.dumps({"body": [{"op": "remove", "path": "/customer"}]}), encoding="utf-8")
    review = typed(f"plans make --queue {pair.dead} --patch {patch} --reason fixed --operator ann")
    assert "SECRET" not in review
    found = re.search(r"reprise (plans carry-out (\S+) \S+)", review)
    assert found
    assert "would send 1" in typed(f"{found[1]} --reason reviewed")
    assert world.ids(pair.source) == []
    typed(f"{found[1]} --reason reviewed --operator bob --yes")
    assert world.bodies(pair.source) == ['{"n": 1}']
    assert "paused" in typed(f"plans pause {found[2]} --reason look")
    assert "running" in typed(f"plans resume {found[2]} --reason go")
    assert "cancelled" in typed(f"plans cancel {found[2]} --reason enough")
    assert "left out" not in typed("plans list")
