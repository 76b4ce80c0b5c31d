"""The events queue: received ten at a time, deleted only after Prefect accepted, parked with a reason if unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recovery.aws import calling
from recovery.errors import RepriseError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

VISIBILITY = 60
"""Seconds that a received event is hidden; lengthened while the server is away or a burst lasts."""

ACTIONS = {
    "receive": ("sqs:ReceiveMessage", "kms:Decrypt"),
    "delete": ("sqs:DeleteMessage",),
    "keep": ("sqs:ChangeMessageVisibility",),
    "park": ("sqs:SendMessage", "kms:GenerateDataKey"),
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of the events queue."""

    message_id: str
    receipt: str
    body: str
    sent: float  # seconds since 1970


class EventsQueue:
    """Calls SQS.

    Args:
        client: a boto3 SQS client.
        url: of the events queue.
        parked_url: of its dead-letter queue.
    """

    def __init__(self, client: SQSClient, url: str, parked_url: str) -> None:
        self._client = client
        self._url = url
        self._parked = parked_url

    def receive(self, wait: int) -> list[Arrival]:
        """At most ten events.

        Args:
            wait: seconds of long polling.

        Raises:
            Transient, Refused: SQS could not be asked.
        """
        with calling("sqs:ReceiveMessage"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=wait,
                VisibilityTimeout=VISIBILITY,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        return [
            Arrival(
                message["MessageId"],
                message["ReceiptHandle"],
                message["Body"],
                int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000,
            )
            for message in answer.get("Messages", [])
        ]

    def delete(self, receipts: Sequence[str]) -> None:
        """Remove events that were accepted. One that cannot be removed comes again, with the same event id."""
        for part in _tens(receipts):
            entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(part)]
            with calling("sqs:DeleteMessage"):
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]

    def keep(self, receipts: Sequence[str], seconds: int = VISIBILITY) -> None:
        """Keep events hidden for longer (0: give them back at once); a failure only makes them show up earlier."""
        for part in _tens(receipts):
            entries = [
                {"Id": str(n), "ReceiptHandle": receipt, "VisibilityTimeout": seconds} for n, receipt in enumerate(part)
            ]
            try:
                with calling("sqs:ChangeMessageVisibility"):
                    self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
            except RepriseError:
                return

    def park(self, arrival: Arrival, reason: str) -> None:
        """Put an unreadable event into the dead-letter queue with its reason, then remove it here.

        Raises:
            Transient, Refused: it stays in the events queue.
        """
        with calling("sqs:SendMessage"):
            self._client.send_message(
                QueueUrl=self._parked,
                MessageBody=arrival.body,
                MessageAttributes={
                    "Reason": {"DataType": "String", "StringValue": reason[:1000]},
                    "OriginalMessageId": {"DataType": "String", "StringValue": arrival.message_id},
                },
            )
        self.delete([arrival.receipt])


def _tens(receipts: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(receipts), 10):
        yield receipts[start : start + 10]
