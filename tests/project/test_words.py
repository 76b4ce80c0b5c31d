"""The project's English: the subject is the thing, and one thing has one word.

`python -m tests.project.test_words` lists every place where it is not so.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.checkout import files, modules, text

OPENER = re.compile(r"\W*(What|Whether|Where|How|Who|Which|When|Why)\b")
MESSAGES = frozenset({"warn", "complain", "error", "warning", "info", "print"})
DESCRIPTIONS = frozenset({"description", "help", "title", "reason"})

# Left: a word that is not used; right: the one that is. "dead letters" is what people call them, and stays; so does a
# word of other people's logs in an expression that finds it (`|said|`).
WORDS = {
    r"(?<!dead[ _-])(?<!dead\[ -\]\?)(?<!dead letter )(?<!case )letters?": "message",
    r"budgets?": "max_attempts",
    r"(?<!in[ _-])flights?": "send intent",
    r"passengers?|aboard": "pending send",
    r"doorbells?|bells?|unheard": "trigger, poller, unacknowledged trigger",
    r"holdings": "in flight",
    r"mend(?:s|ed|ing)?": "fix",
    r"judg(?:e|es|ed|ing)": "triage",
    r"tell|tells|told|(?<!\|)said": "notify, report",
    r"meant": "in scope",
}
_BANNED = {re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.IGNORECASE): use for word, use in WORDS.items()}

# Texts of other people's software, and this list.
NOT_OURS = (
    "recovery/failures/rules.yaml",
    "recovery/failures/languages.yaml",
    "recovery/failures/phrases.py",
    "tests/unit/failures/",
    "tests/project/test_words.py",
    "requirements.lock",
)


def openers(file: Path) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and messages of a module that begin with a relative word."""
    source = text(file)
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for written in _texts(node):
            if OPENER.match(written.value):
                yield written.lineno, written.value.strip().splitlines()[0]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and OPENER.match(token.string):
            before = ["", *source.splitlines()][token.start[0] - 1]
            if not before.lstrip().startswith("#"):  # a line of a longer comment begins anywhere
                yield token.start[0], token.string


class _Text:
    def __init__(self, lineno: int, value: str) -> None:
        self.lineno, self.value = lineno, value


def _texts(node: ast.AST) -> Iterator[_Text]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        yield _Text(node.lineno, node.value.value)
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield from _first(node.exc)
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in MESSAGES:
            yield from _first(node)
        for keyword in node.keywords:
            if keyword.arg in DESCRIPTIONS:
                yield from _literal(keyword.value)


def _first(call: ast.Call) -> Iterator[_Text]:
    if call.args:
        yield from _literal(call.args[0])


def _literal(node: ast.AST) -> Iterator[_Text]:
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield _Text(node.lineno, node.value)


def banned(file: Path) -> Iterator[tuple[int, str]]:
    """Words of a file for which the project has another one."""
    if str(file).startswith(NOT_OURS):
        return
    for number, line in enumerate(text(file).splitlines(), 1):
        for pattern, use in _BANNED.items():
            for found in pattern.finditer(line):
                yield number, f"{found[0]} -> {use}: {line.strip()[:100]}"


def test_nothing_opens_with_a_relative_word() -> None:
    """A docstring, a comment or a message begins with its subject or its verb: "Return the due rows"."""
    assert [f"{file}:{line}: {opener}" for file in modules() for line, opener in openers(file)] == []


def test_one_thing_has_one_word() -> None:
    """Code, docs and templates use the field's own words."""
    ours = files(".py", ".md", ".yaml", ".toml")
    assert [f"{file}:{line}: {word}" for file in ours for line, word in banned(file)] == []


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
