"""Records: what workers must agree on, as the ledger keeps it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recovery.errors import BadInput


@dataclass(frozen=True, slots=True)
class Record:
    """Something that workers agree on, with the version that the next write must name (0: not there yet)."""

    pk: str
    sk: str
    data: Mapping[str, Any]
    version: int


class DamagedRecord(BadInput):
    """A record cannot be understood.

    Attributes:
        pk, sk: its keys.
        place: its address, for the person who must put it right.
    """

    def __init__(self, pk: str, sk: str) -> None:
        self.pk, self.sk = pk, sk
        self.place = f"the ledger's item with pk {pk!r} and sk {sk!r}"
        super().__init__(f"{self.place} is damaged: a person must put it right")


def record_item(record: Record, expires: datetime) -> Mapping[str, Any]:
    """A record as the table keeps it, at its next version."""
    return {
        "pk": {"S": record.pk},
        "sk": {"S": record.sk},
        "v": {"N": str(record.version + 1)},
        "data": {"S": json.dumps(dict(record.data), separators=(",", ":"), sort_keys=True)},
        "expires": {"N": str(int(expires.timestamp()))},
    }


def from_record_item(item: Mapping[str, Any]) -> Record:
    """The record that stands in an item of the table.

    Raises:
        DamagedRecord: it is not what the ledger wrote.
    """
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    try:
        data, version = json.loads(item["data"]["S"]), int(item["v"]["N"])
    except (KeyError, ValueError, RecursionError):
        data, version = None, 0
    if not isinstance(data, dict):
        raise DamagedRecord(pk, sk)
    return Record(pk, sk, data, version)
