"""Failure texts of our own, with the kind that an operator would give them."""

from __future__ import annotations

import pytest

from recovery.failures import TRANSIENT_KINDS, Evidence, Kind, diagnose
from tests.unit.failures.texts import SETS, TEXTS


@pytest.mark.parametrize("name", SETS)
def test_every_text_gets_a_kind_that_an_operator_would_give_it(name: str) -> None:
    """All texts of a set are right; those that were not on the first run led to a rule."""
    wrong = []
    for text in TEXTS[name]:
        said = diagnose(Evidence(error=text.error))
        if said.kind not in (text.kind, *text.also):
            wrong.append(f"said {said.kind} by {said.rule}, is {text.kind}: {text.error[:120]!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", SETS)
def test_nothing_lasting_is_called_transient(name: str) -> None:
    """Replaying what cannot succeed does harm, so this holds even where kinds are hard to tell apart."""
    for text in TEXTS[name]:
        if not TRANSIENT_KINDS & {text.kind, *text.also}:
            assert not diagnose(Evidence(error=text.error)).transient, text.error


def test_the_sets_are_large_and_hold_every_kind() -> None:
    """Over a thousand texts, none twice, each kind at least forty times, from every ecosystem that the rules name."""
    every = [text for texts in TEXTS.values() for text in texts]
    assert len({text.error for text in every}) == len(every) >= 1200
    assert all(sum(text.kind == kind for text in every) >= 40 for kind in Kind)
    ecosystems = {text.ecosystem for text in every}
    assert ecosystems >= {
        "python",
        "node",
        "java",
        "dotnet",
        "go",
        "ruby",
        "php",
        "http",
        "aws",
        "db",
        "dms",
        "appflow",
    }
