"""The verdicts of the AppFlow path: one row for each hand-written situation, and the laws that hold for all."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recovery.appflow_runs.models import TWIN_PREFIX, FlowFacts, History, Means
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.appflow_runs.rules import decide
from recovery.appflow_runs.verdicts import (
    Leave,
    Reactivate,
    Rerun,
    RunTwin,
    Wait,
    attempt_hash,
    client_token,
    twin_name,
)
from tests.unit.appflow_runs.situations import (
    ARN,
    DAILY,
    INSERTING,
    NOW,
    SITUATIONS,
    TWINS,
    F,
    Situation,
    attempt,
    failed,
)

ROOT = Path(__file__).parents[3]
_SENTENCE = re.compile(r"^- \*\*([A-Z]\d)\*\*", re.MULTILINE)
_VERDICTS = {"Leave", "Wait", "Escalate", "Rerun", "RunTwin", "Reactivate"}
_RULE = re.compile(r'"([A-Z]\d)"')


@pytest.mark.parametrize("row", SITUATIONS, ids=lambda row: f"{row.sentence} {row.about}")
def test_situation(row: Situation) -> None:
    """Each situation is decided by its sentence, with the action that is written beside it."""
    verdict = decide(row.facts, row.known, row.policy, NOW)
    assert (verdict.rule, verdict.action) == (row.sentence, row.action)
    assert verdict.reason
    if row.until is not None:
        assert isinstance(verdict, Wait)
        assert verdict.until == NOW + timedelta(minutes=row.until)


def test_there_are_enough_situations() -> None:
    """At least fifty situations, no two of them alike."""
    assert len(SITUATIONS) >= 50
    assert len({row.about for row in SITUATIONS}) == len(SITUATIONS)


def test_twins_are_left() -> None:
    """A temporary twin is nobody's flow to recover."""
    facts = F_facts()
    twin = replace(facts, flow=replace(facts.flow, name=f"{TWIN_PREFIX}0123"))
    assert decide(twin, History(), TWINS, NOW).rule == "S1"


def test_documented_in_order() -> None:
    """The sentences of the documentation are the rules of the code, in the order in which they are tried."""
    documented = _SENTENCE.findall((ROOT / "docs/paths/appflow_runs.md").read_text())
    folder = ROOT / "recovery/appflow_runs/rules"
    coded = _RULE.findall((folder / "__init__.py").read_text() + (folder / "met.py").read_text())
    assert documented == list(dict.fromkeys(coded))


def test_every_sentence_has_a_situation() -> None:
    """No sentence is without a situation that shows it (S1 has a test of its own)."""
    documented = set(_SENTENCE.findall((ROOT / "docs/paths/appflow_runs.md").read_text()))
    assert documented - {row.sentence for row in SITUATIONS} == {"S1", "L1", "L2", "L3"}


def test_every_rule_that_a_report_can_show_is_documented() -> None:
    """Whichever module makes a verdict, its id is one of the sentences."""
    documented = set(_SENTENCE.findall((ROOT / "docs/paths/appflow_runs.md").read_text()))
    made: set[str] = set()
    for module in (ROOT / "recovery/appflow_runs").rglob("*.py"):
        for call in ast.walk(ast.parse(module.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _VERDICTS:
                [rule] = [each.value for each in call.args[:1] if isinstance(each, ast.Constant)] or ["S1"]
                made.add(str(rule))
    assert made <= documented
    assert {"L1", "L2", "L3"} <= made


def test_a_long_wait_is_reported_and_a_short_one_is_not() -> None:
    """A failed incremental flow that runs next in weeks has a step for a person; one that runs tomorrow has none."""
    for expression, reported in (("cron(0 6 L * ? *)", True), ("rate(1days)", False)):
        schedule = replace(DAILY, expression=expression, incremental=True, starts=NOW - timedelta(days=40, hours=2))
        verdict = decide(Situation("", "", "", "", (F,), schedule=schedule).facts, History(), AppFlowPolicy(), NOW)
        assert isinstance(verdict, Wait)
        assert verdict.rule == "W3"
        assert bool(verdict.next_step) is reported


def test_a_repeated_attempt_has_the_same_token() -> None:
    """Whoever repeats an attempt that was begun sends the token of the first call."""
    facts = F_facts()
    first = decide(facts, History(), AppFlowPolicy(), NOW)
    again = decide(facts, History((attempt(1, F.id, 10),)), AppFlowPolicy(), NOW + timedelta(minutes=1))
    assert isinstance(first, Rerun)
    assert isinstance(again, Rerun)
    assert (first.client_token, first.attempt) == (again.client_token, again.attempt)
    assert first.client_token == client_token(ARN, F.id, 1)


def test_tokens_differ_by_flow_run_and_attempt() -> None:
    """No two attempts share a token or a twin's name."""
    parts = [(flow, run, number) for flow in ("a", "b") for run in ("1", "2") for number in (1, 2)]
    assert len({client_token(*part) for part in parts}) == len(parts)
    assert len({twin_name(*part) for part in parts}) == len(parts)


def test_names_keep_to_the_service_model() -> None:
    """Token and twin name are what AppFlow takes."""
    assert re.fullmatch(r"[ -~]{1,256}", client_token(ARN, F.id, 1))
    assert re.fullmatch(r"[a-zA-Z0-9][\w!@#.-]{1,255}", twin_name(ARN, F.id, 1))


def test_the_first_sentence_wins() -> None:
    """A newer success outranks everything that is known of the failure before it; the cause outranks the schedule."""
    row = next(row for row in SITUATIONS if row.sentence == "R4" and len(row.runs) > 2)
    assert isinstance(decide(row.facts, row.known, TWINS, NOW), Leave)
    expired = Situation(
        "", "C1", "escalate", "untouched", (failed(30, "invalid_grant: expired access/refresh token"),), schedule=DAILY
    )
    assert decide(expired.facts, expired.known, TWINS, NOW).rule == "C1"


def test_only_three_verdicts_act() -> None:
    """Every situation that ends untouched was left, waited for or escalated."""
    for row in SITUATIONS:
        verdict = decide(row.facts, row.known, row.policy, NOW)
        if isinstance(verdict, Rerun | RunTwin | Reactivate):
            assert row.end != "untouched"


@pytest.mark.parametrize(("records", "rule"), [(0, "W9"), (500, "W6")])
def test_what_a_twin_wrote_is_not_inserted_again(records: int, rule: str) -> None:
    """A twin that failed after it wrote is no reason for another one, although the flow's own run wrote nothing."""
    made = attempt(1, F.id, 28, means=Means.TWIN, run="twin-run", outcome="Error", ended_ago=27)
    row = Situation("", rule, "", "", (F,), schedule=DAILY, destination=INSERTING)
    history = replace(row.known, attempts=(replace(made, records=records),))
    assert decide(row.facts, history, TWINS, NOW).rule == rule
    accepted = TWINS.model_copy(update={"allow_duplicates": True})
    assert decide(row.facts, history, accepted, NOW).rule == "W9"


def test_a_twin_of_which_nothing_is_reported_may_have_written() -> None:
    """If AppFlow gives no number of records for a twin that failed, none is run again into a destination that
    inserts."""
    made = attempt(1, F.id, 28, means=Means.TWIN, run="twin-run", outcome="Error", ended_ago=27)
    row = Situation("", "W6", "", "", (F,), schedule=DAILY, destination=INSERTING)
    assert decide(row.facts, replace(row.known, attempts=(made,)), TWINS, NOW).rule == "W6"
    never_ran = replace(made, run="", outcome="abandoned", ended=None)
    assert decide(row.facts, replace(row.known, attempts=(never_ran,)), TWINS, NOW).rule == "W9"


def F_facts() -> FlowFacts:  # noqa: N802 - the facts of F
    """An on-demand flow that failed half an hour ago."""
    return Situation("", "", "", "", (F,)).facts


def test_a_run_with_an_id_that_is_no_text_has_a_token() -> None:
    """Half of a surrogate pair, which JSON can hold and UTF-8 cannot, is an id like any other."""
    assert attempt_hash("orders", "\ud800", 1) != attempt_hash("orders", "\ud801", 1)
