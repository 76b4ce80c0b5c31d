"""The notices that Reprise itself is broken: each line of docs/broken.md, tried.

The estate and the relay's stack stand in the simulated AWS, and somebody is subscribed to the alert topic. Each thing
is broken in turn, time passes minute by minute, and the alarm must reach that person in the time that the page names.
(The simulated AWS evaluates periods as AWS documents them; AWS looks at older data besides, which the page adds.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recovery.dead_letters.gateway import Sqs
from recovery.errors import Transient
from relay.queue import EventsQueue
from relay.queue_poller import QueuePoller
from relay.service import Relay
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.gateways.test_observability import full, publish
from tests.gateways.test_relay import Broken, World
from tests.project.checkout import text

PAGE = text(Path("docs/broken.md"))
ROWS = re.findall(r"^\| ([^|]+) \| (?:alarm )?`<prefix>-([a-z-]+)` \| (\d+) to (\d+) minutes", PAGE, re.MULTILINE)


class Watched:
    """An estate whose alarms somebody gets by e-mail, with a relay that works."""

    def __init__(self, aws: SimulatedAws) -> None:
        aws.reset()
        self.aws = aws
        outputs = aws.create_estate()
        given = {"EventsQueueArn": "EventsQueueArn", "ParkedQueueArn": "EventsDeadLetterQueueArn", "KeyArn": "KeyArn"}
        parameters = {name: outputs[output] for name, output in given.items()}
        parameters["AlertTopicArn"] = outputs["RepriseAlertTopicArn"]
        estate.create(aws.client, estate.TEMPLATES / "events.yaml", "events", parameters)
        sqs = aws.client("sqs")
        sqs.create_queue(QueueName="people")
        people = "arn:aws:sqs:us-east-1:000000000000:people"
        aws.client("sns").subscribe(TopicArn=outputs["RepriseAlertTopicArn"], Protocol="sqs", Endpoint=people)
        self.poller = Broken(Transient("no right to read it"))
        self.poller.error = None
        self.world = World(aws, self.poller, QueuePoller(Sqs(sqs, sqs), [], timedelta(seconds=2)))
        self.url = outputs["RepriseEventsQueueUrl"]
        queue = EventsQueue(sqs, self.url, outputs["RepriseEventsParkedQueueUrl"])
        self.relay: Relay | None = Relay(
            queue, self.world.events, (self.poller,), aws.clock.now, self.world.stop, self.world.metrics
        )
        self.sweeps = True

    def event(self, body: str | None = None) -> None:
        """Put an event into the estate's queue: a failed task, unless another is given."""
        detail = {"eventType": "REPLICATION_TASK_FAILED", "category": "Failure", "detailMessage": "Last Error"}
        arn = "arn:aws:dms:us-east-1:000000000000:task:orders"
        kind = "DMS Replication Task State Change"
        event = {"id": "1", "detail-type": kind, "source": "aws.dms", "resources": [arn], "detail": detail}
        self.aws.client("sqs").send_message(QueueUrl=self.url, MessageBody=body or json.dumps(event))

    def minute(self) -> None:
        """A minute passes: the relay goes round, and every fifth one a sweep ends well."""
        self.aws.clock.advance(60)
        if self.relay is not None:
            self.relay.round(wait=0)
        if self.sweeps:
            publish(self.aws, full("dead_letters"))

    def raised(self) -> set[str]:
        """Names of the alarms of which people were notified."""
        mails = [json.loads(message["body"]) for message in self.aws.messages("people")]
        found = [json.loads(mail["Message"]) for mail in mails]
        return {each["AlarmName"] for each in found if each["NewStateValue"] == "ALARM"}


def nothing_runs(watched: Watched) -> None:
    watched.sweeps = False


def relay_is_gone(watched: Watched) -> None:
    watched.relay = None


def server_is_away(watched: Watched) -> None:
    watched.world.status = 503
    watched.event()


def queue_is_forbidden(watched: Watched) -> None:
    watched.aws.fault("error", service="sqs", operation="ReceiveMessage", code="AccessDenied", status=403, times=1000)


def poller_fails(watched: Watched) -> None:
    watched.poller.error = Transient("no right to read it")


def triggers_do_nothing(watched: Watched) -> None:
    watched.world.acts = ""
    watched.event()


def event_is_no_event(watched: Watched) -> None:
    watched.event("no JSON")


def relay_is_gone_while_events_come(watched: Watched) -> None:
    watched.relay = None
    watched.event()


def many_events_wait(watched: Watched) -> None:
    watched.relay = None
    for _ in range(101):
        watched.event()


BREAK: dict[str, Callable[[Watched], None]] = {
    "nothing-runs": nothing_runs,
    "relay-silent": relay_is_gone,
    "relay-away": server_is_away,
    "events-old": relay_is_gone_while_events_come,
    "events-backlog": many_events_wait,
    "relay-queue-errors": queue_is_forbidden,
    "relay-resting": poller_fails,
    "relay-unacknowledged": triggers_do_nothing,
    "events-parked": event_is_no_event,
    "relay-parked": event_is_no_event,
}


@pytest.fixture
def watched(simulated_aws: SimulatedAws) -> Watched:
    made = Watched(simulated_aws)
    for _ in range(35):
        made.minute()
    assert made.raised() == set(), "nothing is broken yet"
    return made


@pytest.mark.parametrize(("what", "alarm", "first", "last"), ROWS, ids=[row[1] for row in ROWS])
def test_people_are_notified_in_the_time_that_the_page_names(
    watched: Watched, what: str, alarm: str, first: str, last: str
) -> None:
    """Not at once, since a moment's trouble passes by itself, and not later than the page says."""
    BREAK[alarm](watched)
    for minute in range(1, int(last) + 1):
        watched.minute()
        if f"reprise-{alarm}" in watched.raised():
            assert minute >= int(first) - 1, what
            return
    pytest.fail(f"{alarm}: nobody was notified within {last} minutes; only of {watched.raised()}")


def test_each_alarm_on_reprise_itself_is_a_line_of_the_page() -> None:
    """And each of them is tried here."""
    made: set[str] = set()
    for template in ("estate.yaml", "events.yaml"):
        resources: dict[str, Any] = estate.load(estate.TEMPLATES / template)["Resources"]
        made |= {
            resource["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${Prefix}-")
            for resource in resources.values()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        }
    assert {alarm for _, alarm, _, _ in ROWS} == made == set(BREAK)
