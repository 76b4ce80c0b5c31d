"""The sample workload really fails, for the reasons that its dependency has, and recovers with it. Real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from demo.workload import function, orders, recorded
from demo.workload.consume import FUNCTION, LOG_GROUP, NAMESPACE
from demo.workload.dependency import AFTERNOON, BAD_DAY, State
from demo.workload.shop import Shop, fate
from recovery.consumers import Consumers
from simulated_aws.hooks.functions import RUNS_ELSEWHERE, OutsideFunctions
from simulated_aws.server import SimulatedAws

AT_ONCE = ("--retry-seconds", "0", "--timeout", "1.5")


def until(probe: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first truthy answer; the workload's own processes bring it about."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not (answer := probe()):
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.05)
    return answer


@pytest.fixture
def shop(aws: SimulatedAws, tmp_path: Path) -> Iterator[Shop]:
    """The business on a quiet day, with the consumer on the orders queue."""
    aws.create_sample_workload(VisibilitySeconds="20")
    with Shop.open(aws, logs=tmp_path, consumer_options=AT_ONCE) as opened:
        yield opened


def failures(aws: SimulatedAws) -> list[str]:
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=LOG_GROUP)
    return [event["message"] for page in pages for event in page["events"]]


def send_back(aws: SimulatedAws, dead: str, queue: str) -> dict[str, str]:
    """Send every message that lies there now back as it is; returns the bodies by new id."""
    sqs, messages = aws.client("sqs"), []
    source = aws.queue_url(dead)
    while found := sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10).get("Messages"):
        messages += found
    target, moved = aws.queue_url(queue), {}
    for message in messages:
        sent = sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
        sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
        moved[sent["MessageId"]] = message["Body"]
    return moved


def test_a_quiet_day(shop: Shop) -> None:
    """With a dependency that is well, only what is wrong with an order itself fails."""
    sent = shop.produce(40)
    shop.wait_until_consumed(seconds=30)
    kinds = Counter(fate(text, State()) for text in sent.values())
    assert set(kinds) == {"", "BAD_PAYLOAD", "CODE_BUG", "VALIDATION_ERROR"}
    assert len(shop.fulfilled()) == kinds[""]
    assert len(shop.aws.messages("orders-dlq")) == 40 - kinds[""]


def test_a_bad_day_and_its_afternoon(shop: Shop) -> None:
    """Every kind of failure happens for its own reason, is logged with its message id, and only some of it lasts."""
    aws = shop.aws
    shop.change(**asdict(BAD_DAY))
    sent = shop.produce(60)
    shop.wait_until_consumed(seconds=60)

    # Exactly the expected messages became dead letters, by the queue's own redrive policy.
    fates = {message: fate(text, BAD_DAY) for message, text in sent.items()}
    assert set(fates.values()) == {
        "",
        "AUTH_FAILURE",
        "BAD_PAYLOAD",
        "CODE_BUG",
        "DEPENDENCY_FAILURE",
        "THROTTLED",
        "TIMEOUT",
        "VALIDATION_ERROR",
    }
    dead = {message["id"]: message for message in aws.messages("orders-dlq")}
    assert set(dead) == {message for message, kind in fates.items() if kind}
    assert {message["receives"] for message in dead.values()} == {3}
    assert {key: message["body"] for key, message in dead.items()} == {message: sent[message] for message in dead}
    assert all(message["trace"] and message["attributes"] for message in dead.values())

    # Each of the three attempts left a line with the message's id and the exception.
    lines = until(lambda: found if len(found := failures(aws)) == 3 * len(dead) else None)
    signs = {
        "AUTH_FAILURE": "401 Unauthorized",
        "BAD_PAYLOAD": "JSONDecodeError",
        "CODE_BUG": "TypeError: 'NoneType' object is not subscriptable",
        "DEPENDENCY_FAILURE": "503 Service Unavailable",
        "THROTTLED": "429 Too Many Requests",
        "TIMEOUT": "httpx.ReadTimeout",
        "VALIDATION_ERROR": "422 Unprocessable",
    }
    for message in dead:
        mine = [line for line in lines if message in line]
        assert len(mine) == 3
        assert all(signs[fates[message]] in line for line in mine)

    # And everything was counted.
    def counted(name: str) -> float:
        now = aws.clock.now()
        answer = aws.client("cloudwatch").get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=name,
            Dimensions=[{"Name": "FunctionName", "Value": FUNCTION}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum", "SampleCount"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    until(lambda: counted("Errors") == 3 * len(dead))
    assert counted("Invocations") == 3 * len(dead) + len(sent) - len(dead)
    assert counted("Duration") > 0

    # In the afternoon most of it would work: the consumer takes what is sent back, for real, and some fail again.
    before = set(shop.fulfilled())
    shop.change(**asdict(AFTERNOON))
    again = send_back(aws, "orders-dlq", "orders")
    shop.wait_until_consumed(seconds=60)
    lasting = {message for message, text in again.items() if fate(text, AFTERNOON)}
    assert {message["id"] for message in aws.messages("orders-dlq")} == lasting
    assert 0 < len(lasting) < len(again)
    assert len(set(shop.fulfilled()) - before) == len(again) - len(lasting)


def test_a_person_fixes_causes(shop: Shop) -> None:
    """A renewed key and a fixed release carry out what failed before, unchanged."""
    shop.change(revoked=["globex"])
    present = {**orders.order(1), "gift": None}
    shop.send([orders.body(orders.order(2, "globex")), orders.body(present)])
    shop.wait_until_consumed(seconds=20)
    assert len(shop.aws.messages("orders-dlq")) == 2

    shop.change(revoked=[])
    shop.deploy(2, options=AT_ONCE)
    send_back(shop.aws, "orders-dlq", "orders")
    shop.wait_until_consumed(seconds=20)
    assert sorted(shop.fulfilled()) == ["order-000001", "order-000002"]
    assert shop.aws.messages("orders-dlq") == []


def test_the_other_queues_fail_into_theirs(aws: SimulatedAws, tmp_path: Path) -> None:
    """FIFO messages keep their group; the shared queue's messages name the queue they came from. Logs may be JSON."""
    aws.create_sample_workload(VisibilitySeconds="20")
    queues = ["orders.fifo", "invoices", "shipments"]
    options = [*AT_ONCE, "--log-format", "json"]
    with Shop.open(aws, queues=queues, logs=tmp_path, consumer_options=options) as shop:
        shop.change(down=["west"])
        sent = {
            queue: shop.send([orders.body(orders.order(n, "umbra")) for n in range(2)], queue=queue) for queue in queues
        }
        shop.wait_until_consumed(queues, seconds=30)
        assert [message["id"] for message in aws.messages("orders-dlq.fifo")] == sent["orders.fifo"]
        assert {message["group"] for message in aws.messages("orders-dlq.fifo")} == {"umbra"}
        assert {message["id"] for message in aws.messages("back-office-dlq")} == {*sent["invoices"], *sent["shipments"]}
        sqs = aws.client("sqs")
        messages = sqs.receive_message(
            QueueUrl=aws.queue_url("back-office-dlq"), MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        )["Messages"]
        sources = {message["MessageId"]: message["Attributes"]["DeadLetterQueueSourceArn"] for message in messages}
        for queue in ("invoices", "shipments"):
            assert {sources[message].rpartition(":")[2] for message in sent[queue]} == {queue}
        lines = until(lambda: found if len(found := failures(aws)) == 18 else None)
        first = json.loads(lines[0])
        assert first["exception_name"] == "HTTPStatusError"
        assert first["message_id"] in {message for ids in sent.values() for message in ids}


def test_the_consumer_logs_by_the_clock_of_aws(shop: Shop) -> None:
    """Log lines follow a simulated clock that is ahead: otherwise nobody would find them around a message."""
    shop.aws.clock.advance(86_400)
    shop.send(["{"])
    shop.wait_until_consumed(seconds=20)
    now = shop.aws.clock.now().timestamp() * 1000
    logs = shop.aws.client("logs")
    events = until(lambda: logs.filter_log_events(logGroupName=LOG_GROUP)["events"])
    assert all(abs(event["timestamp"] - now) < 60_000 for event in events)


def test_orders_are_taken_over_http(aws: SimulatedAws) -> None:
    """The producer's endpoint puts what it is sent into the queue, one, many, or as many as asked for."""
    aws.create_sample_workload()
    command = [sys.executable, "-m", "demo.workload.produce", "--serve"]
    with subprocess.Popen(command, env=aws.environ(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = running.stdout.readline().split()[-1]
        with httpx.Client(trust_env=False) as client:
            one = client.post(url, json=orders.order(1))
            two = client.post(url, json=[orders.order(2), orders.order(3)])
            many = client.post(url, json={"count": 12})
            nonsense = client.post(url, content=b"{")
            elsewhere = client.post(url + "/elsewhere", json={})
        running.terminate()
    assert [len(answer.json()["message_ids"]) for answer in (one, two, many)] == [1, 2, 12]
    assert (nonsense.status_code, elsewhere.status_code) == (400, 404)
    assert len(aws.messages("orders")) == 15
    assert json.loads(aws.messages("orders")[0]["body"]) == orders.order(1)


def test_the_command_sends_orders(aws: SimulatedAws) -> None:
    """The producer's command sends as many as asked for, the same ones each time."""
    aws.create_sample_workload()
    command = [sys.executable, "-m", "demo.workload.produce", "--count", "25", "--seed", "3"]
    for _ in range(2):
        subprocess.run(command, env=aws.environ(), check=True, capture_output=True)
    texts = [message["body"] for message in aws.messages("orders")]
    assert texts[:25] == texts[25:] == list(orders.bodies(25, seed=3))


def test_nothing_of_the_workload_runs_against_real_aws() -> None:
    """Without an endpoint on this machine the producer refuses, before it has done anything."""
    command = [sys.executable, "-m", "demo.workload.produce"]
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "AWS_ENDPOINT_URL is not set" in done.stderr


def test_messages_of_other_origins_arrive_as_recorded(aws: SimulatedAws) -> None:
    """Each recorded shape lies in the dead-letter queue with its body and attributes, and without a source queue."""
    aws.create_sample_workload()
    url = aws.queue_url("orders-dlq")
    wanted = {message.name: message for message in recorded.messages(aws.clock.now())}
    assert {message.origin for message in wanted.values()} == {
        "eventbridge",
        "lambda",
        "lambda-destination",
        "lambda-stream",
        "pipes",
        "s3",
        "scheduler",
        "sns",
    }
    names = dict(zip(recorded.put(aws.client("sqs"), url, wanted.values()), wanted, strict=True))
    found: dict[str, Any] = {}
    while len(found) < len(wanted):
        answer = aws.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"]
        )
        found |= {names[message["MessageId"]]: message for message in answer["Messages"]}
    for name, message in wanted.items():
        attributes = found[name].get("MessageAttributes", {})
        assert found[name]["Body"] == message.body
        assert {
            key: (value["DataType"], value["StringValue"]) for key, value in attributes.items()
        } == message.attributes
        assert "DeadLetterQueueSourceArn" not in found[name]["Attributes"]
        assert isinstance(json.loads(message.body), dict)


def test_the_consumer_is_listed_as_a_function_and_its_queues_are_left_to_it(aws: SimulatedAws) -> None:
    """Lambda names it as the consumer of a queue, and takes no message for it."""
    aws.create_sample_workload(VisibilitySeconds="20")
    function.create(aws, ["orders"], timeout_seconds=10)
    url = aws.queue_url("orders")
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    consumers = Consumers(aws.client("lambda"), aws.client("cloudwatch"))
    [consumer] = consumers.of_queue(arn)
    assert (consumer.name, consumer.state) == (FUNCTION, "Enabled")
    assert consumer.function is not None
    assert (consumer.function.log_group, consumer.function.timeout_seconds) == (LOG_GROUP, 10)
    assert consumers.load(FUNCTION, aws.clock.now(), aws.clock.now()).throttles == {}
    hooked = OutsideFunctions(SimpleNamespace(_sqs_esm_concurrency=lambda *_: 5))
    assert hooked.concurrency({}, {}, {"Environment": {"Variables": {RUNS_ELSEWHERE: "yes"}}}) == 0
    assert hooked.concurrency({}, {}, {}) == 5
