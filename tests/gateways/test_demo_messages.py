"""The demo's expectations of its messages, and its check, which notices every departure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, cast

import pytest

from demo.messages_compared import differences
from demo.messages_expected import ARCHIVED, CARRIED_OUT, LEFT, RECORDED, Destiny, changed, of_order, of_recorded
from demo.messages_in_aws import AlertMail, Archived, InLedger, InQueue, MessagesInAws
from demo.workload.orders import DISCONTINUED, body, order

# -- what should become of an order --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "sku", "queue", "place", "how", "kept"),
    [
        ("acme", "shelf-wide", "orders", CARRIED_OUT, "at once", ()),
        ("acme", "chair-oak", "orders", CARRIED_OUT, "after a heal", ()),
        ("acme", "desk-corner", "orders", CARRIED_OUT, "after a heal", ()),
        ("initech", "shelf-wide", "orders", CARRIED_OUT, "after a heal", ()),
        ("acme", "lamp-brass", "orders", ARCHIVED, "", (("exhausted", "DEPENDENCY_FAILURE"),)),
        ("globex", "shelf-wide", "orders", CARRIED_OUT, "after a replay", (("replayed", "AUTH_FAILURE"),)),
        ("vandelay", "shelf-wide", "orders", CARRIED_OUT, "after a change", (("replayed", "AUTH_FAILURE"),)),
        (
            "vandelay",
            DISCONTINUED,
            "orders",
            ARCHIVED,
            "",
            (("replayed", "AUTH_FAILURE"), ("archived", "VALIDATION_ERROR")),
        ),
        ("globex", "shelf-wide", "invoices", ARCHIVED, "", (("parked", "AUTH_FAILURE"),)),
        (
            "globex",
            DISCONTINUED,
            "orders",
            ARCHIVED,
            "",
            (("replayed", "AUTH_FAILURE"), ("archived", "VALIDATION_ERROR")),
        ),
        ("initech", DISCONTINUED, "orders", ARCHIVED, "", (("archived", "VALIDATION_ERROR"),)),
    ],
)
def test_an_order_s_destiny_follows_from_the_service(
    account: str, sku: str, queue: str, place: str, how: str, kept: tuple[tuple[str, str], ...]
) -> None:
    """Tried on the bad day, healed in the afternoon, replayed in the evening: each leaves what it should."""
    tried = kept[:1] if account == "vandelay" else ()
    assert of_order(body(order(1, account, sku)), queue) == Destiny("order-000001", place, how, kept, tried)


def test_what_nobody_can_read_is_archived() -> None:
    """An order that was cut off, and one that the consumer's own mistake fails."""
    assert of_order(body(order(1))[:40], "orders").kept == (("archived", "BAD_PAYLOAD"),)
    present = {**order(1), "gift": None}
    assert of_order(body(present), "orders").kept == (("parked", "CODE_BUG"),)


def test_recorded_messages_are_archived_or_left() -> None:
    """None of them is ever carried out by the shop's consumer."""
    assert {of_recorded(name).place for name in RECORDED} == {ARCHIVED, LEFT}


# -- whether the check notices -------------------------------------------------------------------------------------

DONE, PARKED, HEALED, ALONE = (body(order(number)) for number in range(4))
EXPECTED = {
    DONE: Destiny("order-000000", CARRIED_OUT, "at once"),
    PARKED: Destiny("order-000001", ARCHIVED, kept=(("parked", "AUTH_FAILURE"),)),
    HEALED: Destiny("order-000002", CARRIED_OUT, "after a heal"),
    ALONE: Destiny("order-000003", LEFT),
}


class Aws:
    """`MessagesInAws` of a world in which all is as it should be; tests change it."""

    def __init__(self) -> None:
        self.sources: list[InQueue] = []
        self.graves = [InQueue(ALONE, "orders-dlq", untouched=False, hidden=False)]
        self.copies = [Archived(PARKED, "archive/a", 0, {"message_id": "m-1", "body": PARKED})]
        parked = InLedger("m-1", "parked", "AUTH_FAILURE", "orders-dlq", {"archive": {"key": "archive/a", "line": 0}})
        self.known = {"m-1": parked, "m-2": InLedger("m-2", "sent", "TIMEOUT", "orders-dlq", {})}
        self.intents: list[str] = []
        self.post = [
            AlertMail("Reprise: 1 dead letter(s) of orders-dlq wait for a person (AUTH_FAILURE)", "Group: g-1"),
            AlertMail("Reprise: a failure group of orders-dlq has recovered", "The failure group g-2 has recovered"),
        ]

    def with_consumer(self) -> list[InQueue]:
        return self.sources

    def dead(self) -> list[InQueue]:
        return self.graves

    def archived(self) -> list[Archived]:
        return self.copies

    def cases(self) -> dict[str, InLedger]:
        return self.known

    def open_intents(self) -> list[str]:
        return self.intents

    def mails(self) -> list[AlertMail]:
        return self.post


def test_a_copy_of_the_canary_is_no_difference() -> None:
    """It was sent unchanged, came back, and was sent with its change; two copies more are one too many."""
    aws, expected = Aws(), dict(EXPECTED)
    expected[PARKED] = replace(EXPECTED[PARKED], tried=(("parked", "AUTH_FAILURE"),))
    for number in (2, 3):
        key = f"m-{number + 1}"
        aws.known[key] = replace(aws.known["m-1"], key=key, detail={"archive": {"key": "archive/a", "line": number}})
        aws.copies.append(Archived(PARKED, "archive/a", number, {"message_id": key, "body": PARKED}))
        lines = differences(expected, cast(MessagesInAws, aws), set(DONE_IDS))
        assert bool(lines) is (number == 3)


DONE_IDS = ("order-000000", "order-000002")


def found(aws: Aws, carried_out: frozenset[str] = frozenset({"order-000000", "order-000002"})) -> list[str]:
    return differences(EXPECTED, cast(MessagesInAws, aws), carried_out)


def test_a_world_as_it_should_be_has_no_differences() -> None:
    """Nothing is complained of without reason."""
    assert found(Aws()) == []


def _change_case(aws: Aws, key: str, **changes: Any) -> None:
    aws.known[key] = replace(aws.known[key], **changes)


WRONGS: dict[str, Callable[[Aws], object]] = {
    "order-000000 still lies in orders": lambda aws: aws.sources.append(InQueue(DONE, "orders", True, False)),
    "order-000002 still lies in a dead-letter queue": lambda aws: aws.graves.append(
        InQueue(HEALED, "orders-dlq", False, False)
    ),
    "order-000003 was not left where it was": lambda aws: aws.graves.clear(),
    "order-000001 is in the archive as no copy": lambda aws: aws.copies.clear(),
    "order-000000 is in the archive as": lambda aws: aws.copies.append(
        Archived(DONE, "archive/b", 0, {"message_id": "m-1", "body": DONE})
    ),
    "holds a message that was never sent": lambda aws: aws.copies.append(
        Archived("another", "archive/b", 0, {"message_id": "m-9", "body": "another"})
    ),
    "order-000001 is in the archive and not in the ledger": lambda aws: aws.known.pop("m-1"),
    "should be as (('parked', 'AUTH_FAILURE'),)": lambda aws: _change_case(aws, "m-1", kind="UNKNOWN"),
    "the ledger does not point at its copy": lambda aws: _change_case(aws, "m-1", detail={}),
    "the ledger has 0 messages that were sent back": lambda aws: _change_case(aws, "m-2", state="back"),
    "the ledger has an open send intent": lambda aws: aws.intents.append("open#f"),
    "nobody was notified of AUTH_FAILURE in orders-dlq": lambda aws: aws.post.clear(),
    "2 alerts about the group g-1 of orders-dlq": lambda aws: aws.post.append(aws.post[0]),
    "somebody was notified of CODE_BUG in orders-dlq": lambda aws: aws.post.append(
        AlertMail("Reprise: 1 dead letter(s) of orders-dlq wait for a person (CODE_BUG)", "Group: g-3")
    ),
    "holds a value of a message": lambda aws: aws.post.append(replace(aws.post[1], text="order-000002 is fine again")),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_what_is_wrong_is_reported(wrong: str) -> None:
    """Each way in which AWS can differ from what should have happened is a line that names it."""
    aws = Aws()
    WRONGS[wrong](aws)
    assert any(wrong in line for line in found(aws)), found(aws)


def test_an_order_that_was_not_carried_out_is_reported() -> None:
    """The shop's own service is asked, not our ledger."""
    assert found(Aws(), frozenset({"order-000000"})) == ["order-000002 was not carried out"]
    assert found(Aws(), frozenset({"order-000000", "order-000001", "order-000002"})) == [
        "order-000001 was carried out, and should not have been"
    ]


def test_an_alert_is_read_as_a_subscriber_gets_it() -> None:
    """Queue, kind and group come from the subject and the text that people see."""
    asked, recovered = Aws().post
    assert (asked.source, asked.kind, asked.group, asked.is_recovery) == ("orders-dlq", "AUTH_FAILURE", "g-1", False)
    assert (recovered.source, recovered.group, recovered.is_recovery) == ("orders-dlq", "g-2", True)
    assert asdict(asked)["subject"].startswith("Reprise")


def test_a_changed_order_is_found_under_its_first_body() -> None:
    """Only the sold customer's account changes; an order that was sent unchanged first may have one copy more."""
    sold = body(order(1, "vandelay"))
    assert changed(sold) == body(order(1, "umbra"))
    assert not changed(body(order(1, "globex")))
    assert not changed(sold[:40])
