"""Next run of a scheduled flow. Pure.

AppFlow takes `rate(5minutes)` (minutes to months; the tools of AWS also write it with a space) and, although its
console does not show it, the six-field `cron(...)` of EventBridge, with L, W and #. Cron libraries read five fields and
count the week from 0, so it is read here. Times are UTC: the flow's `timezone` is a label
only (service model, ScheduledTriggerProperties).
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from recovery.appflow_runs.models import Schedule

_RATE = re.compile(r"^\s*rate\(\s*(\d{1,9})\s*(minute|hour|day|week|month)s?\s*\)\s*$", re.IGNORECASE)
_CRON = re.compile(r"^\s*cron\(\s*([^)]*?)\s*\)\s*$", re.IGNORECASE)
_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_MONTHS = {name: n for n, name in enumerate(("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC").split(), 1)}  # noqa: SIM905 - readable
_DAYS = {name: n for n, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_CRON_DAYS_AHEAD = 4 * 366 + 1  # a leap day is found, and the search ends


def understood(expression: str) -> bool:
    """True when the times of this expression are known."""
    rate = _RATE.match(expression)
    if rate:
        return int(rate[1]) > 0
    return _fields(expression) is not None


def next_run(schedule: Schedule, now: datetime, last_started: datetime | None = None) -> datetime | None:
    """The first scheduled start after `now` (aware), or None: the schedule has ended, is not known, or runs in years
    that no date has.

    Args:
        schedule: the flow's schedule.
        now: the present time, aware.
        last_started: when the latest run began; a rate without a start time counts from it.
    """
    try:
        found = _next_nominal(schedule, now - schedule.offset, last_started)
        if found is None or (schedule.ends is not None and found > schedule.ends):
            return None
        return found + schedule.offset
    except (OverflowError, ValueError):
        return None


def period(schedule: Schedule, now: datetime, last_started: datetime | None = None) -> timedelta | None:
    """The time between the next scheduled run and the one after it, or None where it is not known."""
    first = next_run(schedule, now, last_started)
    if first is None:
        return None
    rate = _RATE.match(schedule.expression)
    if rate and rate[2].lower() != "month":
        with suppress(OverflowError):
            return int(rate[1]) * _UNITS[rate[2].lower()]
        return None
    second = next_run(schedule, first, first)
    return None if second is None else second - first


def _next_nominal(schedule: Schedule, after: datetime, last_started: datetime | None) -> datetime | None:
    floor = after
    if schedule.starts is not None and schedule.starts > after:
        floor = schedule.starts - timedelta(microseconds=1)
    rate = _RATE.match(schedule.expression)
    if not rate:
        fields = _fields(schedule.expression)
        return None if fields is None else _next_cron(fields, floor)
    anchor = schedule.starts or (last_started - schedule.offset if last_started else None)
    count = int(rate[1])
    if anchor is None or count < 1:
        return None
    unit = rate[2].lower()
    if anchor > after:
        return anchor
    if unit == "month":
        return _next_monthly(anchor, count, after)
    step = count * _UNITS[unit]
    return anchor + ((after - anchor) // step + 1) * step


def _next_monthly(anchor: datetime, months: int, after: datetime) -> datetime:
    steps = max(0, ((after.year - anchor.year) * 12 + after.month - anchor.month) // months - 1)
    while (found := _add_months(anchor, steps * months)) <= after:
        steps += 1
    return found


def _add_months(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    first = moment.replace(year=moment.year + years, month=month + 1, day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=min(moment.day, (following - first).days) - 1)


class _Fields(NamedTuple):
    """A six-field expression, read."""

    minutes: set[int]
    hours: set[int]
    is_day: Callable[[datetime], bool]
    months: set[int]
    years: set[int] | None


def _fields(expression: str) -> _Fields | None:
    """Minutes, hours, days, months and years (None where all count); None for an expression that cannot be read."""
    cron = _CRON.match(expression)
    parts = cron[1].upper().split() if cron else []
    if len(parts) != 6:
        return None
    minute, hour, day, month, weekday, year = parts
    try:
        days = None if day in "*?" else [_day(part) for part in day.split(",")]
        weekdays = None if weekday in "*?" else [_weekday(part) for part in weekday.split(",")]
        return _Fields(
            _values(minute, 0, 59, {}),
            _values(hour, 0, 23, {}),
            lambda moment: all(any(fits(moment) for fits in each) for each in (days, weekdays) if each is not None),
            _values(month, 1, 12, _MONTHS),
            None if year == "*" else _values(year, 1970, 2199, {}),
        )
    except ValueError:
        return None


_Fits = Callable[[datetime], bool]


def _day(part: str) -> _Fits:
    """Days of the month: numbers, L (the last), L-3 (so many before it), 15W and LW (the weekday nearest to them)."""
    last = re.fullmatch(r"L(?:-(\d{1,2}))?", part)
    if last:
        back = int(last[1] or 0)
        if back > 30:
            raise ValueError(part)
        return lambda moment: moment.day == _last_day(moment) - back
    nearest = re.fullmatch(r"(L|\d{1,2})W", part)
    if nearest:
        if nearest[1] != "L" and not 1 <= int(nearest[1]) <= 31:
            raise ValueError(part)
        return lambda moment: moment.day == _nearest_weekday(moment, nearest[1])
    days = _values(part, 1, 31, {})
    return lambda moment: moment.day in days


def _weekday(part: str) -> _Fits:
    """Days of the week, Sunday is 1: numbers, names, 6L (the last Friday), L (Saturday), 3#2 (the second Tuesday)."""
    if part == "L":
        part = "7"
    last = re.fullmatch(r"(\w+)L", part)
    nth = re.fullmatch(r"(\w+)#([1-5])", part)
    if last or nth:
        [day] = _values((last or nth)[1], 1, 7, _DAYS)  # type: ignore[index]
        number = int(nth[2]) if nth else 0
        return lambda moment: (
            _of_week(moment) == day
            and ((moment.day - 1) // 7 + 1 == number if number else moment.day + 7 > _last_day(moment))
        )
    days = _values(part, 1, 7, _DAYS)
    return lambda moment: _of_week(moment) in days


def _of_week(moment: datetime) -> int:
    return moment.isoweekday() % 7 + 1


def _last_day(moment: datetime) -> int:
    return monthrange(moment.year, moment.month)[1]


def _nearest_weekday(moment: datetime, day: str) -> int:
    """The working day that is nearest to a day, never in another month; 0 where there is no such day."""
    last = _last_day(moment)
    wanted = last if day == "L" else int(day)
    if wanted > last:
        return 0
    weekday = moment.replace(day=wanted).isoweekday()
    if weekday == 6:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 7:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted


def _values(text: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for part in text.upper().split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = names.get(first) or int(first)
            end = (names.get(last) or int(last)) if dash else (high if step else start)
        if not (low <= start <= high and low <= end <= high):
            raise ValueError(text)
        # FRI-MON and 22-2 go on at the beginning.
        size = high - low + 1
        span_of = range(0, (end - start) % size + 1, int(step) if step else 1)
        found.update(low + (start - low + number) % size for number in span_of)
    return found


def _next_cron(fields: _Fields, after: datetime) -> datetime | None:
    for midnight in _days(after.astimezone(UTC)):
        if midnight.month not in fields.months or not fields.is_day(midnight):
            continue
        if fields.years is not None and midnight.year not in fields.years:
            continue
        for hour in sorted(fields.hours):
            for minute in sorted(fields.minutes):
                found = midnight.replace(hour=hour, minute=minute)
                if found > after:
                    return found
    return None


def _days(after: datetime) -> Iterator[datetime]:
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(_CRON_DAYS_AHEAD):
        yield midnight + timedelta(days=number)
