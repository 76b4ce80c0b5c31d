"""Values computed from a message alone: its identity, its size, and the entry that sends it back unchanged."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.dead_letters.archived import from_record, to_record
from recovery.dead_letters.messages import (
    BATCH_BYTES,
    Message,
    batches,
    content_hash,
    deduplication_id,
    entry,
    identity,
    size,
)
from recovery.failures import Origin
from tests.unit.dead_letters.samples import NOW, message, queue, seconds

TEXT = {"DataType": "String", "StringValue": "v"}
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "tenant": {"DataType": "String", "StringValue": "blue"},
    "weight": {"DataType": "Number.float", "StringValue": "1.50"},
    "digest": {"DataType": "Binary", "BinaryValue": b"\x00\xff\x80"},
}

# -- identity and content ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (message(body="a"), message(body="b")),
        (message(attributes={"a": TEXT}), message(attributes={"b": TEXT})),
        (message(attributes={"a": TEXT}), message()),
        (message(system={"MessageGroupId": "g"}), message(system={"MessageGroupId": "h"})),
        (
            message(attributes={"a": {"DataType": "String", "StringValue": ".xy"}}),
            message(attributes={"a": {"DataType": "String.x", "StringValue": "y"}}),
        ),
        (
            message(attributes={"a": {"DataType": "Binary", "BinaryValue": b"1"}}),
            message(attributes={"a": {"DataType": "Number", "StringValue": "1"}}),
        ),
    ],
)
def test_messages_that_say_something_else_have_another_content(one: Message, other: Message) -> None:
    """Body, user attributes with their types, and the group are what a message says."""
    assert content_hash(one) != content_hash(other)


def test_what_sqs_adds_is_no_content() -> None:
    """A copy of a message has the same content, whatever id, receipt and times SQS gave it."""
    copy = message(
        message_id="m-2",
        receipt="r-2",
        age=timedelta(days=3),
        system={"ApproximateReceiveCount": "7"},
        origin=Origin.UNKNOWN,
    )
    shuffled = dict(reversed(ATTRIBUTES.items()))
    assert content_hash(message()) == content_hash(copy)
    assert content_hash(message(attributes=ATTRIBUTES)) == content_hash(message(attributes=shuffled))


def test_a_redriven_message_is_found_by_its_message_id() -> None:
    """SQS keeps the id in a redrive, so neither content nor business id is asked."""
    assert identity(message(attributes={"order-id": TEXT}), "order-id", "order") == "m-1"


def test_a_message_that_a_consumer_sent_is_found_by_what_makes_it_the_same() -> None:
    """The named attribute, else the named place in the body, else the content; each within its own queue."""
    sent = message(origin=Origin.UNKNOWN, attributes={"order-id": TEXT}, body='{"order": {"id": 7}}')
    again = message(origin=Origin.UNKNOWN, attributes={"order-id": TEXT}, body="changed", message_id="m-2")
    assert identity(sent, "order-id", None) == identity(again, "order-id", None)
    by_body = identity(sent, "absent", "order.id")
    assert by_body == identity(message(origin=Origin.UNKNOWN, body='{"order": {"id": 7}, "try": 2}'), None, "order.id")
    assert identity(sent, None, None) == f"orders-dlq:content:{content_hash(sent)}"
    ours, theirs = (f"arn:aws:sqs:eu-west-1:{account * 12}:orders-dlq" for account in "12")
    assert identity(sent, None, None, queue=ours) != identity(sent, None, None, queue=theirs), "the same name elsewhere"
    elsewhere = message(origin=Origin.UNKNOWN, queue="other-dlq", body='{"order": {"id": 7}}')
    assert len({identity(sent, "order-id", None), by_body, identity(elsewhere, None, "order.id")}) == 3


def test_a_business_id_does_not_stand_in_the_ledgers_key() -> None:
    """It may be a person's: only its hash is written down."""
    sent = message(origin=Origin.UNKNOWN, attributes={"mail": {"DataType": "String", "StringValue": "jo@example.org"}})
    assert "jo" not in identity(sent, "mail", None)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "plain",
        "[1, 2]",
        '{"order": {"id": {}}}',
        '{"order": null}',
        '{"other": 1}',
        "[" * 100_000,
        '{"order": {"id"',
    ],
)
def test_a_body_without_the_named_place_counts_by_content(body: str) -> None:
    """No JSON, other JSON, or JSON nested without end: the content is what is left."""
    sent = message(origin=Origin.UNKNOWN, body=body)
    assert identity(sent, None, "order.id") == f"orders-dlq:content:{content_hash(sent)}"


def test_the_deduplication_id_is_stable_for_an_attempt() -> None:
    """The same for every try of one attempt, another for the next attempt, another for another message, and legal."""
    first = deduplication_id(message(), 1)
    assert first == deduplication_id(message(receipt="r-9", age=timedelta(days=1)), 1)
    assert len({first, deduplication_id(message(), 2), deduplication_id(message(message_id="m-2"), 1)}) == 3
    assert first.isalnum()
    assert len(first) <= 128


# -- sizes and batches ---------------------------------------------------------------------------------------------


def test_size_counts_what_sqs_counts() -> None:
    """UTF-8 of the body, and name, type and value of each attribute; system attributes do not count."""
    assert size(message(body="aé")) == 3
    assert size(message(body="", attributes={"tenant": ATTRIBUTES["tenant"]})) == 6 + 6 + 4
    assert size(message(body="", attributes={"digest": ATTRIBUTES["digest"]})) == 6 + 6 + 3
    assert size(message(body="x", system={"AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793"})) == 1


@given(st.lists(st.integers(0, 2 * BATCH_BYTES) | st.integers(0, 2000), max_size=60))
def test_batches_hold_everything_in_order_and_within_bounds(sizes: list[int]) -> None:
    """At most ten entries and 1 MiB, nothing lost, nothing twice, in order; only what is too large stands alone."""
    parts = batches(sizes)
    assert [index for part in parts for index in part] == list(range(len(sizes)))
    for part in parts:
        assert 1 <= len(part) <= 10
        assert sum(sizes[index] for index in part) <= BATCH_BYTES or len(part) == 1


def test_ten_messages_of_one_mebibyte_go_one_by_one() -> None:
    """A batch is limited like a message: 10 times 1 MiB does not fit."""
    assert batches([BATCH_BYTES] * 3) == [[0], [1], [2]]
    assert batches([BATCH_BYTES // 2, BATCH_BYTES // 2, 1]) == [[0, 1], [2]]
    assert [len(part) for part in batches([1] * 25)] == [10, 10, 5]


# -- the entry that sends it back ------------------------------------------------------------------------------------


def test_an_entry_carries_the_message_unchanged() -> None:
    """Body and all attributes, binary ones as bytes; what boto3 adds to a received attribute is left out."""
    received = {name: {**value, "StringListValues": [], "BinaryListValues": []} for name, value in ATTRIBUTES.items()}
    built = entry(message(attributes=received, body="{{ jinja }}"), 3, seconds(61), fifo=False, attempt=1)
    assert built == {"Id": "3", "MessageBody": "{{ jinja }}", "MessageAttributes": ATTRIBUTES, "DelaySeconds": 61}


def test_an_entry_keeps_trace_header_and_fair_group() -> None:
    """A standard queue takes a group (its tenant) and no deduplication id; the trace goes on."""
    traced = message(system={"AWSTraceHeader": "Root=1-5759e988", "MessageGroupId": "tenant-7"})
    built = entry(traced, 0, seconds(0), fifo=False, attempt=1)
    assert built == {
        "Id": "0",
        "MessageBody": traced.body,
        "MessageGroupId": "tenant-7",
        "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988"}},
    }


def test_a_fifo_entry_has_group_and_deduplication_id_and_no_delay() -> None:
    """FIFO takes no delay for one message; the id is the attempt's, not the one that the move gave the message."""
    moved = message(system={"MessageGroupId": "g", "MessageDeduplicationId": "m-1"})
    built = entry(moved, 0, seconds(600), fifo=True, attempt=2)
    assert built["MessageGroupId"] == "g"
    assert built["MessageDeduplicationId"] == deduplication_id(moved, 2)
    assert "DelaySeconds" not in built
    assert entry(message(), 0, seconds(0), fifo=True, attempt=1)["MessageGroupId"] == "m-1"


@pytest.mark.parametrize(("delay", "asked"), [(0.4, 0), (0.6, 1), (899.6, 900), (5000.0, 900)])
def test_a_delay_is_whole_seconds_that_sqs_takes(delay: float, asked: int) -> None:
    """Rounded, and never beyond 900."""
    assert entry(message(), 0, seconds(delay), fifo=False, attempt=1).get("DelaySeconds", 0) == asked


# -- the archive's copy --------------------------------------------------------------------------------------------


@given(
    st.text(),
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.one_of(
            st.text().map(lambda text: {"DataType": "String", "StringValue": text}),
            st.binary().map(lambda raw: {"DataType": "Binary", "BinaryValue": raw}),
        ),
        max_size=10,
    ),
    st.sampled_from(Origin),
)
def test_the_archive_gives_back_what_it_was_given(body: str, attributes: dict[str, Any], origin: Origin) -> None:
    """Through JSON and back: body, attributes (binary ones, too), system attributes and origin."""
    kept = message(body=body, attributes=attributes, origin=origin, system={"MessageGroupId": "g"})
    again = from_record(json.loads(json.dumps(to_record(kept))), NOW)
    assert (again.body, again.attributes, again.system, again.origin) == (body, attributes, kept.system, origin)
    assert content_hash(again) == content_hash(kept)
    assert entry(again, 0, seconds(0), fifo=False, attempt=1) == entry(kept, 0, seconds(0), fifo=False, attempt=1)


# -- times ---------------------------------------------------------------------------------------------------------


def test_a_message_expires_by_the_dead_letter_queues_retention() -> None:
    """Retention runs on from the first send, in the retention of the queue where the message lies now."""
    old = message(age=timedelta(days=3))
    assert old.expires_at(queue(retention=timedelta(days=4))) == NOW + timedelta(days=1)


def test_a_message_shows_when_it_began_to_fail() -> None:
    """The first receive by anybody, else the send."""
    first = str(int((NOW - timedelta(minutes=5)).timestamp() * 1000))
    assert message(system={"ApproximateFirstReceiveTimestamp": first}).first_received_at == NOW - timedelta(minutes=5)
    assert message().first_received_at == message().sent_at == NOW - timedelta(hours=1)


def test_a_message_does_not_show_what_it_says() -> None:
    """Neither body, attributes nor receipt appear in its representation."""
    shown = repr(message(body="secret-body", receipt="secret-receipt", attributes={"secret-name": TEXT}))
    assert "secret" not in shown
    assert "m-1" in shown
