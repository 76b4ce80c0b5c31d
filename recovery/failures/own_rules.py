"""A user's own rule file: read, checked by its own examples, and set before the default rules."""

from __future__ import annotations

from pathlib import Path

from recovery.errors import BadInput
from recovery.failures.diagnosis import explain
from recovery.failures.models import Evidence
from recovery.failures.rule_files import parse_rules
from recovery.failures.rules import Rule
from recovery.failures.rulesets import DEFAULT_RULES, RuleSet

_MAX_FILE = 2_000_000


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
    _check_examples(own, str(file))
    taken = {rule.id for rule in DEFAULT_RULES.rules}
    for rule in own:
        if rule.id in taken:
            raise BadInput(f"{file}: rule {rule.id}: id: is taken by a default rule; choose another")
    return RuleSet(rules=DEFAULT_RULES.rules, own=own, source=str(file), text=text)


def example_evidence(rule: Rule, text: str) -> Evidence:
    """The evidence that a rule's example describes: a text, or `name: value` for a rule that asks for attributes."""
    name, _, value = text.partition(":")
    if name.strip().lower() in rule.fields:
        return Evidence(attributes={name.strip(): value.strip()})
    return Evidence(error=text)


def _check_examples(own: tuple[Rule, ...], source: str) -> None:
    alone = RuleSet(rules=(), own=own)
    for rule in own:
        for name, text, wanted in (("example", rule.example, True), ("counter", rule.counter, False)):
            matches = rule.id in {match.rule.id for match in explain(example_evidence(rule, text), alone)}
            if matches != wanted:
                stated = "must match the rule, and does not" if wanted else "must not match the rule, and does"
                raise BadInput(f"{source}: rule {rule.id}: {name}: {text[:80]!r} {stated}")
