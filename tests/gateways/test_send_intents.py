"""Send intents in the ledger: what an interrupted run leaves open, and what the next one learns from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.aws import client_config
from recovery.dead_letters.messages import Message
from recovery.dead_letters.send_intents import SIZE, PendingSend, SendIntent, SendIntents
from recovery.dead_letters.situation import Unconfirmed
from recovery.failures import Origin
from recovery.ledger import Ledger
from recovery.ledger_writes import put
from recovery.records import Record, record_item
from simulated_aws.server import SimulatedAws
from tests.unit.dead_letters.samples import message

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)
SETTLE = timedelta(minutes=30)
QUEUE = "orders-dlq"
"""Stands for the ARN."""


def intent(name: str, *pending: tuple[str, str, int, int], queue: str = QUEUE) -> SendIntent:
    return SendIntent(name, queue, tuple(PendingSend(*pending_send) for pending_send in pending))


ONE = intent("f-1", ("m-1", "c-1", 1, 1), ("m-2", "c-2", 2, 1))


@pytest.fixture
def ledger(aws: SimulatedAws) -> Ledger:
    aws.create_estate()
    aws.clear_requests()
    return Ledger(aws.client("dynamodb", config=client_config()), aws.environment["REPRISE_LEDGER_TABLE"])


@pytest.fixture
def intents(ledger: Ledger) -> SendIntents:
    return SendIntents(ledger)


def named(message_id: str, **changes: Any) -> Message:
    """A message that was sent when the send intents of these tests were opened."""
    return replace(message(message_id=message_id, **changes), system=sent_at(NOW))


def sent_at(moment: datetime) -> dict[str, str]:
    return {"SentTimestamp": str(int(moment.timestamp() * 1000))}


def items(aws: SimulatedAws) -> list[dict[str, Any]]:
    table = aws.environment["REPRISE_LEDGER_TABLE"]
    return list(aws.client("dynamodb").scan(TableName=table)["Items"])


def test_an_open_intent_leaves_its_sends_unconfirmed(intents: SendIntents) -> None:
    """The message itself is known by its id, and a copy of it by its content; other queues know nothing of it."""
    intents.open([ONE], NOW)
    opened = intents.open_of(QUEUE, fifo=False)
    assert opened.about(named("m-1"), "c-1") == Unconfirmed(1, 1, sent=False, same_message=True, intent="f-1")
    assert opened.about(named("copy"), "c-2") == Unconfirmed(2, 1, sent=False, same_message=False)
    assert opened.about(named("m-3"), "c-3") is None
    assert intents.open_of("other-dlq", fifo=False).about(named("m-1"), "c-1") is None


def test_a_copy_was_sent_when_its_intent_was_open(intents: SendIntents) -> None:
    """Among messages of equal text, those sent at another time have lost no attempt."""
    intents.open([ONE], NOW)
    copy = Unconfirmed(1, 1, sent=False, same_message=False)

    def about(seconds: float, *, fifo: bool = False, origin: Origin = Origin.SQS_REDRIVE) -> Unconfirmed | None:
        sent = replace(named("copy", origin=origin), system=sent_at(NOW + timedelta(seconds=seconds)))
        return intents.open_of(QUEUE, fifo=fifo).about(sent, "c-1")

    assert about(-121) is None
    assert about(-119) == about(0) == about(3600) == copy
    assert about(3601) is None
    # The time of a move, or of a consumer's own send, is later than that of the send that failed.
    assert about(90_000, fifo=True) == about(90_000, origin=Origin.UNKNOWN) == copy
    assert about(-121, fifo=True) is None


def test_a_confirmed_intent_was_sent(intents: SendIntents, ledger: Ledger) -> None:
    """Then only removing the original is left, and a message alike is a message of its own."""
    intents.open([ONE], NOW)
    ledger.write_items([intents.confirmation(ONE, ["n-1", None], NOW)])
    opened = intents.open_of(QUEUE, fifo=False)
    assert opened.about(named("m-1"), "c-1") == Unconfirmed(
        1, 1, sent=True, same_message=True, new_id="n-1", intent="f-1"
    )
    assert opened.about(named("copy"), "c-1") is None
    assert opened.about(named("m-2"), "c-2") == Unconfirmed(2, 1, sent=False, same_message=True, intent="f-1")
    assert opened.about(named("copy"), "c-2") == Unconfirmed(2, 1, sent=False, same_message=False)


def test_a_message_that_certainly_was_not_sent_leaves_nothing_open(intents: SendIntents, ledger: Ledger) -> None:
    """Refused or throttled: it uses up no try, and no copy of it is on its way."""
    intents.open([ONE], NOW)
    ledger.write_items([intents.confirmation(ONE, ["n-1", ""], NOW)])
    opened = intents.open_of(QUEUE, fifo=False)
    assert opened.about(named("m-2"), "c-2") is None
    assert opened.about(named("copy"), "c-2") is None
    assert opened.about(named("m-1"), "c-1") == Unconfirmed(
        1, 1, sent=True, same_message=True, new_id="n-1", intent="f-1"
    )


def test_the_furthest_intent_of_a_message_counts(intents: SendIntents, ledger: Ledger) -> None:
    """After several crashes: the highest attempt and try, and a confirmed send before all."""
    intents.open(
        [intent("f-1", ("m-1", "c", 1, 1)), intent("f-2", ("m-1", "c", 1, 2)), intent("f-0", ("m-1", "c", 1, 1))], NOW
    )
    assert intents.open_of(QUEUE, fifo=False).about(named("m-1"), "c") == Unconfirmed(
        1, 2, sent=False, same_message=True, intent="f-2"
    )
    ledger.write_items([intents.confirmation(intent("f-1"), ["n-1"], NOW)])
    assert intents.open_of(QUEUE, fifo=False).about(named("m-1"), "c") == Unconfirmed(
        1, 1, sent=True, same_message=True, new_id="n-1", intent="f-1"
    )
    assert intents.open_of(QUEUE, fifo=False).about(named("copy"), "c") == Unconfirmed(
        1, 2, sent=False, same_message=False
    )


def test_a_confirmed_copy_is_known_by_its_id(intents: SendIntents, ledger: Ledger) -> None:
    """Should it come back before its case is written, its attempt counts."""
    intents.open([ONE], NOW)
    ledger.write_items([intents.confirmation(ONE, ["n-1", ""], NOW)])
    opened = intents.open_of(QUEUE, fifo=False)
    assert opened.about(named("n-1"), "anything") == Unconfirmed(1, 1, sent=False, same_message=False)


def test_a_closed_intent_leaves_nothing(aws: SimulatedAws, intents: SendIntents, ledger: Ledger) -> None:
    """Otherwise every sweep of an outage would leave one."""
    intents.open([ONE], NOW)
    ledger.write_items([intents.confirmation(ONE, ["n-1", "n-2"], NOW)])
    ledger.write_items(intents.closing(ONE.id, ONE.queue))
    assert items(aws) == []


def test_a_full_intent_is_small_and_expires(aws: SimulatedAws, intents: SendIntents) -> None:
    """A hundred messages in about ten kilobytes, kept as long as SQS may keep a copy."""
    many = [(f"00000000-0000-0000-0000-{n:012d}", f"{n:032d}", 1, 1) for n in range(SIZE)]
    intents.open([intent("f" * 32, *many)], NOW)
    [item] = items(aws)
    assert len(item["data"]["S"]) < 10_240
    kept = datetime.fromtimestamp(int(item["expires"]["N"]), UTC) - NOW
    assert timedelta(days=14) < kept < timedelta(days=17)


def test_opening_again_changes_nothing(aws: SimulatedAws, intents: SendIntents) -> None:
    """A repeated write is the same write: DynamoDB left some over, or the answer was lost."""
    aws.fault("partial", service="dynamodb", operation="BatchWriteItem", entries=[0])
    intents.open([ONE], NOW)
    intents.open([ONE], NOW)
    assert len(items(aws)) == 1


@pytest.mark.parametrize(
    ("sk", "data"),
    [
        ("open#f-1", {"messages": []}),
        ("open#f-1", {"at": None, "messages": []}),
        ("open#f-1", {"at": "yesterday", "messages": []}),
        ("open#f-1", {"at": NOW.isoformat(), "messages": [["m-1", "c-1", 1]]}),
        ("open#f-1", {"at": NOW.isoformat(), "messages": [["m-1", "c-1", "1", 1]]}),
        ("open#f-1", {"at": NOW.isoformat(), "messages": {"m-1": 1}}),
        ("sent#f-1", {}),
        ("sent#f-1", {"became": [1]}),
        ("sent#f-2", {"became": ["n-1"]}),
        ("odd", {}),
    ],
)
def test_an_intent_that_cannot_be_understood_is_set_aside(
    intents: SendIntents, ledger: Ledger, sk: str, data: dict[str, Any]
) -> None:
    """Nobody knows which sends of it are unconfirmed; what other send intents say holds all the same."""
    intents.open([replace(ONE, id="f-2")], NOW)
    ledger.write_items([put(record_item(Record("intent#orders-dlq", sk, data, 0), NOW + SETTLE))])
    opened = intents.open_of(QUEUE, fifo=False)
    assert [error.place for error in opened.unreadable] == [
        f"the ledger's item with pk 'intent#orders-dlq' and sk '{sk}'"
    ]
    assert set(opened.by_message) == {"m-1", "m-2"}
