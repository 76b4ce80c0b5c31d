"""The rules that a diagnosis uses: the packaged ones, and a user's own file tried before them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from recovery.failures.index import Index
from recovery.failures.languages import with_languages
from recovery.failures.models import Kind
from recovery.failures.rule_files import parse_rules
from recovery.failures.rules import Rule


@dataclass(frozen=True)
class RuleSet:
    """Rules in order; those of a user's own file stand first and win whenever one of them matches.

    Attributes:
        own: the user's rules.
        rules: the defaults.
        source: where the user's rules came from, for people.
        text: the user's file.
    """

    rules: tuple[Rule, ...]
    own: tuple[Rule, ...] = ()
    source: str = ""
    text: str = ""

    @cached_property
    def index(self) -> Index:
        return Index(self.rules)

    @cached_property
    def own_index(self) -> Index | None:
        return Index(self.own) if self.own else None

    @cached_property
    def mark(self) -> int:
        """A number that changes with the rules: what older ones concluded is concluded anew."""
        return zlib.crc32(
            f"{self.text}\0{_packaged('rules.yaml')}{_packaged('languages.yaml')}".encode("utf-8", "surrogatepass")
        )

    @property
    def own_kinds(self) -> frozenset[str]:
        """The kinds that the user's rules add to the eight."""
        return frozenset(str(rule.kind) for rule in self.own if rule.kind not in set(Kind))

    def by_id(self, rule_id: str) -> Rule | None:
        """The rule with this id, the user's first."""
        return next((rule for rule in (*self.own, *self.rules) if rule.id == rule_id), None)


class _Defaults(RuleSet):
    """The packaged rules, read when they are first needed: importing the package stays quick."""

    def __init__(self) -> None:
        object.__setattr__(self, "own", ())
        object.__setattr__(self, "source", "")
        object.__setattr__(self, "text", "")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        rules = parse_rules(_packaged("rules.yaml"), "rules.yaml")
        return with_languages(rules, _packaged("languages.yaml"), "languages.yaml")


def _packaged(name: str) -> str:
    return resources.files("recovery.failures").joinpath(name).read_text(encoding="utf-8")


DEFAULT_RULES: RuleSet = _Defaults()
