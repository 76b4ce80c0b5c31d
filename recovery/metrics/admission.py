"""Choice of the kinds and sources that have series of their own, at most `MOST` in all. Pure.

First come, first served, for all paths and all runs together: the ledger keeps the list. Room is reserved for every
series by path and for every `other`. One that was not counted for a month makes room for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta

from recovery.metrics.series import BY_KIND, BY_SOURCE, OTHER, Datum, names, path_names, together
from recovery.paths import PATHS

MOST = 200
"""Series in all."""
ELSEWHERE = 10
"""Room for what other processes publish: the relay's own numbers."""
FORGET = timedelta(days=30)
"""A kind or source that was not counted for so long gives its place away."""

Admitted = Mapping[str, str]
"""By place (path, dimension and value): the last day on which it was counted, as "2026-01-31"."""


def reserved() -> int:
    """Series that are always there: each metric by path, each `other`, and what other processes publish."""
    by_path = sum(len(path_names(path.counts)) for path in PATHS.values())
    return ELSEWHERE + by_path + sum(_weight(path, dimension) for path in PATHS for dimension in (BY_KIND, BY_SOURCE))


def taken(admitted: Admitted) -> int:
    """Series that the admitted kinds and sources may have."""
    return sum(_weight(*place.split("|", 2)[:2]) for place in admitted)


def admit(admitted: Admitted, data: Iterable[Datum], today: date) -> dict[str, str]:
    """The list after this run: who is counted today is noted, newcomers are let in while there is room.

    The larger numbers come first, then the alphabet, so that the same run always decides alike.
    """
    wanted: dict[str, float] = {}
    for datum in data:
        if datum.dimension and datum.key != OTHER and datum.path in PATHS:
            at = place(datum)
            wanted[at] = wanted.get(at, 0.0) + datum.value
    listed = dict(admitted)
    listed.update({at: today.isoformat() for at in wanted if at in listed})
    for at in sorted((at for at in wanted if at not in listed), key=lambda at: (-wanted[at], at)):
        _make_room(listed, at, today)
        if taken(listed) + _weight(*at.split("|", 2)[:2]) <= MOST - reserved():
            listed[at] = today.isoformat()
    return listed


def fold(data: Iterable[Datum], admitted: Admitted) -> list[Datum]:
    """The data with everything that has no place of its own counted as `other`."""
    return together(
        replace(datum, key=OTHER) if datum.dimension and place(datum) not in admitted else datum for datum in data
    )


def place(datum: Datum) -> str:
    """The unit of admission: all metrics of one kind or source of one path."""
    return f"{datum.path}|{datum.dimension}|{datum.key}"


def _make_room(listed: dict[str, str], newcomer: str, today: date) -> None:
    needed = _weight(*newcomer.split("|", 2)[:2])
    oldest_first = sorted(listed, key=lambda at: (listed[at], at))
    for at in oldest_first:
        if taken(listed) + needed <= MOST - reserved() or today - date.fromisoformat(listed[at]) < FORGET:
            return
        del listed[at]


def _weight(path: str, dimension: str) -> int:
    return len(names(PATHS[path].counts, dimension)) if path in PATHS else 0
