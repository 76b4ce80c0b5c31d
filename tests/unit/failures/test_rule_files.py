"""Users' own rule files: tried first, checked like the packaged one, refused with the rule's id and the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recovery.errors import BadInput
from recovery.failures import DEFAULT_RULES, Evidence, Kind, diagnose, fingerprint, load_rules

GOOD: dict[str, Any] = {
    "id": "shop.voucher",
    "kind": "VALIDATION_ERROR",
    "phrases": "voucher * used up",
    "why": "The voucher cannot be used again.",
    "example": "voucher A1 is used up",
    "counter": "voucher created",
    "action": "archive",
}


def written(tmp_path: Path, *rules: Any, **top: Any) -> Path:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"version": 1, "rules": list(rules), **top}), encoding="utf-8")
    return file


def test_a_users_rule_wins_over_every_default_and_names_an_action(tmp_path: Path) -> None:
    """A new failure type is a rule and a policy line, no code."""
    rules = load_rules(written(tmp_path, GOOD))
    said = diagnose(Evidence(error="Connection refused: voucher A1 is used up"), rules)
    assert (said.kind, said.rule, said.action, said.transient) == (
        Kind.VALIDATION_ERROR,
        "shop.voucher",
        "archive",
        False,
    )
    assert diagnose(Evidence(error="Connection refused"), rules).kind is Kind.DEPENDENCY_FAILURE


def test_of_a_users_rules_the_first_that_matches_decides(tmp_path: Path) -> None:
    """In the order of the file, whatever their tiers."""
    second = {
        **GOOD,
        "id": "shop.any",
        "phrases": "voucher",
        "kind": "CODE_BUG",
        "action": "alert",
        "counter": "coupon",
    }
    assert (
        diagnose(Evidence(error="voucher A1 is used up"), load_rules(written(tmp_path, GOOD, second))).rule
        == "shop.voucher"
    )
    assert (
        diagnose(Evidence(error="voucher A1 is used up"), load_rules(written(tmp_path, second, GOOD))).rule
        == "shop.any"
    )


def test_rules_may_ask_for_attributes(tmp_path: Path) -> None:
    """By name and value, letter case ignored."""
    rule = {**GOOD, "fields": {"x-retry-class": ["never", "hopeless"]}, "example": "X-Retry-Class: hopeless"}
    rules = load_rules(written(tmp_path, {k: v for k, v in rule.items() if k != "phrases"}))
    assert diagnose(Evidence(error="?", attributes={"X-Retry-Class": "Never"}), rules).rule == "shop.voucher"
    assert diagnose(Evidence(error="?", attributes={"X-Retry-Class": "soon"}), rules).rule == "none"


def test_yaml_lists_phrases_by_line_and_names_by_word(tmp_path: Path) -> None:
    """Rule files need no quotation marks."""
    file = tmp_path / "rules.yaml"
    file.write_text(
        "version: 1\nrules:\n- id: a\n  kind: THROTTLED\n  names: SlowLane ShopBusy\n  codes: http:461\n "
        " phrases: |\n    come back tomorrow\n"
        "    closed for [today|lunch]\n  and: |\n    shop\n  unless: |"
        "\n    forever\n  why: w\n  example: shop closed for lunch\n  counter: open\n",
        encoding="utf-8",
    )
    rules = load_rules(file)
    for text in (
        "shop says SlowLane",
        "shop answered HTTP 461",
        "The shop is closed for lunch",
        "come back tomorrow, says the shop",
    ):
        assert diagnose(Evidence(error=text), rules).rule == "a", text
    for text in ("closed for lunch", "shop closed for lunch forever"):
        assert diagnose(Evidence(error=text), rules).rule != "a", text


WRONG: dict[str, tuple[Any, str]] = {
    "no rule": ({}, "rules"),
    "no mapping": ("x", "rule number 1"),
    "no id": ({**GOOD, "id": None}, "rule number 1: id"),
    "id in capitals": ({**GOOD, "id": "Shop"}, "rule number 1: id"),
    "unknown kind": ({**GOOD, "kind": "MAGIC"}, "rule shop.voucher: kind"),
    "kind UNKNOWN": ({**GOOD, "kind": "UNKNOWN"}, "rule shop.voucher: kind"),
    "kind of another type": ({**GOOD, "kind": ["TIMEOUT"]}, "rule shop.voucher: kind"),
    "unknown tier": ({**GOOD, "tier": "best"}, "rule shop.voucher: tier"),
    "no reason": ({**GOOD, "why": " "}, "rule shop.voucher: why"),
    "no example": ({key: value for key, value in GOOD.items() if key != "example"}, "rule shop.voucher: example"),
    "no counter-example": (
        {key: value for key, value in GOOD.items() if key != "counter"},
        "rule shop.voucher: counter",
    ),
    "example that does not match": ({**GOOD, "example": "voucher created"}, "rule shop.voucher: example"),
    "counter-example that matches": ({**GOOD, "counter": "voucher A1 is used up"}, "rule shop.voucher: counter"),
    "unknown action": ({**GOOD, "action": "explode"}, "rule shop.voucher: action"),
    "unknown field": ({**GOOD, "regex": "x"}, "rule shop.voucher: regex"),
    "phrases of another type": ({**GOOD, "phrases": [1]}, "rule shop.voucher: phrases"),
    "nothing to look for": (
        {key: value for key, value in GOOD.items() if key != "phrases"},
        "rule shop.voucher: phrases",
    ),
    "too many gaps": ({**GOOD, "phrases": "a * b * c * d"}, "rule shop.voucher: phrases"),
    "a gap at the end": ({**GOOD, "phrases": "voucher *"}, "rule shop.voucher: phrases"),
    "an empty choice": ({**GOOD, "phrases": "voucher []"}, "rule shop.voucher: phrases"),
    "only optional words": ({**GOOD, "phrases": "[a|]"}, "rule shop.voucher: phrases"),
    "a phrase too long": ({**GOOD, "phrases": "word " * 300}, "rule shop.voucher: phrases"),
    "a code of no family": ({**GOOD, "codes": "503"}, "rule shop.voucher: codes"),
    "a name without letters": ({**GOOD, "names": "--"}, "rule shop.voucher: names"),
    "fields of another type": ({**GOOD, "fields": ["x"]}, "rule shop.voucher: fields"),
    "field values of another type": ({**GOOD, "fields": {"x": {"y": 1}}}, "rule shop.voucher: fields"),
    "the id of a default rule": ({**GOOD, "id": "dependency.deadlock"}, "rule dependency.deadlock: id"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_a_wrong_rule_is_refused_with_its_id_and_the_field(tmp_path: Path, wrong: tuple[Any, str]) -> None:
    """The message names what to change."""
    rule, where = wrong
    with pytest.raises(BadInput) as refused:
        load_rules(written(tmp_path, *([rule] if rule else [])))
    assert where in str(refused.value)


def test_two_rules_with_one_id_are_refused(tmp_path: Path) -> None:
    """An id stands in reports and cases: it must name one rule."""
    with pytest.raises(BadInput, match=r"shop\.voucher: id: stands twice"):
        load_rules(written(tmp_path, GOOD, GOOD))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "neither YAML nor JSON"),
        ("[]", "mapping"),
        ('{"version": 2, "rules": []}', "version"),
        ('{"version": 1}', "rules"),
        ('{"version": 1, "rules": "x"}', "rules"),
        ('{"version": 1, "rule": []}', "rule"),
        ("a: &a [*a]", "mapping|version|neither"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Each mistake is reported with the file's name."""
    file = tmp_path / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=said):
        load_rules(file)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    """A setting, not a crash."""
    with pytest.raises(BadInput, match="cannot be read"):
        load_rules(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read"):
        load_rules(tmp_path / "x.yaml")


def test_the_default_rules_are_read_once_and_late() -> None:
    """Importing stays quick; the rules are the same object afterwards."""
    assert DEFAULT_RULES.rules is DEFAULT_RULES.rules
    assert DEFAULT_RULES.by_id("dependency.deadlock") is not None
    assert DEFAULT_RULES.by_id("no such rule") is None


OWN_KINDS = """
version: 1
kinds:
  CARRIER_STRIKE: {action: leave, why: nobody drives}
  NIGHT_CLOSED: {action: heal, transient: true}
rules:
- {id: depot.strike, kind: CARRIER_STRIKE, phrases: [drivers on strike], why: nobody drives, example: drivers on strike,
   counter: drivers on the road}
- {id: depot.night, kind: NIGHT_CLOSED, phrases: [closed at night], why: closed, example: closed at night,
   counter: open at night}
"""


def test_a_rule_file_may_add_kinds_with_a_default_action(tmp_path: Path) -> None:
    """The kind, its action and whether it passes by itself come out of the diagnosis, and a group has the kind."""
    file = tmp_path / "rules.yaml"
    file.write_text(OWN_KINDS)
    rules = load_rules(file)
    strike = diagnose(Evidence(error="drivers on strike"), rules)
    assert (strike.kind, strike.kind_action, strike.action, strike.transient) == ("CARRIER_STRIKE", "leave", "", False)
    assert strike.kind == Kind("CARRIER_STRIKE")
    assert diagnose(Evidence(error="closed at night"), rules).transient
    assert fingerprint(strike, "x") == fingerprint("CARRIER_STRIKE", "x") != fingerprint("NIGHT_CLOSED", "x")
    assert rules.own_kinds == {"CARRIER_STRIKE", "NIGHT_CLOSED"}
    assert len(set(Kind)) == 8


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ("kinds: []", "kinds: expected a mapping"),
        ("kinds: {strike: {action: leave}}", "expected 3 to 40 upper-case characters"),
        ("kinds: {TIMEOUT: {action: leave}}", "one of the eight"),
        ("kinds: {STRIKE: leave}", "expected a mapping with `action`"),
        ("kinds: {STRIKE: {action: nap}}", "action: expected one of heal"),
        ("kinds: {STRIKE: {action: leave, transient: maybe}}", "transient: expected true or false"),
        ("kinds: {STRIKE: {action: leave, color: red}}", "color: unknown field"),
    ],
)
def test_a_wrong_kind_is_named(tmp_path: Path, kinds: str, said: str) -> None:
    """One line with the field and what was expected."""
    file = tmp_path / "rules.yaml"
    file.write_text(
        f"version: 1\n{kinds}\nrules:\n- {{id: a.b, kind: TIMEOUT, names: [X], why: x, example: X, counter: y}}\n"
    )
    with pytest.raises(BadInput, match=said):
        load_rules(file)


def test_a_rule_of_a_kind_that_no_file_adds_is_refused(tmp_path: Path) -> None:
    """A slip of the pen is no new kind."""
    file = tmp_path / "rules.yaml"
    file.write_text("version: 1\nrules:\n- {id: a.b, kind: TIMEOUTT, names: [X], why: x, example: X, counter: y}\n")
    with pytest.raises(BadInput, match="kind: expected one of"):
        load_rules(file)
