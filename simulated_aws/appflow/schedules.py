"""Times at which a scheduled flow fires, as the simulator reads them.

Written apart from the recovery path's own reading of schedules, so that one checks the other.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_RATE = re.compile(r"rate\((\d+) ?(minute|hour|day|week|month)s?\)")
_NAMES = {
    3: dict(
        zip(
            ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
            range(1, 13),
            strict=True,
        )
    ),
    4: dict(zip(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), range(1, 8), strict=True)),
}
_LOWEST = (0, 0, 1, 1, 1, 1970)
_HIGHEST = (59, 23, 31, 12, 7, 2199)


def is_valid(expression: str) -> bool:
    """True when AppFlow would take the expression."""
    rate = _RATE.fullmatch(expression)
    if rate:
        return int(rate[1]) > 0
    return expression.startswith("cron(") and expression.endswith(")") and len(expression[5:-1].split()) == 6


def next_tick(properties: Mapping[str, Any], activated: datetime, after: datetime) -> datetime | None:
    """The first nominal time after `after` at which the schedule fires; None when it has ended.

    Args:
        properties: the trigger's `Scheduled` member, as it was sent (times in seconds since 1970).
        activated: time of the flow's activation: a rate without a start time counts from there.
        after: aware.
    """
    starts = _time(properties.get("scheduleStartTime"))
    ends = _time(properties.get("scheduleEndTime"))
    expression = str(properties["scheduleExpression"])
    rate = _RATE.fullmatch(expression)
    tick = _rate_tick(rate, starts or activated, after) if rate else _cron_tick(expression[5:-1].split(), starts, after)
    return None if tick is None or (ends and tick > ends) else tick


def _rate_tick(rate: re.Match[str], start: datetime, after: datetime) -> datetime:
    count, unit = int(rate[1]), rate[2]
    if unit == "month":
        tick, passed = start, 0
        while tick <= after:
            passed += count
            year, month = divmod(start.month - 1 + passed, 12)
            day = start.day
            while True:
                try:
                    tick = start.replace(year=start.year + year, month=month + 1, day=day)
                    break
                except ValueError:
                    day -= 1
        return tick
    seconds = count * {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}[unit]
    if start > after:
        return start
    return start + timedelta(seconds=seconds * (int((after - start).total_seconds() // seconds) + 1))


def _cron_tick(fields: list[str], starts: datetime | None, after: datetime) -> datetime | None:
    """Tries every minute of the coming year, hours and days that cannot match left out."""
    moment = max(after, starts - timedelta(minutes=1)) if starts else after
    moment = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    last = moment + timedelta(days=366)
    while moment <= last:
        parts = (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7 + 1, moment.year)
        days = (2, 4)
        if not all(_is_listed(fields[n], moment, parts[n], n) for n in days) or not all(
            _matches(fields[n], parts[n], n) for n in (3, 5)
        ):
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
        elif not _matches(fields[1], parts[1], 1):
            moment = moment.replace(minute=0) + timedelta(hours=1)
        elif not _matches(fields[0], parts[0], 0):
            moment += timedelta(minutes=1)
        else:
            return moment
    return None


def _is_listed(text: str, moment: datetime, value: int, position: int) -> bool:
    """Days, and what only they have: L, W and #, looked up on the page of the month."""
    for part in text.upper().split(","):
        if not re.search(r"\d[LW#]|^L|[A-Z]{3}[L#]", part):
            if _matches(part, value, position):
                return True
            continue
        weeks = calendar.Calendar(firstweekday=calendar.SUNDAY).monthdayscalendar(moment.year, moment.month)
        last = max(weeks[-1])
        if position == 4:
            name, _, nth = part.partition("#")
            wanted = "7" if name == "L" else name.removesuffix("L") if not nth else name
            column = _NAMES[4].get(wanted) or int(wanted)
            if column > 7:
                continue  # no such day: the schedule is taken, and never fires
            listed = [week[column - 1] for week in weeks if week[column - 1]]
            day = (listed[int(nth) - 1] if len(listed) >= int(nth) else 0) if nth else listed[-1]
            if name == "L":
                return value == 7
        elif part.endswith("W"):
            target = last if part == "LW" else int(part[:-1])
            work = [each for week in weeks for each in week[1:6] if each]
            day = min(work, key=lambda each: (abs(each - target), each)) if target <= last else 0
        else:
            day = last - int(part[2:] or 0)
        if moment.day == day:
            return True
    return False


def _matches(text: str, value: int, position: int) -> bool:
    if text in ("*", "?"):
        return True
    for part in text.upper().split(","):
        for name, number in _NAMES.get(position, {}).items():
            part = part.replace(name, str(number))
        span, slash, step = part.partition("/")
        if span == "*":
            first, last = _LOWEST[position], _HIGHEST[position]
        elif "-" in span:
            first, last = map(int, span.split("-"))
        else:
            first = int(span)
            last = _HIGHEST[position] if slash else first
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
