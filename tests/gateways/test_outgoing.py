"""Events about what Reprise did: posted once, kept while the server is away, and never in the way of the work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.aws import client_config
from recovery.errors import BadInput
from recovery.events.outward import BACKLOG_AT_RISK, GROUP_EXHAUSTED, GROUP_OPENED, Outward, of_queue, of_report
from recovery.ledger import Ledger
from recovery.outgoing import BATCH, Outgoing
from simulated_aws.server import SimulatedAws
from tests.unit.test_report import entry, report

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)


def event(key: str = "a", **payload: Any) -> Outward:
    return Outward(GROUP_OPENED, ("group", "dead_letters", "orders-dlq", "g"), key, NOW, payload)


class Server:
    """A server that takes events, is away, or refuses one of them."""

    def __init__(self) -> None:
        self.took: list[Outward] = []
        self.calls = 0
        self.is_away = False
        self.refuses = ""

    def post(self, events: Sequence[Outward]) -> None:
        self.calls += 1
        if self.is_away:
            raise ConnectionError("nobody answers")
        if any(event.key == self.refuses for event in events):
            raise BadInput("events: refused")
        self.took += events


@pytest.fixture
def ledger(aws: SimulatedAws) -> Ledger:
    aws.create_estate()
    return Ledger(aws.client("dynamodb", config=client_config()), aws.environment["REPRISE_LEDGER_TABLE"])


def run(ledger: Ledger, server: Server) -> Outgoing:
    return Outgoing(ledger, server.post, lambda: NOW)


def test_what_the_server_did_not_take_goes_out_later(ledger: Ledger) -> None:
    """A run whose server is away keeps its events; the next run posts them once, under the same ids."""
    server = Server()
    server.is_away = True
    first = run(ledger, server)
    first.emit([event("a"), event("b", count=3)])
    first.emit([event("a")])  # twice the same: one event
    assert first.flush() == 0
    assert server.calls == 1, "a server that was away is asked once a run"
    server.is_away = False
    assert run(ledger, server).flush() == 2
    assert sorted(each.key for each in server.took) == ["a", "b"]
    assert {each.id for each in server.took} == {event("a").id, event("b").id}
    assert run(ledger, server).flush() == 0


def test_an_event_that_the_server_refuses_holds_up_no_other(ledger: Ledger) -> None:
    """It is dropped; those beside it go out."""
    server = Server()
    server.refuses = "bad"
    run(ledger, server).emit([event("a"), event("bad"), event("b")])
    assert [each.key for each in server.took] == ["a", "b"]
    assert run(ledger, server).flush() == 0


def test_many_are_posted_in_parts(ledger: Ledger) -> None:
    """A hundred in a request, also those that were kept."""
    server = Server()
    server.is_away = True
    run(ledger, server).emit([event(str(n)) for n in range(2 * BATCH + 1)])
    server.is_away, server.calls = False, 0
    assert run(ledger, server).flush() == 2 * BATCH + 1
    assert server.calls == 3


def test_without_a_server_nothing_is_kept(aws: SimulatedAws, ledger: Ledger) -> None:
    """A run from Python alone costs nothing."""
    aws.clear_requests()
    alone = Outgoing(ledger, None, lambda: NOW)
    alone.emit([event()])
    assert alone.flush() == 0
    assert aws.request_counts() == {}


def test_an_event_is_short_and_made_from_its_fact() -> None:
    """The same fact has the same id, another one another; texts are cut."""
    shown = event("a", reason="x" * 5_000, count=3).as_event()
    assert shown["id"] == event("a").as_event()["id"] != event("b").as_event()["id"]
    assert shown["resource"]["prefect.resource.id"] == "reprise.group.dead_letters.orders-dlq.g"
    assert len(shown["payload"]["reason"]) <= 500
    assert Outward.from_json(event("a", count=3).as_json()) == event("a", count=3)


@pytest.mark.parametrize("damage", ["event", "resource", "key", "occurred", "payload"])
def test_a_damaged_event_is_reported(damage: str) -> None:
    """A record that somebody changed by hand."""
    kept = event().as_json()
    del kept[damage]
    with pytest.raises(BadInput):
        Outward.from_json(kept)


def test_a_report_names_what_is_exhausted() -> None:
    """Once for the group and its first item; nothing from a dry run."""
    rows = [entry("m-1", action="archive", exhausted=True), entry("m-2", action="archive", exhausted=True)]
    [only] = of_report(report(*rows))
    assert (only.event, only.resource[1:]) == (GROUP_EXHAUSTED, ("dead_letters", "orders-dlq", "g"))
    assert only.payload["count"] == 2
    assert of_report(report(*rows, dry_run=True)) == []
    assert of_report(report(entry())) == []


def test_a_queue_in_trouble_is_an_event_once_an_hour() -> None:
    """Whoever runs, and however often."""
    first, again = (
        of_queue(BACKLOG_AT_RISK, "orders-dlq", NOW + timedelta(minutes=m), "3 expire", count=3) for m in (1, 59)
    )
    later = of_queue(BACKLOG_AT_RISK, "orders-dlq", NOW + timedelta(minutes=61), "3 expire", count=3)
    assert first.id == again.id != later.id
    assert first.as_event()["resource"]["prefect.resource.id"] == "reprise.queue.orders-dlq"
