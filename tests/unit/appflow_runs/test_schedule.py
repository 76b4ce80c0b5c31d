"""A schedule's next time, by the path and by the simulator, which was written apart from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.appflow_runs.models import Schedule
from recovery.appflow_runs.schedule import next_run, period, understood
from simulated_aws.appflow.schedules import next_tick

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "starts", "now", "expected"),
    [
        ("rate(5minutes)", "2026-03-10T11:58", "2026-03-10T12:00", "2026-03-10T12:03"),
        ("rate(5 minutes)", "2026-03-10T11:58", "2026-03-10T12:03", "2026-03-10T12:08"),
        ("rate(1hours)", "2026-03-01T00:30", "2026-03-10T12:00", "2026-03-10T12:30"),
        ("rate(1days)", "2026-03-01T06:00", "2026-03-10T12:00", "2026-03-11T06:00"),
        ("rate(2weeks)", "2026-03-01T06:00", "2026-03-10T12:00", "2026-03-15T06:00"),
        ("rate(1months)", "2026-01-31T06:00", "2026-02-10T12:00", "2026-02-28T06:00"),
        ("rate(1months)", "2026-01-31T06:00", "2026-02-28T06:00", "2026-03-31T06:00"),
        ("rate(1days)", "2026-04-01T06:00", "2026-03-10T12:00", "2026-04-01T06:00"),
        ("cron(15 10 * * ? *)", None, "2026-03-10T12:00", "2026-03-11T10:15"),
        ("cron(0/15 * * * ? *)", None, "2026-03-10T12:07", "2026-03-10T12:15"),
        ("cron(0 8 1 * ? *)", None, "2026-03-10T12:00", "2026-04-01T08:00"),
        ("cron(0 18 ? * MON-FRI *)", None, "2026-03-13T19:00", "2026-03-16T18:00"),
        ("cron(0 9 ? JAN,JUL SUN *)", None, "2026-03-10T12:00", "2026-07-05T09:00"),
        ("cron(0 0 29 2 ? *)", None, "2026-03-10T12:00", "2028-02-29T00:00"),
        ("cron(30 6 * * ? 2027)", None, "2026-12-31T23:00", "2027-01-01T06:30"),
        ("cron(0 6 L * ? *)", None, "2026-02-10T12:00", "2026-02-28T06:00"),
        ("cron(0 6 L-2 * ? *)", None, "2026-02-10T12:00", "2026-02-26T06:00"),
        ("cron(0 6 1W * ? *)", None, "2026-07-31T12:00", "2026-08-03T06:00"),
        ("cron(0 6 15W * ? *)", None, "2026-08-01T12:00", "2026-08-14T06:00"),
        ("cron(0 6 16W * ? *)", None, "2026-08-01T12:00", "2026-08-17T06:00"),
        ("cron(0 6 31W * ? *)", None, "2026-04-30T12:00", "2026-05-29T06:00"),
        ("cron(0 6 LW * ? *)", None, "2026-05-01T12:00", "2026-05-29T06:00"),
        ("cron(0 6 ? * 6L *)", None, "2026-03-10T12:00", "2026-03-27T06:00"),
        ("cron(0 6 ? * FRIL *)", None, "2026-03-27T12:00", "2026-04-24T06:00"),
        ("cron(0 6 ? * L *)", None, "2026-03-10T12:00", "2026-03-14T06:00"),
        ("cron(0 6 ? * 3#2 *)", None, "2026-03-10T12:00", "2026-04-14T06:00"),
        ("cron(0 6 ? * MON#5 *)", None, "2026-04-01T12:00", "2026-06-29T06:00"),
        ("cron(0 6 1,L * ? *)", None, "2026-03-10T12:00", "2026-03-31T06:00"),
        ("cron(0 6 ? * FRI-MON *)", None, "2026-03-16T12:00", "2026-03-20T06:00"),
        ("cron(0 6 ? * SAT-SUN *)", None, "2026-03-10T12:00", "2026-03-14T06:00"),
        ("cron(0 22-2/2 * * ? *)", None, "2026-03-10T23:00", "2026-03-11T00:00"),
    ],
)
def test_next_run(expression: str, starts: str | None, now: str, expected: str) -> None:
    """Rates count from the start time, months keep their day where there is one, cron is AWS's six fields."""
    schedule = Schedule(expression, starts=_time(starts) if starts else None)
    assert understood(expression)
    assert next_run(schedule, _time(now)) == _time(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(0minutes)",
        "rate(x)",
        "cron(* * *)",
        "cron(99 6 * * ? *)",
        "daily",
        "cron(0 6 32W * ? *)",
        "cron(0 6 L-40 * ? *)",
        "cron(0 6 ? * 9#2 *)",
        "cron(0 6 ? * MON#6 *)",
        "cron(0 6 ? * 2-4L *)",
    ],
)
def test_not_understood(expression: str) -> None:
    """A schedule that cannot be read is reported; nothing is guessed."""
    assert not understood(expression)
    assert next_run(Schedule(expression), NOON) is None


def test_a_schedule_that_is_over() -> None:
    """After its end nothing more is expected."""
    schedule = Schedule("rate(1hours)", starts=NOON - timedelta(days=1), ends=NOON + timedelta(minutes=30))
    assert next_run(schedule, NOON) is None
    assert next_run(schedule, NOON - timedelta(hours=2)) == NOON - timedelta(hours=1)


def test_the_offset_delays_each_run() -> None:
    """A flow with an offset runs that much later, and the tick that is being waited out is the next one."""
    schedule = Schedule("rate(1hours)", starts=NOON, offset=timedelta(minutes=10))
    assert next_run(schedule, NOON + timedelta(minutes=5)) == NOON + timedelta(minutes=10)
    assert next_run(schedule, NOON + timedelta(minutes=15)) == NOON + timedelta(minutes=70)


def test_a_rate_without_a_start_counts_from_the_last_run() -> None:
    """Without a start time the rate began with the activation, and the last run shows its phase."""
    schedule = Schedule("rate(1hours)")
    assert next_run(schedule, NOON, NOON - timedelta(minutes=20)) == NOON + timedelta(minutes=40)
    assert next_run(schedule, NOON) is None


def test_period() -> None:
    """The time between runs, for the forecast of a deactivation."""
    assert period(Schedule("rate(5minutes)", starts=NOON), NOON) == timedelta(minutes=5)
    assert period(Schedule("cron(0 8 * * ? *)"), NOON) == timedelta(days=1)
    assert period(Schedule("rate(1months)", starts=NOON), NOON) == timedelta(days=30)
    assert period(Schedule("nonsense"), NOON) is None


@given(
    count=st.integers(1, 90),
    unit=st.sampled_from(["minutes", "hours", "days", "weeks", "months"]),
    start=st.integers(-100_000, 100_000),
    now=st.integers(0, 400_000),
)
def test_rates_fire_when_they_are_expected(count: int, unit: str, start: int, now: int) -> None:
    """The path and the simulator agree on every rate."""
    starts, moment = NOON + timedelta(minutes=start), NOON + timedelta(seconds=now * 31)
    expression = f"rate({count}{unit})"
    reported = next_tick(
        {"scheduleExpression": expression, "scheduleStartTime": starts.timestamp()}, activated=starts, after=moment
    )
    assert next_run(Schedule(expression, starts=starts), moment) == reported


_lists = st.lists(st.integers(0, 11), min_size=1, max_size=3, unique=True)


@given(
    minutes=_lists,
    hours=st.one_of(st.just("*"), st.just("*/5"), st.just("8-17"), st.just("3/7")),
    days=st.sampled_from(
        [
            "* * ?",
            "1,15 * ?",
            "? * MON-FRI",
            "? JAN,JUN 1,7",
            "31 * ?",
            "10-12 3/2 ?",
            "L * ?",
            "L-5 * ?",
            "LW * ?",
            "1W,15W * ?",
            "? * 2L",
            "? * L",
            "? * TUE#3",
            "? 3/2 SUN#1,FRIL",
        ]
    ),
    now=st.integers(0, 500_000),
)
def test_crons_fire_when_they_are_expected(minutes: list[int], hours: str, days: str, now: int) -> None:
    """The path and the simulator agree on every cron expression that both can read."""
    moment = NOON + timedelta(seconds=now * 61)
    expression = f"cron({','.join(str(5 * minute) for minute in minutes)} {hours} {days} *)"
    reported = next_tick({"scheduleExpression": expression}, activated=moment, after=moment)
    assert reported is not None
    assert next_run(Schedule(expression), moment) == reported


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


FIRST, LAST = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))  # noqa: DTZ901 - it gets one


@pytest.mark.parametrize("starts", [FIRST, LAST])
@pytest.mark.parametrize(
    "expression", ["rate(5minutes)", "rate(999999999weeks)", "rate(999999999months)", f"rate({'9' * 5_000}days)"]
)
def test_years_that_no_date_has(starts: datetime, expression: str) -> None:
    """A start at the end of all dates, or a rate beyond them, is reported or is not, and nothing is raised."""
    schedule = Schedule(expression, starts=starts)
    for now in (FIRST, datetime(2026, 1, 1, tzinfo=UTC), LAST):
        next_run(schedule, now)
        period(schedule, now)
    assert next_run(Schedule(f"rate({'9' * 5_000}days)"), datetime(2026, 1, 1, tzinfo=UTC)) is None
