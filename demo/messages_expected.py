"""Expected ends of the demo's messages, from the state of the shop's service alone, never from recovery's acts.

The day has three parts: on the bad day every order is tried for the first time; in the afternoon most of the service
is back, and messages are healed; in the evening one of the revoked keys is renewed, the orders of the other customer
are changed to the account of the company that bought it, and what failed with 401 goes back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from demo.workload.dependency import AFTERNOON, BAD_DAY
from demo.workload.shop import QUEUES, fate

SOLD: Final = "vandelay"
BUYER: Final = "umbra"
"""The customer whose key nobody renews, and the account that pays its orders now."""

EVENING: Final = replace(AFTERNOON, revoked=(SOLD,), down=())
"""One customer's key is renewed and the last warehouse is up."""

REPLAYED: Final = ("orders-dlq", "orders-dlq.fifo")
"""Dead-letter queues whose messages go back in the evening."""

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
        how: its way, for an order that is carried out: "at once", "after a heal", "after a replay" or "after a change".
        kept: its copies in the archive: the state and kind of each one's case.
        tried: its copy in the archive besides, if it was sent unchanged first and came back.
    """

    name: str
    place: str
    how: str = ""
    kept: tuple[tuple[str, str], ...] = ()
    tried: tuple[tuple[str, str], ...] = ()


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
    sent, change = ("replayed", kind), changed(text)
    tried, kind = (sent,) if change else (), fate(change or text, EVENING)
    if kind:
        return Destiny(name, ARCHIVED, kept=(sent, (_STATES[kind], kind)), tried=tried)
    return Destiny(name, CARRIED_OUT, "after a change" if change else "after a replay", (sent,), tried)


def changed(text: str) -> str:
    """Return the body that an order has once its account was changed; "" for one that is sent as it is."""
    sold, bought = (f'"account":"{account}"' for account in (SOLD, BUYER))
    return text.replace(sold, bought) if order_id(text) and sold in text else ""


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
