"""One alert for a group and window, whoever sends it and whatever goes wrong in between."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.alerts import LEASE, Alert, Alerts, Announced
from recovery.aws import client_config
from recovery.errors import OutcomeUnknown, Refused, Transient
from recovery.events.outward import (
    CIRCUIT_CLOSED,
    CIRCUIT_OPENED,
    GROUP_GROWN,
    GROUP_OPENED,
    GROUP_RECOVERED,
    Outward,
)
from recovery.ledger import Ledger
from recovery.links import Links
from recovery.outgoing import Outgoing
from recovery.records import Record
from simulated_aws.server import SimulatedAws

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(hours=6)
ALERT = Alert("dead_letters", "orders-dlq", "g", "3 messages wait\nfor you", "what to do", 3)

pytestmark = pytest.mark.usefixtures("sdk_does_not_wait")


class Desk:
    """The alert topic with a mailbox behind it, and senders by name."""

    def __init__(self, aws: SimulatedAws) -> None:
        self.aws = aws
        aws.create_estate()
        self.ledger = Ledger(aws.client("dynamodb", config=client_config()), aws.environment["REPRISE_LEDGER_TABLE"])
        self.topic = aws.environment["REPRISE_ALERT_TOPIC_ARN"]
        url = aws.client("sqs").create_queue(QueueName="mailbox")["QueueUrl"]
        found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        aws.client("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=found["QueueArn"])

    def sender(self, owner: str = "run-1") -> Alerts:
        sns = self.aws.client("sns", config=client_config(repeat=False))
        return Alerts(sns, self.topic, self.ledger, owner)

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(message["body"]) for message in self.aws.messages("mailbox")]

    def fault(self, kind: str, service: str, operation: str, **rule: Any) -> None:
        self.aws.fault(kind, service=service, operation=operation, **rule)


@pytest.fixture
def desk(aws: SimulatedAws) -> Desk:
    return Desk(aws)


def test_one_message_for_a_group_and_window(desk: Desk) -> None:
    """Whoever comes second within the window is notified that people know; after it, they are notified again."""
    assert desk.sender("a").announce(ALERT, NOW, WINDOW) is Announced.SENT
    assert desk.sender("b").announce(ALERT, NOW + timedelta(hours=5), WINDOW) is Announced.ALREADY
    assert len(desk.sent) == 1
    assert desk.sent[0]["Subject"] == "3 messages wait for you"
    assert desk.sent[0]["Message"] == "what to do"
    assert desk.sender("b").announce(ALERT, NOW + WINDOW, WINDOW) is Announced.SENT
    assert len(desk.sent) == 2


def test_groups_queues_and_paths_are_distinguished(desk: Desk) -> None:
    """Each has a message of its own."""
    others = [replace(ALERT, group="h"), replace(ALERT, source="other"), replace(ALERT, path="outbox_records")]
    for alert in (ALERT, *others):
        assert desk.sender().announce(alert, NOW, WINDOW) is Announced.SENT
    assert len(desk.sent) == 4


def test_two_at_once_send_one(desk: Desk) -> None:
    """Of many workers that find the same group in the same moment, one sends."""
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda n: desk.sender(f"run-{n}").announce(ALERT, NOW, WINDOW), range(8)))
    assert outcomes.count(Announced.SENT) == 1
    assert set(outcomes) <= {Announced.SENT, Announced.ALREADY, Announced.ELSEWHERE}
    assert len(desk.sent) == 1


def test_an_alert_whose_sender_died_is_sent_by_the_next(desk: Desk) -> None:
    """While the claim's lease holds nobody else sends it; then the next run does."""
    claim = {"state": "pending", "owner": "dead", "lease": (NOW + LEASE).isoformat(), "count": 3}
    desk.ledger.write_record(Record("alert#dead_letters#orders-dlq", "g", claim, 0), NOW + WINDOW)
    assert desk.sender().announce(ALERT, NOW + LEASE - timedelta(seconds=1), WINDOW) is Announced.ELSEWHERE
    assert desk.sent == []
    assert desk.sender().announce(ALERT, NOW + LEASE, WINDOW) is Announced.SENT
    assert len(desk.sent) == 1


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [("Throttled", 429, Transient), ("InternalFailure", 500, OutcomeUnknown), ("AuthorizationError", 403, Refused)],
)
def test_an_alert_that_was_not_sent_is_sent_at_once_by_the_next_run(
    desk: Desk, code: str, status: int, error: type[Exception]
) -> None:
    """The claim is given back, so nobody waits for its lease; the SDK repeats nothing unseen."""
    desk.aws.clear_requests()
    desk.fault("error", "sns", "Publish", code=code, status=status)
    with pytest.raises(error):
        desk.sender("a").announce(ALERT, NOW, WINDOW)
    assert desk.aws.request_counts()["sns:Publish"] == 1
    assert desk.sender("b").announce(ALERT, NOW, WINDOW) is Announced.SENT
    assert len(desk.sent) == 1


def test_a_topic_that_fails_again_does_not_forget_the_last_alert(desk: Desk) -> None:
    """A failed second alert leaves the first on record: people were notified then, and the window counts from there."""
    desk.sender().announce(ALERT, NOW, WINDOW)
    desk.fault("error", "sns", "Publish", code="AuthorizationError", status=403)
    with pytest.raises(Refused):
        desk.sender().announce(ALERT, NOW + WINDOW, WINDOW)
    assert desk.sender().announce(ALERT, NOW + WINDOW - timedelta(seconds=1), WINDOW) is Announced.ALREADY
    assert desk.sender().announce(ALERT, NOW + WINDOW, WINDOW) is Announced.SENT


def test_a_lost_answer_is_the_one_duplicate(desk: Desk) -> None:
    """The message went out and nobody read that: it is sent once more, and then it is known."""
    desk.fault("lose_ack", "sns", "Publish")
    with pytest.raises(OutcomeUnknown):
        desk.sender().announce(ALERT, NOW, WINDOW)
    assert desk.sender().announce(ALERT, NOW, WINDOW) is Announced.SENT
    assert desk.sender().announce(ALERT, NOW, WINDOW) is Announced.ALREADY
    assert len(desk.sent) == 2


def test_a_claim_whose_answer_got_lost_is_ours(desk: Desk) -> None:
    """The SDK repeats the write, finds its own words there, and the alert goes out once."""
    desk.fault("lose_ack", "dynamodb", "PutItem")
    assert desk.sender().announce(ALERT, NOW, WINDOW) is Announced.SENT
    assert len(desk.sent) == 1


def test_nothing_is_published_without_a_claim(desk: Desk) -> None:
    """A ledger that cannot be written keeps the message back."""
    desk.fault("error", "dynamodb", "PutItem", code="AccessDeniedException", status=400)
    with pytest.raises(Refused):
        desk.sender().announce(ALERT, NOW, WINDOW)
    assert desk.sent == []


def test_a_recovery_is_reported_once_and_only_to_those_who_were_alarmed(desk: Desk) -> None:
    """No alert, no notice; one notice after an alert; and a new failure is an alert again at once."""
    notice = replace(ALERT, subject="recovered", text="it works again")
    assert desk.sender().announce_recovery(notice, NOW) is Announced.ALREADY
    desk.sender().announce(ALERT, NOW, WINDOW)
    assert desk.sender().is_announced("dead_letters", "orders-dlq", "g")
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda n: desk.sender(f"r-{n}").announce_recovery(notice, NOW), range(4)))
    assert outcomes.count(Announced.SENT) == 1
    assert not desk.sender().is_announced("dead_letters", "orders-dlq", "g")
    assert [message["Subject"] for message in desk.sent] == ["3 messages wait for you", "recovered"]
    assert desk.sender().announce(ALERT, NOW + timedelta(minutes=1), WINDOW) is Announced.SENT


def test_a_recovery_whose_sender_died_is_reported_by_the_next_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that claimed the notice and died before publishing it keeps nobody from telling it once its lease ends."""
    notice = replace(ALERT, subject="recovered", text="it works again")
    desk.sender().announce(ALERT, NOW, WINDOW)
    dying = desk.sender("dying")
    monkeypatch.setattr(dying, "_publish", _dies)
    with pytest.raises(KeyboardInterrupt):
        dying.announce_recovery(notice, NOW)
    assert desk.sender().announce_recovery(notice, NOW + LEASE / 2) is Announced.ELSEWHERE
    assert desk.sender().is_announced("dead_letters", "orders-dlq", "g")
    assert desk.sender().announce_recovery(notice, NOW + LEASE) is Announced.SENT
    assert desk.sender().announce_recovery(notice, NOW + LEASE * 2) is Announced.ALREADY
    assert [message["Subject"] for message in desk.sent] == ["3 messages wait for you", "recovered"]


def test_a_recovery_is_sent_when_the_alerts_sender_died_after_it_was_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People may have been alarmed, so they learn of the end of it."""
    dying = desk.sender("dying")
    real = dying._publish

    def publish(*arguments: Any) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(dying, "_publish", publish)
    with pytest.raises(KeyboardInterrupt):
        dying.announce(ALERT, NOW, WINDOW)
    notice = replace(ALERT, subject="recovered", text="it works again")
    assert desk.sender().announce_recovery(notice, NOW + LEASE) is Announced.SENT
    assert [message["Subject"] for message in desk.sent] == ["3 messages wait for you", "recovered"]


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


# -- links and events ----------------------------------------------------------------------------------------------


class Feed:
    """A server's feed of events, which may be away."""

    def __init__(self, desk: Desk) -> None:
        self.events: list[Outward] = []
        self.desk = desk

    def sender(self, owner: str = "run-1") -> Alerts:
        alerts = self.desk.sender(owner)
        alerts.outgoing = Outgoing(self.desk.ledger, self.events.extend, lambda: NOW)
        alerts.links = Links("http://ui", {"dead-letters/plan": "d-1", "cases/close": "d-2"}, "r-1")
        return alerts

    @property
    def kept(self) -> list[str]:
        """Names of the events that the server keeps: one for each id."""
        return list({event.id: event.event for event in self.events}.values())


def test_an_alert_ends_with_where_to_act(desk: Desk) -> None:
    """The run, and the filled form of its group, each on a line of its own."""
    Feed(desk).sender().announce(ALERT, NOW, WINDOW)
    lines = desk.sent[0]["Message"].splitlines()
    assert lines[0] == "what to do"
    assert lines[2] == "Run: http://ui/v2/runs/flow-run/r-1"
    assert lines[3].startswith("Plan its return, once its cause is fixed: http://ui/v2/deployments/deployment/d-1/run?")
    assert lines[4].startswith("Dismiss it: http://ui/v2/deployments/deployment/d-2/run?")


def test_an_alert_is_an_event(desk: Desk) -> None:
    """Opened, grown while it lasts, recovered; and opened again when it comes back. Nothing within the window."""
    feed = Feed(desk)
    for after in (timedelta(), timedelta(hours=1), WINDOW):
        feed.sender().announce(ALERT, NOW + after, WINDOW)
    feed.sender().announce_recovery(ALERT, NOW + 2 * WINDOW)
    feed.sender().announce(ALERT, NOW + 3 * WINDOW, WINDOW)
    assert feed.kept == [GROUP_OPENED, GROUP_GROWN, GROUP_RECOVERED, GROUP_OPENED]
    shown = feed.events[0].as_event()
    assert shown["resource"]["prefect.resource.id"] == "reprise.group.dead_letters.orders-dlq.g"
    assert shown["payload"]["count"] == 3
    assert shown["payload"]["act"].startswith("http://ui/v2/deployments/deployment/d-1/run?")


def test_a_circuit_is_an_event_of_its_own(desk: Desk) -> None:
    """Opened and closed, of its topic or queue."""
    feed, circuit = Feed(desk), replace(ALERT, is_circuit=True)
    feed.sender().announce(circuit, NOW, WINDOW)
    feed.sender().announce_recovery(circuit, NOW + WINDOW)
    assert feed.kept == [CIRCUIT_OPENED, CIRCUIT_CLOSED]
    assert feed.events[0].as_event()["resource"]["prefect.resource.id"] == "reprise.circuit.dead_letters.orders-dlq"


def test_a_run_that_dies_after_the_event_repeats_it_under_its_id(desk: Desk) -> None:
    """The alert is not marked as sent yet, so the next run sends both again: one event on the server."""
    feed = Feed(desk)
    desk.fault("error", "dynamodb", "PutItem", code="InternalServerError", status=500, times=50, after=1)
    with pytest.raises(Transient):
        feed.sender().announce(ALERT, NOW, WINDOW)
    desk.aws.lift_faults()
    later = NOW + LEASE + timedelta(seconds=1)
    assert feed.sender("run-2").announce(ALERT, later, WINDOW) is Announced.SENT
    assert len(feed.events) == 2
    assert feed.kept == [GROUP_OPENED]
