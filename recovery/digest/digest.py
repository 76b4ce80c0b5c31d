"""The digest of a day, with the week before it to compare with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict

from recovery.digest.days import Day, DayGroup
from recovery.paths import info
from recovery.report import SAMPLES
from recovery.story import Story

WEEK = 7
"""Days that a day is compared with."""


class Waiting(BaseModel):
    """Alike items that wait for a person."""

    model_config = ConfigDict(frozen=True)

    path: str
    source: str
    kind: str
    group: str
    count: int
    since: str
    why: str = ""
    next_step: str = ""
    sample: str = ""
    names: tuple[str, ...] = ()


class Trend(BaseModel):
    """A number of the day, and its mean over the days before."""

    model_config = ConfigDict(frozen=True)

    name: str
    today: float
    before: float
    unit: str = ""

    def words(self) -> str:
        """Compare the day in words, as "+20 % against the week before (5.0 a day)"."""
        if self.today == self.before:
            return "as in the week before"
        if not self.before:
            return "none in the week before"
        change = round(100 * (self.today - self.before) / self.before)
        return f"{'+' if change >= 0 else ''}{change} % against the week before ({self.before:,.1f}{self.unit} a day)"


class Digest(BaseModel):
    """One day: its trends, its groups, and the cases that wait."""

    model_config = ConfigDict(frozen=True)

    day: date
    paths: tuple[Day, ...]
    trends: tuple[Trend, ...]
    by_day: tuple[tuple[date, int, int], ...]
    waiting: tuple[Waiting, ...]
    waiting_is_cut: bool = False

    @property
    def failed(self) -> int:
        """Failures that were answered."""
        return sum(day.failed for day in self.paths)

    @property
    def came_back(self) -> int:
        """Items proven to be back."""
        return sum(day.came_back for day in self.paths)

    @property
    def waits(self) -> int:
        """Items that wait for a person."""
        return sum(group.count for group in self.waiting)

    @property
    def is_quiet(self) -> bool:
        """Nothing failed, and nothing waits."""
        return not (self.failed or self.waits or any(day.unsettled or day.failed_runs for day in self.paths))

    def groups(self) -> list[tuple[Day, DayGroup]]:
        """The groups of all paths, the largest first."""
        found = [(day, group) for day in self.paths for group in day.groups]
        return sorted(found, key=lambda pair: (-pair[1].count, pair[0].path, pair[1].source, pair[1].group))


def digest(day: date, days: Mapping[date, Sequence[Day]], waiting: Sequence[Story], *, is_cut: bool) -> Digest:
    """The digest of a day.

    Args:
        day: its date (UTC).
        days: the paths' work on it and on the seven days before; nothing happened on a day that is missing.
        waiting: cases that wait for a person now.
        is_cut: True when more wait than were read.
    """
    today = tuple(sorted(days.get(day, ()), key=lambda one: one.path))
    before = [day - timedelta(days=n) for n in range(WEEK, 0, -1)]
    return Digest(
        day=day,
        paths=today,
        trends=tuple(_trends(today, [one for past in before for one in days.get(past, ())])),
        by_day=tuple(
            (each, sum(one.failed for one in days.get(each, ())), sum(one.came_back for one in days.get(each, ())))
            for each in (*before, day)
        ),
        waiting=tuple(_waiting(waiting)),
        waiting_is_cut=is_cut,
    )


def _trends(today: Sequence[Day], before: Sequence[Day]) -> Iterable[Trend]:
    def mean(values: Iterable[float]) -> float:
        return sum(values) / WEEK

    yield Trend(name="failed", today=_sum(d.failed for d in today), before=mean(d.failed for d in before))
    yield Trend(name="came back", today=_sum(d.came_back for d in today), before=mean(d.came_back for d in before))
    yield Trend(name="given up", today=_sum(_given_up(d) for d in today), before=mean(_given_up(d) for d in before))
    yield Trend(
        name="did not go through", today=_sum(d.unsettled for d in today), before=mean(d.unsettled for d in before)
    )
    if any(d.recovered for d in today):
        yield Trend(name="mean time to recover", today=_seconds(today), before=_seconds(before), unit=" s")


def _given_up(day: Day) -> int:
    return day.exhausted + day.actions.get("exhaust", 0)


def _seconds(days: Sequence[Day]) -> float:
    recovered = sum(day.recovered for day in days)
    return sum(day.recovery_seconds for day in days) / recovered if recovered else 0.0


def _sum(values: Iterable[float]) -> float:
    return float(sum(values))


def _waiting(stories: Sequence[Story]) -> Iterable[Waiting]:
    alike: dict[tuple[str, str, str, str], list[Story]] = {}
    for story in stories:
        alike.setdefault((story.path, story.source, story.kind, story.group), []).append(story)
    for (path, source, kind, group), ones in sorted(alike.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        example = next((one for one in ones if one.next_step), ones[0])
        times = [moment.at for one in ones for moment in one.moments[:1] if moment.at]
        yield Waiting(
            path=path,
            source=source,
            kind=kind,
            group=group,
            count=len(ones),
            since=f"{min(times):%Y-%m-%d %H:%M}" if times else "",
            why=example.error or example.reason,
            next_step=example.next_step,
            sample=example.key,
            names=tuple(one.key for one in ones[:SAMPLES]) if info(path).named else (),
        )
