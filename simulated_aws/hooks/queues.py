"""SQS as AWS has it, where the emulator is lenient, slow or lacks something.

Sources of the behaviour: the SQS API reference (limits, ListDeadLetterSourceQueues, receipt handles, the total of 12
hours of hiding), the developer guide on dead-letter queues (the deduplication id that a FIFO move sets) and on
CloudWatch metrics (a message that was received three times goes to the back of a standard queue, and leaves its age).
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST_DELAY = 900
_LONGEST_VISIBILITY = 43_200
_LARGEST_BATCH = 1_048_576
_MOST_ATTRIBUTES = 10
_SAME_ATTEMPT = 300.0  # seconds for which a repeated receive of a FIFO queue gets the same messages
_POISONED = 3  # receives from which a message is moved to the back, and out of the age of the oldest
_RETENTION_LOOKS = 1.0  # seconds between two looks for expired messages of one queue

Queue = dict[str, Any]
Data = dict[str, Any]


class StrictQueues:
    """Takes the place of the emulator's own handlers.

    Args:
        sqs: the module `ministack.services.sqs`.
    """

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs
        self._error = sqs._Err
        self._send_one = sqs._act_send_message
        self._receive_messages = sqs._act_receive_message
        self._expire = sqs._expire_retained
        self._sweep = sqs._dlq_sweep
        self._list = sqs._HANDLERS["ListQueues"]

    def install(self) -> None:
        sqs = self._sqs
        sqs._act_send_message = self.send
        sqs._collect_msgs = self.collect
        sqs._expire_retained = self.expire_sometimes
        sqs._dlq_sweep = self.redrive
        sqs._HANDLERS.update(
            {
                "SendMessage": self.send,
                "SendMessageBatch": self.send_batch,
                "ReceiveMessage": self.receive,
                "DeleteMessage": self._single(self._remove),
                "DeleteMessageBatch": self._batch("DeleteMessageBatchRequestEntry", self._remove),
                "ChangeMessageVisibility": self._single(self._hide),
                "ChangeMessageVisibilityBatch": self._batch("ChangeMessageVisibilityBatchRequestEntry", self._hide),
                "ListDeadLetterSourceQueues": self.sources,
                "ListQueues": lambda data, url: _without_empty(self._list(data, url)),
            }
        )

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, data: Data, url: str) -> Any:
        """SendMessage: refuses long delays, more than ten attributes, and sizes that count attributes."""
        delay = data.get("DelaySeconds")
        if delay is not None and not 0 <= int(delay) <= _LONGEST_DELAY:
            raise self._refused(delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
        number = len(data.get("MessageAttributes") or {})
        if number > _MOST_ATTRIBUTES:
            reason = f"Number of message attributes [{number}] exceeds the allowed maximum [{_MOST_ATTRIBUTES}]."
            raise self._error("InvalidParameterValue", reason)
        queue = self._sqs._get_q(data.get("QueueUrl", url))
        largest = int(queue["attributes"].get("MaximumMessageSize", _LARGEST_BATCH))
        if _size(data) > largest:
            reason = f"One or more parameters are invalid. Reason: Message must be shorter than {largest} bytes."
            raise self._error("InvalidParameterValue", reason)
        return self._send_one(data, url)

    def send_batch(self, data: Data, url: str) -> Any:
        """SendMessageBatch: the emulator's own drops trace headers and leaves attributes out of the size."""
        queue_url = data.get("QueueUrl", url)
        self._sqs._get_q(queue_url)
        entries = data.get("Entries", [])
        self._sqs._validate_batch_entries(entries, "SendMessageBatchRequestEntry")
        total = sum(_size(entry) for entry in entries)
        if total > _LARGEST_BATCH:
            reason = f"Batch requests cannot be longer than {_LARGEST_BATCH} bytes. You have sent {total} bytes."
            raise self._error("BatchRequestTooLong", reason)
        done: list[Data] = []
        failed: list[Data] = []
        for entry in entries:
            try:
                done.append({**self.send({**entry, "QueueUrl": queue_url}, queue_url), "Id": entry["Id"]})
            except self._error as refusal:
                failed.append(_failed(entry, refusal))
        return _without_empty({"Successful": done, "Failed": failed})

    # -- receiving -------------------------------------------------------------------------------------------------

    async def receive(self, data: Data, url: str) -> Any:
        """ReceiveMessage: refuses a visibility timeout of more than 12 hours; a repeated FIFO attempt gets the same."""
        visibility = data.get("VisibilityTimeout")
        if visibility is not None and not 0 <= int(visibility) <= _LONGEST_VISIBILITY:
            raise self._refused(visibility, "VisibilityTimeout", "Must be between 0 and 43200, if provided.")
        attempt = data.get("ReceiveRequestAttemptId")
        queue = self._sqs._get_q(data.get("QueueUrl", url))
        if attempt and queue["is_fifo"]:
            self._let_go(queue, queue.setdefault("receive_attempts", {}).pop(attempt, []))
        answer = await self._receive_messages(data, url)
        if attempt and queue["is_fifo"]:
            handles = [message["ReceiptHandle"] for message in answer.get("Messages", [])]
            queue.setdefault("receive_attempts", {})[attempt] = handles
        return answer

    @staticmethod
    def _let_go(queue: Queue, handles: list[str]) -> None:
        """Hand out again what an attempt got whose answer was lost. AWS does so for five minutes."""
        for message in queue["messages"]:
            if message.get("receipt_handle") in handles and message["received_at"] > time.time() - _SAME_ATTEMPT:
                message["visible_at"] = 0.0

    def collect(self, queue: Queue, most: int, visibility: int) -> list[Data]:
        """Choose messages to hand out. Stops at the last one: the emulator's own looks at the whole queue each time."""
        now = time.time()
        chosen: list[Data]
        if queue["is_fifo"]:
            chosen = self._sqs._collect_fifo(queue, most, visibility, now)
        else:
            chosen = []
            for message in queue["messages"]:
                if message.get("visible_at", 0) > now:
                    continue
                self._sqs._ensure_msg_fields(message)
                message["visible_at"] = now + visibility
                message["receive_count"] += 1
                message["first_receive_at"] = message["first_receive_at"] or now
                chosen.append(message)
                if len(chosen) >= most:
                    break
            poisoned = [message for message in chosen if message["receive_count"] >= _POISONED]
            for message in poisoned:
                queue["messages"].remove(message)
            queue["messages"] += poisoned
        for message in chosen:
            message["receipt_handle"] = _handle(queue, message)
            message["received_at"] = now
        return chosen

    def expire_sometimes(self, queue: Queue) -> None:
        """Drop what has passed its retention; looked for at most once a second, since it reads the whole queue."""
        now, retention = time.time(), queue["attributes"].get("MessageRetentionPeriod")
        looked, by = queue.get("retention_looked", (0.0, None))
        if now - looked >= _RETENTION_LOOKS or by != retention:
            queue["retention_looked"] = (now, retention)
            self._expire(queue)

    def redrive(self, queue: Queue) -> None:
        """Move to the dead-letter queue. On FIFO the message id takes the place of the deduplication id."""
        policy = queue["attributes"].get("RedrivePolicy")
        target = queue["is_fifo"] and policy and self._sqs._queue_by_arn(json.loads(policy)["deadLetterTargetArn"])
        before = len(target["messages"]) if target else 0
        self._sweep(queue)
        if target:
            for message in target["messages"][before:]:
                message["dedup_id"] = message["id"]

    # -- receipt handles -------------------------------------------------------------------------------------------

    def _find(self, queue: Queue, handle: str) -> tuple[int | None, bool]:
        """Position of the message that this handle holds, and whether the message is still there at all."""
        try:
            name, message_id, _ = base64.urlsafe_b64decode(handle.encode()).decode().split("/")
        except (ValueError, binascii.Error):
            name, message_id = "", ""
        if name != queue["name"]:
            reason = f'The input receipt handle "{handle}" is not a valid receipt handle.'
            raise self._error("ReceiptHandleIsInvalid", reason)
        for position, message in enumerate(queue["messages"]):
            if message["id"] == message_id:
                return (position if message.get("receipt_handle") == handle else None), True
        return None, False

    def _remove(self, queue: Queue, data: Data) -> None:
        # A standard queue takes an old handle without a word and without an effect; a FIFO queue knows that it expired.
        handle = data["ReceiptHandle"]
        position, there = self._find(queue, handle)
        if queue["is_fifo"] and there and (position is None or _visible(queue, position)):
            raise self._refused(handle, "ReceiptHandle", "The receipt handle has expired.")
        if position is not None:
            del queue["messages"][position]
            queue["deleted"] = queue.get("deleted", 0) + 1

    def _hide(self, queue: Queue, data: Data) -> None:
        handle, seconds = data["ReceiptHandle"], int(data.get("VisibilityTimeout", 30))
        if not 0 <= seconds <= _LONGEST_VISIBILITY:
            raise self._refused(seconds, "VisibilityTimeout", "Must be between 0 and 43200, if provided.")
        position, _ = self._find(queue, handle)
        if position is None:
            reason = "Message does not exist or is not available for visibility timeout change."
            raise self._refused(handle, "ReceiptHandle", reason)
        if queue["is_fifo"] and _visible(queue, position):
            raise self._refused(handle, "ReceiptHandle", "The receipt handle has expired.")
        message, now = queue["messages"][position], time.time()
        if now + seconds - message.get("received_at", now) > _LONGEST_VISIBILITY:
            reason = f"Total VisibilityTimeout for the message is beyond the limit [{_LONGEST_VISIBILITY} seconds]"
            raise self._refused(seconds, "VisibilityTimeout", reason)
        message["visible_at"] = now + seconds

    def _single(self, act: Callable[[Queue, Data], None]) -> Callable[[Data, str], Any]:
        def run(data: Data, url: str) -> Any:
            if not data.get("ReceiptHandle"):
                raise self._error("MissingParameter", "The request must contain the parameter ReceiptHandle.")
            act(self._sqs._get_q(data.get("QueueUrl", url)), data)
            return {}

        return run

    def _batch(self, entry_name: str, act: Callable[[Queue, Data], None]) -> Callable[[Data, str], Any]:
        def run(data: Data, url: str) -> Any:
            queue = self._sqs._get_q(data.get("QueueUrl", url))
            entries = data.get("Entries", [])
            self._sqs._validate_batch_entries(entries, entry_name)
            done: list[Data] = []
            failed: list[Data] = []
            for entry in entries:
                try:
                    act(queue, entry)
                    done.append({"Id": entry["Id"]})
                except self._error as refusal:
                    failed.append(_failed(entry, refusal))
            return _without_empty({"Successful": done, "Failed": failed})

        return run

    # -- what the emulator lacks -----------------------------------------------------------------------------------

    def sources(self, data: Data, url: str) -> Any:
        """ListDeadLetterSourceQueues, in pages. (The answer's name begins small: so does AWS's.)"""
        arn = self._sqs._get_q(data.get("QueueUrl", url))["attributes"]["QueueArn"]
        found = sorted(
            queue["url"]
            for queue in list(self._sqs._queues.values())
            if json.loads(queue["attributes"].get("RedrivePolicy") or "{}").get("deadLetterTargetArn") == arn
        )
        most = data.get("MaxResults")
        if most is None:
            return {"queueUrls": found[:1000]}
        if not 1 <= int(most) <= 1000:
            raise self._refused(most, "MaxResults", "Must be between 1 and 1000, if provided.")
        start = int(data.get("NextToken") or 0)
        page: Data = {"queueUrls": found[start : start + int(most)]}
        if start + int(most) < len(found):
            page["NextToken"] = str(start + int(most))
        return page

    def _refused(self, value: object, parameter: str, reason: str) -> Exception:
        text = f"Value {value} for parameter {parameter} is invalid. Reason: {reason}"
        refusal: Exception = self._error("InvalidParameterValue", text)
        return refusal


def messages_of(sqs: Any, queue_name: str) -> list[Data]:
    """Return the messages of a queue; see `hooks.messages`."""
    queue = next((found for found in sqs._queues.values() if found["name"] == queue_name), None)
    if queue is None:
        raise KeyError(queue_name)
    sqs._refresh_counts(queue)
    now = time.time()
    return [
        {
            "id": message["id"],
            "body": message["body"],
            "attributes": message.get("message_attributes") or {},
            "trace": message["sys"].get("AWSTraceHeader") if "sys" in message else None,
            "group": message.get("group_id"),
            "deduplication_id": message.get("dedup_id"),
            "receives": message.get("receive_count", 0),
            "visible_in": max(0.0, message.get("visible_at", now) - now),
            "in_flight": message.get("receive_count", 0) > 0 and message.get("visible_at", now) > now,
        }
        for message in queue["messages"]
    ]


def depths_of(sqs: Any) -> dict[str, dict[str, int]]:
    """Return the figures that AWS publishes for each queue: numbers of messages, age of the oldest in seconds, and what
    was deleted since the last time."""
    found: dict[str, dict[str, int]] = {}
    for queue in list(sqs._queues.values()):
        sqs._refresh_counts(queue)
        attributes, now = queue["attributes"], time.time()
        shown = (message for message in queue["messages"] if message.get("receive_count", 0) < _POISONED)
        oldest = min((message.get("enqueued_at", message["sent_at"]) for message in shown), default=now)
        deleted, queue["deleted"] = queue.get("deleted", 0), 0
        found[queue["name"]] = {
            "ApproximateNumberOfMessagesVisible": int(attributes["ApproximateNumberOfMessages"]),
            "ApproximateNumberOfMessagesNotVisible": int(attributes["ApproximateNumberOfMessagesNotVisible"]),
            "ApproximateNumberOfMessagesDelayed": int(attributes["ApproximateNumberOfMessagesDelayed"]),
            "ApproximateAgeOfOldestMessage": int(now - oldest),
            "NumberOfMessagesDeleted": deleted,
        }
    return found


def _without_empty(answer: Data) -> Data:
    """AWS leaves empty lists out of its answers."""
    return {name: value for name, value in answer.items() if value}


def _visible(queue: Queue, position: int) -> bool:
    return bool(queue["messages"][position]["visible_at"] <= time.time())


def _size(message: Mapping[str, Any]) -> int:
    """Bytes that count towards the limits: the body, and name, type and value of each attribute."""
    total = len((message.get("MessageBody") or "").encode())
    for name, value in (message.get("MessageAttributes") or {}).items():
        total += len(name.encode()) + len((value.get("DataType") or "").encode())
        total += len((value.get("StringValue") or "").encode()) + len(base64.b64decode(value.get("BinaryValue") or ""))
    return total


def _failed(entry: Mapping[str, Any], refusal: Any) -> Data:
    return {"Id": entry["Id"], "Code": refusal.code, "Message": refusal.message, "SenderFault": True}


def _handle(queue: Queue, message: Data) -> str:
    return base64.urlsafe_b64encode(f"{queue['name']}/{message['id']}/{uuid.uuid4()}".encode()).decode()
