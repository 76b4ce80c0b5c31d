"""One rule of diagnosis: which words show which kind of failure, and how strongly they speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from recovery.failures.models import Kind
from recovery.failures.phrases import Phrase

TIERS = {"decisive": 100, "specific": 80, "status": 60, "general": 40, "loose": 25, "wrapper": 10}
"""Strength of a match, before the place in the chain of causes is counted (a root cause gains 30)."""

ACTIONS = ("heal", "alert", "archive", "leave")
"""Actions that a user's own rule may name for its matches, and an own kind as its default."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: words, names, codes or fields that show the kind of a failure.

    Attributes:
        id: stable name, shown in reports and kept in the ledger.
        kind: what a match means.
        tier: one of `TIERS`.
        names: identifiers as whole words (exception classes, error codes), case ignored.
        codes: `family:value` as `recovery.failures.codes` finds them.
        phrases: see `recovery.failures.phrases`.
        class_words: parts of the names of exception classes that no rule names in full.
        fields: attribute or JSON field, by name, with the values that match (lower case).
        also: the match counts only if one of these phrases stands anywhere in the text, stack frames included.
        unless: the match does not count if one of these stands in the same error.
        why: what a match means and what helps, for a person.
        example: a text that must match.
        counter: a text that must not.
        action: the action for matches of a user's own rule, else "".
        kind_action: the default action of its kind, when a rule file adds that kind, else "".
        transient: true when failures of its kind pass by themselves.
        order: place in its file.
    """

    id: str
    kind: Kind
    tier: str
    why: str
    example: str
    counter: str
    order: int
    names: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    class_words: tuple[str, ...] = ()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    also: tuple[Phrase, ...] = ()
    unless: tuple[Phrase, ...] = ()
    action: str = ""
    kind_action: str = ""
    transient: bool = False

    @property
    def strength(self) -> int:
        return TIERS[self.tier]
