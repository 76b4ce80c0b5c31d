"""The page of a path says what its rules say, in their order."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import yaml

from recovery.dead_letters.actions import DEFAULT_ACTIONS
from recovery.dead_letters.policy import DeadLetterPolicy
from tests.project.checkout import text

PAGE = text(Path("docs/paths/dead_letters.md"))
OPERATIONS = text(Path("docs/operations.md"))
RULES = text(Path("recovery/dead_letters/rules.py"))


def test_the_sentences_of_the_dead_letter_page_are_its_rules_in_order() -> None:
    """Each rule that `decide` goes through has its sentence, under the rule's id and in the order of the code."""
    rules = re.findall(r"^ +if .*  # ([a-z-]+)$", RULES, re.MULTILINE)
    sentences = re.findall(r"^\d+\. \*\*([a-z-]+)\*\* ", PAGE, re.MULTILINE)
    assert len(rules) > 10
    assert sentences == rules


def test_the_dead_letter_page_names_every_field_of_the_policy() -> None:
    """The page's table has each field once, with its default where that is a plain value."""
    section = PAGE.split("\n## Policy\n", 1)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*$", section, re.M)]
    named = {name: default for names, default, _ in rows for name in re.findall(r"`([a-z_]+)`", names)}
    assert set(named) == set(DeadLetterPolicy.model_fields)
    for name, field in DeadLetterPolicy.model_fields.items():
        if isinstance(field.default, bool | int) and field.default is not None:
            assert named[name].strip("`") == str(field.default).lower(), name


def test_the_dead_letter_page_shows_the_default_action_of_every_kind() -> None:
    """The table of kinds is the code's."""
    reported: dict[str, str] = {}
    for kinds, action in re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| (\w+)", PAGE, re.MULTILINE):
        reported |= dict.fromkeys(re.findall(r"[A-Z_]+", kinds), action)
    assert reported == {kind.value: action.value for kind, action in DEFAULT_ACTIONS.items()}


def test_the_operations_page_shows_every_deployment() -> None:
    """Its table has each deployment of `prefect.yaml` with its interval, its `dry_run`, and what a second run does."""
    configured = yaml.safe_load(text(Path("prefect.yaml")))["deployments"]
    rows = re.findall(r"^\| `([a-z-]+/[a-z-]+)` \| ([^|]+) \| (\w+)[^|]* \| ([^|]+) \|$", OPERATIONS, re.MULTILINE)
    reported = {name: (when, dry, busy) for name, when, dry, busy in rows}
    expected = {}
    for deployment in configured:
        module, _, function = deployment["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), function)
        expected[f"{flow.name}/{deployment['name']}"] = deployment
    assert set(reported) == set(expected)
    for name, deployment in expected.items():
        when, dry, busy = reported[name]
        for schedule in deployment.get("schedules", []):
            assert f"every {schedule['interval'] // 60} minutes" in when, name
        assert dry == str(deployment["parameters"]["request"].get("dry_run", "none")).lower(), name
        waits = deployment["concurrency_limit"]["collision_strategy"] == "ENQUEUE"
        assert ("waits" in busy) == waits, name
