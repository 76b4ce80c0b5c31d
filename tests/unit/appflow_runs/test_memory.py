"""Memory of a flow: incidents, attempts that survive a comeback, windows of data, and the JSON form."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.appflow_runs.coverage import MOST_WINDOWS, Coverage, Window
from recovery.appflow_runs.deactivation import approaching
from recovery.appflow_runs.memory import Memory, up_to_date
from recovery.appflow_runs.models import (
    Attempt,
    FlowFacts,
    FlowStatus,
    History,
    Means,
    Refusal,
    Run,
    RunStatus,
    Schedule,
)
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.appflow_runs.rules import decide
from recovery.failures.models import Diagnosis, Kind
from tests.unit.appflow_runs.situations import DAILY, NOW, TWINS, Situation, attempt, failed, run, succeeded

POLICY = AppFlowPolicy()


def facts(*runs: Run, schedule: Schedule | None = None, twin_runs: tuple[Run, ...] | None = None) -> FlowFacts:
    return Situation("", "", "", "", runs, schedule=schedule, twin_runs=twin_runs).facts


def test_an_incident_begins_with_the_first_failure() -> None:
    """It begins when the first failed run after the last success ended."""
    history, seconds = up_to_date(History(), facts(failed(30), failed(60), succeeded(90), failed(120)), POLICY)
    assert history.began == failed(60).updated
    assert seconds is None


def test_an_incident_ends_with_a_success() -> None:
    """The time to recover runs from the end of the first failure to the end of the success."""
    before = History((attempt(1, "run-60", 30, run="run-30"),), began=failed(60).updated)
    history, seconds = up_to_date(before, facts(succeeded(30), failed(60)), POLICY)
    assert history.began is None
    assert history.recovered == succeeded(30).updated
    assert seconds == 30 * 60
    assert up_to_date(history, facts(succeeded(30), failed(60)), POLICY) == (history, None)


def test_what_comes_back_soon_uses_the_same_attempts() -> None:
    """A failure within the settle time after a recovery goes on with the attempts made."""
    made = (attempt(1, "run-90", 80, run="run-80"),)
    before = History(made, recovered=succeeded(80).updated)
    history, _ = up_to_date(before, facts(failed(30), succeeded(80), failed(90)), POLICY)
    assert history.attempts == made
    assert history.began == failed(30).updated


def test_what_comes_back_late_starts_anew() -> None:
    """A failure long after a recovery has attempts of its own."""
    before = History((attempt(1, "run-300", 290, run="run-290"),), recovered=succeeded(290).updated)
    history, _ = up_to_date(before, facts(failed(30), succeeded(290)), POLICY)
    assert history.attempts == ()


def test_a_success_that_nobody_saw() -> None:
    """Between two looks a success and a new failure came: the old incident is over, and its time is counted."""
    before = History((attempt(1, "run-300", 290, run="run-290"),), began=failed(300).updated)
    history, seconds = up_to_date(before, facts(failed(30), succeeded(200), failed(290), failed(300)), POLICY)
    assert history.began == failed(30).updated
    assert history.attempts == ()
    assert seconds == 100 * 60


def test_a_twin_ends_an_incident() -> None:
    """A twin's success counts as the flow's."""
    before = History((attempt(1, "run-90", 30, means=Means.TWIN, run="t"),), began=failed(90).updated)
    twin = run("Successful", 20, id="t", records=7)
    history, seconds = up_to_date(before, facts(failed(90), schedule=DAILY, twin_runs=(twin,)), TWINS)
    assert history.last is not None
    assert (history.last.outcome, history.last.records) == ("Successful", 7)
    assert history.began is None
    assert seconds == (twin.updated - failed(90).updated).total_seconds()


def test_a_twin_does_not_end_what_began_while_it_ran() -> None:
    """A failure between the twin's beginning and its end goes on, and so does its bound."""
    twin = attempt(1, "run-90", 30, means=Means.TWIN, run="t", outcome="Successful", ended_ago=5)
    before = History((twin,), began=failed(90).updated)
    history, seconds = up_to_date(before, facts(failed(20), failed(90), schedule=DAILY), TWINS)
    assert history.began == before.began
    assert history.attempts == (twin,)
    assert seconds is None
    assert decide(facts(failed(20), failed(90), schedule=DAILY), history, TWINS, NOW).rule in {"W8", "W9"}


def test_a_refusal_belongs_to_its_failure() -> None:
    """It is remembered while the failure stands that was to be answered, and forgotten with it."""
    refusal = Refusal("run-30", NOW, "appflow:StartFlow: AccessDeniedException", "not authorized")
    before = History(began=failed(30).updated, refusal=refusal)
    assert up_to_date(before, facts(failed(30)), POLICY)[0].refusal == refusal
    assert up_to_date(before, facts(failed(5), failed(30)), POLICY)[0].refusal is None
    assert up_to_date(before, facts(succeeded(5), failed(30)), POLICY)[0].refusal is None


def test_a_twin_that_failed_goes_on() -> None:
    """A twin's failure ends the attempt, not the incident, and its diagnosis is kept."""
    before = History((attempt(1, "run-90", 30, means=Means.TWIN),), began=failed(90).updated)
    known = replace(
        facts(failed(90), schedule=DAILY, twin_runs=(failed(20, id="t"),)),
        error="503",
        diagnosis=Diagnosis(Kind.DEPENDENCY_FAILURE, True, "r", "down"),
    )
    history, seconds = up_to_date(before, known, TWINS)
    assert seconds is None
    assert history.began == before.began
    assert history.last is not None
    assert (history.last.outcome, history.last.error, history.last.diagnosis) == ("Error", "503", known.diagnosis)


def test_partial_failures_count_only_where_they_are_run_again() -> None:
    """With `rerun_partial` a success with failed records is a failure; without it, it ends an incident."""
    partial = succeeded(30, records=8, failed=2)
    before = History(began=failed(60).updated)
    assert up_to_date(before, facts(partial, failed(60)), POLICY)[0].began is None
    kept, _ = up_to_date(before, facts(partial, failed(60)), AppFlowPolicy(rerun_partial=True))
    assert kept.began == before.began


_moments = st.integers(0, 10**9).map(lambda minutes: NOW + timedelta(milliseconds=minutes))
_windows = st.builds(
    lambda start, length: Window(start, start + timedelta(seconds=length)), _moments, st.integers(0, 9**6)
)
_attempts = st.builds(
    Attempt,
    number=st.integers(1, 9),
    means=st.sampled_from(Means),
    failed_run=st.text(max_size=5),
    claimed=_moments,
    lease_ends=_moments,
    run=st.text(max_size=5),
    outcome=st.sampled_from(["", "Error", "Successful", "abandoned"]),
    ended=st.none() | _moments,
    records=st.none() | st.integers(0, 99),
    error=st.text(max_size=5),
    diagnosis=st.none() | st.just(Diagnosis(Kind.TIMEOUT, True, "rule", "reason")),
)


@given(
    st.builds(
        Memory,
        history=st.builds(
            History,
            attempts=st.lists(_attempts, max_size=3).map(tuple),
            began=st.none() | _moments,
            recovered=st.none() | _moments,
            refusal=st.none()
            | st.builds(
                Refusal, failed_run=st.text(max_size=5), at=_moments, call=st.text(), words=st.text(max_size=5)
            ),
        ),
        coverage=st.builds(Coverage, asked=st.none() | _windows, covered=st.lists(_windows, max_size=3).map(tuple)),
        notified=st.lists(st.text(max_size=5), max_size=2).map(tuple),
        noticed=st.text(max_size=5),
        missed=st.booleans(),
        summary=st.text(max_size=5),
        read_at=st.none() | _moments,
        seconds_to_recover=st.none() | st.floats(0, 1e6),
    )
)
def test_memory_survives_the_ledger(memory: Memory) -> None:
    """A memory comes back through JSON as it was."""
    assert Memory.from_json(json.loads(json.dumps(memory.as_json()))) == memory


def test_a_flow_that_was_never_seen() -> None:
    """An empty case is an empty memory."""
    assert Memory.from_json({}) == Memory()


FULL = Memory(
    history=History(
        (
            replace(
                attempt(1, "run-60", 30, run="run-30"),
                ended=NOW,
                records=3,
                diagnosis=Diagnosis(Kind.TIMEOUT, True, "r", "x"),
            ),
        ),
        began=NOW,
        recovered=NOW,
        refusal=Refusal("run-60", NOW, "appflow:StartFlow: AccessDeniedException", "no"),
    ),
    coverage=Coverage(Window(NOW, NOW), (Window(NOW, NOW),)),
    notified=("g",),
    noticed="run-60",
    missed=True,
    summary="Error",
    read_at=NOW,
    seconds_to_recover=3.5,
)


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Every place in plain JSON, the containers included."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in children:
        yield from places(inner, *path, name)


ODD: tuple[Any, ...] = ("odd", "", 3, -1, 2.5, 10**400, float("nan"), True, None, [], ["odd"], {}, {"n": 1})


@pytest.mark.parametrize("path", list(places(FULL.as_json())), ids=str)
def test_odd_types_are_damage(path: tuple[Any, ...]) -> None:
    """Whatever stands anywhere in it is read as intended, or is a ValueError; never another error, never half."""
    for odd in ODD:
        raw = json.loads(json.dumps(FULL.as_json()))
        spot = raw
        for step in path[:-1]:
            spot = spot[step]
        spot[path[-1]] = odd
        with contextlib.suppress(ValueError):
            assert Memory.from_json(raw).as_json() == raw, odd


@pytest.mark.parametrize("name", sorted(FULL.as_json()["attempts"][0]))
def test_an_attempt_with_a_gap_is_damage(name: str) -> None:
    """An attempt that is half known could be made again."""
    raw = json.loads(json.dumps(FULL.as_json()))
    del raw["attempts"][0][name]
    with pytest.raises(ValueError, match=f"^{name} is missing"):
        Memory.from_json(raw)


# -- coverage ----------------------------------------------------------------------------------------------------------


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def pulled(start: float, end: float, status: str = "Successful") -> Run:
    return replace(run(status, 1, id=f"{start}-{end}-{status}"), pull_start=at(start), pull_end=at(end))


def test_a_failed_window_is_a_gap_until_it_is_covered() -> None:
    """A window that failed is missing; the next run, which pulls it too, covers it."""
    coverage = Coverage().with_runs([pulled(0, 1), pulled(1, 2, "Error")])
    assert coverage.gaps() == (Window(at(1), at(2)),)
    assert coverage.with_runs([pulled(1, 3)]).gaps() == ()


def test_a_window_that_was_jumped_over_stays_a_gap() -> None:
    """If the next success begins after the failed window, nothing else would ever show that data is missing."""
    coverage = Coverage().with_runs([pulled(0, 1), pulled(1, 2, "Error"), pulled(2, 3)])
    assert coverage.gaps() == (Window(at(1), at(2)),)


def test_the_first_window_may_be_missing() -> None:
    """A flow whose very first run failed has a gap from its beginning."""
    assert Coverage().with_runs([pulled(0, 1, "Error"), pulled(1, 2)]).gaps() == (Window(at(0), at(1)),)


def test_runs_without_windows_say_nothing() -> None:
    """Runs under way, and runs of which AppFlow reports no window, change nothing."""
    assert Coverage().with_runs([pulled(0, 1, "InProgress"), succeeded(1), failed(2)]) == Coverage()


_runs = st.lists(
    st.builds(pulled, st.integers(0, 50), st.integers(0, 60), st.sampled_from(["Successful", "Error", "Canceled"])),
    max_size=12,
)


@given(_runs, _runs)
def test_coverage_does_not_depend_on_order_or_repetition(first: list[Run], second: list[Run]) -> None:
    """The same records, read again or in other portions, give the same coverage."""
    once = Coverage().with_runs(first + second)
    assert once.with_runs(second).with_runs(first) == once
    assert Coverage().with_runs(second).with_runs(first) == once


@given(_runs)
def test_gaps_and_coverage_share_nothing(runs: list[Run]) -> None:
    """Each hour that was asked for is either covered by a success or in a gap, and never both."""
    coverage = Coverage().with_runs(runs)
    reported = [one for one in runs if one.pull_start and one.pull_end and one.pull_start <= one.pull_end]
    for hour in range(60):
        middle = at(hour + 0.5)
        asked = coverage.asked is not None and coverage.asked.start < middle < coverage.asked.end
        covered = any(
            one.status is RunStatus.SUCCESSFUL and one.pull_start < middle < one.pull_end  # type: ignore[operator]
            for one in reported
        )
        missing = any(gap.start < middle < gap.end for gap in coverage.gaps())
        assert missing == (asked and not covered)


def test_windows_are_bounded() -> None:
    """A flow that leaves hole after hole does not fill the ledger."""
    coverage = Coverage().with_runs([pulled(2 * n, 2 * n + 1) for n in range(MOST_WINDOWS + 50)])
    assert len(coverage.covered) == MOST_WINDOWS
    assert len(coverage.gaps()) == MOST_WINDOWS - 1


# -- switching off -----------------------------------------------------------------------------------------------------


def hourly(threshold: int | None) -> Schedule:
    return Schedule("rate(1hours)", starts=NOW - timedelta(days=3, minutes=30), threshold=threshold)


@pytest.mark.parametrize(
    ("threshold", "failures", "left", "minutes", "warn"),
    [
        (5, 1, 4, 30 + 3 * 60, False),
        (5, 3, 2, 30 + 60, False),
        (5, 4, 1, 30, True),
        (2, 1, 1, 30, True),
        (3, 4, 2, 30 + 60, False),  # activated again since: only the failures over the threshold count
    ],
)
def test_runs_left(threshold: int, failures: int, left: int, minutes: float, warn: bool) -> None:
    """The failures left and the time of the last of them are computed, and a person hears of the last one."""
    reported = facts(*(failed(30 + 60 * n) for n in range(failures)), schedule=hourly(threshold))
    ahead = approaching(reported, POLICY, NOW)
    assert ahead is not None
    assert (ahead.runs_left, ahead.at, ahead.warn) == (left, NOW + timedelta(minutes=minutes), warn)


def test_a_fast_schedule_is_warned_of_early() -> None:
    """Every minute counts where the schedule is a minute: the time left decides, too."""
    schedule = Schedule("rate(1minutes)", starts=NOW - timedelta(hours=1), threshold=10)
    ahead = approaching(facts(failed(1, took=0.1), schedule=schedule), POLICY, NOW)
    assert ahead is not None
    assert (ahead.runs_left, ahead.warn) == (9, True)


@pytest.mark.parametrize(
    "reported",
    [
        facts(failed(30), schedule=hourly(None)),
        facts(succeeded(30), failed(90), schedule=hourly(2)),
        facts(failed(30)),
        replace(
            facts(failed(30), schedule=hourly(1)),
            flow=replace(facts(schedule=hourly(1)).flow, status=FlowStatus.SUSPENDED),
        ),
    ],
    ids=["no threshold", "not failing", "on demand", "off already"],
)
def test_nothing_ahead(reported: FlowFacts) -> None:
    """No threshold, no failures in a row, no schedule, or a flow that is off already: nothing is forecast."""
    assert approaching(reported, POLICY, NOW) is None
