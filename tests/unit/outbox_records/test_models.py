"""Reading rows, ids, times and requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recovery.errors import BadInput
from recovery.outbox_records.models import line_of, row_id, written_at
from recovery.outbox_records.policy import OutboxPolicy, OutboxRequest, RowNames
from tests.unit.outbox_records.rows import NOW, row

ARN = "arn:aws:sns:us-east-1:000000000000:orders"


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_ids_of_composite_keys_are_unique(a: str, b: str, c: str, d: str) -> None:
    """Two keys have the same id only when they are the same, whatever characters stand in them."""
    first, second = ({"p": {"S": left}, "s": {"S": right}} for left, right in ((a, b), (c, d)))
    assert (row_id(first, ("p", "s")) == row_id(second, ("p", "s"))) == ((a, b) == (c, d))


def test_ids_are_as_people_write_them() -> None:
    """A simple key is its value; binary is base64; a composite key is a JSON array."""
    assert row_id({"p": {"N": "42"}}, ("p",)) == "42"
    assert row_id({"p": {"B": b"\x01"}, "s": {"S": 'a"b'}}, ("p", "s")) == '["AQ==","a\\"b"]'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"S": "2026-03-01T12:00:00Z"}, NOW),
        ({"S": "2026-03-01T13:00:00+01:00"}, NOW),
        ({"S": "2026-03-01T12:00:00"}, NOW),
        ({"S": "2026-03-01"}, datetime(2026, 3, 1, tzinfo=UTC)),
        ({"N": "1772366400"}, NOW),
        ({"N": "1772366400000"}, NOW),
        ({"S": "yesterday"}, None),
        ({"N": "9e99"}, None),
        ({"BOOL": True}, None),
        (None, None),
    ],
)
def test_times_in_the_forms_that_services_write(value: Any, expected: datetime | None) -> None:
    """ISO 8601 with or without a zone, seconds and milliseconds; anything else is no time."""
    assert written_at(value) == expected


@given(st.text(), st.integers(1, 100))
def test_lines_are_stable_and_within_their_shards(identity: str, shards: int) -> None:
    """A row always falls into the same partition, one of those that are read."""
    assert line_of(identity, shards) in {f"Unfinished#{n}" for n in range(shards)}
    assert line_of(identity, shards) == line_of(identity, shards)


def test_odd_attributes_read_as_absent() -> None:
    """Attempts that are no number are none; a due time that is no number is none; shards are read from the line."""
    odd = row(outbox_attempts="x", outbox_next_attempt="soon", outbox_claim=3, outbox_line="Unfinished#17")
    assert (odd.attempts, odd.due, odd.claim, odd.shard) == (0, None, "", 17)
    assert row(outbox_line="Due").shard == 0
    assert row(outbox_attempts=-4).attempts == 0


# -- requests ------------------------------------------------------------------------------------------------------


def test_nothing_named_nothing_touched() -> None:
    """The default request is dry and names nothing; a table without a topic is a mistake."""
    assert OutboxRequest().dry_run
    OutboxRequest().check("us-east-1")
    with pytest.raises(BadInput, match="no topic is named"):
        OutboxRequest(table="t").check("us-east-1")
    OutboxRequest(table="t", topic_arn=ARN).check("us-east-1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic_arn": "orders"},
        {"topic_arn": "arn:aws:sqs:us-east-1:000000000000:orders"},
        {"names": {"status": "message"}},
        {"names": {"status": 'a"b'}},
        {"policy": {"horizon_seconds": 3_600, "backoff": {"base_seconds": 30, "factor": 2, "cap_seconds": 3_600}}},
        {"policy": {"lease_seconds": 30}},
        {"shards": 0},
        {"shards": 51},
        {"mode": "publish"},
        {"tables": ["t"]},
    ],
)
def test_wrong_requests_are_refused(wrong: dict[str, Any]) -> None:
    """Names that collide or would end a statement, bounds that make no sense, unknown fields."""
    with pytest.raises(ValidationError):
        OutboxRequest.model_validate(wrong)


def test_the_defaults_are_those_that_the_page_promises() -> None:
    """Ten attempts, from 30 seconds to an hour, and names that fit `message` and `status`."""
    policy = OutboxPolicy()
    waits = [each.total_seconds() for each in policy.backoff.ceilings(9)]
    assert policy.max_attempts == 10
    assert waits == [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    assert (RowNames().message, RowNames().status) == ("message", "status")
    assert OutboxRequest(topic_arn=f"{ARN}.fifo").is_fifo
    assert not OutboxRequest(topic_arn=ARN).is_fifo
