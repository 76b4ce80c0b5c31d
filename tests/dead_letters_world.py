"""Dead-letter queues in a simulated AWS: filled as AWS fills them, worked on by the path, and inspected from outside.

Tests assert on queues, table, bucket and topic, never on the functions that were called.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import boto3

from blocks.connection import Connection
from flows import dead_letters as flow
from proof.plain_prefect import play
from recovery.cases import Case, from_json
from recovery.dead_letters import find, receiving
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.work import Work
from recovery.report import RecoveryReport
from simulated_aws.guard import SIMULATED_CREDENTIALS
from simulated_aws.server import REGION, SimulatedAws
from tasks import dead_letters as tasks

ERROR = "error"
"""The attribute in which the consumer of these tests writes why it failed."""

# Error texts of a consumer, by the kind that they are.
TIMEOUT = "requests.exceptions.ReadTimeout: HTTPConnectionPool(host='stock', port=80): Read timed out. (read timeout=3)"
UNAVAILABLE = "HTTP 503 Service Unavailable"
THROTTLED = "HTTP 429 Too Many Requests"
AUTH = "HTTP 401 Unauthorized: token expired"
INVALID = "HTTP 422 Unprocessable Entity: quantity must be positive"
PAYLOAD = "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
BUG = "KeyError: 'customer'"
STRANGE = "the moon is in the seventh house"

POLICY = DeadLetterPolicy(error_attributes=(ERROR,))

_number = itertools.count(1)
_connections: dict[str, Connection] = {}
"""By endpoint: making clients takes longer than most runs."""


@dataclass(frozen=True)
class Pair:
    """A queue and its dead-letter queue, by name."""

    source: str
    dead: str


def text(value: str) -> dict[str, str]:
    """A message attribute."""
    return {"DataType": "String", "StringValue": value}


class DeadLettersWorld:
    """A simulated AWS with the estate; queues get names of their own, so that tests share it.

    Args:
        aws: a running simulated AWS; emptied, and the estate created in it.
    """

    def __init__(self, aws: SimulatedAws) -> None:
        aws.reset()
        receiving.POLL_SECONDS = 0  # nobody sends while a test waits for an empty poll
        self.aws = aws
        self.outputs = aws.create_estate()
        self.sqs = aws.client("sqs")
        self.table = aws.environment["REPRISE_LEDGER_TABLE"]
        self.bucket = aws.environment["REPRISE_ARCHIVE_BUCKET"]
        self.topic = aws.environment["REPRISE_ALERT_TOPIC_ARN"]
        if aws.endpoint not in _connections:
            _connections[aws.endpoint] = self.connection()
        self._connection = _connections[aws.endpoint]
        self._mailbox = self.queue("mailbox")
        aws.client("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.arn(self._mailbox))

    # -- filling it ------------------------------------------------------------------------------------------------

    def queue(self, name: str, **attributes: str) -> str:
        """A queue with a name of its own; returns the name."""
        stem, dot, suffix = name.partition(".")
        unique = f"{stem}-{next(_number)}{dot}{suffix}"
        if suffix == "fifo":
            attributes["FifoQueue"] = "true"
        self.sqs.create_queue(QueueName=unique, Attributes=attributes)
        return unique

    def pair(self, name: str = "orders", *, fifo: bool = False, dead: str = "", **of_dead: str) -> Pair:
        """A queue whose messages die after one receive, and the queue that they die into (`dead`, or a new one).

        People know of nothing yet: an alert of a cause counts for all queues, earlier pairs' included.
        """
        self.forget_alerts()
        end = ".fifo" if fifo else ""
        of_dead.setdefault("MessageRetentionPeriod", "1209600")
        dead = dead or self.queue(f"{name}-dlq{end}", **of_dead)
        policy = json.dumps({"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": 1})
        return Pair(self.queue(f"{name}{end}", RedrivePolicy=policy), dead)

    def url(self, name: str) -> str:
        """A queue's URL."""
        return self.aws.queue_url(name)

    def arn(self, name: str) -> str:
        """A queue's ARN."""
        found = self.sqs.get_queue_attributes(QueueUrl=self.url(name), AttributeNames=["QueueArn"])["Attributes"]
        return str(found["QueueArn"])

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """Send messages (arguments of SendMessage) to a queue; returns their ids."""
        url, fifo = self.url(queue), queue.endswith(".fifo")
        ids = []
        for start in range(0, len(messages), 10):
            entries = [{"Id": str(n), **message} for n, message in enumerate(messages[start : start + 10])]
            if fifo:
                entries = [{"MessageDeduplicationId": f"d-{next(_number)}", **entry} for entry in entries]
            answer = self.sqs.send_message_batch(QueueUrl=url, Entries=entries)
            assert not answer.get("Failed"), answer["Failed"]
            ids += [done["MessageId"] for done in sorted(answer["Successful"], key=lambda done: int(done["Id"]))]
        return ids

    def fail(self, queue: str) -> int:
        """Let the consumer of a queue fail on all that it can get, until SQS moves it; returns how many died."""
        url, count = self.url(queue), 0
        while got := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get(
            "Messages"
        ):
            count += len(got)
        return count

    def work_off(self, queue: str) -> int:
        """Let the consumer of a queue take all that it can get, successfully; returns how many."""
        url, count = self.url(queue), 0
        while got := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            count += len(got)
            entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(got)]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return count

    def die(self, pair: Pair, errors: Sequence[str], **message: Any) -> list[str]:
        """Messages that failed with these errors, one each, and died; returns their ids.

        Args:
            pair: the queue and its dead-letter queue.
            errors: the consumer's words; "" for none.
            message: further arguments of SendMessage; "{n}" in a body or group is the message's number.
        """
        given = {"MessageBody": '{{"order": {n}}}', **message}
        messages = []
        for n, error in enumerate(errors):
            built: dict[str, Any] = {
                name: value.format(n=n) if isinstance(value, str) else value for name, value in given.items()
            }
            attributes = {**built.pop("MessageAttributes", {}), **({ERROR: text(error)} if error else {})}
            if pair.source.endswith(".fifo"):
                built.setdefault("MessageGroupId", f"g-{n}")
            messages.append({**built, **({"MessageAttributes": attributes} if attributes else {})})
        ids = self.send(pair.source, messages)
        self.fail(pair.source)
        return ids

    def consume(self, pair: Pair, *, group: str = "/teams/orders", name: str = "orders", **more: Any) -> str:
        """A Lambda function that consumes a queue and never runs; returns its log group, which tests write.

        Args:
            pair: the queue.
            group: its log group.
            name: its name.
            more: further arguments of CreateFunction.
        """
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as zipped:
            zipped.writestr("index.py", "def handler(event, context): ...")
        client = self.aws.client("lambda")
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/orders",
            Handler="index.handler",
            Code={"ZipFile": code.getvalue()},
            LoggingConfig={"LogGroup": group, "LogFormat": "Text"},
            **{"Timeout": 3, **more},
        )
        client.create_event_source_mapping(EventSourceArn=self.arn(pair.source), FunctionName=name, Enabled=False)
        self.aws.client("logs").create_log_group(logGroupName=group)
        return group

    # -- looking at it ---------------------------------------------------------------------------------------------

    def bodies(self, queue: str) -> list[str]:
        """Bodies of what lies in a queue, hidden or not."""
        return [str(message["body"]) for message in self.aws.messages(queue)]

    def ids(self, queue: str) -> list[str]:
        """Message ids of what lies in a queue, hidden or not."""
        return [str(message["id"]) for message in self.aws.messages(queue)]

    def visible(self, queue: str) -> int:
        """Count the messages of a queue that can be received now."""
        return sum(message["visible_in"] <= 0 for message in self.aws.messages(queue))

    def archived(self, queue: str) -> list[dict[str, Any]]:
        """Every record of a queue in the archive, copies included."""
        s3 = self.aws.client("s3")
        prefix = f"archive/path=dead_letters/source={queue}/"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [
            json.loads(line)
            for key in keys
            for line in gzip.decompress(s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()).splitlines()
        ]

    def items(self) -> list[dict[str, Any]]:
        """Everything in the ledger."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self.table)
        return [item for page in pages for item in page["Items"]]

    def forget_alerts(self) -> None:
        """Remove from the ledger what people were alerted of."""
        keys = [{"pk": item["pk"], "sk": item["sk"]} for item in self.items() if item["pk"]["S"].startswith("alert#")]
        for key in keys:
            self.aws.client("dynamodb").delete_item(TableName=self.table, Key=key)

    def cases(self, queue: str) -> dict[str, Case]:
        """The ledger's cases of a queue, by key."""
        found = [item for item in self.items() if item["pk"]["S"].startswith("case#dead_letters#")]
        read = [from_json(item["state"]["S"], item["data"]["S"], int(item["expires"]["N"])) for item in found]
        return {case.key: case for case in read if case.source == queue}

    def states(self, queue: str) -> Counter[str]:
        """Count the cases of a queue by state."""
        return Counter(case.state.value for case in self.cases(queue).values())

    def open_intents(self, queue: str) -> int:
        """Send intents of a queue that nobody has closed."""
        pk = f"intent#{self.arn(queue)}"
        return sum(item["pk"]["S"] == pk and "open#" in item["sk"]["S"] for item in self.items())

    def alerts(self, queue: str = "") -> list[str]:
        """Texts of the alerts so far that speak of a queue (all)."""
        sent = [json.loads(body)["Message"] for body in self.bodies(self._mailbox)]
        return [message for message in sent if queue in message]

    @property
    def clients(self) -> list[Any]:
        """The clients of all runs that have no connection of their own."""
        return [
            self._connection.client(service, repeat=repeat)
            for service, repeat in (
                ("sqs", True),
                ("sqs", False),
                ("dynamodb", True),
                ("s3", True),
                ("sns", False),
                ("logs", True),
            )
        ]

    # -- working on it ---------------------------------------------------------------------------------------------

    def connection(self) -> Connection:
        """A connection of its own, as `blocks` makes it."""
        session = boto3.Session(
            aws_access_key_id=SIMULATED_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=SIMULATED_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )
        return Connection(
            session=session,
            ledger_table=self.table,
            archive_bucket=self.bucket,
            alert_topic_arn=self.topic,
            client_settings={"endpoint_url": self.aws.endpoint},
        )

    @contextlib.contextmanager
    def at_work(
        self, request: DeadLetterRequest | ReplayRequest, *, threads: int = 4, connection: Connection | None = None
    ) -> Iterator[Work]:
        """Open a run's tools; its pauses take no time, and its jitter is the middle."""
        connection = connection or replace(self._connection, owner=f"run-{next(_number)}")
        work = tasks.open_run(connection, request)
        work.jitter, work.sleep, work.threads = (lambda: 0.5), (lambda _: None), threads
        try:
            yield work
        finally:
            work.close()

    @staticmethod
    def received(work: Work) -> Batch:
        """The first round of the one queue that a run is about."""
        [turn] = receiving.turns_of(work, find.find_queues(work))
        return receiving.receive(work, turn, work.room)

    def request(self, *queues: str, policy: DeadLetterPolicy = POLICY, **fields: Any) -> DeadLetterRequest:
        """A request that is no dry run."""
        return DeadLetterRequest(queues=queues, policy=policy, **{"dry_run": False, **fields})

    def recover(
        self,
        *queues: str,
        policy: DeadLetterPolicy = POLICY,
        connection: Connection | None = None,
        threads: int = 4,
        **fields: Any,
    ) -> RecoveryReport:
        """One run of the path over queues, its steps as plain functions."""
        request = self.request(*queues, policy=policy, **fields)
        with self.at_work(request, threads=threads, connection=connection) as work:
            return play(flow.recover_dead_letters, request, work)

    def replay(self, *, threads: int = 4, connection: Connection | None = None, **fields: Any) -> RecoveryReport:
        """One replay, its steps as plain functions."""
        request = ReplayRequest(**{"dry_run": False, **fields})
        with self.at_work(request, threads=threads, connection=connection) as work:
            return play(flow.replay_archived_messages, request, work)
