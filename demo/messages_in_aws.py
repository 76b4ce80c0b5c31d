"""Places of the messages, read from the simulated AWS itself: queues, the bucket's objects, ledger table, alerts.

Nothing of `recovery` is used to find them, so that a mistake there cannot hide itself.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulated_aws.server import SimulatedAws


@dataclass(frozen=True, slots=True)
class InQueue:
    """A message in a queue.

    Attributes:
        key: distinguishes messages: of an order its body, since its message id changes when it is sent again; of a
            message that was put straight into a dead-letter queue its message id.
        queue: the queue's name.
        untouched: never received yet.
        hidden: not to be received now: delayed, in flight, or hidden on purpose.
    """

    key: str
    queue: str
    untouched: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class Archived:
    """A line of an archive object: the message's key (as `InQueue.key`), where the line stands, and what it says."""

    message: str
    key: str
    line: int
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InLedger:
    """A case of the ledger: the message id, its state, kind and source, and what else is known."""

    key: str
    state: str
    kind: str
    source: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AlertMail:
    """An alert as a subscriber got it."""

    subject: str
    text: str

    @property
    def is_recovery(self) -> bool:
        """It says that a group has recovered."""
        return "has recovered" in self.subject

    @property
    def is_of_messages(self) -> bool:
        """It speaks of messages; alerts of other paths reach the same subscriber."""
        return "dead letter(s)" in self.subject or "failure group" in self.subject

    @property
    def source(self) -> str:
        """The dead-letter queue that it speaks of."""
        return _found(r" of (\S+) (?:wait for|has recovered)", self.subject)

    @property
    def kind(self) -> str:
        """The kind of failure."""
        return _found(r"\(([A-Z_]+)\)$", self.subject)

    @property
    def group(self) -> str:
        """The group's fingerprint."""
        return _found(r"Group: (\S+)", self.text) or _found(r"failure group (\S+)", self.text)

    @property
    def about(self) -> list[tuple[str, str, str]]:
        """Queue, kind and group of what it asks a person to look at; a summary speaks of many groups."""
        if self.subject.endswith(" groups)"):
            return [
                (queue, kind, group)
                for kind, queue, group in re.findall(r"^\d+ ([A-Z_]+) of (\S+), group (\S+):", self.text, re.MULTILINE)
            ]
        return [(self.source, self.kind, self.group)]


class MessagesInAws:
    """Reads; a read changes nothing but for the inbox, whose messages are taken out.

    Args:
        aws: with the estate in it.
        sources: names of the queues that consumers take from.
        dead_letters: names of the dead-letter queues.
    """

    def __init__(self, aws: SimulatedAws, sources: Sequence[str], dead_letters: Sequence[str]) -> None:
        self._aws = aws
        self._sources = tuple(sources)
        self._dead_letters = tuple(dead_letters)
        self._bucket = aws.environment["REPRISE_ARCHIVE_BUCKET"]
        self._table = aws.environment["REPRISE_LEDGER_TABLE"]
        self._objects: dict[str, list[Archived]] = {}
        self._by_id: set[str] = set()
        self._originals: dict[str, str] = {}
        self._inbox = ""
        self._mails: list[AlertMail] = []

    def subscribe(self, inbox: str) -> None:
        """Create a queue that gets every alert from now on."""
        sqs, sns = self._aws.client("sqs"), self._aws.client("sns")
        self._inbox = sqs.create_queue(QueueName=inbox)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self._aws.environment["REPRISE_ALERT_TOPIC_ARN"], Protocol="sqs", Endpoint=arn)

    def distinguish_by_id(self, message_ids: Iterable[str]) -> None:
        """Messages that keep their message id, and may have the same body as others."""
        self._by_id.update(message_ids)

    def recognise(self, changed: Mapping[str, str]) -> None:
        """Count messages with a changed body (first) as those with the original one (second)."""
        self._originals.update(changed)

    def with_consumer(self) -> list[InQueue]:
        """Messages of the queues that consumers take from."""
        return self._messages(self._sources)

    def dead(self) -> list[InQueue]:
        """Messages of the dead-letter queues."""
        return self._messages(self._dead_letters)

    def archived(self) -> list[Archived]:
        """Every line of every object of the archive; objects are read once, since they never change."""
        s3 = self._aws.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix="archive/"):
            for found in page.get("Contents", []):
                if found["Key"] not in self._objects:
                    packed = s3.get_object(Bucket=self._bucket, Key=found["Key"])["Body"].read()
                    lines = gzip.decompress(packed).splitlines()
                    self._objects[found["Key"]] = [
                        self._line(found["Key"], number, json.loads(line)) for number, line in enumerate(lines)
                    ]
        return [line for lines in self._objects.values() for line in lines]

    def cases(self) -> dict[str, InLedger]:
        """The cases of messages, by message id."""
        found = {}
        for item in self._items():
            if item["pk"]["S"].startswith("case#dead_letters#"):
                data = json.loads(item["data"]["S"])
                case = InLedger(data["key"], item["state"]["S"], data["kind"], data["source"], data["detail"])
                found[case.key] = case
        return found

    def plans(self) -> list[dict[str, Any]]:
        """Every plan with its id and what its record holds, the latest last."""
        items = [item for item in self._items() if item["pk"]["S"] == "plans#dead_letters"]
        return [{"id": item["sk"]["S"], **json.loads(item["data"]["S"])} for item in sorted(items, key=_sk)]

    def open_intents(self) -> list[str]:
        """Sends that are written down as begun and not as done."""
        keys = [(item["pk"]["S"], item["sk"]["S"]) for item in self._items()]
        return [sk for pk, sk in keys if pk.startswith("intent#") and not sk.startswith("circuit#")]

    def mails(self) -> list[AlertMail]:
        """Every alert about these dead-letter queues that was delivered so far."""
        sqs = self._aws.client("sqs")
        while got := sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10).get("Messages", []):
            for message in got:
                envelope = json.loads(message["Body"])
                self._mails.append(AlertMail(envelope["Subject"], envelope["Message"]))
                sqs.delete_message(QueueUrl=self._inbox, ReceiptHandle=message["ReceiptHandle"])
        names = "|".join(map(re.escape, self._dead_letters))
        ours = re.compile(rf"(?<![\w.-])(?:{names})(?![\w.-]*\w)")
        return [mail for mail in self._mails if ours.search(f"{mail.subject} {mail.text}") and mail.is_of_messages]

    def _line(self, key: str, line: int, record: Mapping[str, Any]) -> Archived:
        return Archived(self._key(record["message_id"], record["body"]), key, line, record)

    def _key(self, message_id: str, body: str) -> str:
        return message_id if message_id in self._by_id else self._originals.get(body, body)

    def _messages(self, queues: Sequence[str]) -> list[InQueue]:
        return [
            InQueue(
                self._key(message["id"], message["body"]), queue, message["receives"] == 0, message["visible_in"] > 0
            )
            for queue in queues
            for message in self._aws.messages(queue)
        ]

    def _items(self) -> list[dict[str, Any]]:
        pages = self._aws.client("dynamodb").get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


def _sk(item: Mapping[str, Any]) -> str:
    return str(item["sk"]["S"])


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
