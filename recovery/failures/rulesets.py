"""The rules that a diagnosis uses: the packaged ones, and a user's own file tried before them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from recovery.errors import BadInput
from recovery.failures.index import Index
from recovery.failures.rule_files import parse_rules
from recovery.failures.rules import Rule

_MAX_FILE = 2_000_000


@dataclass(frozen=True)
class RuleSet:
    """Rules in order; those of a user's own file stand first and win whenever one of them matches.

    Attributes:
        own: the user's rules.
        rules: the defaults.
        source: where the user's rules came from, for people.
    """

    rules: tuple[Rule, ...]
    own: tuple[Rule, ...] = ()
    source: str = ""

    @cached_property
    def index(self) -> Index:
        return Index(self.rules)

    @cached_property
    def own_index(self) -> Index | None:
        return Index(self.own) if self.own else None

    def by_id(self, rule_id: str) -> Rule | None:
        """The rule with this id, the user's first."""
        return next((rule for rule in (*self.own, *self.rules) if rule.id == rule_id), None)


class _Defaults(RuleSet):
    """The packaged rules, read when they are first needed: importing the package stays quick."""

    def __init__(self) -> None:
        object.__setattr__(self, "own", ())
        object.__setattr__(self, "source", "")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:  # type: ignore[override]
        text = resources.files("recovery.failures").joinpath("rules.yaml").read_text(encoding="utf-8")
        return parse_rules(text, "rules.yaml")


DEFAULT_RULES: RuleSet = _Defaults()


def load_rules(path: str | Path) -> RuleSet:
    """Read a user's rule file; its rules are tried before the defaults.

    Args:
        path: a YAML or JSON file.

    Raises:
        BadInput: the file cannot be read, or a rule is wrong; the message names the rule's id and the field.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _MAX_FILE:
            raise BadInput(f"{file}: is larger than {_MAX_FILE} bytes")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: cannot be read ({error})") from error
    own = parse_rules(text, str(file), own=True)
    taken = {rule.id for rule in DEFAULT_RULES.rules}
    for rule in own:
        if rule.id in taken:
            raise BadInput(f"{file}: rule {rule.id}: id: is taken by a default rule; choose another")
    return RuleSet(rules=DEFAULT_RULES.rules, own=own, source=str(file))
