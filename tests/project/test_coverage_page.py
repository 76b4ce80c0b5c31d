"""The page of what is covered leads to files, commands and deployments that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deployments import cases, messages, plans, sample
from deployments.command import COMMANDS
from tests.project.checkout import PROJECT, text

PAGE = text(Path("docs/coverage.md"))
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| capability")
]
GROUPS = {"cases": cases, "plans": plans, "messages": messages, "sample": sample}
DEPLOYMENTS = {
    f"{each['tags'][0]}/{each['name']}" for each in yaml.safe_load(text(Path("prefect.yaml")))["deployments"]
}


def exists(name: str) -> bool:
    """True for a command, a target of make, a deployment, or a file of the project."""
    program, *words = name.split()
    if program == "reprise":
        first, *rest = words
        return first in COMMANDS or (first in GROUPS and all(word in GROUPS[first].COMMANDS for word in rest))
    if program == "make":
        return f"\n{words[0]}:" in text(Path("Makefile"))
    return name in DEPLOYMENTS or (PROJECT / name).exists()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_leads_to_what_exists(row: list[str]) -> None:
    """Each has a place, something that shows it, and a difference in words."""
    assert len(row) == 4
    for cell in row[1:3]:
        names = re.findall(r"`([^`]+)`", cell)
        assert names
        assert [name for name in names if not exists(name)] == []
    assert [name for name in re.findall(r"`(reprise [^`]+)`", row[3]) if not exists(name)] == []


def test_each_path_and_what_is_not_there_are_seen() -> None:
    """The check itself can fail."""
    assert len(ROWS) > 30
    assert not exists("reprise heal")
    assert not exists("reprise cases shred")
    assert not exists("recovery/nowhere.py")
    assert not exists("make coffee")
