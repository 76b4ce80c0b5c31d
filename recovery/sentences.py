"""A run in sentences: its name, and the lines of its log. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from recovery.markdown import cut, subject
from recovery.paths import counts, done, info
from recovery.report import LISTED, GroupRow, RecoveryReport, urgency

_CLAUSE = re.compile(r"\.? \(default for |\.?; ")


class Level(IntEnum):
    """Levels of a log line, by the numbers that `logging` gives them."""

    STORY = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Sentence:
    """A line of a run's log.

    Attributes:
        level: STORY for what was done, WARNING for what waits for a person, ERROR for what did not go through.
        text: one line; normalised texts and ids only.
    """

    level: Level
    text: str


@dataclass
class _Tally:
    total: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


def run_name(of: str, report: RecoveryReport) -> str:
    """Return a run's name, with its counts in it.

    Args:
        of: the subject of its request, as a queue's name.
        report: of the run.
    """
    name = f"{of}: {counts(report.by_action) or 'nothing to do'}"
    if report.unsettled:
        name += f", {report.unsettled} stuck"
    return f"{name} (dry run)" if report.dry_run else name


def story(report: RecoveryReport) -> list[Sentence]:
    """Return the lines of a run's log: one for each source, one for each group that waits for a person or is stuck.

    Problems and warnings follow in their own words, each a line that a person can act on.
    """
    found = [Sentence(Level.STORY, _of_source(source, rows)) for source, rows in _by_source(report).items()]
    if not found:
        found.append(Sentence(Level.STORY, "nothing was found"))
    if report.recovered:
        found.append(Sentence(Level.STORY, f"{report.recovered} of earlier runs proved recovered"))
    waiting = [row for row in sorted(report.groups, key=urgency) if row.next_step or not row.settled]
    found += [_of_group(report, row) for row in waiting[:LISTED]]
    if len(waiting) > LISTED:
        found.append(
            Sentence(Level.WARNING, f"{len(waiting) - LISTED} more groups are in the report and its full list")
        )
    found += [Sentence(Level.WARNING, cut(line)) for line in report.warnings]
    found += [Sentence(Level.ERROR, cut(line)) for line in report.problems]
    return [Sentence(each.level, f"{'dry run: ' * report.dry_run}{each.text}") for each in found]


def _by_source(report: RecoveryReport) -> Mapping[str, list[GroupRow]]:
    named = info(report.path).named
    found: dict[str, list[GroupRow]] = {}
    for row in report.groups:
        # Items with names of their own are few, and the path says more than the engine or connector that they are of.
        found.setdefault(info(report.path).label if named else row.source, []).append(row)
    return found


def _of_source(source: str, rows: Iterable[GroupRow]) -> str:
    tallies: dict[str, _Tally] = {}
    for row in rows:
        tally = tallies.setdefault(done(row.action) if row.settled else "stuck", _Tally())
        tally.total += row.count
        if row.kind:
            tally.kinds[row.kind] += row.count
    return f"{source}: " + ", ".join(f"{tally.total} {what}{_kinds(tally)}" for what, tally in tallies.items())


def _kinds(tally: _Tally) -> str:
    named = ", ".join(f"{kind} {count}" for kind, count in tally.kinds.most_common())
    return f" ({named})" if named else ""


def _of_group(report: RecoveryReport, row: GroupRow) -> Sentence:
    named = info(report.path).named
    what = subject(row.samples, row.count) if named else f"{row.count} of {row.source}"
    text = f"{what} {done(row.action) if row.settled else 'stuck'}"
    if row.kind:
        text += f" for {row.kind}"
    text += f": {_first(row.reason)}"
    if row.next_step:
        text += f"; next step: {_first(row.next_step)}"
    marks = [f"group {row.group}"] * bool(row.group) + [f"rule {row.rule}"] * bool(row.rule)
    if not named:
        marks += [f"for example {sample}" for sample in row.samples[:1]]
    return Sentence(Level.WARNING if row.settled else Level.ERROR, f"{text} ({', '.join(marks)})" if marks else text)


def _first(text: str) -> str:
    """The first clause; the report has the whole."""
    return cut(_CLAUSE.split(text, maxsplit=1)[0])
