"""docs/diagnosis.md says what the rule file says."""

from __future__ import annotations

from pathlib import Path

from recovery.failures import DEFAULT_RULES
from recovery.failures.docs import render
from tests.unit.failures.texts import TEXTS

PAGE = Path(__file__).parents[3] / "docs" / "diagnosis.md"


def test_the_page_is_not_stale() -> None:
    """Made anew with `python -m recovery.failures.docs > docs/diagnosis.md`."""
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_rule_stands_on_the_page() -> None:
    """With its kind, its meaning and its examples."""
    page = render()
    for rule in DEFAULT_RULES.rules:
        assert f"`{rule.id}` → {rule.kind}" in page
        assert rule.why in page


def test_the_count_of_own_texts_is_true() -> None:
    """The page names it."""
    assert f"{sum(map(len, TEXTS.values())):,} texts of our own" in render()
