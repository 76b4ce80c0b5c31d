"""The sample workload's handlers: alone, as the template holds them, and as functions of the simulated AWS."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from blocks import estate as estates
from deployments.command import run
from deployments.sample import consumer, producer
from recovery.consumers import Consumers
from simulated_aws import estate
from simulated_aws.server import REGION, SimulatedAws
from tests.dead_letters_world import DeadLettersWorld
from tests.waiting import wait_for

TEMPLATE = estate.load(estate.SAMPLE_WORKLOAD)["Resources"]
SOURCES = Path(producer.__file__).parent
ORDER = '{"order_id": "order-1"}'


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A table and a queue, named in the environment as Lambda names them."""
    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        made = boto3.resource("dynamodb").create_table(
            TableName="sample-orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        monkeypatch.setenv("TABLE", "sample-orders")
        monkeypatch.setenv("QUEUE_URL", boto3.client("sqs").create_queue(QueueName="orders")["QueueUrl"])
        yield made


def event(*bodies: str) -> dict[str, Any]:
    """A batch as Lambda hands it over; message ids count from m0."""
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


@pytest.mark.parametrize("name", ["producer", "consumer"])
def test_the_template_holds_the_very_file(name: str) -> None:
    """Nobody deploys other code than the tests run."""
    code = TEMPLATE[name.title()]["Properties"]["Code"]["ZipFile"]
    assert code == (SOURCES / f"{name}.py").read_text()
    assert len(code) < 4096, "the most that CloudFormation takes everywhere"


def test_the_mapping_asks_for_what_the_consumer_answers() -> None:
    """Without the response type Lambda would delete failed orders; a shorter visibility than the timeout is refused."""
    assert TEMPLATE["ConsumerMapping"]["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    visible = estate.load(estate.SAMPLE_WORKLOAD)["Parameters"]["VisibilitySeconds"]["Default"]
    assert visible >= 6 * TEMPLATE["Consumer"]["Properties"]["Timeout"]


@pytest.mark.parametrize("encoded", [False, True])
def test_the_producer_sends_the_body_as_it_is(table: Any, encoded: bool) -> None:
    """An HTTP API hands a body over as base64 unless its content type is text; a cut one is no business of it."""
    assert table
    body = '{"order_id": "Münz'
    given = base64.b64encode(body.encode()).decode() if encoded else body
    answer = producer.handler({"version": "2.0", "body": given, "isBase64Encoded": encoded}, None)
    assert answer["statusCode"] == 202
    sqs = boto3.client("sqs")
    [message] = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName="orders")["QueueUrl"])["Messages"]
    assert (message["Body"], message["MessageId"]) == (body, json.loads(answer["body"])["message_id"])


@pytest.mark.parametrize("request_", [{}, {"body": ""}, {"body": "/w==", "isBase64Encoded": True}])
def test_the_producer_refuses_what_is_no_text(table: Any, request_: dict[str, Any]) -> None:
    """No order is not an order."""
    assert table
    assert producer.handler(request_, None)["statusCode"] == 400


def test_the_consumer_reports_only_the_orders_that_failed(table: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The keys are Lambda's own, in its own case: with others it would take the whole batch for failed."""
    answer = consumer.handler(event(ORDER, "{", '{"order_id": "order-2"}'), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert "messageId=m1" in caplog.text
    assert "JSONDecodeError" in caplog.text
    assert table.scan()["Count"] == 2


def test_the_consumer_fails_while_its_service_is_away_and_counts_duplicates(table: Any) -> None:
    """The same order succeeds once the service is back; a second delivery is only counted."""
    table.put_item(Item={"id": "price-service", "away_until": int(time.time()) + 60})
    assert consumer.handler(event(ORDER), None) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    table.put_item(Item={"id": "price-service", "away_until": 1})
    for _ in range(2):
        assert consumer.handler(event(ORDER), None) == {"batchItemFailures": []}
    record = table.get_item(Key={"id": "order#order-1"})["Item"]
    assert (record["message_id"], record["deliveries"]) == ("m0", 2)


def test_what_is_sent_fails_and_is_healed_and_verified(
    simulated_aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTTP API, functions, partial batches, redrive, the consumer's log, healing, and both commands, end to end."""
    world = DeadLettersWorld(simulated_aws)
    aws = simulated_aws
    outputs = aws.create_sample_workload(RunFunctions="yes", VisibilitySeconds="60", MaxReceives="1")
    # Loading boto3 on two busy cores takes longer than the function may.
    aws.client("lambda").update_function_configuration(FunctionName="sample-orders-consumer", Timeout=60)
    monkeypatch.setattr(estates, "connect_from_environment", world.connection)
    api = outputs["ApiUrl"].split("//")[1].split(".")[0]
    assert run(["sample", "verify"]) == 2, "nothing was sent"
    url = f"{aws.endpoint}/_aws/execute-api/{api}/$default/orders"
    assert run(["sample", "send", "--count", "3", "--away-seconds", "600", "--api-url", url]) == 0
    logs = aws.client("logs")
    failed = {"logGroupName": outputs["ConsumerLogGroupName"], "filterPattern": '"order failed"'}
    wait_for("failures", lambda: len(logs.filter_log_events(**failed)["events"]) == 4, seconds=60)
    aws.clock.advance(61)
    wait_for("dead letters", lambda: len(aws.messages("orders-dlq")) == 4, seconds=60)
    capsys.readouterr()

    assert run(["sample", "verify"]) == 1
    assert capsys.readouterr().out.count("not yet: ") == 4
    [consumes] = Consumers(aws.client("lambda"), aws.client("cloudwatch")).of_queue(outputs["OrdersQueueArn"])
    assert consumes.function is not None
    assert consumes.function.log_group == outputs["ConsumerLogGroupName"]

    item = {"id": {"S": "price-service"}, "away_until": {"N": "1"}}
    aws.client("dynamodb").put_item(TableName=outputs["OrdersTableName"], Item=item)
    report = world.recover("orders-dlq")
    assert report.by_action == {"heal": 3, "archive": 1}
    assert report.by_kind == {"TIMEOUT": 3, "BAD_PAYLOAD": 1}
    aws.clock.advance(120)  # the backoff of the first attempt
    wait_for("healed orders", lambda: run(["sample", "verify"]) == 0, seconds=60)
    stated = capsys.readouterr().out
    assert stated.count("sent at attempt 1, TIMEOUT") >= 3
    assert "the order that was cut off: archived" in stated
