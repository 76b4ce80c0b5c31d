"""Rules by the words that can make them match, so that a text is compared with few of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from typing import cast

from recovery.failures.phrases import UNSPACED, Phrase
from recovery.failures.rules import Rule

CLASS_ENDS = ("exception", "error", "fault", "failure")
"""Endings of the names of exception classes, in lower case."""

Looked = tuple[int, Rule, str | Phrase | tuple[int, int], str]
"""Rank of a rule (lower speaks more strongly), the rule, what to find, and the word that suggests it. What to find is
a name (its exact spelling, or "" for any), a phrase, or a place that is found already."""

_Kept = tuple[Looked, frozenset[str], tuple[frozenset[str], ...]]
_Entry = tuple[list[Looked], dict[str, list[_Kept]]]
"""The rules that one word suggests: alone, and with a second word."""
_WORDS = re.compile(r"[^\W_]+")
_CODE = re.compile(r"(?:[A-Z][a-z]+){2,8}(?<!Exception)(?<!Error)(?<!Fault)(?<!Failure)")
_SPAN = 10_000


def rank(rule: Rule) -> int:
    """Place of a rule among the rules of its file: lower speaks more strongly."""
    return rule.order - rule.strength * _SPAN


class Shelf:
    """Names and phrases, by the rarest word that a text must hold for them to match."""

    def __init__(self) -> None:
        self._by_word: dict[str, _Entry] = {}
        self._words: frozenset[str] = frozenset()
        self._unkeyed: list[tuple[int, Rule, Phrase]] = []
        self._unkeyed_foreign: list[tuple[int, Rule, Phrase]] = []
        self._unspaced: list[Looked] = []

    def fill(
        self, names: Iterable[tuple[str, Rule]], phrases: Iterable[tuple[Phrase, Rule]], taken: Set[str] = frozenset()
    ) -> None:
        """Put names and phrases where their words are looked up.

        Args:
            names, phrases: each with its rule.
            taken: names in lower case that rules give themselves.
        """
        phrases = list(phrases)
        parts: list[tuple[frozenset[str], str, Rule]] = []
        for name, rule in names:
            words = _WORDS.findall(name.lower())
            if len(words) == 1 and _CODE.fullmatch(name) and f"{words[0]}exception" not in taken:
                # The SDKs of Java and .NET make a class of each of AWS's codes.
                self._keep(f"{words[0]}exception", rule, "")
            if len(words) == 1:
                # The name of a class is a name in any spelling. Other names are also ordinary words or settings
                # (`Throttling`, `connectTimeout`): they count only as they are written.
                exact = "" if words[0].endswith(CLASS_ENDS) else name
                self._keep(words[0], rule, exact)
            else:
                parts.append((frozenset(words), name, rule))
        common = Counter(word for phrase, _ in phrases for word in phrase.needs)
        common.update(word for needs, _, _ in parts for word in needs)
        for needs, name, rule in parts:
            rarest = min(needs, key=lambda word: (common[word], word))
            self._keep(rarest, rule, name, needs)
        for phrase, rule in phrases:
            if phrase.literal:
                self._unspaced.append((rank(rule), rule, phrase, ""))
            elif phrase.needs or phrase.choices:
                keys = (
                    [min(phrase.needs, key=lambda word: (common[word], word))]
                    if phrase.needs
                    else min(phrase.choices, key=len)
                )
                for word in keys:
                    # A choice that holds the key is met; what else must stand there is looked for.
                    choices = tuple(choice for choice in phrase.choices if word not in choice)
                    self._keep(word, rule, phrase, phrase.needs, choices)
            else:
                unkeyed = self._unkeyed if phrase.stem.isascii() else self._unkeyed_foreign
                unkeyed.append((rank(rule), rule, phrase))
        self._words = frozenset(self._by_word)

    def _keep(
        self,
        word: str,
        rule: Rule,
        what: str | Phrase,
        needs: frozenset[str] = frozenset(),
        choices: tuple[frozenset[str], ...] = (),
    ) -> None:
        looked = (rank(rule), rule, what, word)
        alone, with_second = self._by_word.setdefault(word, ([], {}))
        needs = needs - {word}
        if needs:
            second = max(needs, key=lambda other: (len(other), other))
            with_second.setdefault(second, []).append((looked, needs - {second}, choices))
        elif choices:
            fewest = min(choices, key=len)
            others = tuple(choice for choice in choices if choice is not fewest)
            for second in fewest:
                with_second.setdefault(second, []).append((looked, frozenset(), others))
        else:
            alone.append(looked)

    def suggested_by(self, words: frozenset[str], lower: str) -> list[Looked]:
        """The rules that a text may match, by its words alone, in no order."""
        found: list[Looked] = []
        by_word = self._by_word
        for word in words & self._words:
            alone, with_second = by_word[word]
            found += alone
            if not with_second:
                continue
            for second in with_second.keys() & words:
                for looked, needs, choices in with_second[second]:
                    if needs and not needs <= words:
                        continue
                    for choice in choices:
                        if choice.isdisjoint(words):
                            break
                    else:
                        found.append(looked)
        for rank_, rule, phrase in self._unkeyed:
            if phrase.stem in lower:
                found.append((rank_, rule, phrase, ""))
        if lower.isascii():
            return found
        for rank_, rule, phrase in self._unkeyed_foreign:
            if phrase.stem in lower:
                found.append((rank_, rule, phrase, ""))
        if self._unspaced and UNSPACED.search(lower):
            found.extend(looked for looked in self._unspaced if cast(Phrase, looked[2]).literal in lower)
        return found


class Index:
    """The rules of one file, in two shelves: most texts are decided before general words need be looked at.

    Attributes:
        strong, weak: rules that outrank the names of unknown classes, and the others.
        codes: rules by `family:value`.
        first_code: the strongest rank among them.
        by_field: rules that ask for attributes.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.codes: dict[str, Rule] = {}
        for rule in self.rules:
            for code in rule.codes:
                self.codes.setdefault(code, rule)
        self.first_code = min((rank(rule) for rule in self.codes.values()), default=0)
        self.by_field = [rule for rule in self.rules if rule.fields]
        self._class_words = [(word, rule) for rule in self.rules for word in rule.class_words]
        self.first_class = min((rank(rule) for _, rule in self._class_words), default=0)
        taken = {name.lower() for rule in self.rules for name in rule.names}
        self.strong = Shelf()
        self.weak = Shelf()
        for shelf, chosen in (
            (self.strong, [rule for rule in self.rules if rank(rule) < self.first_class]),
            (self.weak, [rule for rule in self.rules if rank(rule) >= self.first_class]),
        ):
            shelf.fill(
                [(name, rule) for rule in chosen for name in rule.names],
                [(phrase, rule) for rule in chosen for phrase in rule.phrases],
                taken,
            )

    def unknown_classes(self, words: Set[str], lower: str) -> Iterator[Looked]:
        """The rules that the names of unknown exception classes suggest."""
        if not self._class_words:
            return
        for word in words:
            if word.endswith(CLASS_ENDS) and len(word) > _SHORTEST_CLASS:
                for part, rule in self._class_words:
                    if part in word:
                        start = lower.find(word)
                        yield rank(rule), rule, (start, start + len(word)), word


_SHORTEST_CLASS = 9
