"""Phrases of rules in other languages."""

from __future__ import annotations

import re
from importlib import resources

import pytest
import yaml

from recovery.errors import BadInput
from recovery.failures import DEFAULT_RULES, Evidence, diagnose
from recovery.failures.languages import with_languages
from recovery.failures.phrases import Phrase

_TEXT = resources.files("recovery.failures").joinpath("languages.yaml").read_text(encoding="utf-8")
_PHRASES: dict[str, dict[str, str]] = yaml.safe_load(_TEXT)["phrases"]
_CHOICE = re.compile(r"\[([^|\]]*)[^\]]*\]")


def _written(phrase: str) -> str:
    """A text that holds the phrase: its first choices, and a word in each gap."""
    words = _CHOICE.sub(r"\1", phrase).replace("~", "").replace("#", "7")
    return " ".join("between" if word == "*" else word for word in words.split())


@pytest.mark.parametrize("rule_id", _PHRASES)
def test_each_phrase_finds_its_own_words(rule_id: str) -> None:
    """A phrase that its own words do not match is dead weight."""
    dead = [
        (language, line)
        for language, lines in _PHRASES[rule_id].items()
        for line in lines.splitlines()
        if Phrase(line).find(_written(line)) is None
    ]
    assert not dead


def test_phrases_join_the_rule_that_they_stand_under() -> None:
    """The words of a refused connection are known in a language that rules.yaml does not speak."""
    rule = DEFAULT_RULES.by_id("dependency.network")
    assert rule is not None
    with_it = {phrase.source for phrase in rule.phrases}
    assert set(_PHRASES["dependency.network"]["fi"].splitlines()) <= with_it
    assert diagnose(Evidence(error="varastoon ei saatu yhteyttä")).rule == "dependency.network"


def test_a_rule_that_is_not_there_is_named() -> None:
    """A misspelled rule would lose its phrases without a word."""
    with pytest.raises(BadInput, match=r"langs: no\.such: no rule has this id"):
        with_languages(DEFAULT_RULES.rules, "phrases:\n  no.such:\n    de: |\n      nichts da\n", "langs")


def test_a_phrase_that_cannot_be_read_is_named_with_rule_and_language() -> None:
    """One clear line instead of a traceback."""
    with pytest.raises(BadInput, match=r"langs: data\.words: de: '\*' a gap"):
        with_languages(DEFAULT_RULES.rules, "phrases:\n  data.words:\n    de: |\n      *\n", "langs")
