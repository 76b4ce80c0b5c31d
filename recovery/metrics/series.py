"""Metrics made from a run's report. Pure.

Every metric has the dimension Path; what was done is counted by (Path, Kind) and by (Path, Source) as well. Zeros are
published by Path alone: a metric costs money in each hour in which it has a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from recovery.paths import Counts, info
from recovery.report import GroupRow, RecoveryReport

OTHER = "other"
"""The dimension value under which everything is counted that has no series of its own."""
BY_KIND, BY_SOURCE = "Kind", "Source"
LONGEST_VALUE = 255

RUNS = {"Runs": "Count", "Sweeps": "Count", "RunSeconds": "Seconds", "HealerErrors": "Count", "MissedEvents": "Count"}
"""Metrics of every path's runs, by name, with the unit."""


def names(counts: Counts, dimension: str) -> tuple[str, ...]:
    """Return the names of a path's metrics that have this dimension beside Path."""
    counted = (*counts.done, *(("Exhausted",) if counts.exhausted else ()))
    return (*counted, *counts.kinds) if dimension == BY_KIND else (*counted, *counts.own)


def path_names(counts: Counts) -> tuple[str, ...]:
    """Return the names of a path's metrics by path alone."""
    recovering = ("Recovered", "TimeToRecover") if counts.recovers else ()
    return (*RUNS, *recovering, *names(counts, BY_SOURCE))


@dataclass(frozen=True, slots=True)
class Datum:
    """One value of one metric.

    Attributes:
        name: the metric.
        path: value of the dimension Path.
        dimension: "Kind", "Source", or "" for Path alone.
        key: the dimension's value.
        value: the number.
        unit: CloudWatch's name of the unit.
        samples: number of items of which the value is the mean.
        is_worst: values that fall together become their maximum, not their sum.
    """

    name: str
    path: str
    value: float
    unit: str = "Count"
    dimension: str = ""
    key: str = ""
    samples: int = 1
    is_worst: bool = False

    def dimensions(self) -> list[tuple[str, str]]:
        """Names and values of its dimensions."""
        return [("Path", self.path), *([(self.dimension, self.key)] if self.dimension else [])]


def series(report: RecoveryReport, *, swept: bool) -> list[Datum]:
    """Return all numbers of a report, whatever the limit of series.

    Args:
        report: of a run that was no dry run.
        swept: True when a schedule started the run, and it inspected everything in scope.
    """
    counts = info(report.path).counts
    settled = [row for row in report.groups if row.settled]
    data = _of_the_run(report, counts, swept=swept)
    data += [Datum(name, report.path, _count(settled, actions)) for name, actions in counts.done.items()]
    if counts.exhausted:
        data.append(Datum("Exhausted", report.path, _count(row for row in settled if row.exhausted)))
    for dimension in (BY_KIND, BY_SOURCE):
        data += _split(report.path, counts, settled, dimension)
    for number in report.numbers:
        plain = Datum(number.name, report.path, number.value, number.unit, is_worst=number.is_worst)
        data.append(plain)
        if number.source and number.value:
            data.append(replace(plain, dimension=BY_SOURCE, key=plain_value(number.source)))
    return together(datum for datum in data if math.isfinite(datum.value))


def together(data: Iterable[Datum]) -> list[Datum]:
    """One value for each series: sums of counts, the worst of what is worst."""
    found: dict[tuple[str, str, str, str], Datum] = {}
    for datum in data:
        at = (datum.name, datum.path, datum.dimension, datum.key)
        old = found.get(at)
        if old is None:
            found[at] = datum
        else:
            value = max(old.value, datum.value) if datum.is_worst else old.value + datum.value
            found[at] = replace(old, value=value)
    return list(found.values())


def plain_value(text: str) -> str:
    """A dimension value that CloudWatch takes: printable ASCII, not empty, no leading colon, bounded.

    Source: the reference of CloudWatch's data type Dimension.
    """
    flat = re.sub(r"[^\x20-\x7e]", "?", text).strip().lstrip(":")
    return flat[:LONGEST_VALUE] or "-"


def _of_the_run(report: RecoveryReport, counts: Counts, *, swept: bool) -> list[Datum]:
    values = {
        "Runs": 1.0,
        "Sweeps": float(swept),
        "RunSeconds": report.seconds,
        "HealerErrors": float(report.unsettled + len(report.problems)),
        "MissedEvents": float(report.missed_events),
    }
    data = [Datum(name, report.path, values[name], unit) for name, unit in RUNS.items()]
    if counts.recovers:
        data.append(Datum("Recovered", report.path, report.recovered))
        if report.recovered and report.seconds_to_recover is not None:
            # Zero would be a lie: nothing recovered is not recovered at once.
            mean = report.seconds_to_recover
            data.append(Datum("TimeToRecover", report.path, mean, "Seconds", samples=report.recovered))
    return data


def _split(path: str, counts: Counts, rows: Sequence[GroupRow], dimension: str) -> list[Datum]:
    """Count the actions by kind or by source; only those that occurred."""
    keys = dict.fromkeys(row.kind if dimension == BY_KIND else row.source for row in rows)
    actions = {**counts.done, **(counts.kinds if dimension == BY_KIND else {})}
    data = []
    for key in filter(None, keys):
        own = [row for row in rows if (row.kind if dimension == BY_KIND else row.source) == key]
        found = {name: _count(own, wanted) for name, wanted in actions.items()}
        if counts.exhausted:
            found["Exhausted"] = _count(row for row in own if row.exhausted)
        data += [
            Datum(name, path, count, dimension=dimension, key=plain_value(key))
            for name, count in found.items()
            if count
        ]
    return data


def _count(rows: Iterable[GroupRow], actions: frozenset[str] | None = None) -> float:
    return float(sum(row.count for row in rows if actions is None or row.action in actions))
