"""A run's findings and actions as a value, and their form for people. Pure.

A `Tally` takes one `Entry` for each item and keeps counts and a few samples, so that its size does not grow with the
queue; the full list goes to the archive, line by line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recovery.paths import counts

SAMPLES = 5
"""Sample ids kept for each group."""
LISTED = 50
"""Rows shown of any list in an artifact; the full list lies in S3."""
MOST_GROUPS = 1000
"""Groups that a run keeps apart."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Outcome of one item.

    Attributes:
        key: message id, row key, task or flow name.
        source: the place where it was found (queue, table ...).
        kind, diagnosis, group: the failure's kind, the rule that diagnosed it, its fingerprint ("" where the item was
            not diagnosed).
        rule: the rule of the verdict; it stands on the path's page.
        action: the action taken ("heal", "alert", "archive", "leave", ...).
        reason: the verdict's sentence.
        error: the normalised error text.
        attempt, max_attempts: attempt n of m (0 of 0 where it does not apply).
        settled: False when the action did not go through and the item stays where it was.
        next_step: the action for a person, or "".
        exhausted: its attempts are used up.
        became: the id under which it goes on, where that is another one.
        pages: labels and addresses of pages in the AWS console; only of what waits for a person.
    """

    key: str
    source: str
    action: str
    reason: str
    kind: str = ""
    diagnosis: str = ""
    rule: str = ""
    group: str = ""
    error: str = ""
    attempt: int = 0
    max_attempts: int = 0
    settled: bool = True
    next_step: str = ""
    exhausted: bool = False
    became: str = ""
    pages: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """One line of the full list in the archive."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "pages"}


class GroupRow(BaseModel):
    """Alike items of one source to which the same was done."""

    model_config = ConfigDict(frozen=True)

    source: str
    kind: str
    group: str
    action: str
    settled: bool
    count: int
    reason: str
    error: str = ""
    diagnosis: str = ""
    rule: str = ""
    samples: tuple[str, ...] = ()
    next_step: str = ""
    exhausted: bool = False
    pages: tuple[tuple[str, str], ...] = ()


class Number(BaseModel):
    """A number that a path gives of its run, for metrics.

    Attributes:
        name: the metric.
        value: the number.
        unit: CloudWatch's name of the unit.
        source: the queue, table ... that it speaks of.
        is_worst: of several, the largest counts (an age), not the sum.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    value: float
    unit: str = "Count"
    source: str = ""
    is_worst: bool = False


class RecoveryReport(BaseModel):
    """The result of one run of a recovery path."""

    model_config = ConfigDict(frozen=True)

    path: str
    run: str = Field(description="Name of the run.")
    started: datetime
    seconds: float
    dry_run: bool
    found: int = Field(description="Items inspected.")
    by_kind: Mapping[str, int]
    by_action: Mapping[str, int] = Field(description="Settled items by action (in a dry run: what would be done).")
    unsettled: int = Field(description="Items whose action did not go through; they stay where they were.")
    recovered: int = Field(0, description="Items brought back earlier that have now stayed away for the settle time.")
    seconds_to_recover: float | None = Field(None, description="Mean time from first sight to recovered, in seconds.")
    missed_events: int = Field(0, description="Items that only the sweep found.")
    groups: tuple[GroupRow, ...] = ()
    problems: tuple[str, ...] = Field(
        (), description="Work that could not be done, each a line that a person can act on."
    )
    warnings: tuple[str, ...] = ()
    requests: Mapping[str, int] = Field(default_factory=dict, description="AWS requests by service.")
    full_list: str = Field("", description="s3:// address of the full list.")
    pictures: tuple[tuple[str, int], ...] = Field((), description="Further bars of the chart: label and value.")
    facts: tuple[str, ...] = Field((), description="Further lines about the run: rates, ages.")
    numbers: tuple[Number, ...] = Field((), description="Numbers for metrics that follow from nothing else here.")

    def __str__(self) -> str:
        """One sentence."""
        return headline(self)

    @property
    def is_quiet(self) -> bool:
        """Nothing was found and nothing went wrong: no artifact is worth making."""
        return not (self.found or self.recovered or self.problems or self.warnings)

    @property
    def failed(self) -> bool:
        """True when the run must end as failed, after its report was published."""
        return bool(self.problems or self.unsettled)


@dataclass
class Tally:
    """Counts entries as they come; its size is bounded by the number of groups."""

    by_kind: Counter[str] = field(default_factory=Counter)
    by_action: Counter[str] = field(default_factory=Counter)
    found: int = 0
    unsettled: int = 0
    _groups: dict[tuple[str, str, str, str, bool, bool], GroupRow] = field(default_factory=dict)

    def add(self, entries: Iterable[Entry]) -> None:
        """Count these items."""
        for entry in entries:
            self.found += 1
            if entry.kind:
                self.by_kind[entry.kind] += 1
            if entry.settled:
                self.by_action[entry.action] += 1
            else:
                self.unsettled += 1
            self._count_group(entry)

    def groups(self) -> tuple[GroupRow, ...]:
        """The groups, the largest first."""
        return tuple(sorted(self._groups.values(), key=lambda row: (-row.count, row.source, row.group, row.action)))

    def _count_group(self, entry: Entry) -> None:
        # An item that was not diagnosed has no fingerprint: it is grouped by its reason.
        key = (
            entry.source,
            entry.group or entry.reason,
            entry.kind,
            entry.action,
            entry.settled,
            entry.exhausted,
        )
        reason = entry.reason
        if key not in self._groups and len(self._groups) >= MOST_GROUPS:
            # Reasons may name a value of each item: groups too many to keep apart are counted together.
            key = (entry.source, "", entry.kind, entry.action, entry.settled, entry.exhausted)
            reason = "many reasons; each is in the full list"
        old = self._groups.get(key)
        if old is None:
            self._groups[key] = GroupRow(
                source=entry.source,
                kind=entry.kind,
                group=entry.group,
                action=entry.action,
                settled=entry.settled,
                count=1,
                reason=reason,
                error=entry.error,
                diagnosis=entry.diagnosis,
                rule=entry.rule,
                samples=(entry.key,),
                next_step=entry.next_step,
                exhausted=entry.exhausted,
                pages=entry.pages,
            )
            return
        samples = old.samples if len(old.samples) >= SAMPLES else (*old.samples, entry.key)
        self._groups[key] = old.model_copy(update={"count": old.count + 1, "samples": samples})


def urgency(row: GroupRow) -> tuple[bool, bool]:
    """Key of a sort: first rows that did not go through, then those that wait for a person."""
    return (row.settled, not row.next_step)


def headline(report: RecoveryReport) -> str:
    """One sentence: what was found and what was done."""
    if report.dry_run:
        done = ", ".join(f"{count} to {action}" for action, count in sorted(report.by_action.items()))
        return f"Dry run: {report.found} inspected, nothing changed. It would be: {done or 'nothing to do'}."
    text = f"{report.found} found: {counts(report.by_action) or 'nothing settled'}"
    if report.unsettled:
        text += f", {report.unsettled} did not go through"
    if report.recovered:
        text += f"; {report.recovered} of earlier runs proved recovered"
    return text + "."
