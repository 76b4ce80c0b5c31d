"""Check of a table against the request."""

from __future__ import annotations

from typing import Any

import pytest

from recovery.errors import BadInput, Transient
from recovery.outbox_records.policy import OutboxRequest
from recovery.outbox_records.shape import check
from tests.unit.outbox_records.rows import ORDERED

PLAIN = OutboxRequest(table="t", topic_arn="arn:aws:sns:us-east-1:000000000000:orders")
FIFO = OutboxRequest(table="t", topic_arn="arn:aws:sns:us-east-1:000000000000:orders.fifo", names=ORDERED)


def table(keys: dict[str, str], indexes: dict[str, tuple[str, str]], status: str = "ACTIVE") -> dict[str, Any]:
    """A table's description: key attributes with types, and indexes by name."""

    def schema(names: Any) -> list[dict[str, str]]:
        return [{"AttributeName": n, "KeyType": kind} for n, kind in zip(names, ("HASH", "RANGE"), strict=False)][::-1]

    types = {**keys, "outbox_line": "S", "outbox_next_attempt": "N", "outbox_group": "S", "sequence": "N", "text": "S"}
    return {
        "TableName": "t",
        "KeySchema": schema(keys),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
        "GlobalSecondaryIndexes": [
            {"IndexName": name, "KeySchema": schema(names), "IndexStatus": status} for name, names in indexes.items()
        ],
    }


DUE = {"outbox-due": ("outbox_line", "outbox_next_attempt")}
GROUPS = {"outbox-groups": ("outbox_group", "sequence")}


@pytest.mark.parametrize("keys", [{"id": "S"}, {"id": "N"}, {"customer": "S", "at": "B"}])
def test_the_key_is_the_tables(keys: dict[str, str]) -> None:
    """Partition key first, whatever the order of the answer and the types."""
    assert check(table(keys, DUE), PLAIN) == tuple(keys)
    assert check(table(keys, {**DUE, **GROUPS}), FIFO) == tuple(keys)


@pytest.mark.parametrize(
    ("indexes", "request_", "words"),
    [
        ({}, PLAIN, "has no index 'outbox-due'"),
        ({"outbox-due": ("outbox_line", "text")}, PLAIN, "has another key"),
        ({"outbox-due": ("text", "outbox_next_attempt")}, PLAIN, "has another key"),
        (DUE, FIFO, "has no index 'outbox-groups'"),
        ({**DUE, "outbox-groups": ("outbox_group", "text")}, FIFO, "has another key"),
    ],
)
def test_a_missing_or_other_index_is_named_with_its_remedy(
    indexes: dict[str, tuple[str, str]], request_: OutboxRequest, words: str
) -> None:
    """One line: which field, what is there, which key it needs, and where a template has it."""
    with pytest.raises(BadInput) as refused:
        check(table({"id": "S"}, indexes), request_)
    assert words in str(refused.value)
    assert "outbox.yaml" in str(refused.value)


def test_an_index_key_of_another_type_does_not_fit() -> None:
    """Due times are compared as numbers: an index whose sort key is a string is another index."""
    described = table({"id": "S"}, DUE)
    for each in described["AttributeDefinitions"]:
        if each["AttributeName"] == "outbox_next_attempt":
            each["AttributeType"] = "S"
    with pytest.raises(BadInput, match="another key"):
        check(described, PLAIN)


def test_an_index_being_built_passes_by_itself() -> None:
    """CREATING is no mistake; UPDATING serves reads."""
    with pytest.raises(Transient, match="still being built"):
        check(table({"id": "S"}, DUE, "CREATING"), PLAIN)
    assert check(table({"id": "S"}, DUE, "UPDATING"), PLAIN) == ("id",)


def test_other_names_than_the_tables_are_refused() -> None:
    """A key that the request names and the table does not have is a mistake that names the field."""
    for field, names in (("names.key", {"key": "identity"}), ("names.sort_key", {"sort_key": "at"})):
        with pytest.raises(BadInput) as refused:
            check(table({"id": "S"}, DUE), OutboxRequest.model_validate({"table": "t", "names": names}))
        assert str(refused.value).startswith(f"{field}: the table's key is id")
