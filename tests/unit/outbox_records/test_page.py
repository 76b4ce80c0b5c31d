"""The page of the path says what its rules and its policy say."""

from __future__ import annotations

import re
from pathlib import Path

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
    told = [each.strip("*") if ", " not in each else "what the message lacks" for each in sentences]
    assert len(rules) == 7
    assert told == rules


def test_the_rows_that_sns_would_never_take_are_all_named() -> None:
    """Each reason for which no message can be made stands in the sentence about them."""
    reasons = set(re.findall(r'Kind\.\w+,\s*"([a-z-]+)"', source("message") + source("fifo")))
    reasons |= set(re.findall(r'Action\.EXHAUST,\s+"([a-z-]+)"', source("fifo")))
    [sentence] = [each for each in re.findall(r"^\d+\. (.*)$", PAGE, re.MULTILINE) if ", **" in each]
    start = PAGE.index(sentence)
    assert {*re.findall(r"\*\*([a-z-]+)\*\*", PAGE[start : start + 300])} >= reasons
    assert len(reasons) == 6


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
    """Each stands somewhere on the page in its own letters."""
    for name in OutboxRequest.model_fields:
        assert re.search(rf"`{name}[`:]|{name}=", PAGE), name
