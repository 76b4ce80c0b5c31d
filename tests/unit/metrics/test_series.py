"""Numbers made from a report."""

from __future__ import annotations

import math

import pytest

from recovery.metrics.series import path_names, plain_value, series
from recovery.paths import PATHS
from recovery.report import Number, RecoveryReport
from tests.unit.metrics.samples import entry, report


def values(made: RecoveryReport, *, swept: bool = False) -> dict[tuple[str, str, str], float]:
    """Value by name, dimension beside Path, and its value."""
    return {(datum.name, datum.dimension, datum.key): datum.value for datum in series(made, swept=swept)}


def test_what_was_done_is_counted_by_path_kind_and_source() -> None:
    """Each settled item counts once in each of the three."""
    found = values(
        report(
            entry("heal"),
            entry("heal", source="ordered-dlq"),
            entry("archive", kind="BAD_PAYLOAD"),
            entry("archive", kind="TIMEOUT", exhausted=True),
            entry("alert", kind="CODE_BUG"),
        )
    )
    assert found["Healed", "", ""] == 2
    assert found["Healed", "Kind", "TIMEOUT"] == 2
    assert found["Healed", "Source", "orders-dlq"] == 1
    assert found["Healed", "Source", "ordered-dlq"] == 1
    assert found["Archived", "", ""] == 2
    assert found["Exhausted", "", ""] == 1
    assert found["Exhausted", "Kind", "TIMEOUT"] == 1
    assert found["Alerted", "Kind", "CODE_BUG"] == 1


def test_zeros_are_published_by_path_only() -> None:
    """A quiet run shows that nothing happened, and no series of a kind or a source costs anything for it."""
    data = series(report(), swept=True)
    assert {datum.dimension for datum in data} == {""}
    zeros = {datum.name for datum in data if datum.value == 0}
    assert zeros == {
        "HealerErrors",
        "MissedEvents",
        "Recovered",
        "Healed",
        "Archived",
        "Alerted",
        "Replayed",
        "Exhausted",
    }


def test_what_did_not_go_through_is_an_error_of_the_healer() -> None:
    """Items that are stuck and problems of the run; neither counts as healed."""
    found = values(report(entry("heal", settled=False), entry("heal"), problems=("no permission",)))
    assert found["HealerErrors", "", ""] == 2
    assert found["Healed", "", ""] == 1


def test_only_a_run_of_a_schedule_is_a_sweep() -> None:
    """The alarm on missing sweeps is not silenced by runs that an event started."""
    assert values(report(), swept=True)["Sweeps", "", ""] == 1
    assert values(report(), swept=False)["Sweeps", "", ""] == 0


def test_time_to_recover_is_reported_only_when_something_recovered() -> None:
    """As the mean of so many; zero would read as "at once"."""
    assert ("TimeToRecover", "", "") not in values(report())
    [reported] = [
        datum
        for datum in series(report(recovered=4, seconds_to_recover=90.0), swept=False)
        if datum.name == "TimeToRecover"
    ]
    assert (reported.value, reported.samples, reported.unit) == (90.0, 4, "Seconds")


@pytest.mark.parametrize(
    ("path", "action", "name"),
    [
        ("replication_tasks", "resume", "Restarts"),
        ("replication_tasks", "reload tables", "Restarts"),
        ("replication_tasks", "escalate", "Escalated"),
        ("appflow_runs", "twin", "Reruns"),
        ("appflow_runs", "escalate", "Escalated"),
        ("dead_letters", "replay", "Replayed"),
    ],
)
def test_each_path_counts_what_it_does(path: str, action: str, name: str) -> None:
    """The words that a path uses for its actions are known."""
    assert values(report(entry(action), path=path))[name, "", ""] == 1


def test_numbers_of_a_path_are_reported_by_path_and_source() -> None:
    """Depths of queues add up, the age of the oldest row does not."""
    numbers = (
        Number(name="VisibleDeadLetters", value=3, source="a"),
        Number(name="VisibleDeadLetters", value=4, source="b"),
        Number(name="Oldest", value=60, unit="Seconds", source="a", is_worst=True),
        Number(name="Oldest", value=90, unit="Seconds", source="b", is_worst=True),
    )
    found = values(report(numbers=numbers))
    assert found["VisibleDeadLetters", "", ""] == 7
    assert found["VisibleDeadLetters", "Source", "b"] == 4
    assert found["Oldest", "", ""] == 90


def test_a_number_of_zero_is_reported_by_path_only() -> None:
    """An empty queue costs no series of its own."""
    found = values(report(numbers=(Number(name="VisibleDeadLetters", value=0, source="a"),)))
    assert found["VisibleDeadLetters", "", ""] == 0
    assert ("VisibleDeadLetters", "Source", "a") not in found


def test_outbox_rows_that_failed_are_split_by_kind_without_being_counted_twice() -> None:
    """The path shows how many failed; the groups report which kind."""
    numbers = (Number(name="OutboxFailed", value=2, source="orders-outbox"),)
    made = report(
        entry("retry", kind="THROTTLED", source="orders-outbox"),
        entry("retry", kind="AUTH_FAILURE", source="orders-outbox"),
        path="outbox_records",
        numbers=numbers,
    )
    found = values(made)
    assert found["OutboxFailed", "", ""] == 2
    assert found["OutboxFailed", "Source", "orders-outbox"] == 2
    assert found["OutboxFailed", "Kind", "THROTTLED"] == 1


def test_every_metric_by_path_is_in_the_vocabulary() -> None:
    """Room is reserved for exactly the series that a path publishes, so that the limit is the real one."""
    for path, about in PATHS.items():
        reported = tuple(Number(name=name, value=1, source="s") for name in about.counts.own)
        data = series(report(path=path, recovered=1, seconds_to_recover=1.0, numbers=reported), swept=True)
        assert {datum.name for datum in data if not datum.dimension} == set(path_names(about.counts))


def test_a_number_that_is_none_is_left_out() -> None:
    """CloudWatch refuses a whole request for one NaN."""
    found = values(report(numbers=(Number(name="Odd", value=math.nan), Number(name="Even", value=2))))
    assert ("Odd", "", "") not in found
    assert found["Even", "", ""] == 2


@pytest.mark.parametrize(
    ("text", "plain"),
    [("orders", "orders"), ("größe", "gr??e"), (":x", "x"), ("", "-"), ("  ", "-"), ("a" * 999, "a" * 255)],
)
def test_a_dimension_value_is_one_that_cloudwatch_takes(text: str, plain: str) -> None:
    """Printable ASCII, not empty, no leading colon, bounded."""
    assert plain_value(text) == plain
