"""Faults on demand, the log of requests, and the process that it all runs in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from simulated_aws.server import SimulatedAws

ONCE = Config(retries={"total_max_attempts": 1})


def made(aws: SimulatedAws, name: str = "orders") -> str:
    url: str = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url


def entries(*ids: str) -> list[dict[str, str]]:
    return [{"Id": name, "MessageBody": name} for name in ids]


def test_an_error_is_spelled_in_each_protocol(aws: SimulatedAws) -> None:
    """JSON, query, REST and CBOR services all show the client the code of the rule; nothing is carried out."""
    aws.client("s3").create_bucket(Bucket="bucket")
    topic = aws.client("sns").create_topic(Name="t")["TopicArn"]
    url = made(aws)
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "sqs": ("send_message", {"QueueUrl": url, "MessageBody": "x"}),
        "dynamodb": ("list_tables", {}),
        "sns": ("publish", {"TopicArn": topic, "Message": "x"}),
        "s3": ("put_object", {"Bucket": "b", "Key": "k", "Body": b"x"}),
        "cloudwatch": ("put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.0}]}),
        "logs": ("describe_log_groups", {}),
        "events": ("list_rules", {}),
    }
    aws.clear_requests()
    for service, (operation, arguments) in calls.items():
        aws.fault("error", service="monitoring" if service == "cloudwatch" else service, code="Broken", status=400)
        with pytest.raises(ClientError) as failure:
            getattr(aws.client(service, config=ONCE), operation)(**arguments)
        assert failure.value.response["Error"]["Code"] == "Broken", service
        assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert aws.messages("orders") == []
    logged = aws.requests()
    assert len(logged) == len(calls)
    assert {request["carried_out"] for request in logged} == {False}


def test_throttling_is_retried_by_the_sdk(aws: SimulatedAws) -> None:
    """A rule hits as often as it says: the SDK's own retries get through it, and the log shows each attempt."""
    url = made(aws)
    aws.clear_requests()
    aws.fault("error", service="sqs", operation="SendMessage", code="RequestThrottled", status=403, times=2)
    answer = aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert [request["status"] for request in aws.requests("sqs", "SendMessage")] == [403, 403, 200]
    assert aws.lift_faults()[0]["hits"] == 2


def test_a_lost_answer_leaves_the_work_done(aws: SimulatedAws) -> None:
    """The request is carried out, and the client sees a closed connection."""
    url = made(aws)
    aws.fault("lose_ack", service="sqs", operation="SendMessageBatch")
    with pytest.raises(ConnectionClosedError):
        aws.client("sqs", config=ONCE).send_message_batch(QueueUrl=url, Entries=entries("a"))
    assert [message["body"] for message in aws.messages("orders")] == ["a"]
    assert aws.requests("sqs", "SendMessageBatch") == [
        {"service": "sqs", "operation": "SendMessageBatch", "status": 0, "carried_out": True}
    ]


def test_a_refused_connection_does_nothing(aws: SimulatedAws) -> None:
    """The connection is closed before anything is carried out."""
    url = made(aws)
    aws.fault("refuse_connection", service="sqs", operation="SendMessage")
    with pytest.raises(ConnectionClosedError):
        aws.client("sqs", config=ONCE).send_message(QueueUrl=url, MessageBody="a")
    assert aws.messages("orders") == []


@pytest.mark.parametrize("executed", [False, True])
def test_a_part_of_a_batch_fails(aws: SimulatedAws, executed: bool) -> None:
    """Some entries are reported as failed with HTTP 200; whether they were carried out is the rule's choice."""
    url = made(aws)
    rule = {"service": "sqs", "operation": "SendMessageBatch", "entries": [0, 2], "executed": executed}
    aws.fault("partial", code="InternalError", **rule)
    answer = aws.client("sqs").send_message_batch(QueueUrl=url, Entries=entries("a", "b", "c"))
    assert [done["Id"] for done in answer["Successful"]] == ["b"]
    assert [(failed["Id"], failed["Code"], failed["SenderFault"]) for failed in answer["Failed"]] == [
        ("a", "InternalError", False),
        ("c", "InternalError", False),
    ]
    stored = sorted(message["body"] for message in aws.messages("orders"))
    assert stored == (["a", "b", "c"] if executed else ["b"])


@pytest.mark.parametrize("executed", [False, True])
def test_a_part_of_a_published_batch_fails(aws: SimulatedAws, executed: bool) -> None:
    """The same for SNS, whose batches are form-encoded and answered in XML."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic, url = sns.create_topic(Name="t")["TopicArn"], made(aws)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    aws.fault("partial", service="sns", operation="PublishBatch", code="Throttled", entries=[1], executed=executed)
    batch = [{"Id": name, "Message": f"<{name}>"} for name in "abc"]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=batch)
    assert [done["Id"] for done in answer["Successful"]] == ["a", "c"]
    assert [(failed["Id"], failed["Code"]) for failed in answer["Failed"]] == [("b", "Throttled")]
    stored = [message["body"] for message in aws.messages("orders")]
    assert stored == (["<a>", "<b>", "<c>"] if executed else ["<a>", "<c>"])


def test_a_whole_batch_can_fail_in_part(aws: SimulatedAws) -> None:
    """Every entry failing is still HTTP 200."""
    url = made(aws)
    aws.fault("partial", service="sqs", operation="SendMessageBatch", entries=[0, 1])
    answer = aws.client("sqs").send_message_batch(QueueUrl=url, Entries=entries("a", "b"))
    assert len(answer["Failed"]) == 2
    assert aws.messages("orders") == []


def test_dynamodb_leaves_items_unprocessed(aws: SimulatedAws) -> None:
    """Batch writes and reads hand back what they did not do."""
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    puts = [{"PutRequest": {"Item": {"pk": {"S": name}}}} for name in "abc"]
    aws.fault("partial", service="dynamodb", operation="BatchWriteItem", entries=[1])
    left = dynamodb.batch_write_item(RequestItems={"table": puts})["UnprocessedItems"]
    assert left == {"table": [puts[1]]}
    assert {item["pk"]["S"] for item in dynamodb.scan(TableName="table")["Items"]} == {"a", "c"}

    aws.fault("partial", service="dynamodb", operation="BatchGetItem", entries=[0, 1])
    keys = [{"pk": {"S": name}} for name in "ac"]
    answer = dynamodb.batch_get_item(RequestItems={"table": {"Keys": keys}})
    assert answer["UnprocessedKeys"]["table"]["Keys"] == keys
    assert answer["Responses"].get("table", []) == []


def test_a_rule_names_its_victims(aws: SimulatedAws) -> None:
    """`containing` and `after` narrow a rule to one queue and to a later request."""
    orders, other = made(aws), made(aws, "other")
    sqs = aws.client("sqs", config=ONCE)
    aws.fault("error", service="sqs", operation="SendMessage", containing="/orders", after=1)
    sqs.send_message(QueueUrl=other, MessageBody="x")
    sqs.send_message(QueueUrl=orders, MessageBody="first")
    sqs.send_message(QueueUrl=other, MessageBody="x")
    with pytest.raises(ClientError):
        sqs.send_message(QueueUrl=orders, MessageBody="second")
    sqs.send_message(QueueUrl=orders, MessageBody="third")
    assert [message["body"] for message in aws.messages("orders")] == ["first", "third"]


def test_a_held_request_waits_for_the_test(aws: SimulatedAws) -> None:
    """A held request is carried out when the rules are lifted, not before."""
    url = made(aws)
    aws.fault("hold", service="sqs", operation="SendMessage")
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(aws.client("sqs", config=ONCE).send_message, QueueUrl=url, MessageBody="x")
        while not aws.control("GET", "faults")[0]["hits"]:
            pass
        assert aws.messages("orders") == []
        aws.lift_faults()
        sending.result(timeout=10)
    assert len(aws.messages("orders")) == 1


def test_a_nonsensical_rule_is_refused(aws: SimulatedAws) -> None:
    """A rule with an unknown kind or field never takes effect."""
    with pytest.raises(ValueError, match="unknown kind"):
        aws.fault("explode")
    with pytest.raises(ValueError, match="colour"):
        aws.fault("error", colour="red")


def test_the_log_knows_services_and_operations(aws: SimulatedAws) -> None:
    """Each request is logged under the name of its operation, whatever protocol it came in."""
    aws.client("s3").create_bucket(Bucket="bucket")
    url = made(aws)
    aws.clear_requests()
    aws.client("s3").put_object(Bucket="bucket", Key="a/b c.json", Body=b"x")
    aws.client("s3").get_object(Bucket="bucket", Key="a/b c.json")
    aws.client("s3").list_objects_v2(Bucket="bucket")
    aws.client("sqs").receive_message(QueueUrl=url)
    aws.client("sns").create_topic(Name="t")
    aws.client("cloudwatch").describe_alarms()
    aws.client("logs").create_log_group(logGroupName="g")
    assert aws.request_counts() == {
        "s3:PutObject": 1,
        "s3:GetObject": 1,
        "s3:ListObjectsV2": 1,
        "sqs:ReceiveMessage": 1,
        "sns:CreateTopic": 1,
        "monitoring:DescribeAlarms": 1,
        "logs:CreateLogGroup": 1,
    }
    assert {request["status"] for request in aws.requests()} == {200}


# -- the process ---------------------------------------------------------------------------------------------------


def answers(endpoint: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{endpoint}/_reprise/clock", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_it_ends_with_its_parent() -> None:
    """It ends with the process that started it, even a killed one, and its port is free again."""
    program = (
        "import sys\nfrom simulated_aws.server import SimulatedAws\n"
        "with SimulatedAws.start() as aws:\n    print(aws.endpoint, flush=True)\n    sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        endpoint = parent.stdout.readline().strip()
        assert answers(endpoint)
        parent.send_signal(signal.SIGKILL)
        # The child holds the other end of this pipe: it closes when the child is gone.
        parent.stdout.read()
    assert not answers(endpoint)


def test_a_busy_port_is_stepped_around() -> None:
    """A second one that wants the same port takes a free one, and they share nothing."""
    with SimulatedAws.start() as first:
        wanted = int(first.endpoint.rpartition(":")[2])
        with SimulatedAws.start(wanted) as second:
            assert second.endpoint != first.endpoint
            made(first)
            assert "QueueUrls" not in second.client("sqs").list_queues()


def test_other_processes_use_it_through_the_environment(aws: SimulatedAws) -> None:
    """`environ()` is all that another process needs, and nothing of this process's AWS settings is in it."""
    made(aws)
    program = "import boto3, json; print(json.dumps(boto3.client('sqs').list_queues()['QueueUrls']))"
    environment = aws.environ({**os.environ, "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "secret"})
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [aws.queue_url("orders")]
    assert "AWS_PROFILE" not in environment


def test_make_aws_prints_what_to_export() -> None:
    """`reprise aws` prints variables with which any SDK finds the estate, and ends on an interrupt."""
    command = [sys.executable, "-m", "deployments.command", "aws", "--port", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with running:
        assert running.stdout is not None
        exported: dict[str, str] = {}
        for line in running.stdout:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                exported[name] = value
            if line.startswith("# Then"):
                break
        other = SimulatedAws(exported["AWS_ENDPOINT_URL"])
        table = other.client("dynamodb").describe_table(TableName=exported["REPRISE_LEDGER_TABLE"])["Table"]
        assert table["TableStatus"] == "ACTIVE"
        other.client("s3").head_bucket(Bucket=exported["REPRISE_ARCHIVE_BUCKET"])
        other.client("sns").get_topic_attributes(TopicArn=exported["REPRISE_ALERT_TOPIC_ARN"])
        assert other.queue_url("orders-dlq")
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) == 0
    assert not answers(exported["AWS_ENDPOINT_URL"])
