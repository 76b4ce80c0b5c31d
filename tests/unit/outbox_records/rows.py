"""Rows as tests write them: plain values to typed ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from recovery.outbox_records.models import Row, read_row
from recovery.outbox_records.policy import RowNames

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = RowNames()
ORDERED = RowNames(group="group", sequence="sequence", deduplication="deduplication")


def typed(value: Any) -> dict[str, Any]:
    """A plain value as DynamoDB types it."""
    match value:
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case None:
            return {"NULL": True}
        case list():
            return {"L": [typed(each) for each in value]}
        case dict():
            return {"M": {name: typed(each) for name, each in value.items()}}
    raise TypeError(type(value))


def row(names: RowNames = NAMES, key: tuple[str, ...] = ("id",), **attributes: Any) -> Row:
    """A row in line and due, unless the attributes say otherwise; None removes one."""
    given = {
        "id": "r1",
        "message": "hello",
        "status": "Pending",
        "outbox_line": "Unfinished#3",
        "outbox_next_attempt": int(NOW.timestamp()) - 60,
    } | attributes
    return read_row({name: typed(value) for name, value in given.items() if value is not None}, names, key)
