"""A day, against the week before it."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from recovery.chart import chart
from recovery.digest.days import Day
from recovery.digest.digest import Digest, digest
from recovery.digest.pages import columns, headline, page, text
from recovery.links import Links
from recovery.story import Moment, Story
from tests.unit.metrics.samples import entry, report

TODAY = date(2026, 3, 4)


def day(back: int, *actions: str, **more: Any) -> Day:
    shown = report(*(entry(action, error="read timed out", next_step="look") for action in actions), **more)
    return Day(path="dead_letters", day=TODAY - timedelta(days=back)).with_run(shown, f"run-{back}")


def waiting(key: str, **more: Any) -> Story:
    basis: dict[str, Any] = {
        "key": key,
        "path": "dead_letters",
        "source": "orders-dlq",
        "state": "parked",
        "meaning": "waits",
        "waits_for_a_person": True,
        "kind": "AUTH_FAILURE",
        "group": "g1",
        "error": "401",
        "next_step": "rotate the key",
        "moments": (Moment(at=datetime(2026, 3, 1, 8, tzinfo=UTC), what="first found"),),
    }
    return Story(**(basis | more))


def made(*waits: Story, today: Day | None = None, **past: Day) -> Digest:
    days = {TODAY: [today] if today else []}
    days |= {one.day: [one] for one in past.values()}
    return digest(TODAY, days, waits, is_cut=False)


def test_a_quiet_day_is_quiet() -> None:
    """Nothing failed and nothing waits."""
    shown = made()
    assert shown.is_quiet
    assert "Nothing waits for a person" in page(shown)
    assert "as in the week before" in page(shown)


def test_the_trend_is_against_the_mean_of_the_week_before() -> None:
    """Seven days count, those on which nothing happened included."""
    shown = made(
        today=day(0, "heal", "heal"), before=day(1, "heal"), earlier=day(7, "heal", "archive", "alert", "heal")
    )
    [failed] = [trend for trend in shown.trends if trend.name == "failed"]
    assert (failed.today, round(failed.before, 3)) == (2, round(5 / 7, 3))
    assert failed.words().startswith("+180 % against the week before (0.7 a day)")
    assert [failed for _, failed, _ in shown.by_day] == [4, 0, 0, 0, 0, 0, 1, 2]


def test_time_to_recover_is_the_mean_over_items() -> None:
    """Not the mean over runs, and not reported when nothing recovered."""
    today = day(0, "heal", recovered=1, seconds_to_recover=100.0).with_run(
        report(recovered=3, seconds_to_recover=20.0), "other"
    )
    [trend] = [trend for trend in made(today=today).trends if trend.name == "mean time to recover"]
    assert trend.today == 40.0
    assert not [trend for trend in made(today=day(0, "heal")).trends if trend.name == "mean time to recover"]


def test_what_waits_is_reported_by_group_with_the_next_step() -> None:
    """The largest first, since when, and what to do."""
    shown = made(waiting("a"), waiting("b"), waiting("c", group="g2", kind="BAD_PAYLOAD"))
    assert [(one.count, one.kind, one.since) for one in shown.waiting] == [
        (2, "AUTH_FAILURE", "2026-03-01 08:00"),
        (1, "BAD_PAYLOAD", "2026-03-01 08:00"),
    ]
    assert "rotate the key" in page(shown)
    assert "2 AUTH_FAILURE of orders-dlq since 2026-03-01 08:00 UTC: rotate the key" in text(shown)
    assert not shown.is_quiet


def test_what_waits_is_called_by_its_name_where_it_has_one() -> None:
    """A command is for one of several, which is named; messages are reported by their queue."""
    step = "run: aws dms stop-replication-task --replication-task-arn arn"
    alike = {"path": "replication_tasks", "source": "7415999", "group": "g"}
    shown = made(waiting("orders", **alike, next_step=""), waiting("stock", **alike, next_step=step), waiting("m-1"))
    rendered = page(shown)
    assert "### 2 AUTH_FAILURE of orders and stock (replication tasks)" in rendered
    assert "- next step for `stock`: **run:** `aws dms stop-replication-task --replication-task-arn arn`" in rendered
    assert "### 1 AUTH_FAILURE of orders-dlq (dead letters)" in rendered
    assert "7415999" not in rendered + text(shown)


def test_alike_kinds_of_a_source_are_one_bar() -> None:
    """The picture has no two bars of the same label."""
    groups = [replace(entry("heal"), group=f"g{n}", source="orders-dlq") for n in range(3)]
    shown = page(made(today=Day(path="dead_letters", day=TODAY).with_run(report(*groups), "run")))
    assert chart([("TIMEOUT, orders-dlq", 3)]) in shown


def test_the_page_has_pictures_of_what_failed_and_of_the_week() -> None:
    """As data URIs, which need no server."""
    shown = page(made(today=day(0, "heal", "archive")))
    assert shown.count("](data:image/svg+xml;base64,") == 2
    assert "1 TIMEOUT of orders-dlq (dead letters)" in shown


def test_the_columns_are_a_picture() -> None:
    """One pair a day, with its numbers, and no division by zero on a week without any."""
    by_day = [(TODAY - timedelta(days=n), n, 0) for n in range(8)]
    drawn = base64.b64decode(columns(by_day).partition(",")[2]).decode()
    assert drawn.count("<rect") == 3 + 16
    assert "Wed 04 Mar" in drawn
    assert columns([(TODAY, 0, 0)])


def test_what_is_cut_says_so() -> None:
    """A bounded count is not mistaken for all."""
    shown = digest(TODAY, {}, [waiting("a")], is_cut=True)
    assert "More waits than was counted here" in page(shown)


def test_the_text_names_no_value_and_stays_short() -> None:
    """Groups beyond the first few are counted; the text fits into a mail."""
    groups = [waiting(f"k{n}", group=f"g{n}", source=f"queue-{n}") for n in range(50)]
    shown = text(made(*groups, today=day(0, "heal")))
    assert "and 42 more groups" in shown
    assert len(shown) < 4_000
    assert headline(made(*groups)) == "2026-03-04: 0 failed, 0 came back, 50 wait for a person"


def test_texts_of_failures_cannot_break_the_page() -> None:
    """Error texts are neither markup nor templates."""
    nasty = waiting("a", error="<script>{{x}}", source="<b>", next_step="[l](http://e)")
    drawn = page(made(nasty))
    assert "<script>" not in drawn
    assert "{{" not in drawn
    assert "](http" not in drawn


def test_what_waits_comes_first_with_its_forms() -> None:
    """A person acts before they compare; messages without a group have no form, which would be of their whole queue."""
    links = Links("http://ui", {"dead-letters/plan": "d-1", "cases/close": "d-2"}, "r")
    shown = page(made(waiting("m-1")), (), links)
    assert shown.index("## Waiting for a person now") < shown.index("## Against the week before")
    assert "- [plan its return, once its cause is fixed](http://ui/v2/deployments/deployment/d-1/run?" in shown
    assert "](http://ui" not in page(made(waiting("m-1", group="")), (), links)
