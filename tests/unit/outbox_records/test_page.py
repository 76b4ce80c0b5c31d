"""The page of the path says what its rules and its policy say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, TypeGuard

import pytest
import yaml

from recovery.outbox_records.policy import OutboxPolicy, OutboxRequest

PROJECT = Path(__file__).parents[3]
PAGE = (PROJECT / "docs/paths/outbox_records.md").read_text(encoding="utf-8")


def source(module: str) -> str:
    return (PROJECT / "recovery/outbox_records" / f"{module}.py").read_text(encoding="utf-8")


def test_the_sentences_are_the_rules_in_their_order() -> None:
    """Every rule that `decide` can name has its sentence, in the order of the code; a row that is gone needs none."""
    body = source("rules").split("def decide", 1)[1].split("\n\n\n", 1)[0]
    decided = re.findall(r'Action\.\w+,\s+"([a-z-]+)"|(message\.rule)', body)
    rules = list(dict.fromkeys(rule or "what the message lacks" for rule, _ in decided if rule != "gone"))
    sentences = re.findall(r"^\d+\. (\*\*[a-z-]+\*\*(?:, \*\*[a-z-]+\*\*)*)", PAGE, re.MULTILINE)
    reported = [each.strip("*") if ", " not in each else "what the message lacks" for each in sentences]
    assert len(rules) == 7
    assert reported == rules


def verdicts(module: Path) -> list[ast.Call]:
    """The calls that make a verdict, or what becomes one."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [
        node for node in calls if isinstance(node.func, ast.Name) and node.func.id in ("Verdict", "Unsendable", "Held")
    ]


def test_every_rule_that_a_report_can_show_stands_on_the_page() -> None:
    """In bold messages, whichever module names it; a rule that no code names stands there no more."""
    named: set[str] = set()
    for module in (PROJECT / "recovery/outbox_records").glob("*.py"):
        for call in verdicts(module):
            texts = {node.value for argument in call.args[:2] for node in ast.walk(argument) if _is_text(node)}
            named |= {text for text in texts if re.fullmatch(r"[a-z-]+", text)}
    named |= set(re.findall(r'rule="([a-z-]+)"', source("rules")))
    shown = set(re.findall(r"\*\*([a-z-]+)\*\*", PAGE))
    assert named - shown == set()
    assert shown - named == set()
    assert len(named) > 30


def _is_text(node: ast.AST) -> TypeGuard[Any]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_all_verdicts_are_made_in_one_module() -> None:
    """Gathering and acting carry verdicts and make none."""
    for module in (PROJECT / "recovery/outbox_records").glob("*.py"):
        made = [call for call in verdicts(module) if isinstance(call.func, ast.Name) and call.func.id == "Verdict"]
        assert not made or module.stem == "rules", module.stem


def test_the_page_names_every_field_of_the_policy() -> None:
    """The table has each field once, with its default where that is a plain number."""
    section = PAGE.split("\n## Policy\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*$", section, re.M)]
    named: dict[str, str] = {}
    for names, default, _ in rows:
        fields = re.findall(r"`([a-z_]+)`", names)
        named |= dict(zip(fields, default.split(", ") if len(fields) > 1 else [default], strict=True))
    assert set(named) == set(OutboxPolicy.model_fields)
    for name, field in OutboxPolicy.model_fields.items():
        if isinstance(field.default, int | float):
            assert named[name] == f"{field.default:g}" or named[name] == str(field.default), name


def test_the_page_names_every_field_of_the_request() -> None:
    """Each stands somewhere on the page in its own messages."""
    for name in OutboxRequest.model_fields:
        assert re.search(rf"`{name}[`:]|{name}=", PAGE), name


def test_a_pass_over_a_large_table_takes_as_long_as_the_page_says() -> None:
    """A read unit is 8 KiB of a scan, and of each hour a search works as long as its deployment's time limit."""
    deployments = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    [found] = [each for each in deployments if each["name"] == "find-lost"]
    of_each_hour = found["parameters"]["request"]["time_limit_seconds"]
    assert found["schedules"][0]["interval"] == 3_600
    seconds = 100e9 / (OutboxPolicy().scan_units_per_second * 8_192)
    [hours] = re.findall(r"A pass over 100 GB at the default rate takes about (\d+) hours", PAGE)
    assert int(hours) == pytest.approx(seconds / of_each_hour, abs=1)
