"""Rows that nobody put in line are found, and exhausted ones get another chance."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from recovery.errors import Transient
from recovery.outbox_records import lost
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.models import read_row
from recovery.pacing import Pace
from simulated_aws.server import SimulatedAws
from tests.outbox_world import NO_PAUSE, TABLE, OutboxWorld


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws)


def test_a_row_without_a_status_is_put_in_line_and_delivered(world: OutboxWorld) -> None:
    """One that is old enough is found by the search; the next run publishes it; its number is a metric."""
    world.put({"id": "lost", "message": "hello", "created_at": "2026-01-01T00:00:00Z"})
    report = world.run(mode="find_lost")
    assert report.missed_events == 1
    assert [(number.name, number.value, number.source) for number in report.numbers] == [
        ("OutboxLost", 1, "orders-outbox")
    ]
    assert report.by_action == {"enlist": 1}
    row = world.row("lost")
    assert row["status"] == "Pending"
    assert row["outbox_line"].startswith("Unfinished#")
    world.run()
    assert world.delivered_texts() == ["hello"]


@pytest.mark.parametrize("per_second", [1, 1_000])
def test_a_young_row_is_left_to_its_service(world: OutboxWorld, per_second: int) -> None:
    """Younger than the grace it is not touched; afterwards it is lost. Seconds and milliseconds both count."""
    world.put({"id": "young", "message": "hello", "created_at": int(time.time() * per_second)})
    grace = NO_PAUSE.model_copy(update={"grace_seconds": 600})
    assert world.run(mode="find_lost", policy=grace).found == 0
    assert "status" not in world.row("young")
    world.later(601)
    assert world.run(mode="find_lost", policy=grace).missed_events == 1


@pytest.mark.parametrize("created", [None, "2999-01-01T00:00:00Z", "yesterday"])
def test_a_row_without_a_usable_time_is_lost_when_two_searches_saw_it(world: OutboxWorld, created: str | None) -> None:
    """No time, a time in the future and no time at all: the first search notices it, a later one puts it in line."""
    world.put({"id": "a", "message": "hello"} | ({"created_at": created} if created else {}))
    assert world.run(mode="find_lost").by_action == {"notice": 1}
    assert world.run(mode="find_lost").found == 0
    world.later(301)
    assert world.run(mode="find_lost").by_action == {"enlist": 1}


def test_a_failure_of_another_implementation_is_put_in_line(world: OutboxWorld) -> None:
    """Rows with Failure or Pending and no index keys were never found by an index: the search finds them."""
    world.put({"id": "failed", "message": "m", "status": "Failure", "created_at": "2026-01-01T00:00:00Z"})
    world.put({"id": "pending", "message": "m", "status": "Pending"})
    world.put({"id": "half", "message": "m", "status": "Pending", "outbox_line": "Unfinished#1"})
    world.put({"id": "nowhere", "message": "m", "status": "Pending", "outbox_line": "Due", "outbox_next_attempt": 1})
    world.put({"id": "done", "message": "m", "status": "Successful"})
    assert world.run(mode="find_lost").by_action == {"enlist": 4}
    assert world.row("failed")["status"] == "Failure"
    world.run()
    assert set(world.statuses().values()) == {"Successful"}
    assert len(world.delivered()) == 4


def test_what_is_no_outbox_row_is_left_alone(world: OutboxWorld) -> None:
    """Items without a message, and rows with a status that nobody knows, are not touched."""
    world.put({"id": "customer", "name": "somebody"})
    world.put({"id": "theirs", "message": "m", "status": "Verarbeitet"})
    before = world.rows()
    report = world.run(mode="find_lost")
    assert world.rows() == before
    assert report.by_action == {"leave": 1}


def test_a_clock_in_the_future_does_not_hold_a_row_back(world: OutboxWorld) -> None:
    """A next attempt further away than the horizon (milliseconds for seconds, say) is due now; a planned one stays."""
    world.pending("wrong", due=int(time.time() * 1_000))
    world.pending("planned", due=int(time.time()) + 3_600)
    assert world.run().found == 0
    assert world.run(mode="find_lost").by_action == {"enlist": 1}
    world.run()
    assert world.statuses() == {"wrong": "Successful", "planned": "Pending"}


def test_a_search_goes_on_where_the_last_run_ended(world: OutboxWorld) -> None:
    """A run that could not finish notes how far it came: the next one reads the rest only."""
    old = "2026-01-01T00:00:00Z"
    for n in range(40):
        world.put({"id": f"row-{n}", "message": "x" * 30_000, "created_at": old})
    policy = NO_PAUSE.model_copy(update={"scan_segments": 1})
    first = world.work(mode="find_lost", policy=policy)
    first.table.describe()
    search = lost.begin(first)
    scan = first.table.scan
    pages: list[int] = []

    def breaking(*place: Any) -> Any:
        if pages:
            raise Transient("dynamodb:Scan: ThrottlingException: slow down")
        page = scan(*place)
        pages.append(page.read)
        return page

    first.table.scan = breaking  # type: ignore[method-assign, assignment]
    with pytest.raises(Transient):
        lost.search_on(first, search)
    first.close()
    assert 0 < pages[0] < 40
    found = sum("outbox_line" in row for row in world.rows().values())
    assert found == pages[0]

    second = world.work(mode="find_lost", policy=policy)
    second.table.describe()
    search = lost.begin(second)
    while not search.is_over:
        lost.search_on(second, search)
    second.close()
    assert search.scanned == 40 - pages[0]
    assert {row["status"] for row in world.rows().values()} == {"Pending"}
    third = world.work(mode="find_lost", policy=policy)
    third.table.describe()
    assert lost.begin(third).progress == {0: None}
    third.close()


def test_a_search_keeps_to_its_rate(world: OutboxWorld) -> None:
    """Consumed read units are paid for by waiting: the waits add up to units over rate."""
    for n in range(60):
        world.put({"id": f"row-{n}", "message": "x" * 30_000, "created_at": "2026-01-01T00:00:00Z"})
    policy = NO_PAUSE.model_copy(update={"scan_segments": 1, "scan_units_per_second": 10})
    work = world.work(mode="find_lost", policy=policy)
    waits: list[float] = []
    units: list[float] = []
    scan = work.table.scan

    def counted(*place: Any) -> Any:
        page = scan(*place)
        units.append(page.units)
        return page

    work.table.scan = counted  # type: ignore[method-assign, assignment]
    work.pace_scan = Pace(10, clock=lambda: 0.0, sleep=waits.append)
    work.table.describe()
    search = lost.begin(work)
    while not search.is_over:
        lost.search_on(work, search)
    work.close()
    assert len(units) > 1
    assert waits[-1] == pytest.approx(sum(units[:-1]) / 10)


def test_two_searches_at_once_put_each_row_in_line_once(world: OutboxWorld) -> None:
    """The condition lets one of them win, and only that one counts the row."""
    world.put({"id": "a", "message": "m", "created_at": "2026-01-01T00:00:00Z"})
    first, second = world.work(mode="find_lost"), world.work(mode="find_lost")
    for work in (first, second):
        work.table.describe()
    page = second.table.scan(0, 1, None, lost._read_lines(second))
    search = lost.begin(first)
    while not search.is_over:
        lost.search_on(first, search)
    rows = [read_row(item, second.names, second.table.key_names) for item in page.items]
    world.later(5)
    assert lost._put_in_line(second, rows) == 0
    assert (first.lost, second.tally.found) == (1, 0)
    for work in (first, second):
        work.close()


def test_a_dry_search_writes_nothing(world: OutboxWorld) -> None:
    """It says which rows it would put in line."""
    world.put({"id": "lost", "message": "m", "created_at": "2026-01-01T00:00:00Z"})
    world.put({"id": "timeless", "message": "m"})
    world.pending("wrong", due=int(time.time() * 1_000))
    before = world.rows()
    assert world.run(mode="find_lost", dry_run=True).by_action == {"enlist": 2, "notice": 1}
    assert world.rows() == before


# -- reviving ------------------------------------------------------------------------------------------------------


def test_exhausted_rows_are_listed_and_revived(world: OutboxWorld) -> None:
    """A dry run lists them; a real one gives those named fresh attempts, and the next run delivers them."""
    for n in range(3):
        world.pending(f"bad-{n}", "", shard=n)
    world.run()
    for n in range(3):
        world.dynamodb.update_item(
            TableName=TABLE,
            Key={"id": {"S": f"bad-{n}"}},
            UpdateExpression="SET message = :m",
            ExpressionAttributeValues={":m": {"S": f"fixed {n}"}},
        )
    assert world.run(mode="revive", dry_run=True).by_action == {"revive": 3}
    assert set(world.statuses().values()) == {"Exhausted"}
    assert world.run(mode="revive", rows=("bad-1",)).by_action == {"revive": 1}
    assert world.row("bad-1")["outbox_attempts"] == "0"
    world.run()
    assert world.statuses() == {"bad-0": "Exhausted", "bad-1": "Successful", "bad-2": "Exhausted"}
    assert world.delivered_texts() == ["fixed 1"]
    assert world.run(mode="revive").by_action == {"revive": 2}


@pytest.mark.parametrize("mode", ["deliver", "find_lost"])
def test_ttl_deletes_no_row_that_is_still_to_go_out(world: OutboxWorld, mode: str) -> None:
    """A row that is due later than its TTL loses it, whoever set it; it goes out in its time and then gets one."""
    now = int(world.clock(lambda: datetime.now(UTC))().timestamp())
    world.pending("late", due=now + 7_200, outbox_expires=now + 3_600)
    world.pending("plain", due=now + 7_200)
    report = world.run(mode=mode)
    assert report.by_action == {"keep": 1}
    assert "outbox_expires" not in world.row("late")
    assert world.run(mode=mode).found == 0
    world.later(7_300)
    world.run()
    assert set(world.statuses().values()) == {"Successful"}
    assert "outbox_expires" in world.row("late")


def test_a_row_that_is_sent_again_loses_its_old_ttl(world: OutboxWorld) -> None:
    """A finished row that somebody puts in line again is kept through failure and exhaustion."""
    world.pending("r")
    world.run()
    world.dynamodb.update_item(
        TableName=TABLE,
        Key={"id": {"S": "r"}},
        UpdateExpression="SET #s = :p, outbox_line = :l, outbox_next_attempt = :d, outbox_attempts = :a",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":p": {"S": "Pending"},
            ":l": {"S": "Unfinished#0"},
            ":d": {"N": "1000"},
            ":a": {"N": "10"},
        },
    )
    assert "outbox_expires" in world.row("r")
    world.run()
    assert world.row("r")["status"] == "Exhausted"
    assert "outbox_expires" not in world.row("r")


def test_rows_that_are_named_are_revived_without_a_search(world: OutboxWorld) -> None:
    """Their keys are read, not the exhausted rows; a name that is none is reported."""
    for n in range(30):
        exhausted = {"id": f"x{n}", "message": "m", "status": "Exhausted", "outbox_line": f"Exhausted#{n % 8}"}
        world.put({**exhausted, "outbox_next_attempt": 1_000 + n})
    world.aws.clear_requests()
    report = world.run(mode="revive", rows=("x29", "nobody"))
    assert report.by_action == {"revive": 1}
    assert any("nobody" in warning for warning in report.warnings)
    assert "dynamodb:Query" not in world.aws.request_counts()
    assert world.row("x29")["status"] == "Pending"
    assert world.row("x0")["status"] == "Exhausted"


def test_a_search_of_the_most_partitions_keeps_to_dynamodb_s_bound(world: OutboxWorld) -> None:
    """DynamoDB takes 100 operands of IN; the emulator takes more, so the expression itself is counted."""
    asked: list[str] = []

    def watch(params: Any, **_: Any) -> None:
        asked.append(params["FilterExpression"])

    work = world.work(mode="find_lost", shards=50)
    table = OutboxTable(world.dynamodb, work.request, pause=lambda _: None)
    table.describe()
    world.put({"id": "lost", "message": "hello"})
    client = world.dynamodb
    client.meta.events.register("provide-client-params.dynamodb.Scan", watch)
    try:
        page = table.scan(0, 1, None, lost._read_lines(work))
    finally:
        client.meta.events.unregister("provide-client-params.dynamodb.Scan", watch)
        work.close()
    [expression] = asked
    operands = expression.partition(" IN (")[2].partition(")")[0].split(",")
    assert len(operands) == 100
    assert [row["id"]["S"] for row in page.items] == ["lost"]
