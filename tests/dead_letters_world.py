"""Dead-letter queues in a simulated AWS: filled as AWS fills them, worked on by the path, and inspected from outside.

Tests assert on queues, table, bucket and topic, never on the functions that were called.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import boto3
from prefect.tasks import Task

import flows.dead_letters as story
from blocks.connection import Connection
from recovery.cases import Case, from_json
from recovery.dead_letters import outlook, replay, run, settle, triage
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest, ReplayRequest
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError
from recovery.report import RecoveryReport
from simulated_aws.guard import SIMULATED_CREDENTIALS
from simulated_aws.server import REGION, SimulatedAws
from tasks import dead_letters as tasks
from tasks.steps import give_up

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
        """A queue whose messages die after one receive, and the queue that they die into (`dead`, or a new one)."""
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
        return sum(item["pk"]["S"] == f"intent#{queue}" and "open#" in item["sk"]["S"] for item in self.items())

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
        """A run's tools; its pauses take no time, and its draws are the middle."""
        connection = connection or replace(self._connection, owner=f"run-{next(_number)}")
        work = tasks.work_of(connection, request)
        work.close()
        given = {name: getattr(work, name) for name in _TOOLS}
        work = Work(**given, jitter=lambda: 0.5, sleep=lambda _: None, threads=threads)
        try:
            yield work
        finally:
            work.close()

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
            return drive(work, request)

    def replay(self, *, threads: int = 4, connection: Connection | None = None, **fields: Any) -> RecoveryReport:
        """One replay, its steps as plain functions."""
        request = ReplayRequest(**{"dry_run": False, **fields})
        with self.at_work(request, threads=threads, connection=connection) as work:
            selection = replay.choose(work, request)
            replay.fetch(work, selection, request)
            if not work.dry_run:
                replay.claim(work, selection)
                replay.send_back(work, selection, request)
            work.note(replay.entries(selection, work.dry_run))
            return run.finish(work, "replay")


_TOOLS = (
    "sqs",
    "ledger",
    "archive",
    "alerts",
    "logs",
    "consumers",
    "log_budget",
    "now",
    "requests",
    "owner",
    "limit",
    "time_limit",
    "dry_run",
    "archive_keep",
)


class _Plain:
    """The tasks of the path as the functions that they were made of."""

    def __getattr__(self, name: str) -> Any:
        thing = getattr(tasks, name)
        return thing.fn if isinstance(thing, Task) else thing

    class Turn(tasks.Turn):
        def done(self, count: int) -> None:
            pass

    @staticmethod
    def count_recovered_messages(work: Work, queue: Queue) -> int:
        return outlook.count_recovered(work, queue)


def _carry_out(step: Any, work: Work, batch: Batch, concerns: Sequence[MessageWork] | None = None) -> None:
    try:
        step(work, batch)
    except RepriseError as error:
        give_up(work, batch, error, concerns)


_plain = contextlib.ExitStack()
_lock = threading.Lock()
_drives = 0


@contextlib.contextmanager
def plain_story() -> Iterator[None]:
    """The flow's own order of steps, without Prefect and its retries; polls of an empty queue do not wait.

    Several threads may be inside at once: the first one in changes the modules, and the last one out restores them.
    """
    global _drives
    with _lock:
        if not _drives:
            _plain.enter_context(mock.patch.object(story, "do", _Plain()))
            _plain.enter_context(mock.patch.object(story, "carry_out", _carry_out))
            _plain.enter_context(mock.patch.object(tasks, "count_recovered_messages", _Plain.count_recovered_messages))
            _plain.enter_context(mock.patch.object(triage, "POLL_SECONDS", 0))
        _drives += 1
    try:
        yield
    finally:
        with _lock:
            _drives -= 1
            if not _drives:
                _plain.close()


def drive(work: Work, request: DeadLetterRequest) -> RecoveryReport:
    """Play the flow's story on tools that are open already."""
    with plain_story():
        queues = run.find_queues(work, request)
        story.drain(work, [_Plain.Turn(work, queue, request.policy_for(queue.name)) for queue in queues])
        for queue in queues:
            tasks.count_recovered(work, queue)
        settle.release(work)
        return run.finish(work, "test")
