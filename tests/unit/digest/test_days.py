"""A day is added up from its runs, once each, and stays small."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from recovery.digest.days import GROUPS, LISTS, Day
from recovery.report import Entry
from tests.unit.metrics.samples import entry, report

TODAY = date(2026, 3, 4)


def day(path: str = "dead_letters") -> Day:
    return Day(path=path, day=TODAY)


def test_runs_add_up() -> None:
    """Actions, kinds, recovered and groups of two runs are in one day."""
    first = report(entry("heal"), entry("archive", exhausted=True), recovered=2, seconds_to_recover=10.0)
    second = report(entry("heal"), entry("wait"), recovered=1, seconds_to_recover=40.0, missed_events=3)
    total = day().with_run(first, "a").with_run(second, "b")
    assert total.actions == {"archive": 1, "heal": 2, "wait": 1}
    assert (total.runs, total.recovered, total.recovery_seconds, total.missed_events) == (2, 3, 60.0, 3)
    assert (total.failed, total.came_back, total.exhausted) == (3, 3, 1)
    assert {(group.group, group.count) for group in total.groups} == {("g-TIMEOUT-heal", 2), ("g-TIMEOUT-archive", 1)}


def test_the_same_run_is_added_once() -> None:
    """A step that is repeated after a lost answer changes nothing."""
    total = day().with_run(report(entry("heal")), "a")
    assert total.with_run(report(entry("heal")), "a") is total


def test_what_only_waits_is_no_new_failure() -> None:
    """A message that is looked at in every sweep is counted when something is done about it."""
    total = day()
    for number in range(10):
        total = total.with_run(report(entry("wait"), entry("leave", kind="")), f"run-{number}")
    assert total.failed == 0
    assert total.groups == ()


def test_what_did_not_go_through_is_no_group_of_what_was_done() -> None:
    """It is counted as such, and again once it went through."""
    total = day().with_run(report(entry("heal", settled=False)), "a")
    assert (total.failed, total.unsettled, total.failed_runs, total.groups) == (0, 1, 1, ())


def test_published_rows_came_back() -> None:
    """A publish that SNS has taken is the proof."""
    total = day("outbox_records").with_run(report(entry("deliver"), entry("retry"), path="outbox_records"), "a")
    assert (total.failed, total.came_back) == (1, 1)


def test_full_lists_are_kept_by_their_keys() -> None:
    """The latest ones, so that an item can be looked for in them."""
    total = day()
    for number in range(LISTS + 5):
        total = total.with_run(report(entry("heal"), full_list=f"s3://bucket/reports/{number}.gz"), f"r{number}")
    assert len(total.lists) == LISTS
    assert total.lists[-1] == f"reports/{LISTS + 4}.gz"


def test_what_has_a_name_is_remembered_by_it() -> None:
    """Replications and flows by their names, each once; the example is the one that the next step is for."""
    runs = [
        report(
            replace(entry("escalate"), key="stock", next_step="run: aws dms x --y"),
            replace(entry("escalate", kind="AUTH_FAILURE"), key="lake"),
            path="replication_tasks",
        ),
        report(replace(entry("resume"), key="orders", group="g-TIMEOUT-escalate"), path="replication_tasks"),
        report(replace(entry("resume"), key="stock", group="g-TIMEOUT-escalate"), path="replication_tasks"),
    ]
    total = day("replication_tasks")
    for number, one in enumerate(runs):
        total = total.with_run(one, f"run-{number}")
    [group, other] = total.groups
    assert (group.count, group.names, group.sample) == (3, ("stock", "orders"), "stock")
    assert other.names == ("lake",)
    assert not [one for one in day().with_run(report(entry("heal")), "a").groups if one.names], "messages have ids"


def test_a_next_step_is_not_cut_where_a_command_would_be_another_one() -> None:
    """It is kept as far as pages show it, and then with a sign that it goes on."""
    long = "run: aws dms reload-tables --tables-to-reload " + "SchemaName=a,TableName=b " * 60
    [group] = day().with_run(report(replace(entry("heal"), next_step=long)), "a").groups
    assert group.next_step.startswith(long[:400])
    assert group.next_step.endswith("…")


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 500), st.sampled_from(["heal", "archive"])),
            max_size=30,
        ),
        max_size=6,
    )
)
def test_a_day_stays_small_and_loses_no_count(runs: list[list[tuple[str, int, str]]]) -> None:
    """However many groups there are: bounded, and the sum over groups is the sum of what was done."""
    total = day()
    for number, run in enumerate(runs):
        entries = [
            Entry(
                key="k", source=source, action=action, reason="why", kind="TIMEOUT", group=f"g{group}", error="e" * 999
            )
            for source, group, action in run
        ]
        total = total.with_run(report(*entries), f"run-{number}")
    assert len(total.groups) <= GROUPS + 1
    assert sum(group.count for group in total.groups) == total.failed == sum(len(run) for run in runs)
    assert len(total.model_dump_json()) < 100_000
    assert Day.model_validate(total.model_dump(mode="json")) == total
