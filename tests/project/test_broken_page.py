"""docs/broken.md names tests that exist: each of its lines was tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.checkout import PROJECT, text

PAGE = text(Path("docs/broken.md"))
NAMED = sorted(set(re.findall(r"`((?:[a-z]+/)?test_\w+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_line_of_the_page_names_a_test(file: str, test: str) -> None:
    """So a test that is renamed or deleted takes its line along."""
    place = PROJECT / "tests" / (file if "/" in file else f"project/{file}")
    assert re.search(rf"^def {test}\(", place.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_line_names_one() -> None:
    """The lines of the two tables without alarms."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "alarm `" not in line]
    heads = [line for line in rows if line.startswith("| what is broken")]
    assert len(rows) - len(heads) == sum(".py::" in line for line in rows) >= len(NAMED) > 10
