"""A dead letter and the queue it lies in, as values; and what is computed from them alone. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.dead_letters.deliveries import DELIVERED, delivered_content
from recovery.dead_letters.invocations import failed_invocation
from recovery.failures import BodyShape, Origin

BATCH = 10
"""Entries of one SQS batch."""
BATCH_BYTES = 1_048_576
"""Bytes of one SQS message, and of a whole batch (raised from 256 KiB in August 2025)."""

Attributes = Mapping[str, Mapping[str, Any]]

SENDABLE = frozenset({"DataType", "StringValue", "BinaryValue"})
"""Fields of an attribute that a send takes."""

_GONE = frozenset(
    {
        "NO_RESOURCE",
        "NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "NotFoundException",
        "NotFound",
        "StateMachineDoesNotExist",
        "ClusterNotFoundException",
    }
)
"""Error codes of EventBridge, and of the services that Scheduler calls, for a target that does not exist."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Facts about a dead-letter queue.

    Attributes:
        name, url, arn: as SQS gives them.
        fifo: decided by the name, since a group id alone also stands on fair standard queues.
        retention: how long it keeps a message.
        has_redrive: it has a dead-letter queue of its own, so that every receive counts there.
        sources: ARN -> URL of the queues whose dead-letter queue it is.
        in_flight: approximate number of messages hidden when the run began.
        visible: approximate number of messages that could be received when the run began.
    """

    name: str
    url: str
    arn: str
    fifo: bool
    retention: timedelta
    has_redrive: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    in_flight: int = 0
    visible: int = 0

    @property
    def region(self) -> str:
        """Its region; "" where its ARN does not say."""
        return ":".join(self.arn.split(":")[3:4])

    @property
    def home(self) -> str:
        """Beginning of the ARNs of all queues of its account and region."""
        return self.arn.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Message:
    """One dead letter as it was received. Its body never shows in a representation or an error.

    Attributes:
        queue: name of the dead-letter queue.
        message_id: its SQS message id.
        receipt: the handle of this receive.
        body: the body.
        attributes: user message attributes, in boto3's shape.
        system: system attributes, all strings.
        lease_until: until when it is hidden from others, aware, UTC.
        origin: who put it there.
        shape: what the body is.
    """

    queue: str
    message_id: str
    receipt: str = field(repr=False)
    body: str = field(repr=False)
    attributes: Attributes = field(repr=False)
    system: Mapping[str, str] = field(repr=False)
    lease_until: datetime
    origin: Origin = Origin.UNKNOWN
    shape: BodyShape = BodyShape.OTHER

    @property
    def source_arn(self) -> str:
        """ARN of the queue it came from, or "" when SQS does not say."""
        return self.system.get("DeadLetterQueueSourceArn", "")

    @property
    def group_id(self) -> str:
        """The FIFO group, or the tenant of a fair standard queue."""
        return self.system.get("MessageGroupId", "")

    @property
    def sequence(self) -> int:
        """Its place in a FIFO queue; 0 elsewhere."""
        return _count(self.system.get("SequenceNumber", ""))

    @property
    def sent_at(self) -> datetime:
        """Time of its send: on a standard queue the first send, on a FIFO queue the move to the dead-letter queue."""
        return _moment(self.system.get("SentTimestamp", ""))

    @property
    def first_received_at(self) -> datetime:
        """Time of its first receive by anybody: its failures began then."""
        return _moment(self.system.get("ApproximateFirstReceiveTimestamp") or self.system.get("SentTimestamp", ""))

    @property
    def is_cut(self) -> bool:
        """Scheduler cut the payload. Source: "Configuring a dead-letter queue", EventBridge Scheduler user guide."""
        return self.origin is Origin.SCHEDULER and self._text("IS_PAYLOAD_TRUNCATED").strip().lower() == "true"

    @property
    def target_is_gone(self) -> bool:
        """EventBridge or Scheduler found no target. Source: error codes of both services' dead-letter queues."""
        code = self._text("ERROR_CODE").strip()
        return self.origin in (Origin.EVENTBRIDGE, Origin.SCHEDULER) and code.rpartition(".")[2] in _GONE

    def _text(self, name: str) -> str:
        return str(self.attributes.get(name, {}).get("StringValue") or "")

    def expires_at(self, queue: Queue) -> datetime:
        """Time at which the queue forgets it. Source: retention runs on from SentTimestamp (SQS developer guide)."""
        return self.sent_at + queue.retention


def content_hash(message: Message, changing: Collection[str] = (), body_paths: Collection[str] = ()) -> str:
    """Hash what the message says, as 32 hexadecimal digits: body, user attributes and group.

    Args:
        message: the message.
        changing: names of attributes that differ each time that it fails: the error's, say.
        body_paths: dotted paths of such values in a JSON body.
    """
    invocation = failed_invocation(message.body, message.attributes, message.origin)
    if invocation is not None:  # each failure has its own time, request and error around the same event
        return hashlib.sha256(_bytes(f"{invocation.function}\0{invocation.payload}")).hexdigest()[:32]
    if message.origin in DELIVERED:
        return hashlib.sha256(_bytes(delivered_content(message))).hexdigest()[:32]
    digest = hashlib.sha256(_bytes(_without(message.body, body_paths)))
    for name in sorted(message.attributes.keys() - set(changing)):
        value = message.attributes[name]
        digest.update(b"\0" + _bytes(name) + b"\0" + _bytes(value.get("DataType", "")) + b"\0")
        binary = value.get("BinaryValue")
        digest.update(bytes(binary) if binary is not None else _bytes(value.get("StringValue", "")))
    digest.update(b"\0" + _bytes(message.group_id))
    return digest.hexdigest()[:32]


def identity(
    message: Message,
    attribute: str | None,
    body_path: str | None,
    changing: Collection[str] = (),
    body_paths: Collection[str] = (),
    *,
    queue: str = "",
    to_all: bool = False,
) -> str:
    """Return the key under which the attempts of the message's work are counted.

    A redrive keeps the message id, so that id finds the case when the message comes back. Lambda makes a new message
    each time, with the id of the request that failed. So does a consumer that sends to the dead-letter queue itself,
    without an id: then a business id counts, else the content without
    the attributes that change each time.

    Args:
        message: the message.
        attribute, body_path: where its business id stands.
        changing, body_paths: attributes and places in the body that change each time.
        queue: ARN of the dead-letter queue, since a name may stand for queues of several accounts; "" for its name.
        to_all: events and notifications may be sent to everybody again: a comeback is another message then.
    """
    queue = queue or message.queue
    invocation = failed_invocation(message.body, message.attributes, message.origin)
    if invocation is not None and invocation.request_id:
        return invocation.request_id
    if message.origin in DELIVERED and to_all:
        return f"{queue}:content:{content_hash(message)}"
    if message.origin is not Origin.UNKNOWN:
        return message.message_id
    if attribute and attribute in message.attributes:
        value = message.attributes[attribute].get("StringValue")
        if value:
            return f"{queue}:id:{_short(str(value))}"
    if body_path:
        value = _at(message.body, body_path)
        if value is not None:
            return f"{queue}:id:{_short(str(value))}"
    return f"{queue}:content:{content_hash(message, changing, body_paths)}"


def is_by_content(identity: str) -> bool:
    """True for an identity that only the content makes: the same work with other content has another one."""
    return ":content:" in identity


def deduplication_id(message: Message, attempt: int) -> str:
    """FIFO: the same for every try of one attempt, another for the next attempt."""
    return hashlib.sha256(f"{message.message_id}:{attempt}".encode()).hexdigest()


def size(message: Message) -> int:
    """Bytes that count towards SQS's limits: body, and names, types and values of user attributes."""
    total = len(_bytes(message.body))
    for name, value in message.attributes.items():
        binary = value.get("BinaryValue")
        content = len(bytes(binary)) if binary is not None else len(_bytes(value.get("StringValue", "")))
        total += len(_bytes(name)) + len(str(value.get("DataType", ""))) + content
    return total


def batches(sizes: Sequence[int]) -> list[list[int]]:
    """Indexes of entries, at most ten and at most 1 MiB together; one that alone is larger stands alone."""
    parts: list[list[int]] = []
    room = 0
    for index, entry in enumerate(sizes):
        if not parts or len(parts[-1]) >= BATCH or entry > room:
            parts.append([])
            room = BATCH_BYTES
        parts[-1].append(index)
        room -= entry
    return parts


def entry(message: Message, index: int, delay: timedelta, *, fifo: bool, attempt: int) -> dict[str, Any]:
    """The entry of a SendMessageBatch that carries the message unchanged.

    The trace header goes along, and so does the group of a fair standard queue. A FIFO entry takes no delay.
    """
    built: dict[str, Any] = {"Id": str(index), "MessageBody": message.body}
    if message.attributes:
        built["MessageAttributes"] = {
            name: {key: value for key, value in attribute.items() if key in SENDABLE}
            for name, attribute in message.attributes.items()
        }
    trace = message.system.get("AWSTraceHeader")
    if trace:
        built["MessageSystemAttributes"] = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    if message.group_id or fifo:
        built["MessageGroupId"] = message.group_id or message.message_id
    if fifo:
        built["MessageDeduplicationId"] = deduplication_id(message, attempt)
    elif delay > timedelta(0):
        built["DelaySeconds"] = min(900, round(delay.total_seconds()))
    return built


def _short(value: str) -> str:
    # A business id may be long or personal: only its hash stands in the ledger's key.
    return hashlib.sha256(_bytes(value)).hexdigest()[:32]


def _bytes(value: object) -> bytes:
    # Half a surrogate pair is no UTF-8, and no reason to stop for the other messages.
    return str(value).encode("utf-8", "surrogatepass")


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 40 else 0


def _moment(milliseconds: str) -> datetime:
    # An unreadable time is 1970: such a message is taken for one that is about to expire, and archived.
    try:
        return datetime.fromtimestamp(_count(milliseconds) / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0, UTC)


def _without(body: str, paths: Collection[str]) -> str:
    """Return a JSON body without the values at these paths; anything else as it is."""
    if not paths:
        return body
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return body
    for path in paths:
        *parents, last = path.split(".")
        place = document
        for part in parents:
            place = place.get(part) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(last, None)
    return json.dumps(document, sort_keys=True)


def _at(body: str, path: str) -> object:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value if isinstance(value, str | int | float) else None
