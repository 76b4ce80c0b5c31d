"""Latency and movement of a replication that runs, as CloudWatch counts them. Pure.

Sources: the DMS user guide (replication task metrics; troubleshooting latency). `CDCLatencySource` is the age of the
last change that was read, `CDCLatencyTarget` that of the last one that was applied, and never less. Both are 0 where
the source has nothing to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, pairwise

STEP = timedelta(minutes=5)
WINDOW = timedelta(hours=1)
"""Latency counts in steps over this time."""
HOUR = timedelta(hours=1)
HABIT = timedelta(days=7)
"""Movement counts by the hour over this time."""

LATENCY_GROWS, MOVES_NOTHING = "latency-grows", "moves-nothing"
LAGS = frozenset({LATENCY_GROWS, MOVES_NOTHING})
"""Findings that only CloudWatch shows."""

_KNOWN = 9
"""Of the twelve steps so many must be known."""
_DIP = 0.95
"""A latency that falls by more than this share is worked off."""
_PACE = 0.25
"""A latency that grows by less than this share of the time that passes may just be a busy hour."""
_DAYS = 3
"""A habit takes so many days."""
_BEYOND = 2
"""Standing still is new when it is so many times longer than ever before."""

Series = tuple[float | None, ...]
"""Values, the oldest first; None where CloudWatch has none."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Counts of CloudWatch.

    Attributes:
        source, target: the most seconds of latency in each step of the last hour.
        moved: the most rows a second that were applied in each hour of the last week.
    """

    source: Series = ()
    target: Series = ()
    moved: Series = ()


@dataclass(frozen=True, slots=True)
class Slow:
    """Something that is wrong with one that runs.

    Attributes:
        rule: LATENCY_GROWS or MOVES_NOTHING.
        reason: a sentence with numbers.
        reads: the source is read too slowly; else the target takes it too slowly.
    """

    rule: str
    reason: str
    reads: bool = False


def slow(lag: Lag, latency_seconds: float, quiet_seconds: float, known: str = "") -> Slow | None:
    """Return what is wrong, or None.

    Args:
        lag: the counts.
        latency_seconds: less latency than this is never wrong.
        quiet_seconds: standing still for less than this is never wrong.
        known: the finding that people know of: it stands until the latency is low again, or rows move again.
    """
    return _latency(lag, latency_seconds, known) or _movement(lag, quiet_seconds, known)


def _latency(lag: Lag, least: float, known: str) -> Slow | None:
    grows = {name: _grows(values, least) for name, values in (("source", lag.source), ("target", lag.target))}
    latest = _last(lag.target) or _last(lag.source) or 0.0
    if not any(grows.values()):
        if known == LATENCY_GROWS and latest >= least:
            return Slow(known, f"its latency is still {latest:,.0f} s")
        return None
    reads = grows["source"]
    side, values = ("source", lag.source) if reads else ("target", lag.target)
    first = next(value for value in values if value is not None)
    minutes = WINDOW.total_seconds() / 60
    reason = (
        f"its {side} latency has only grown for {minutes:.0f} minutes, from {first:,.0f} s to {_last(values):,.0f} s"
    )
    return Slow(LATENCY_GROWS, reason, reads=reads)


def _grows(values: Sequence[float | None], least: float) -> bool:
    known = [value for value in values if value is not None]
    if len(known) < _KNOWN or known[-1] < least:
        return False
    risen = known[-1] - known[0]
    return risen >= _PACE * WINDOW.total_seconds() and all(after >= _DIP * before for before, after in pairwise(known))


def _movement(lag: Lag, least: float, known: str) -> Slow | None:
    runs = [(still, len(list(hours))) for still, hours in groupby(lag.moved, key=_is_still)]
    if not runs or runs[-1][0] is not True:
        return None
    hours = runs[-1][1]
    before = runs[:-1]
    known_hours = sum(count for still, count in before if still is not None)
    longest = max((count for still, count in before if still), default=0)
    moved = any(still is False for still, _ in before)
    new = (
        known_hours >= _DAYS * 24
        and moved
        and hours * HOUR.total_seconds() >= least
        and hours > _BEYOND * max(longest, 1)
    )
    if not new and known != MOVES_NOTHING:
        return None
    return Slow(
        MOVES_NOTHING,
        f"it has applied no row for {hours} hours; in the {known_hours} hours before it never stood still for more than"
        f" {longest}",
    )


def _is_still(value: float | None) -> bool | None:
    return None if value is None else value == 0


def _last(values: Sequence[float | None]) -> float:
    return next((value for value in reversed(values) if value is not None), 0.0)
