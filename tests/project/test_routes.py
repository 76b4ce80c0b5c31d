"""A channel with a route hears of its queues only, by the server's own matching."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prefect.server.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent

from deployments.apply import channels, outward
from recovery.events.outward import CONSUMER_SILENT, GROUP_OPENED, Outward, of_queue

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def hears(route: str, event: Outward) -> bool:
    """True when the server would notify a channel with this route ("" for none)."""
    routes = outward.routes(f"slack={route}", channels.ROUTED) if route else {}
    [automation] = outward.wanted({"slack": uuid4()}, {}, routes)
    trigger = EventTrigger.model_validate(automation.trigger.model_dump(mode="json"))
    return trigger.covers(ReceivedEvent.model_validate({**event.as_event(), "received": NOW}))


@pytest.mark.parametrize(
    ("route", "heard"),
    [
        ("", True),
        ("dead_letters/orders-dlq", True),
        ("dead_letters/ord*", True),
        ("dead_letters/stock-dlq", True),
        ("*/*", True),
        ("dead_letters/billing-*", False),
        ("dead_letters/orders", False),
        ("outbox_records/orders-dlq", False),
    ],
)
def test_a_group_is_heard_by_each_of_its_queues(route: str, heard: bool) -> None:
    """Its own id names none of them, since one cause may be in several."""
    group = ("group", "dead_letters", "arn:aws:sqs:eu-west-1:1", "g")
    assert hears(route, Outward(GROUP_OPENED, group, "k", NOW, {}, ("orders-dlq", "stock-dlq"))) is heard


@pytest.mark.parametrize(("route", "heard"), [("", True), ("dead_letters/orders-*", True), ("*/billing-*", False)])
def test_a_queue_in_trouble_is_heard_by_its_name(route: str, heard: bool) -> None:
    """As its groups are."""
    assert hears(route, of_queue(CONSUMER_SILENT, "orders-dlq", NOW, "it takes nothing")) is heard
