"""A row as an SNS message: body, attributes, subject, group and deduplication id, and its size. Pure.

Limits are SNS's (Publish, PublishBatch): checked here, because no local AWS enforces them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from recovery.failures import Kind
from recovery.outbox_records.attributes import RAW_DELIVERY_ATTRIBUTES, message_attributes, printable_id
from recovery.outbox_records.models import Row, Value
from recovery.outbox_records.policy import RowNames

BATCH = 10
"""Entries of one PublishBatch."""
SUBJECT_LENGTH = 99
_ID = re.compile(r"[\x21-\x7e]{1,128}")  # group and deduplication ids: printable ASCII without spaces
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_IN_A_QUEUE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # SQS, SendMessage: MessageBody


@dataclass(frozen=True, slots=True)
class Message:
    """The message of one row.

    Attributes:
        body: the text.
        attributes: message attributes as the API takes them.
        subject, group, deduplication: "" where there is none.
        size: bytes that count against the limit of a message and of a batch.
        carries_id: whether the row's id is among the attributes.
        notes: a line for each thing that goes out otherwise than it stands in the row, or that a subscriber may not
            take; names, never values.
    """

    body: str = field(repr=False)
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    subject: str = ""
    group: str = ""
    deduplication: str = ""
    size: int = 0
    carries_id: bool = True
    notes: tuple[str, ...] = ()

    def entry(self, identity: str) -> dict[str, Any]:
        """The entry of a PublishBatch; `identity` distinguishes it from the other entries."""
        entry: dict[str, Any] = {"Id": identity, "Message": self.body}
        if self.attributes:
            entry["MessageAttributes"] = {name: dict(value) for name, value in self.attributes.items()}
        named = {
            "Subject": self.subject,
            "MessageGroupId": self.group,
            "MessageDeduplicationId": self.deduplication,
        }
        return entry | {name: text for name, text in named.items() if text}


@dataclass(frozen=True, slots=True)
class Unsendable:
    """A row that SNS would never take, and why."""

    kind: Kind
    rule: str
    reason: str


def compose(
    row: Row,
    names: RowNames,
    table: str,
    *,
    fifo: bool,
    most_bytes: int,
    most_attributes: int = RAW_DELIVERY_ATTRIBUTES,
) -> Message | Unsendable:
    """The message of a row, or why there can be none.

    Args:
        table: the table's name, part of the deduplication id.
        fifo: whether the topic is a FIFO topic.
        most_bytes: the topic's limit for a message.
        most_attributes: more message attributes are not sent.
    """
    value = row.item.get(names.message)
    if value is None or "NULL" in value:
        return Unsendable(Kind.BAD_PAYLOAD, "no-message", f"the row has no attribute {names.message!r} to publish")
    body = value["S"] if "S" in value else to_json(value)
    if not body:
        return Unsendable(
            Kind.BAD_PAYLOAD, "empty-message", f"its {names.message!r} is empty, and SNS takes no empty message"
        )
    if _SURROGATE.search(body):
        return Unsendable(
            Kind.BAD_PAYLOAD,
            "not-unicode",
            f"its {names.message!r} holds half a surrogate pair, which no UTF-8 text can",
        )
    ids = _ids(row, names, table, fifo=fifo)
    if isinstance(ids, Unsendable):
        return ids
    group, deduplication, notes = ids
    found = message_attributes(row.item, names.attributes, to_json)
    if found.refused:
        return Unsendable(Kind.VALIDATION_ERROR, "bad-attribute", found.refused)
    attributes = found.sent
    if len(attributes) > most_attributes:
        return Unsendable(
            Kind.VALIDATION_ERROR,
            "too-many-attributes",
            f"it has {len(attributes)} message attributes, and raw delivery to a queue discards a message with more"
            f" than {most_attributes}: send fewer, or raise policy.most_attributes where no subscription is raw",
        )
    carries_id = len(attributes) < most_attributes or names.row_id in attributes
    if carries_id:
        attributes = {**attributes, names.row_id: {"DataType": "String", "StringValue": printable_id(row.row_id)}}
    subject = plain_subject(row.text(names.subject))
    size = _size(body, attributes, subject)
    if size > most_bytes:
        return Unsendable(
            Kind.BAD_PAYLOAD,
            "too-large",
            f"the message has {size:,} bytes with its attributes, and the topic takes {most_bytes:,};"
            " put the payload into S3 and publish a pointer to it",
        )
    if _NOT_IN_A_QUEUE.search(body):
        notes.append(f"{names.message}: holds control characters, which a queue with raw delivery does not take")
    return Message(body, attributes, subject, group, deduplication, size, carries_id, (*found.cleaned, *notes))


def _ids(row: Row, names: RowNames, table: str, *, fifo: bool) -> tuple[str, str, list[str]] | Unsendable:
    """Group and deduplication id, and what was left out of them."""
    group = row.text(names.group)
    if not fifo:
        # A standard topic takes a group for fair queues, which need none.
        is_good = not group or _ID.fullmatch(group) is not None
        left_out = [] if is_good else [f"{names.group}: no group that SNS takes, left out"]
        return (group if is_good else ""), "", left_out
    if not _ID.fullmatch(group):
        wrong = "is missing" if not group else "is not 1 to 128 printable characters without spaces"
        return Unsendable(
            Kind.VALIDATION_ERROR, "no-group", f"a FIFO topic needs a group, and the row's {names.group!r} {wrong}"
        )
    deduplication = row.text(names.deduplication) or default_deduplication(table, row.row_id)
    if not _ID.fullmatch(deduplication):
        return Unsendable(
            Kind.VALIDATION_ERROR,
            "bad-deduplication-id",
            f"the row's {names.deduplication!r} is not 1 to 128 printable characters without spaces",
        )
    return group, deduplication, []


def default_deduplication(table: str, identity: str) -> str:
    """Stable for a row across all attempts: SNS drops a second publish within five minutes."""
    return hashlib.sha256(f"{table}\n{identity}".encode("utf-8", "replace")).hexdigest()


def to_json(value: Value) -> str:
    """A typed value as JSON: numbers with all their digits, sets as sorted arrays, binary as base64 text."""
    [(kind, raw)] = value.items()
    match kind:
        case "S":
            return json.dumps(raw, ensure_ascii=False)
        case "N":
            return _json_number(str(raw))
        case "BOOL":
            return "true" if raw else "false"
        case "NULL":
            return "null"
        case "B":
            return json.dumps(base64.b64encode(bytes(raw)).decode())
        case "L":
            return f"[{','.join(map(to_json, raw))}]"
        case "M":
            pairs = (f"{json.dumps(name, ensure_ascii=False)}:{to_json(inner)}" for name, inner in raw.items())
            return f"{{{','.join(pairs)}}}"
        case _:  # SS, NS, BS
            members = sorted(raw, key=float) if kind == "NS" else sorted(raw)
            return f"[{','.join(to_json({kind[0]: member}) for member in members)}]"


def _json_number(text: str) -> str:
    # DynamoDB gives "1E+30" and ".5" forms back as plain decimals; JSON wants a digit on each side and no plus sign.
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text.removeprefix("+"))
    digits = f"0{digits}" if digits.startswith(".") else digits
    whole, dot, rest = digits.partition(".")
    return f"{sign}{whole.lstrip('0') or '0' if whole.isdecimal() else whole}{dot}{rest or ('0' if dot else '')}"


def plain_subject(text: str) -> str:
    """A subject that SNS accepts: no line breaks or control characters, under 100 characters."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= SUBJECT_LENGTH else f"{flat[: SUBJECT_LENGTH - 1]}…"


def _size(body: str, attributes: Mapping[str, Mapping[str, Any]], subject: str) -> int:
    total = len(body.encode("utf-8", "surrogatepass")) + len(subject.encode("utf-8", "surrogatepass"))
    for name, value in attributes.items():
        content = value.get("BinaryValue") or str(value.get("StringValue", "")).encode("utf-8", "surrogatepass")
        total += len(name.encode("utf-8", "surrogatepass")) + len(value["DataType"]) + len(content)
    return total


def batches(messages: Mapping[int, Message], most_bytes: int) -> Iterator[list[int]]:
    """Split messages into batches of at most ten entries and `most_bytes` in all.

    Args:
        messages: by the caller's own number; their order is kept.
    """
    batch: list[int] = []
    room = most_bytes
    for index, message in messages.items():
        if batch and (len(batch) == BATCH or message.size > room):
            yield batch
            batch, room = [], most_bytes
        batch.append(index)
        room -= message.size
    if batch:
        yield batch
