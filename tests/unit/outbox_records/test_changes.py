"""Conditional changes: what they write, what they expect, and when a refusal is our own echo."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from recovery.outbox_records import changes
from recovery.outbox_records.changes import Change, is_done, statement
from recovery.outbox_records.models import Item, Row, read_row
from tests.unit.outbox_records.rows import NAMES, NOW, ORDERED, row

TOKEN = "owner:1"
KEEP = timedelta(days=7)


def applied(given_row: Row | None, change: Change, item: Item | None = None) -> Item | None:
    """The row after a change, as DynamoDB would leave it; None when the condition refuses it."""
    before = dict(item if item is not None else (given_row.item if given_row else {}))
    for name, expected in change.expects.items():
        if before.get(name) != expected:
            return None
    return {name: value for name, value in {**before, **change.sets}.items() if name not in change.removes}


def in_flight(**attributes: Any) -> tuple[Row, Item]:
    """A row as it was read, and as our claim left it."""
    read = row(**attributes)
    item = applied(read, changes.claim(read, NAMES, TOKEN, NOW + timedelta(minutes=5)))
    assert item is not None
    return read, item


def test_a_statement_holds_values_as_parameters_only() -> None:
    """Names are quoted, values are parameters in the order of the question marks, a missing attribute is asked for."""
    change = Change(
        {"id": {"S": "x' OR '1'='1"}}, {"status": {"S": "Pending"}}, ("a b",), {"status": None, "n": {"N": "1"}}
    )
    assert statement("my-table", change) == {
        "Statement": 'UPDATE "my-table" SET "status"=? REMOVE "a b" WHERE "id"=? AND "status" IS MISSING AND "n"=?',
        "Parameters": [{"S": "Pending"}, {"S": "x' OR '1'='1"}, {"N": "1"}],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_a_claim_moves_the_sort_key_to_the_end_of_the_lease() -> None:
    """So an abandoned row falls due by itself; the attempt is counted; the row must still be as it was read."""
    _, item = in_flight(outbox_attempts=2, status="Failure")
    assert item["outbox_next_attempt"] == {"N": str(int(NOW.timestamp()) + 300)}
    assert item["outbox_attempts"] == {"N": "3"}
    assert item["status"] == {"S": "InFlight"}
    assert item["outbox_line"] == {"S": "Unfinished#3"}


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"status": {"S": "Successful"}},
        {"outbox_next_attempt": {"N": "99"}},
        {"outbox_claim": {"S": "other:1"}},
    ],
)
def test_a_claim_is_refused_when_anything_moved(meanwhile: Item) -> None:
    """Status, due time and claim together are the row's version."""
    read = row()
    change = changes.claim(read, NAMES, TOKEN, NOW)
    assert applied(None, change, {**read.item, **meanwhile}) is None


def test_our_own_echo_is_recognised() -> None:
    """A claim that the SDK repeated fails its condition on the row that it made itself; another's claim is no echo."""
    read, item = in_flight()
    again = changes.claim(read, NAMES, TOKEN, NOW + timedelta(minutes=5))
    assert applied(None, again, item) is None
    assert is_done(again, item)
    assert not is_done(changes.claim(read, NAMES, "other:1", NOW + timedelta(minutes=5)), item)


def test_a_delivered_row_leaves_the_line() -> None:
    """Everything but the status, the attempts, the message's id and the TTL goes."""
    read, item = in_flight(status="Failure", outbox_error="e", outbox_error_kind="TIMEOUT", outbox_attempts=1)
    done = applied(None, changes.delivered(read, NAMES, TOKEN, "m-1", NOW, KEEP), item)
    assert done == {
        "id": {"S": "r1"},
        "message": {"S": "hello"},
        "status": {"S": "Successful"},
        "outbox_attempts": {"N": "2"},
        "outbox_message_id": {"S": "m-1"},
        "outbox_expires": {"N": str(int(NOW.timestamp()) + 7 * 86_400)},
    }
    assert "outbox_expires" not in changes.delivered(read, NAMES, TOKEN, "m-1", NOW, None).sets


@pytest.mark.parametrize("claim", [{"outbox_claim": {"S": "other:9"}}, {"status": {"S": "Pending"}}])
def test_only_the_holder_of_the_claim_marks(claim: Item) -> None:
    """After another worker's claim, or a rewrite, no mark of ours is written."""
    read, item = in_flight()
    marks = [
        changes.delivered(read, NAMES, TOKEN, "m", NOW, KEEP),
        changes.failed(read, NAMES, TOKEN, error="e", kind="TIMEOUT", due=NOW, attempts=1),
        changes.exhausted(read, NAMES, TOKEN, error="e", kind="TIMEOUT", attempts=1, now=NOW, leave_group=False),
        changes.released(read, NAMES, TOKEN),
    ]
    assert [applied(None, mark, {**item, **claim}) for mark in marks] == [None] * 4
    assert all(applied(None, mark, item) for mark in marks)


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({}, "Pending"),
        ({"status": None}, "Pending"),
        ({"status": "Failure", "outbox_attempts": 2}, "Failure"),
        ({"status": "InFlight", "outbox_attempts": 2, "outbox_claim": "dead:1"}, "Failure"),
        ({"status": "InFlight", "outbox_claim": "dead:1"}, "Pending"),
    ],
)
def test_a_released_row_is_as_it_was(attributes: dict[str, Any], status: str) -> None:
    """Due time and attempts come back; a dead worker's claim does not."""
    read, item = in_flight(**attributes)
    back = applied(None, changes.released(read, NAMES, TOKEN), item)
    assert back is not None
    again = read_row(back, NAMES, ("id",))
    assert (again.status, again.due, again.attempts, again.claim) == (status, read.due, read.attempts, "")


def test_exhausted_rows_stay_listed_and_can_be_revived() -> None:
    """They move to the exhausted line of the same shard, and a revival brings them back with fresh attempts."""
    read, item = in_flight(outbox_attempts=9, status="Failure")
    change = changes.exhausted(
        read, NAMES, TOKEN, error="e", kind="BAD_PAYLOAD", attempts=10, now=NOW, leave_group=False
    )
    gone = applied(None, change, item)
    assert gone is not None
    listed = read_row(gone, NAMES, ("id",))
    assert (listed.status, listed.line, listed.attempts, listed.kind) == ("Exhausted", "Exhausted#3", 10, "BAD_PAYLOAD")
    back = applied(listed, changes.revived(listed, NAMES, NOW))
    assert back is not None
    revived = read_row(back, NAMES, ("id",))
    assert (revived.status, revived.line, revived.attempts) == ("Pending", "Unfinished#3", 0)
    assert (revived.due, revived.error, revived.kind) == (NOW.timestamp(), "", "")


def test_an_exhausted_head_holds_or_leaves_its_group() -> None:
    """hold keeps it in its group's index, skip takes it out; a revival puts it back."""
    read = row(ORDERED, group="g", outbox_group="g")
    for leave in (False, True):
        change = changes.exhausted(read, ORDERED, "", error="e", kind="x", attempts=0, now=NOW, leave_group=leave)
        item = applied(read, change)
        assert item is not None
        assert ("outbox_group" in item) is not leave
        revived = applied(None, changes.revived(read_row(item, ORDERED, ("id",)), ORDERED, NOW), item)
        assert revived is not None
        assert revived["outbox_group"] == {"S": "g"}


def test_enlisting_needs_a_row_without_status_and_line() -> None:
    """A row that has either is somebody's already; one with Failure keeps that status."""
    new = {"id": {"S": "r1"}, "message": {"S": "m"}}
    change = changes.enlisted({"id": {"S": "r1"}}, NAMES, identity="r1", shards=8, due=NOW, group="g")
    item = applied(None, change, new)
    assert item is not None
    assert (item["status"], item["outbox_group"]) == ({"S": "Pending"}, {"S": "g"})
    assert item["outbox_line"]["S"] in {f"Unfinished#{n}" for n in range(8)}
    for there in ({"status": {"S": "Successful"}}, {"outbox_line": {"S": "Unfinished#1"}}):
        assert applied(None, change, {**new, **there}) is None
    failed = changes.enlisted({"id": {"S": "r1"}}, NAMES, identity="r1", shards=8, due=NOW, status={"S": "Failure"})
    assert failed.sets["status"] == {"S": "Failure"}


def test_what_is_due_at_once_is_not_due_a_second_later() -> None:
    """Whole seconds are rounded down for rows that may go now, and up for leases and backoffs."""
    moment = NOW + timedelta(milliseconds=700)
    key: Item = {"id": {"S": "r1"}}
    assert changes.enlisted(key, NAMES, identity="r1", shards=8, due=moment).sets["outbox_next_attempt"] == {
        "N": str(int(NOW.timestamp()))
    }
    assert changes.claim(row(), NAMES, TOKEN, moment).sets["outbox_next_attempt"] == {
        "N": str(int(NOW.timestamp()) + 1)
    }
