"""Phrases of rules in other languages, from a file of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import yaml

from recovery.errors import BadInput
from recovery.failures.phrases import Phrase, PhraseError
from recovery.failures.rules import Rule


def with_languages(rules: Iterable[Rule], text: str, source: str) -> tuple[Rule, ...]:
    """Return the rules with their phrases in other languages.

    Args:
        rules: the rules that the file speaks of.
        text: YAML: `phrases`, by rule and by language, a phrase a line.
        source: name of the file, for messages.

    Raises:
        BadInput: with the rule's id and the language.
    """
    document: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe loaders)
    by_rule: dict[str, dict[str, str]] = dict(document["phrases"])
    out = [
        replace(rule, phrases=(*rule.phrases, *_phrases(by_rule.pop(rule.id), rule.id, source)))
        if rule.id in by_rule
        else rule
        for rule in rules
    ]
    if by_rule:
        raise BadInput(f"{source}: {min(by_rule)}: no rule has this id")
    return tuple(out)


def _phrases(by_language: dict[str, str], rule_id: str, source: str) -> list[Phrase]:
    phrases: list[Phrase] = []
    for language, lines in by_language.items():
        for line in lines.splitlines():
            try:
                phrases.append(Phrase(line))
            except PhraseError as error:
                raise BadInput(f"{source}: {rule_id}: {language}: {line!r} {error}") from error
    return phrases
