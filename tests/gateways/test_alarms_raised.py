"""Every alarm of the templates that a person adds beside the estate is seen to fire, as late as it says itself.

Those of the estate and of the relay are tried in test_broken.py. Somebody is subscribed to the alert topic; each thing
goes wrong in turn, time passes minute by minute, and the alarm must reach that person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from demo import metrics_compared
from recovery.report import Number
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.gateways.test_observability import full, publish
from tests.outbox_world import TABLE, OutboxWorld
from tests.unit.metrics.samples import report

FILES = ("observability.yaml", "outbox.yaml", "queue.yaml")
BESIDE = {
    "observability.yaml": "reprise-",
    "outbox.yaml": f"{TABLE}-",
    "queue.yaml": "reprise-stock-dlq-",
}
"""The beginning of each template's names."""
UNTRIED = {"consumer-errors"}
"""On a metric expression, which the emulator refuses."""
SWEPT = ("dead_letters", "outbox_records", "replication_tasks", "appflow_runs")


class Watched:
    """An estate with all alarms, whose topic somebody listens to, and sweeps that end well."""

    def __init__(self, aws: SimulatedAws) -> None:
        aws.reset()
        self.aws = aws
        topic = aws.create_estate()["RepriseAlertTopicArn"]
        metrics_compared.create(aws)
        given = {"DeadLetterQueue": "stock-dlq", "AlertTopicArn": topic}
        estate.create(aws.client, estate.TEMPLATES / "queue.yaml", "stock", given)
        self.sqs = aws.client("sqs")
        self.outbox = OutboxWorld(aws, parameters={"AlarmTopicArn": topic})
        for queue in ("orders-dlq", "stock-dlq"):
            self.sqs.create_queue(QueueName=queue)
        self.swept = ""
        self.each_sweep: Callable[[], None] = lambda: None

    def fill(self, queue: str, count: int) -> None:
        url = self.aws.queue_url(queue)
        for number in range(count):
            self.sqs.send_message(QueueUrl=url, MessageBody=str(number))

    def minutes(self, count: int) -> None:
        """Time passes: every fifth minute the sweep of the path that is tried ends well, or what is wrong shows."""
        for passed in range(count):
            self.aws.clock.advance(60)
            if passed % 5 == 0:
                if self.swept:
                    publish(self.aws, full(self.swept))
                self.each_sweep()

    def notices(self) -> list[tuple[str, str]]:
        """Names of the alarms of which people were notified, each with its new state."""
        bodies = [json.loads(message["body"])["Message"] for message in self.aws.messages("people")]
        found = [json.loads(body) for body in bodies if body.startswith("{")]
        return [(each["AlarmName"], each["NewStateValue"]) for each in found if "AlarmName" in each]

    def state(self, name: str) -> str:
        [alarm] = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(alarm["StateValue"])


def silence(watched: Watched) -> None:
    watched.swept = ""


def problem(path: str) -> Callable[[Watched], None]:
    return lambda watched: publish(watched.aws, full(path, problems=("no permission",)))


def number(path: str, name: str, value: float, source: str = "") -> Callable[[Watched], None]:
    return lambda watched: publish(
        watched.aws, report(path=path, numbers=(Number(name=name, value=value, source=source),))
    )


def found_again_and_again(watched: Watched) -> None:
    def found() -> None:
        publish(watched.aws, report(numbers=(Number(name="VisibleDeadLetters", value=11),)))

    watched.each_sweep = found
    found()


def row_is_exhausted(watched: Watched) -> None:
    watched.outbox.put({"id": "a", "status": "Pending", "outbox_line": "Unfinished#0", "outbox_next_attempt": 1_000})
    made = watched.outbox.run()
    assert made.by_action == {"exhaust": 1}
    publish(watched.aws, made)


BREAK: dict[str, Callable[[Watched], None]] = {
    "reprise-dead-letters": lambda watched: watched.fill("orders-dlq", 11),
    "reprise-visible-dead-letters": found_again_and_again,
    **{f"reprise-{path.replace('_', '-')}-errors": problem(path) for path in SWEPT},
    **{f"reprise-{path.replace('_', '-')}-no-sweep": silence for path in SWEPT},
    "reprise-replication-tasks-escalated": number("replication_tasks", "Escalated", 1),
    "reprise-appflow-runs-escalated": number("appflow_runs", "Escalated", 1),
    "reprise-outbox-oldest": number("outbox_records", "OutboxOldestUnfinished", 901),
    f"{TABLE}-failures": number("outbox_records", "OutboxFailed", 11, TABLE),
    f"{TABLE}-exhausted": row_is_exhausted,
    f"{TABLE}-oldest": number("outbox_records", "OutboxOldestUnfinished", 901, TABLE),
    "reprise-stock-dlq-age": lambda watched: watched.fill("stock-dlq", 1),
    "reprise-stock-dlq-depth": lambda watched: watched.fill("stock-dlq", 11),
}


def alarms() -> dict[str, dict[str, Any]]:
    """Every alarm of the templates by name."""
    found = {}
    for file in FILES:
        for resource in estate.load(estate.TEMPLATES / file)["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                name = resource["Properties"]["AlarmName"]["Fn::Sub"]
                found[BESIDE[file] + name.rpartition("}-")[2]] = resource["Properties"]
    return found


WORDS = {"two": 2, "six": 6}


def latest(alarm: dict[str, Any]) -> int:
    """The minutes within which an alarm says that it comes."""
    words = alarm["AlarmDescription"]
    text = words["Fn::Sub"] if isinstance(words, dict) else words
    between = re.search(r"Comes \d+ to (\d+) minutes after", text)
    if between:
        return int(between[1])
    [within] = re.findall(r"Comes within (\w+) minutes", text)
    return WORDS[within]


def test_every_alarm_is_tried() -> None:
    """An alarm that nobody saw fire is a promise only."""
    assert alarms().keys() == BREAK.keys() | {f"reprise-{name}" for name in UNTRIED}


@pytest.fixture(scope="module")
def watched(simulated_aws: SimulatedAws) -> Watched:
    """One for all: each test looks at an alarm of its own."""
    return Watched(simulated_aws)


@pytest.mark.parametrize("name", BREAK)
def test_an_alarm_reaches_people_in_the_time_that_it_names(watched: Watched, name: str) -> None:
    """Silent while all is well, on when its thing goes wrong."""
    alarm = alarms()[name]
    watched.each_sweep = lambda: None
    if alarm["MetricName"] == "Sweeps":
        [path] = [each["Value"] for each in alarm["Dimensions"] if each["Name"] == "Path"]
        watched.swept = path
        watched.minutes(31)
    else:
        watched.minutes(6)
    assert watched.state(name) != "ALARM"
    before = len(watched.notices())
    BREAK[name](watched)
    if name.endswith("dlq-age"):
        oldest = estate.load(estate.TEMPLATES / "queue.yaml")["Parameters"]["OldestSeconds"]["Default"]
        watched.aws.clock.advance(oldest)  # it speaks of what is older than this
    watched.minutes(latest(alarm))
    assert (name, "ALARM") in watched.notices()[before:]
