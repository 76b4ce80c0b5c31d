"""A message as the archive keeps it, there and back. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from recovery.dead_letters.messages import SENDABLE, Message
from recovery.failures import Origin
from recovery.fields import Fields


def to_record(message: Message) -> dict[str, Any]:
    """The message as the archive keeps it: everything, unchanged. Binary values are base64."""
    return {
        "queue": message.queue,
        "message_id": message.message_id,
        "origin": message.origin.value,
        "body": message.body,
        "attributes": {
            name: {
                key: base64.b64encode(bytes(value)).decode() if key == "BinaryValue" else value
                for key, value in attribute.items()
                if key in SENDABLE
            }
            for name, attribute in message.attributes.items()
        },
        "system": dict(message.system),
    }


def from_record(record: Mapping[str, Any], lease_until: datetime) -> Message:
    """The message that `to_record` kept; it has no receipt, since it lies in no queue.

    Raises:
        ValueError: it is not as `to_record` writes it; names the field and no value.
    """
    kept = Fields(record, "queue", "message_id", "body", "attributes", "system", "origin")
    return Message(
        queue=kept.text("queue"),
        message_id=kept.text("message_id"),
        receipt="",
        body=kept.text("body"),
        attributes={name: _kept_attribute(value) for name, value in kept.mapping("attributes").items()},
        system=_kept_texts(kept.mapping("system"), "system"),
        lease_until=lease_until,
        origin=_kept_origin(kept.text("origin")),
    )


def _kept_attribute(kept: object) -> dict[str, Any]:
    texts = _kept_texts(kept, "attributes")
    if "DataType" not in texts or not texts.keys() <= SENDABLE:
        raise ValueError("attributes")
    try:
        return {
            key: base64.b64decode(text, validate=True) if key == "BinaryValue" else text for key, text in texts.items()
        }
    except ValueError:
        raise ValueError("attributes") from None


def _kept_texts(kept: object, name: str) -> dict[str, str]:
    if not isinstance(kept, Mapping) or not all(isinstance(value, str) for value in kept.values()):
        raise ValueError(name)
    return dict(kept)


def _kept_origin(name: str) -> Origin:
    try:
        return Origin(name)
    except ValueError:
        raise ValueError("origin") from None
