"""The page docs/paths/replication_texts.md, made from the table of texts and from the texts that were tried.

python -m tests.unit.replication_tasks.texts_page > docs/paths/replication_texts.md
"""

from __future__ import annotations

import sys

from recovery.replication_tasks.causes import cause_of
from recovery.replication_tasks.models import History
from recovery.replication_tasks.rules import decide
from recovery.replication_tasks.situation import Situation
from recovery.replication_tasks.texts import table
from tests.unit.replication_tasks.failure_texts import TEXTS, failed_with
from tests.unit.replication_tasks.situations import NOW, RELOADABLE

HEAD = """# Failure texts of replications

The words of DMS and of the engines behind it that mean something for a restart beyond the eight kinds of
[diagnosis](../diagnosis.md), from `recovery/replication_tasks/texts.yaml`. Made by
`python -m tests.unit.replication_tasks.texts_page`; a test compares.

- **position lost**: change capture cannot go on from where it stopped. Counted only where a whole phrase is reported as
  what happened, in a failure that DMS does not call recoverable, of a task that has a position, and beside no words of
  an outage; else one resume shows.
- **lasting**: the same restart fails again until a person does what stands in the last column.
- **resting**: something must come back first; it is resumed after a rest.
- **pressure**, **unsure**: one restart, then a person.
- Everything else is read by `recovery.failures`: outages are resumed, refusals and bad data go to a person, and
  what nobody knows is resumed once.
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD, "## Known texts", "", "| text | engine | nature | meaning | what a person does | source |"]
    lines.append("|---|---|---|---|---|---|")
    for one in table():
        cells = (f"`{one.id}`", one.engine, one.nature.value, one.reason, one.step or "-", one.source)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    lines += ["", "## Texts tried", "", "Decided for a task with a checkpoint whose policy allows a reload.", ""]
    lines += ["| engine | text | read as | decided | facts from |", "|---|---|---|---|---|"]
    for text in TEXTS:
        facts = failed_with(text.text, text.migration)
        verdict = type(decide(Situation(facts, History()), RELOADABLE, NOW)).__name__.lower()
        reported = text.text.removeprefix("Last Error  ")
        tried = (text.engine, reported, cause_of(facts).nature.value, verdict, text.source)
        lines.append("| " + " | ".join(_cell(cell) for cell in tried) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(page())
