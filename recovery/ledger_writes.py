"""Put and delete requests of the ledger, written many at once by `recovery.ledger.Ledger.write_items`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Item = Mapping[str, Any]
"""Attributes of one item, in DynamoDB's own notation."""

LedgerWrite = Mapping[str, Any]
"""A put or delete request for `Ledger.write_items`."""


def put(item: Item) -> LedgerWrite:
    """A put for `Ledger.write_items`."""
    return {"PutRequest": {"Item": item}}


def delete(pk: str, sk: str) -> LedgerWrite:
    """A delete for `Ledger.write_items`."""
    return {"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}}


def latest(writes: Sequence[LedgerWrite]) -> list[LedgerWrite]:
    """The writes that count: of the same key the last."""
    return list({_request_key(write): write for write in writes}.values())


def _request_key(write: LedgerWrite) -> tuple[str, str]:
    key: Item = write["PutRequest"]["Item"] if "PutRequest" in write else write["DeleteRequest"]["Key"]
    return str(key["pk"]["S"]), str(key["sk"]["S"])
