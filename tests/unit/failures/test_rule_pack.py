"""The packaged rules: each says what it means with an example, and none can run away."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from recovery.failures import (
    DEFAULT_RULES,
    Evidence,
    Kind,
    Rule,
    codes,
    diagnose,
    diagnosis,
    explain,
    frames,
    groups,
    masks,
    phrases,
    reading,
    structure,
)
from recovery.failures.index import Index
from recovery.failures.own_rules import example_evidence
from recovery.failures.phrases import GAP, Phrase

RULES = {rule.id: rule for rule in DEFAULT_RULES.rules}


def matched(rule: Rule, text: str) -> bool:
    return rule.id in {match.rule.id for match in explain(example_evidence(rule, text))}


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_matches_its_example_and_not_its_counter_example(rule: Rule) -> None:
    """The file's examples fit their rules."""
    assert matched(rule, rule.example)
    assert not matched(rule, rule.counter)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_an_example_is_diagnosed_as_its_rules_kind(rule: Rule) -> None:
    """No earlier or stronger rule of another kind takes a rule's own example away."""
    assert diagnose(example_evidence(rule, rule.example)).kind is rule.kind


def test_every_kind_but_unknown_has_rules() -> None:
    """UNKNOWN is what remains, never what a rule says."""
    assert {rule.kind for rule in RULES.values()} == set(Kind) - {Kind.UNKNOWN}


def test_no_name_or_code_stands_in_two_rules_of_one_tier() -> None:
    """A second mention would never decide, and only mislead a reader (rules with a condition may share names)."""
    seen: dict[tuple[str, str], str] = {}
    twice = []
    for rule in RULES.values():
        if rule.also:
            continue
        for name in (*rule.names, *rule.codes):
            before = seen.setdefault((rule.tier, name), rule.id)
            if before != rule.id:
                twice.append(f"{name}: {before} and {rule.id}")
    assert not twice, "\n".join(twice)


def all_phrases() -> Iterator[tuple[str, Phrase]]:
    for rule in RULES.values():
        for phrase in (*rule.phrases, *rule.also, *rule.unless):
            yield rule.id, phrase


def repeats(tree: Any) -> Iterator[int]:
    """The upper bounds of all repetitions in a parsed expression, with those inside others multiplied."""
    for operation, value in tree:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _, most, inner = value
            yield int(most)
            yield from (int(most) * nested for nested in repeats(inner) if nested > 1)
        elif name == "SUBPATTERN":
            yield from repeats(value[-1])
        elif name == "BRANCH":
            for branch in value[1]:
                yield from repeats(branch)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from repeats(value[1])


def parsed(pattern: str, flags: int = 0) -> Any:
    # The standard library's own reader of expressions.
    return importlib.import_module("re._parser").parse(pattern, flags)


def test_no_phrase_can_run_away() -> None:
    """All repetition in a phrase is bounded: at most two gaps of 60 characters, and otherwise words of at most 40."""
    for rule_id, phrase in all_phrases():
        bounds = list(repeats(parsed(phrase.pattern.pattern)))
        assert all(bound <= GAP for bound in bounds), (rule_id, phrase)
        assert sum(bound == GAP for bound in bounds) <= 2, (rule_id, phrase)


@pytest.mark.parametrize(
    "module",
    [codes, diagnosis, frames, groups, masks, phrases, reading, structure],
    ids=lambda m: m.__name__,
)
def test_no_other_expression_can_run_away(module: Any) -> None:
    """Every repetition is bounded and none is repeated without bound; single runs of one class (`\\d+`) are linear."""
    for pattern in patterns_of(vars(module).values()):
        tree = parsed(pattern.pattern, pattern.flags & ~re.UNICODE)
        if len(tree) == 1 and str(tree[0][0]) == "MAX_REPEAT":
            continue
        assert all(bound < 100_000 for bound in repeats(tree)), pattern.pattern


def patterns_of(values: Any) -> Iterator[re.Pattern[str]]:
    for value in values:
        if isinstance(value, re.Pattern):
            yield value
        elif isinstance(value, tuple | list):
            yield from patterns_of(value)


def test_every_phrase_survives_its_worst_case() -> None:
    """The beginning of each phrase repeated over a whole bounded text, so that every place is a false start."""
    longest = 0.0
    for _, phrase in all_phrases():
        words = [piece.strip("~[]").split("|")[0] for piece in phrase.source.split() if piece != "*"]
        text = (" ".join(words[:-1] or words[:1]) + " ")[:60] * 400
        text = text[: reading.HEAD + reading.TAIL]
        began = time.process_time()
        phrase.find(text)
        longest = max(longest, time.process_time() - began)
    assert longest < 0.5  # seconds; a runaway expression takes minutes


def test_the_index_knows_every_phrase_and_name() -> None:
    """The index finds every rule's texts: no word is keyed away."""
    index = Index(DEFAULT_RULES.rules)
    for rule in RULES.values():
        for name in rule.names:
            if rule.also or rule.unless:
                continue
            shelf = index.strong.suggested_by(frozenset(re.findall(r"[^\W_]+", name.lower())), name.lower())
            weak = index.weak.suggested_by(frozenset(re.findall(r"[^\W_]+", name.lower())), name.lower())
            assert rule.id in {item[1].id for item in (*shelf, *weak)}, name


LONG = {
    "words": "connection lost while reading the order of a customer, please retry; ",
    "frames": "\tat com.acme.orders.OrderService.place(OrderService.java:118)\n",
    "braces": '{"a":[',
    "escapes": '\\\\\\"',
    "digits": "401 503 40123 12:00:00 10.0.0.1 ",
    "quotes": "'value' \"x\" «y» ",
    "gaps": "failed connection error timeout invalid request ",
    "causes": "\nCaused by: com.acme.E: x",
    "spaces": " \t\n",
    "one word": "a",
    "zwischen": "ошибка соединение 超时 ",
}


@pytest.mark.parametrize("name", LONG)
def test_a_quarter_mebibyte_is_read_in_bounded_time(name: str) -> None:
    """Only head, tail and the causes between are read; measured in make bench, guarded here against runaways."""
    piece = LONG[name]
    text = piece * (262_144 // len(piece))
    diagnose(Evidence(error="first use compiles phrases"))
    began = time.process_time()
    diagnose(Evidence(error=text))
    assert time.process_time() - began < 1.0
