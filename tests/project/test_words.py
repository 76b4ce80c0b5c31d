"""The project's English: the subject is the thing, and one thing has one word.

The counts per folder may only fall; a folder that is not named has none. `python -m tests.project.test_words` lists
every place.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.checkout import files, modules, text

OPENER = re.compile(r"\W*(What|Whether|Where|How|Who|Which|When|Why)\b")
MESSAGES = frozenset({"warn", "complain", "error", "warning", "info", "print"})
DESCRIPTIONS = frozenset({"description", "help", "title", "reason"})

# Left: a word that is not used; right: the one that is. "dead letters" is what people call them, and stays.
WORDS = {
    r"(?<!dead[ _-])(?<!case )letters?": "message",
    r"budgets?": "max_attempts",
    r"(?<!in[ _-])flights?": "send intent",
    r"passengers?|aboard": "pending send",
    r"doorbells?|bells?|unheard": "trigger, poller, unacknowledged trigger",
    r"holdings": "in flight",
    r"mend(?:s|ed|ing)?": "fix",
    r"judg(?:e|es|ed|ing)": "triage",
    r"tell|tells|told|said": "notify, report",
    r"meant": "in scope",
}
_BANNED = {re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.IGNORECASE): use for word, use in WORDS.items()}

# Texts of other people's software, and this list.
NOT_OURS = (
    "recovery/failures/rules.yaml",
    "recovery/failures/phrases.py",
    "tests/unit/failures/",
    "tests/project/test_words.py",
    "requirements.lock",
)

OPENERS_LEFT: dict[str, int] = {}
WORDS_LEFT: dict[str, int] = {
    ".": 7,
    "deployments": 13,
    "docs": 85,
    "flows": 2,
    "proof": 9,
    "recovery": 11,
    "recovery/appflow_runs": 78,
    "recovery/dead_letters": 35,
    "recovery/events": 1,
    "recovery/failures": 114,
    "recovery/outbox_records": 29,
    "recovery/replication_tasks": 153,
    "relay": 94,
    "tasks": 2,
    "tests": 11,
    "tests/browser": 2,
    "tests/gateways": 443,
    "tests/orchestration": 14,
    "tests/project": 11,
    "tests/proof": 1,
    "tests/security": 1,
    "tests/unit": 390,
}


def openers(file: Path) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and messages of a module that begin with a relative word."""
    source = text(file)
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for said in _texts(node):
            if OPENER.match(said.value):
                yield said.lineno, said.value.strip().splitlines()[0]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and OPENER.match(token.string):
            before = ["", *source.splitlines()][token.start[0] - 1]
            if not before.lstrip().startswith("#"):  # a line of a longer comment begins anywhere
                yield token.start[0], token.string


class _Said:
    def __init__(self, lineno: int, value: str) -> None:
        self.lineno, self.value = lineno, value


def _texts(node: ast.AST) -> Iterator[_Said]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        yield _Said(node.lineno, node.value.value)
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield from _first(node.exc)
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in MESSAGES:
            yield from _first(node)
        for keyword in node.keywords:
            if keyword.arg in DESCRIPTIONS:
                yield from _literal(keyword.value)


def _first(call: ast.Call) -> Iterator[_Said]:
    if call.args:
        yield from _literal(call.args[0])


def _literal(node: ast.AST) -> Iterator[_Said]:
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield _Said(node.lineno, node.value)


def banned(file: Path) -> Iterator[tuple[int, str]]:
    """Words of a file for which the project has another one."""
    if str(file).startswith(NOT_OURS):
        return
    for number, line in enumerate(text(file).splitlines(), 1):
        for pattern, use in _BANNED.items():
            for found in pattern.finditer(line):
                yield number, f"{found[0]} -> {use}: {line.strip()[:100]}"


def folder(file: Path) -> str:
    """The folder whose count a file adds to: of `recovery` and `tests` the folders in them, too."""
    parts = file.parts[:-1]
    return "/".join(parts[:2] if parts[:1] in (("recovery",), ("tests",)) else parts[:1]) or "."


def _counted(found: Iterator[Path]) -> Counter[str]:
    return Counter(folder(file) for file in found)


def _above(found: Counter[str], allowed: dict[str, int]) -> dict[str, str]:
    return {name: f"{n}, allowed {allowed.get(name, 0)}" for name, n in found.items() if n > allowed.get(name, 0)}


def test_nothing_opens_with_a_relative_word() -> None:
    """A docstring, a comment or a message begins with its subject or its verb: "Return the due rows"."""
    assert _above(_counted(f for f in modules() for _ in openers(f)), OPENERS_LEFT) == {}


def test_one_thing_has_one_word() -> None:
    """Code, docs and templates use the field's own words."""
    ours = files(".py", ".md", ".yaml", ".toml")
    assert _above(_counted(f for f in ours for _ in banned(f)), WORDS_LEFT) == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""What it is."""\n', 1),
        ('"""It is."""\nx = 1\n"""Where it stands."""\n', 1),
        ('raise ValueError(f"Which one: {x}")\n', 1),
        ('Field(1, description="How often.")\n', 1),
        ("# Why this\nx = 1  # it is\n", 1),
        ('"""Whatever comes."""\n# a comment\n# Where a line begins\n', 0),
    ],
)
def test_openers_are_found(source: str, count: int, tmp_path: Path) -> None:
    """The count counts."""
    file = tmp_path / "m.py"
    file.write_text(source)
    assert len(list(openers(file))) == count


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("a letter", 1),
        ("dead letters, dead_letters, dead-letter, DeadLetter, lower-case letters", 0),
        ("the flight of what is in flight or in_flight", 1),
        ("as it was told and meant; untold_meaning", 2),
    ],
)
def test_banned_words_are_found(line: str, count: int, tmp_path: Path) -> None:
    """The count counts."""
    file = tmp_path / "page.md"
    file.write_text(line)
    assert len(list(banned(file))) == count


if __name__ == "__main__":
    for each in files(".py", ".md", ".yaml", ".toml"):
        places = [*(openers(each) if each.suffix == ".py" else ()), *banned(each)]
        sys.stdout.writelines(f"{each}:{place}: {line}\n" for place, line in places)
