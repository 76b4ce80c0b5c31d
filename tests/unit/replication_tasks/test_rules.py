"""The decision table, and the laws that hold whatever the facts are."""

from __future__ import annotations

import pytest

from recovery.replication_tasks.rules import RULES, decide
from recovery.replication_tasks.situation import Situation
from tests.unit.replication_tasks.situations import NOW, SITUATIONS

BY_ID = {situation.id: situation for situation in SITUATIONS}


@pytest.mark.parametrize("key", BY_ID)
def test_decision(key: str) -> None:
    """Each situation gets the verdict of its row, by the sentence of its row, with a reason that says it."""
    situation = BY_ID[key]
    decision = decide(Situation(situation.facts, situation.history), situation.policy, NOW)
    assert (type(decision).__name__, decision.rule) == (situation.verdict, situation.rule), decision
    assert situation.says in f"{decision.reason} {getattr(decision, 'next_step', '')}", decision


def test_every_situation_is_reported_once_and_every_sentence_is_tried() -> None:
    """No row hides another one, and each rule decides in at least one row."""
    assert len(BY_ID) == len(SITUATIONS) >= 60
    rules = {situation.rule for situation in SITUATIONS}
    assert rules == set(RULES)
