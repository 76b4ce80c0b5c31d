"""Amazon SQS, as the dead-letter path uses it. Thin: no decisions, batches answered entry by entry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from recovery.aws import calling, require_field
from recovery.dead_letters.messages import BATCH, Message, Queue
from recovery.dead_letters.outcomes import (
    NotSent,
    Outcome,
    Sent,
    is_missing,
    outcomes_of,
)
from recovery.dead_letters.search_times import Source
from recovery.errors import Refused, RepriseError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ACTIONS = {
    "find": ("sqs:ListQueues", "sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues"),
    "describe": ("sqs:GetQueueAttributes", "sqs:ListDeadLetterSourceQueues"),
    "source": ("sqs:GetQueueAttributes",),
    "visible": ("sqs:GetQueueAttributes",),
    "inspect": ("sqs:GetQueueAttributes",),
    "receive": ("sqs:ReceiveMessage", "kms:Decrypt"),
    "send": ("sqs:SendMessage", "kms:GenerateDataKey"),
    "delete": ("sqs:DeleteMessage",),
    "hide": ("sqs:ChangeMessageVisibility",),
}
"""IAM actions of each method. SQS authorises its batch calls by the single action."""

GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Found:
    """Queues that a request names.

    Attributes:
        urls: in the order in which they are named, each once.
        failed: by name as it was given, the error of those that cannot be had.
        left_out: by glob, names of its matches that may not be asked whether they are a dead-letter queue.
        sources: by URL, the sources (ARN -> URL) of those that a glob found.
    """

    urls: list[str]
    failed: dict[str, RepriseError]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Destination:
    """Facts about a queue that messages go back to.

    Attributes:
        name: the queue's name.
        comeback: how long after it arrived a message may still come back: each of its receives may last for the
            queue's visibility timeout.
        held: messages in it, whether they can be received, are being worked on, or are delayed.
        visibility: its visibility timeout.
        receives: after which a message dies; 0: none dies.
    """

    name: str
    comeback: timedelta
    held: int
    visibility: timedelta
    receives: int


class Sqs:
    """Calls SQS.

    Args:
        client: a boto3 SQS client with the usual retries.
        sender: one whose own retries are off, for sends that have no deduplication id.
    """

    def __init__(self, client: SQSClient, sender: SQSClient) -> None:
        self._client = client
        self._sender = sender

    def find(self, wanted: Sequence[str]) -> Found:
        """Find the queues that are named.

        A glob finds queues that are some queue's dead-letter queue. A name or URL is taken as it is. A match that may
        not be asked, or is gone meanwhile, loses nothing else.
        """
        found = Found([], {})
        urls: dict[str, None] = {}
        for name in wanted:
            try:
                if name.startswith(("https://", "http://")):
                    urls[name] = None
                elif GLOB & set(name):
                    for url in self._matching(name, found):
                        urls[url] = None
                else:
                    urls[self.url(name)] = None
            except RepriseError as error:
                found.failed[name] = error
        found.urls.extend(urls)
        return found

    def url(self, name: str, account: str = "") -> str:
        """Return the URL of a queue by its name.

        Args:
            name: the queue's name.
            account: of its owner; "" for the caller's own.

        Raises:
            Refused: there is none, or it may not be read.
        """
        owner = {"QueueOwnerAWSAccountId": account} if account else {}
        with calling("sqs:GetQueueUrl"):
            answer = self._client.get_queue_url(QueueName=name, **owner)
        return str(require_field(answer, "QueueUrl", "sqs:GetQueueUrl"))

    def describe(self, url: str, sources: Mapping[str, str] | None = None) -> Queue:
        """Return what a run needs to know about a dead-letter queue.

        Args:
            url: its URL.
            sources: its sources, where they are known already.

        Raises:
            Refused: it does not exist, or may not be read.
        """
        with calling("sqs:GetQueueAttributes"):
            answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found = require_field(answer, "Attributes", "sqs:GetQueueAttributes")
        arn = require_field(found, "QueueArn", "sqs:GetQueueAttributes")
        name = arn.rsplit(":", 1)[1]
        return Queue(
            name=name,
            url=url,
            arn=arn,
            fifo=name.endswith(".fifo"),
            retention=timedelta(seconds=int(found.get("MessageRetentionPeriod", "345600"))),
            has_redrive="RedrivePolicy" in found,
            sources=self._sources(url, arn) if sources is None else sources,
            in_flight=int(found.get("ApproximateNumberOfMessagesNotVisible", "0")),
            visible=int(found.get("ApproximateNumberOfMessages", "0")),
        )

    def source(self, url: str) -> Source:
        """The times of a source queue: how long a message is hidden, and how often it is received.

        Raises:
            Refused: it does not exist, or may not be read.
        """
        with calling("sqs:GetQueueAttributes"):
            answer = self._client.get_queue_attributes(
                QueueUrl=url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
            )
        found = require_field(answer, "Attributes", "sqs:GetQueueAttributes")
        return _source(found)

    def inspect(self, url: str) -> Destination:
        """Return what a run must know of a queue that messages go back to.

        Raises:
            Refused: it does not exist, or may not be read.
        """
        with calling("sqs:GetQueueAttributes"):
            answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found = require_field(answer, "Attributes", "sqs:GetQueueAttributes")
        source = _source(found)
        return Destination(
            url.rsplit("/", 1)[1],
            timedelta(seconds=source.visibility_seconds * source.max_receives),
            sum(
                int(require_field(found, f"ApproximateNumberOfMessages{which}", "sqs:GetQueueAttributes"))
                for which in ("", "NotVisible", "Delayed")
            ),
            timedelta(seconds=source.visibility_seconds),
            source.max_receives if found.get("RedrivePolicy") else 0,
        )

    def visible(self, queue: Queue) -> int:
        """Messages to be had now, about."""
        with calling("sqs:GetQueueAttributes"):
            answer = self._client.get_queue_attributes(
                QueueUrl=queue.url, AttributeNames=["ApproximateNumberOfMessages"]
            )
        found = require_field(answer, "Attributes", "sqs:GetQueueAttributes")
        return int(require_field(found, "ApproximateNumberOfMessages", "sqs:GetQueueAttributes"))

    def receive(self, queue: Queue, most: int, lease: timedelta, wait: int, now: datetime) -> list[Message]:
        """At most ten messages, hidden from others for the lease; all system and message attributes asked for.

        Args:
            most: how many are wanted, at most ten are asked for.
            lease: how long they stay hidden.
            wait: seconds of long polling, 0 to 20.
            now: when the call began: the lease counts from no earlier.
        """
        with calling("sqs:ReceiveMessage"):
            answer = self._client.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=min(BATCH, most),
                VisibilityTimeout=int(lease.total_seconds()),
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                # Should the answer be lost, the SDK's repetition gets the same messages, and none stays hidden unseen.
                **({"ReceiveRequestAttemptId": uuid4().hex} if queue.fifo else {}),  # type: ignore[arg-type]
            )
        return [
            Message(
                queue=queue.name,
                message_id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                attributes=message.get("MessageAttributes", {}),
                system=message.get("Attributes", {}),  # type: ignore[arg-type]
                lease_until=now + lease,
            )
            for message in answer.get("Messages", [])
        ]

    def send(self, url: str, entries: Sequence[Mapping[str, Any]], *, fifo: bool) -> list[Outcome]:
        """Send one batch; an outcome for each entry, in their order. Never raises for what AWS says.

        A FIFO entry carries a deduplication id, so the SDK may repeat it; a standard one must not be repeated unseen.
        A batch that is too long for the queue is halved.
        """
        client = self._client if fifo else self._sender
        try:
            with calling("sqs:SendMessage"):
                answer = client.send_message_batch(QueueUrl=url, Entries=list(entries))  # type: ignore[arg-type]
        except RepriseError as error:
            if error.code.endswith("BatchRequestTooLong"):
                half = len(entries) // 2
                if half:
                    return self.send(url, entries[:half], fifo=fifo) + self.send(url, entries[half:], fifo=fifo)
                return [NotSent(error, its_own_fault=True) for _ in entries]
            return [NotSent(error) for _ in entries]
        sent = {done["Id"]: Sent(done["MessageId"]) for done in answer.get("Successful", [])}
        return outcomes_of([entry["Id"] for entry in entries], sent, answer.get("Failed", []), "sqs:SendMessage")

    def delete(self, queue: Queue, messages: Sequence[Message]) -> list[Outcome]:
        """Remove at most ten messages; an outcome for each, in their order."""
        entries = [{"Id": str(index), "ReceiptHandle": message.receipt} for index, message in enumerate(messages)]
        try:
            with calling("sqs:DeleteMessage"):
                answer = self._client.delete_message_batch(QueueUrl=queue.url, Entries=entries)  # type: ignore[arg-type]
        except RepriseError as error:
            return [NotSent(error) for _ in messages]
        done = {item["Id"]: Sent() for item in answer.get("Successful", [])}
        return outcomes_of([entry["Id"] for entry in entries], done, answer.get("Failed", []), "sqs:DeleteMessage")

    def hide(self, queue: Queue, receipts: Sequence[tuple[str, int]]) -> list[Outcome]:
        """Set for how long at most ten messages stay hidden from now; (receipt, seconds) each, 0 to 43,200."""
        entries = [
            {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for index, (receipt, seconds) in enumerate(receipts)
        ]
        try:
            with calling("sqs:ChangeMessageVisibility"):
                answer = self._client.change_message_visibility_batch(QueueUrl=queue.url, Entries=entries)  # type: ignore[arg-type]
        except RepriseError as error:
            return [NotSent(error) for _ in entries]
        done = {item["Id"]: Sent() for item in answer.get("Successful", [])}
        ids = [str(entry["Id"]) for entry in entries]
        return outcomes_of(ids, done, answer.get("Failed", []), "sqs:ChangeMessageVisibility")

    def _matching(self, glob: str, found: Found) -> list[str]:
        prefix = glob[: min(index for index, char in enumerate(glob) if char in GLOB)]
        with calling("sqs:ListQueues"):
            pages = self._client.get_paginator("list_queues").paginate(
                **({"QueueNamePrefix": prefix} if prefix else {}), PaginationConfig={"PageSize": 1000}
            )
            urls = [url for page in pages for url in page.get("QueueUrls", [])]
        matching = []
        refused: list[RepriseError] = []
        for url in (url for url in urls if fnmatchcase(url.rsplit("/", 1)[1], glob)):
            try:
                sources = self._sources(url, "")
            except Refused as error:
                if not is_missing(error):
                    refused.append(error)
                    found.left_out.setdefault(glob, []).append(url.rsplit("/", 1)[1])
                continue
            if sources:
                matching.append(url)
        if refused and not matching:
            raise refused[0]
        return matching

    def _sources(self, url: str, arn: str) -> dict[str, str]:
        with calling("sqs:ListDeadLetterSourceQueues"):
            pages = self._client.get_paginator("list_dead_letter_source_queues").paginate(
                QueueUrl=url, PaginationConfig={"PageSize": 1000}
            )
            urls = [source for page in pages for source in page.get("queueUrls", [])]
        # A source lies in the same account and region as its dead-letter queue, so its ARN differs only in the name.
        start = arn.rsplit(":", 1)[0]
        return {f"{start}:{source.rsplit('/', 1)[1]}": source for source in urls}


def _source(found: Mapping[str, str]) -> Source:
    try:
        policy = json.loads(found.get("RedrivePolicy", "{}"))
        return Source(int(found.get("VisibilityTimeout", "30")), max(1, int(policy.get("maxReceiveCount", 1))))
    except (ValueError, TypeError, AttributeError):
        return Source(int(found.get("VisibilityTimeout", "30")))
