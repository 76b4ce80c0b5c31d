"""One day of one path, added up from its runs. Pure; its size does not grow with the number of items or of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from recovery.markdown import cut
from recovery.paths import PathInfo, info
from recovery.report import SAMPLES, GroupRow, RecoveryReport

GROUPS = 60
"""Groups that a day keeps apart; the rest is counted together."""
LISTS = 200
"""Full lists of runs that a day points at: the latest."""
RUNS = 100
"""Latest runs that are known by name, so that none is added twice."""
_TEXT = 200


class DayGroup(BaseModel):
    """Alike failures of one source on one day."""

    model_config = ConfigDict(frozen=True)

    source: str
    kind: str
    group: str
    error: str = ""
    next_step: str = ""
    sample: str = ""
    names: tuple[str, ...] = Field((), description="Some of the items, where they bear names that people gave them.")
    actions: dict[str, int] = Field(default_factory=dict, description="Number of items by action.")

    @property
    def count(self) -> int:
        """Failures that were answered."""
        return sum(self.actions.values())


class Day(BaseModel):
    """Findings and actions of a path's runs on one day (UTC)."""

    model_config = ConfigDict(frozen=True)

    path: str
    day: date
    runs: int = Field(0, description="Runs that found anything.")
    failed_runs: int = 0
    actions: dict[str, int] = Field(default_factory=dict)
    kinds: dict[str, int] = Field(default_factory=dict)
    unsettled: int = 0
    recovered: int = 0
    recovery_seconds: float = Field(0.0, description="Sum over what recovered, from first sight to recovered.")
    missed_events: int = 0
    exhausted: int = 0
    groups: tuple[DayGroup, ...] = ()
    lists: tuple[str, ...] = Field((), description="Keys of the full lists of its runs, the latest last.")
    names: tuple[str, ...] = Field((), description="The latest runs that were added.")

    @property
    def failed(self) -> int:
        """Failures that were answered: sent again, archived, reported to a person."""
        return sum(count for action, count in self.actions.items() if action in info(self.path).answers)

    @property
    def came_back(self) -> int:
        """Items that are proven to be back; published rows, where that is the proof."""
        return self.recovered + self.actions.get("deliver", 0)

    def with_run(self, report: RecoveryReport, run: str) -> Day:
        """The day with one more run; the same run (by its id) is added once.

        Args:
            report: of a run that was no dry run.
            run: an id that no other run has.
        """
        if run in self.names:
            return self
        settled = [row for row in report.groups if row.settled]
        return self.model_copy(
            update={
                "runs": self.runs + 1,
                "failed_runs": self.failed_runs + report.failed,
                "actions": _added(self.actions, report.by_action),
                "kinds": _added(self.kinds, report.by_kind),
                "unsettled": self.unsettled + report.unsettled,
                "recovered": self.recovered + report.recovered,
                "recovery_seconds": self.recovery_seconds + (report.seconds_to_recover or 0.0) * report.recovered,
                "missed_events": self.missed_events + report.missed_events,
                "exhausted": self.exhausted + sum(row.count for row in settled if row.exhausted),
                "groups": _merged(self.groups, settled, info(self.path)),
                "lists": (*self.lists, *([_key(report.full_list)] if report.full_list else []))[-LISTS:],
                "names": (*self.names, run)[-RUNS:],
            }
        )


def _merged(groups: Iterable[DayGroup], rows: Iterable[GroupRow], path: PathInfo) -> tuple[DayGroup, ...]:
    found = {(group.source, group.kind, group.group): group for group in groups}
    for row in rows:
        if row.action not in path.answers:
            continue
        at = (row.source, row.kind, row.group)
        if at not in found and len(found) >= GROUPS:
            at = (row.source if (row.source, "", "") in found else "", "", "")  # counted together
        old = found.get(at) or DayGroup(source=at[0], kind=at[1], group=at[2])
        known = at != ("", "", "")
        speaks = bool(row.samples) and (bool(row.next_step) or not old.next_step)  # the example is what the step is for
        found[at] = old.model_copy(
            update={
                "actions": _added(old.actions, {row.action: row.count}),
                "error": (row.error[:_TEXT] or old.error) if known else "",
                "next_step": (cut(row.next_step) or old.next_step) if known else "",  # half a command is a danger
                "sample": (row.samples[0][:_TEXT] if speaks else old.sample) if known else "",
                "names": tuple(dict.fromkeys((*old.names, *row.samples)))[:SAMPLES] if known and path.named else (),
            }
        )
    return tuple(sorted(found.values(), key=lambda group: (-group.count, group.source, group.group)))


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(first) + Counter(second)).items()))


def _key(address: str) -> str:
    """The object's key in the archive bucket."""
    return address.removeprefix("s3://").partition("/")[2]
