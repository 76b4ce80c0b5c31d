"""The page of this path says, in the same order, what the rules do."""

from __future__ import annotations

import re
from pathlib import Path

from recovery.replication_tasks import rules, verify
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from tests.unit.replication_tasks import texts_page

TEXTS_PAGE = Path(__file__).parents[3] / "docs" / "paths" / "replication_texts.md"
PAGE = Path(__file__).parents[3] / "docs" / "paths" / "replication_tasks.md"


def _sentences(heading: str) -> list[str]:
    """The names in bold at the beginning of the numbered sentences below a heading."""
    part = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\d+\. \*\*([a-z-]+)\*\*", part, re.MULTILINE)


SENTENCES = _sentences("Decisions")
PACKAGE = Path(rules.__file__).parent


def _named_in(*folders: Path) -> set[str]:
    sources = [path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py")]
    pattern = r'(?:rule=|CALL_REFUSED = |_without_checkpoint\(facts, )"([a-z-]+)"'
    return {rule for source in sources for rule in re.findall(pattern, source)}


def test_the_page_shows_the_rules_in_their_order() -> None:
    """The sentences of the page are the rules, in the order in which the rules are asked."""
    assert [*rules.ON_THE_WAY, *rules.RULES] == SENTENCES


def test_every_rule_that_a_verdict_can_name_stands_on_the_page() -> None:
    """Verdicts are made in the rules alone, and each of their rules is a sentence of the page."""
    verified = set(_sentences("Verification"))
    assert _named_in(PACKAGE) - verified == set(SENTENCES)
    assert _named_in(PACKAGE.parent) == set(), "no verdict is made outside the rules"


def test_the_page_shows_how_a_restart_is_triaged() -> None:
    """Each judgement on a restart has its sentence."""
    source = Path(str(verify.__file__)).read_text(encoding="utf-8")
    with_outcome = set(re.findall(r'Outcome\.\w+,\s+"([a-z-]+)"', source))
    assert with_outcome == set(_sentences("Verification"))


def test_the_page_names_every_setting() -> None:
    """Every field of the request and its policy stands on the page."""
    page = PAGE.read_text(encoding="utf-8")
    fields = [*ReplicationRequest.model_fields, *ReplicationPolicy.model_fields]
    assert [name for name in fields if f"`{name}`" not in page] == []


def test_the_page_of_texts_is_the_table_of_texts() -> None:
    """The page shows each text of the table, and each text that was tried with what was decided."""
    assert TEXTS_PAGE.read_text(encoding="utf-8") == texts_page.page(), f"run {texts_page.__doc__}"
