"""Expected ends of the demo's messages, from the state of the shop's service alone, never from recovery's acts.

The day has three parts: on the bad day every order is tried for the first time; in the afternoon most of the service
is back, and messages are healed; in the evening the revoked key is renewed, and what failed with 401 is replayed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from demo.workload.dependency import AFTERNOON, BAD_DAY
from demo.workload.shop import QUEUES, fate

EVENING: Final = replace(AFTERNOON, revoked=(), down=())
"""The customer's key is renewed and the last warehouse is up."""

REPLAYED: Final = ("orders-dlq", "orders-dlq.fifo")
"""Whose messages are replayed in the evening."""

CARRIED_OUT: Final = "carried out"
ARCHIVED: Final = "archived"
LEFT: Final = "left"

_PASSES: Final = frozenset({"TIMEOUT", "DEPENDENCY_FAILURE", "THROTTLED"})
_STATES: Final = {
    "AUTH_FAILURE": "parked",
    "CODE_BUG": "parked",
    "VALIDATION_ERROR": "archived",
    "BAD_PAYLOAD": "archived",
}

RECORDED: Final = {
    "lambda-timeout": ("waiting", "TIMEOUT"),
    "lambda-exception": ("parked", "CODE_BUG"),
    "lambda-denied": ("parked", "AUTH_FAILURE"),
    "lambda-throttled": ("waiting", "THROTTLED"),
    "destination-exception": ("waiting", "TIMEOUT"),
    "destination-timeout": ("waiting", "TIMEOUT"),
    "destination-success": ("archived", ""),
    "rule-no-permission": ("parked", "AUTH_FAILURE"),
    "rule-throttled": ("waiting", "THROTTLED"),
    "rule-target-failed": ("waiting", "DEPENDENCY_FAILURE"),
    "schedule-internal": ("waiting", "DEPENDENCY_FAILURE"),
    "s3-test-event": ("archived", ""),
    "subscription-envelope": None,
    "subscription-raw": None,
    "s3-object-created": None,
}
"""Messages that SQS did not move, by name: state and kind of their case. None is ever sent to a queue, and those about
which nothing is known (None) are left where they are."""


@dataclass(frozen=True, slots=True)
class Destiny:
    """Expected end of a message.

    Attributes:
        name: for people: the order's id, or the recorded message's name.
        place: its place at the end: carried out, archived or left.
        how: its way, for an order that is carried out: "at once", "after a heal" or "after a replay".
        kept: its copies in the archive: the state and kind of each one's case.
    """

    name: str
    place: str
    how: str = ""
    kept: tuple[tuple[str, str], ...] = ()


def of_order(text: str, queue: str) -> Destiny:
    """Return the expected end of an order that is put into a queue on the bad day.

    Args:
        text: its body.
        queue: the queue's name.
    """
    name = order_id(text) or f"the order cut off after {len(text)} characters"
    kind = fate(text, BAD_DAY)
    if not kind:
        return Destiny(name, CARRIED_OUT, "at once")
    if kind in _PASSES:
        kind = fate(text, AFTERNOON)
        if not kind:
            return Destiny(name, CARRIED_OUT, "after a heal")
        if kind in _PASSES:
            return Destiny(name, ARCHIVED, kept=(("exhausted", kind),))
    if kind != "AUTH_FAILURE" or QUEUES[queue] not in REPLAYED:
        return Destiny(name, ARCHIVED, kept=((_STATES[kind], kind),))
    parked, kind = ("replayed", kind), fate(text, EVENING)
    if kind:
        return Destiny(name, ARCHIVED, kept=(parked, (_STATES[kind], kind)))
    return Destiny(name, CARRIED_OUT, "after a replay", (parked,))


def of_recorded(name: str) -> Destiny:
    """Return the expected end of a recorded message."""
    kept = RECORDED[name]
    return Destiny(name, LEFT) if kept is None else Destiny(name, ARCHIVED, kept=(kept,))


def order_id(text: str) -> str:
    """The id of the order, or "" where the body has none."""
    try:
        read = json.loads(text)
    except ValueError:
        return ""
    found = read.get("order_id") if isinstance(read, dict) else None
    return found if isinstance(found, str) else ""
