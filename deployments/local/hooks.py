"""Every private hook into ministack, the emulator under the simulated AWS.

The emulator has no plugin interface, so this module reaches into it, and nothing else does. What it adds is what AWS
does and the recovery paths depend on: listing the sources of a dead-letter queue, receipt handles that behave like
AWS's, limits that are refused, `aws.*` events, expiry by TTL on demand. The version is pinned exactly;
`tests/gateways/test_simulated_aws_hooks.py` would notice one that behaves differently, and `install` names any private
name that is gone.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from deployments.local.requests import SimulatedRequest, Simulator

ACCOUNT = "000000000000"
REGION = "us-east-1"

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "ministack.app": ("SERVICE_HANDLERS", "app", "_reset_all_state"),
    "ministack.core.responses": ("set_request_account_id", "set_request_region", "new_uuid"),
    "ministack.services.sqs": (
        "_HANDLERS",
        "_Err",
        "_act_send_message",
        "_act_receive_message",
        "_collect_msgs",
        "_collect_fifo",
        "_dlq_sweep",
        "_ensure_msg_fields",
        "_expire_retained",
        "_get_q",
        "_queue_by_arn",
        "_queues",
        "_refresh_counts",
        "_validate_batch_entries",
    ),
    "ministack.services.sns": (
        "_error",
        "_p",
        "_parse_batch_entries",
        "_publish",
        "_publish_batch",
        "publish_internal",
    ),
    "ministack.services.eventbridge": ("_put_events",),
    "ministack.services.dynamodb": ("_lock", "_tables", "_ttl_settings", "_remove_item", "_extract_key_val"),
}
"""The private names that are used, by module."""

_LONGEST_DELAY = 900
_LONGEST_VISIBILITY = 43_200
_LARGEST_SQS_BATCH = 1_048_576
_LARGEST_SNS_BATCH = 262_144
_MOST_ATTRIBUTES = 10
_RETENTION_LOOKS = 1.0  # seconds between two looks for expired messages of one queue

_SNS_CODES = {
    "NotFoundException": "NotFound",
    "InvalidParameterException": "InvalidParameter",
    "InvalidParameterValueException": "ParameterValueInvalid",
    "AuthorizationErrorException": "AuthorizationError",
}
"""SNS answers with codes that lack the suffix of the exception's name (aws-sdk model of SNS: `error.code`)."""


def _parts() -> tuple[Any, Any, Any, Any, Any]:
    names = ("app", "services.sqs", "services.sns", "services.eventbridge", "services.dynamodb")
    app, sqs, sns, eventbridge, dynamodb = (import_module(f"ministack.{name}") for name in names)
    return app, sqs, sns, eventbridge, dynamodb


def missing() -> list[str]:
    """Private names that this version of the emulator no longer has."""
    return [
        f"{module}.{name}"
        for module, names in REQUIRED.items()
        for name in names
        if not hasattr(import_module(module), name)
    ]


def install(simulators: Mapping[str, Simulator]) -> None:
    """Put everything in place; once, before the server starts.

    Args:
        simulators: services that stand beside the emulator, by the name that requests are signed for ("dms").

    Raises:
        RuntimeError: the emulator lacks a name that is used here; the message lists them.
    """
    if gone := missing():
        raise RuntimeError(
            f"this ministack is not the one that deployments/local was written for: no {', '.join(gone)}"
        )
    app, sqs, sns, eventbridge, _ = _parts()
    _install_sqs(sqs)
    _install_sns(sns)
    _install_eventbridge(eventbridge)
    for service, simulator in simulators.items():
        app.SERVICE_HANDLERS[service] = _mounted(simulator)


def application() -> Any:
    """The emulator's ASGI application."""
    return _parts()[0].app


def reset() -> None:
    """Empty the emulator."""
    _parts()[0]._reset_all_state()


def _mounted(simulator: Simulator) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Any:
        response = simulator.handle(SimulatedRequest(method, path, query, headers, body))
        return response.status, dict(response.headers), response.body

    return handle


# -- SQS ---------------------------------------------------------------------------------------------------------


def _install_sqs(sqs: Any) -> None:
    error = sqs._Err
    send_one, sweep = sqs._act_send_message, sqs._dlq_sweep

    def refused(value: object, parameter: str, reason: str) -> Exception:
        return error("InvalidParameterValue", f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")  # type: ignore[no-any-return]

    def send(data: dict[str, Any], url: str) -> Any:
        delay = data.get("DelaySeconds")
        if delay is not None and not 0 <= int(delay) <= _LONGEST_DELAY:
            raise refused(delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
        attributes = data.get("MessageAttributes") or {}
        if len(attributes) > _MOST_ATTRIBUTES:
            raise error(
                "InvalidParameterValue",
                f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].",
            )
        queue = sqs._get_q(data.get("QueueUrl", url))
        largest = int(queue["attributes"].get("MaximumMessageSize", _LARGEST_SQS_BATCH))
        if _size(data) > largest:
            raise error(
                "InvalidParameterValue",
                f"One or more parameters are invalid. Reason: Message must be shorter than {largest} bytes.",
            )
        return send_one(data, url)

    def send_batch(data: dict[str, Any], url: str) -> Any:
        # The emulator's own drops the trace header of each entry and leaves attributes out of the size.
        queue_url = data.get("QueueUrl", url)
        sqs._get_q(queue_url, "sqs:SendMessage")
        entries = data.get("Entries", [])
        sqs._validate_batch_entries(entries, "SendMessageBatchRequestEntry")
        total = sum(_size(entry) for entry in entries)
        if total > _LARGEST_SQS_BATCH:
            raise error(
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {_LARGEST_SQS_BATCH} bytes. You have sent {total} bytes.",
            )
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for entry in entries:
            try:
                done.append({**send({**entry, "QueueUrl": queue_url}, queue_url), "Id": entry["Id"]})
            except error as refusal:
                failed.append(_failed(entry["Id"], refusal.code, refusal.message))
        return {"Successful": done, "Failed": failed}

    def receive(data: dict[str, Any], url: str) -> Any:
        visibility = data.get("VisibilityTimeout")
        if visibility is not None and not 0 <= int(visibility) <= _LONGEST_VISIBILITY:
            raise refused(visibility, "VisibilityTimeout", "Must be between 0 and 43200, if provided.")
        return receive_messages(data, url)

    receive_messages = sqs._act_receive_message

    def collect(queue: dict[str, Any], most: int, visibility: int) -> list[dict[str, Any]]:
        now = time.time()
        if queue["is_fifo"]:
            chosen = sqs._collect_fifo(queue, most, visibility, now)
        else:
            # Stops at the last one it needs: the emulator's own looks at the whole queue each time.
            chosen = []
            for message in queue["messages"]:
                if message.get("visible_at", 0) > now:
                    continue
                sqs._ensure_msg_fields(message)
                message["visible_at"] = now + visibility
                message["receive_count"] += 1
                message["first_receive_at"] = message["first_receive_at"] or now
                chosen.append(message)
                if len(chosen) >= most:
                    break
        for message in chosen:
            message["receipt_handle"] = _handle(queue["name"], message["id"])
            message["received_at"] = now
        return chosen  # type: ignore[no-any-return]

    expire = sqs._expire_retained

    def expire_sometimes(queue: dict[str, Any]) -> None:
        now, retention = time.time(), queue["attributes"].get("MessageRetentionPeriod")
        looked, by = queue.get("retention_looked", (0.0, None))
        if now - looked >= _RETENTION_LOOKS or by != retention:
            queue["retention_looked"] = (now, retention)
            expire(queue)

    def redrive(queue: dict[str, Any]) -> None:
        policy = queue["attributes"].get("RedrivePolicy")
        target = queue["is_fifo"] and policy and sqs._queue_by_arn(json.loads(policy).get("deadLetterTargetArn", ""))
        before = len(target["messages"]) if target else 0
        sweep(queue)
        if target:
            # On a FIFO dead-letter queue the message id takes the place of the producer's deduplication id.
            for message in target["messages"][before:]:
                message["dedup_id"] = message["id"]

    def find(queue: dict[str, Any], handle: str) -> tuple[int | None, str]:
        """Position of the message that this handle holds, and the id that the handle was made for."""
        try:
            name, message_id, _ = base64.urlsafe_b64decode(handle.encode()).decode().split("/")
        except (ValueError, binascii.Error):
            name, message_id = "", ""
        if name != queue["name"]:
            raise error("ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.')
        for position, message in enumerate(queue["messages"]):
            if message["id"] == message_id:
                return (position if message.get("receipt_handle") == handle else None), message_id
        return None, ""

    def expired(queue: dict[str, Any], position: int) -> bool:
        return bool(queue["is_fifo"] and queue["messages"][position]["visible_at"] <= time.time())

    def remove(queue: dict[str, Any], handle: str) -> None:
        position, message_id = find(queue, handle)
        if position is None:
            # A standard queue takes an old handle without a word and without an effect; FIFO knows that it expired.
            if queue["is_fifo"] and message_id:
                raise refused(handle, "ReceiptHandle", "The receipt handle has expired.")
            return
        if expired(queue, position):
            raise refused(handle, "ReceiptHandle", "The receipt handle has expired.")
        del queue["messages"][position]

    def hide(queue: dict[str, Any], handle: str, seconds: int) -> None:
        if not 0 <= seconds <= _LONGEST_VISIBILITY:
            raise refused(seconds, "VisibilityTimeout", "Must be between 0 and 43200, if provided.")
        position, _ = find(queue, handle)
        if position is None:
            reason = "Message does not exist or is not available for visibility timeout change."
            raise refused(handle, "ReceiptHandle", reason)
        if expired(queue, position):
            raise refused(handle, "ReceiptHandle", "The receipt handle has expired.")
        message, now = queue["messages"][position], time.time()
        if now + seconds - message.get("received_at", now) > _LONGEST_VISIBILITY:
            reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"
            raise refused(seconds, "VisibilityTimeout", reason)
        message["visible_at"] = now + seconds

    def one(act: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[[dict[str, Any], str], Any]:
        def run(data: dict[str, Any], url: str) -> Any:
            queue = sqs._get_q(data.get("QueueUrl", url))
            if not data.get("ReceiptHandle"):
                raise error("MissingParameter", "The request must contain the parameter ReceiptHandle.")
            act(queue, data)
            return {}

        return run

    def batch(entry_name: str, act: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[..., Any]:
        def run(data: dict[str, Any], url: str) -> Any:
            queue = sqs._get_q(data.get("QueueUrl", url))
            entries = data.get("Entries", [])
            sqs._validate_batch_entries(entries, entry_name)
            done: list[dict[str, Any]] = []
            failed: list[dict[str, Any]] = []
            for entry in entries:
                try:
                    act(queue, entry)
                    done.append({"Id": entry["Id"]})
                except error as refusal:
                    failed.append(_failed(entry["Id"], refusal.code, refusal.message))
            return {"Successful": done, "Failed": failed}

        return run

    def sources(data: dict[str, Any], url: str) -> Any:
        arn = sqs._get_q(data.get("QueueUrl", url))["attributes"]["QueueArn"]
        found = sorted(
            queue["url"]
            for queue in list(sqs._queues.values())
            if json.loads(queue["attributes"].get("RedrivePolicy") or "{}").get("deadLetterTargetArn") == arn
        )
        most = data.get("MaxResults")
        if most is None:
            return {"queueUrls": found[:1000]}
        if not 1 <= int(most) <= 1000:
            raise refused(most, "MaxResults", "Must be between 1 and 1000, if provided.")
        start = int(data.get("NextToken") or 0)
        page: dict[str, Any] = {"queueUrls": found[start : start + int(most)]}
        if start + int(most) < len(found):
            page["NextToken"] = str(start + int(most))
        return page

    def hide_one(queue: dict[str, Any], data: dict[str, Any]) -> None:
        hide(queue, data.get("ReceiptHandle", ""), int(data.get("VisibilityTimeout", 30)))

    def remove_one(queue: dict[str, Any], data: dict[str, Any]) -> None:
        remove(queue, data.get("ReceiptHandle", ""))

    sqs._act_send_message = send
    sqs._collect_msgs = collect
    sqs._expire_retained = expire_sometimes
    sqs._dlq_sweep = redrive
    sqs._HANDLERS.update(
        {
            "SendMessage": send,
            "SendMessageBatch": send_batch,
            "ReceiveMessage": receive,
            "DeleteMessage": one(remove_one),
            "DeleteMessageBatch": batch("DeleteMessageBatchRequestEntry", remove_one),
            "ChangeMessageVisibility": one(hide_one),
            "ChangeMessageVisibilityBatch": batch("ChangeMessageVisibilityBatchRequestEntry", hide_one),
            "ListDeadLetterSourceQueues": sources,
        }
    )


def _size(message: Mapping[str, Any]) -> int:
    """Bytes that count towards SQS's limits: body, and name, type and value of each attribute."""
    total = len((message.get("MessageBody") or "").encode())
    for name, value in (message.get("MessageAttributes") or {}).items():
        total += len(name.encode()) + len((value.get("DataType") or "").encode())
        total += len((value.get("StringValue") or "").encode()) + len(value.get("BinaryValue") or "") * 3 // 4
    return total


def _failed(entry: str, code: str, message: str) -> dict[str, Any]:
    return {"Id": entry, "Code": code, "Message": message, "SenderFault": True}


def _handle(queue: str, message_id: str) -> str:
    nonce = import_module("ministack.core.responses").new_uuid()
    return base64.urlsafe_b64encode(f"{queue}/{message_id}/{nonce}".encode()).decode()


def messages(queue_name: str) -> list[dict[str, Any]]:
    """What lies in a queue right now, without receiving it: for tests and for the demo's own check.

    Raises:
        KeyError: there is no such queue.
    """
    sqs = _parts()[1]
    enter()
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
            "group": message.get("group_id"),
            "deduplication_id": message.get("dedup_id"),
            "receives": message.get("receive_count", 0),
            "visible_in": max(0.0, message.get("visible_at", now) - now),
            "in_flight": message.get("receive_count", 0) > 0 and message.get("visible_at", now) > now,
        }
        for message in queue["messages"]
    ]


# -- SNS, EventBridge, DynamoDB ------------------------------------------------------------------------------------


def _install_sns(sns: Any) -> None:
    answer_error, publish, publish_batch = sns._error, sns._publish, sns._publish_batch

    def as_aws_spells_it(code: str, message: str, status: int) -> Any:
        return answer_error(_SNS_CODES.get(code, code), message, status)

    def publish_strictly(params: dict[str, Any]) -> Any:
        if not sns._p(params, "Message"):
            return sns._error("InvalidParameter", "Invalid parameter: Empty message", 400)
        return publish(params)

    def publish_batch_strictly(params: dict[str, Any]) -> Any:
        entries = sns._parse_batch_entries(params)
        if any(not entry["message"] for entry in entries):
            return sns._error("InvalidParameter", "Invalid parameter: Empty message", 400)
        total = sum(
            len(entry["message"].encode())
            + sum(len(f"{name}{value}".encode()) for name, value in entry["message_attributes"].items())
            for entry in entries
        )
        if total > _LARGEST_SNS_BATCH:
            message = "The length of all the batch messages put together is more than the limit."
            return sns._error("BatchRequestTooLong", message, 400)
        return publish_batch(params)

    sns._error, sns._publish, sns._publish_batch = as_aws_spells_it, publish_strictly, publish_batch_strictly


def _install_eventbridge(eventbridge: Any) -> None:
    put = eventbridge._put_events

    def put_strictly(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        entries = data.get("Entries", [])
        faults = [_fault_of(entry) for entry in entries]
        if len(entries) > 10 or not any(faults):
            return put(data, allow_aws_source)
        good = [entry for entry, fault in zip(entries, faults, strict=True) if fault is None]
        status, headers, body = put({**data, "Entries": good}, allow_aws_source)
        answer = json.loads(body)
        results = iter(answer["Entries"])
        answer["Entries"] = [fault or next(results) for fault in faults]
        answer["FailedEntryCount"] += len(entries) - len(good)
        return status, {k: v for k, v in headers.items() if k.lower() != "content-length"}, json.dumps(answer).encode()

    eventbridge._put_events = put_strictly


def _fault_of(entry: Mapping[str, Any]) -> dict[str, str] | None:
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return {
                "ErrorCode": "InvalidArgument",
                "ErrorMessage": f"Parameter {name} is not valid. Reason: {name} is a required argument.",
            }
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None


def enter() -> None:
    """Work in the default account and region: for what no client's request has started."""
    responses = import_module("ministack.core.responses")
    responses.set_request_account_id("")
    responses.set_request_region(REGION)


def put_aws_event(entry: Mapping[str, Any]) -> None:
    """Put an event on the default bus as an AWS service does: `Source` may begin with "aws.".

    Args:
        entry: an entry of PutEvents (`Source`, `DetailType`, `Detail` as a JSON string, `Resources`).

    Raises:
        ValueError: EventBridge would refuse the entry.
    """
    enter()
    _, _, body = _parts()[3]._put_events({"Entries": [dict(entry)]}, allow_aws_source=True)
    if (refusal := json.loads(body)["Entries"][0]).get("ErrorCode"):
        raise ValueError(f"{refusal['ErrorCode']}: {refusal['ErrorMessage']}")


def publish(topic_arn: str, subject: str, message: str) -> None:
    """Publish to a topic as an AWS service does; a topic that is gone swallows it, as AWS does to a service."""
    enter()
    _parts()[2].publish_internal(topic_arn, message, subject)


def expire_items() -> int:
    """Delete every item whose TTL has passed, and say how many. AWS does so within days, never at the second."""
    dynamodb = _parts()[4]
    removed = 0
    with dynamodb._lock:
        for (account, region, name), setting in list(dynamodb._ttl_settings.all_items()):
            attribute = setting.get("AttributeName")
            table = dynamodb._tables.get_scoped(account, region, name)
            if setting.get("TimeToLiveStatus") != "ENABLED" or not attribute or not table:
                continue
            for partition, rows in list(table["items"].items()):
                for sort, item in list(rows.items()):
                    # A number of seconds, no more than five years ago: AWS ignores everything else.
                    expires = item.get(attribute, {}).get("N")
                    if expires is not None and time.time() - 5 * 365 * 86_400 < float(expires) <= time.time():
                        dynamodb._remove_item(table, partition, sort)
                        removed += 1
    return removed
