"""The same path against another AWS: nothing in it depends on the habits of one emulator.

moto names no source queue on a message, so the destination is the policy's, and comebacks are counted by content. One
worker, and nothing that is transacted: moto loses writes beside a cancelled transaction.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from flows.dead_letters import recover_dead_letters, replay_archived_messages
from recovery.dead_letters import receiving
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.report import RecoveryReport
from simulated_aws.guard import SIMULATED_CREDENTIALS
from tests.dead_letters_world import AUTH, BUG, ERROR, INVALID, PAYLOAD, TIMEOUT, UNAVAILABLE, text
from tests.waiting import wait_for

REGION = SIMULATED_CREDENTIALS["AWS_DEFAULT_REGION"]
POLICY = DeadLetterPolicy.model_validate(
    {"error_attributes": [ERROR], "destination": "orders", "backoff": {"base_seconds": 1, "cap_seconds": 1}}
)


class Moto:
    """A moto server, with what the estate's template would make."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.sqs, self.s3, self.sns, self.dynamodb = (self.client(name) for name in ("sqs", "s3", "sns", "dynamodb"))
        self.queues = {name: self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("orders", "dlq", "people")}
        self.s3.create_bucket(Bucket="archive")
        self.topic = self.sns.create_topic(Name="alerts")["TopicArn"]
        people = self.sqs.get_queue_attributes(QueueUrl=self.queues["people"], AttributeNames=["QueueArn"])
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=people["Attributes"]["QueueArn"])
        names = ("pk", "sk", "wait", "since")
        self.dynamodb.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=_keys("pk", "sk"),
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "waiting",
                    "KeySchema": _keys("wait", "since"),
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )

    def client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=SIMULATED_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=SIMULATED_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a worker finds it all."""
        return {
            **SIMULATED_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint,
            "REPRISE_LEDGER_TABLE": "ledger",
            "REPRISE_ARCHIVE_BUCKET": "archive",
            "REPRISE_ALERT_TOPIC_ARN": self.topic,
        }

    def die(self, *errors: str) -> None:
        """A consumer sends what it could not do to the dead-letter queue itself."""
        for number, error in enumerate(errors):
            attributes = {ERROR: text(error)} if error else {}
            body = json.dumps({"order": number})
            self.sqs.send_message(QueueUrl=self.queues["dlq"], MessageBody=body, MessageAttributes=attributes)

    def taken(self, queue: str) -> list[dict[str, Any]]:
        """All messages of a queue, received and deleted."""
        url = self.queues[queue]
        found: list[dict[str, Any]] = []
        while got := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", []):
            found += got
            for message in got:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def archived(self) -> list[dict[str, Any]]:
        """Every record in the archive."""
        keys = [
            item["Key"] for item in self.s3.list_objects_v2(Bucket="archive", Prefix="archive/").get("Contents", [])
        ]
        bodies = [self.s3.get_object(Bucket="archive", Key=key)["Body"].read() for key in keys]
        return [json.loads(line) for body in bodies for line in gzip.decompress(body).splitlines()]

    def states(self) -> Counter[str]:
        """Count the cases by state."""
        items = self.dynamodb.scan(TableName="ledger")["Items"]
        return Counter(item["state"]["S"] for item in items if "state" in item)


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Moto]:
    """A moto server in a process of its own, and this process's environment for it."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:

            def answers() -> bool:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    return True
                return False

            wait_for("the moto server", answers, seconds=30)
            made = Moto(f"http://127.0.0.1:{port}")
            for name, value in made.environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr(receiving, "POLL_SECONDS", 0)
            yield made
        finally:
            process.kill()


def recover(**fields: Any) -> RecoveryReport:
    report = recover_dead_letters(DeadLetterRequest(queues=("dlq",), policy=POLICY, dry_run=False, **fields))
    assert isinstance(report, RecoveryReport)
    return report


def test_the_path_end_to_end(moto: Moto) -> None:
    """Healed, alerted, archived, left; a comeback is the next attempt; what is fixed is replayed, once."""
    moto.die(TIMEOUT, UNAVAILABLE, AUTH, BUG, INVALID, PAYLOAD, "")

    report = recover()

    assert report.by_action == {"heal": 2, "alert": 2, "archive": 2, "leave": 1}
    assert moto.states() == {"sent": 2, "parked": 2, "archived": 2}
    assert len(moto.archived()) == 4
    assert len(moto.taken("people")) == 2
    assert recover().by_action == {"leave": 1}, "nothing is done twice, and what was left can be received"

    # The messages wait for a second; then the consumer fails again, and sends one back to its queue of failures.
    healed = wait_for("the healed messages", lambda: moto.taken("orders"), seconds=10)
    assert {message["Body"] for message in healed} <= {'{"order": 0}', '{"order": 1}'}
    again = healed[0]
    moto.sqs.send_message(
        QueueUrl=moto.queues["dlq"], MessageBody=again["Body"], MessageAttributes=again["MessageAttributes"]
    )
    second = recover()
    [row] = [row for row in second.groups if row.action == "heal"]
    assert "attempt 2 of 4" in row.reason

    request = ReplayRequest(kinds=("AUTH_FAILURE",), destination="orders", dry_run=False)
    replayed = replay_archived_messages(request)
    assert isinstance(replayed, RecoveryReport)
    assert replayed.by_action == {"replay": 1}
    assert '{"order": 2}' in {message["Body"] for message in moto.taken("orders")}
    once_more = replay_archived_messages(request)
    assert isinstance(once_more, RecoveryReport)
    assert once_more.found == 0
