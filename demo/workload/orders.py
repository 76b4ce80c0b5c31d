"""Orders: what they are made of, and what a checkout sends."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

ACCOUNTS: Final = ("acme", "globex", "initech", "umbra", "vandelay")
"""Business customers; each has an API key of its own with the payment service."""

CATALOGUE: Final[Mapping[str, str]] = {
    "chair-oak": "north",
    "chair-beech": "north",
    "desk-standing": "south",
    "desk-corner": "south",
    "lamp-brass": "east",
    "lamp-paper": "east",
    "shelf-wide": "west",
    "shelf-tall": "west",
}
"""Articles of the shop, and the warehouse that has each."""

DISCONTINUED: Final = "stool-cane"
"""Still on an old page of the shop, and unknown to every warehouse."""

Order = dict[str, Any]


def order(
    number: int,
    account: str = "acme",
    sku: str = "shelf-wide",
    *,
    quantity: int = 1,
    gift: Mapping[str, str] | None = None,
    note: str = "",
) -> Order:
    """One order as the checkout writes it.

    Args:
        number: makes its id.
        account: the payer.
        sku: the article.
        quantity: number of pieces.
        gift: the wrapping, for an order that is a present.
        note: the customer's own words.
    """
    made: Order = {
        "order_id": f"order-{number:06d}",
        "account": account,
        "lines": [{"sku": sku, "quantity": quantity, "unit_price": "129.00"}],
        "note": note,
    }
    if gift is not None:
        made["gift"] = dict(gift)
    return made


def body(made: Order) -> str:
    """An order as it stands in a queue."""
    return json.dumps(made, separators=(",", ":"))


NOTES: Final = (
    "",
    "Please ring twice",
    "Last time the door code was refused: Unauthorized. It is 4290 now.",
    "Call 503 2291 if nobody is in",
    "No timeout on this one, we are patient :)",
)
"""Notes that customers write. Some read like errors, and have no bearing on the order's end."""


def bodies(count: int, seed: int = 7) -> Iterator[str]:
    """The bodies that a busy checkout sends: mostly orders for everything and everybody.

    About one in twenty is a present without wrapping (the new checkout writes `"gift": null` then), one in twenty is
    for something discontinued, and one in twenty was cut off on its way.

    Args:
        count: number of bodies.
        seed: the same seed gives the same orders.
    """
    chance = random.Random(seed)
    skus = tuple(CATALOGUE)
    for number in range(count):
        made = order(
            seed * 100_000 + number,
            chance.choice(ACCOUNTS),
            chance.choice(skus),
            quantity=chance.randint(1, 4),
            note=chance.choice(NOTES),
        )
        oddity = chance.randrange(20)
        if oddity == 0:
            made["gift"] = None
        elif oddity == 1:
            made["lines"][0]["sku"] = DISCONTINUED
        text = body(made)
        yield text[: len(text) * 2 // 3] if oddity == 2 else text
