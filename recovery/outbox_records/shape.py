"""Check of a table against the request: its key, its indexes, and whether they are ready. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recovery.errors import BadInput, Transient
from recovery.outbox_records.policy import OutboxRequest


def check(table: Mapping[str, Any], request: OutboxRequest) -> tuple[str, ...]:
    """The names of the table's key attributes, once everything that the request names was found.

    Args:
        table: as DescribeTable answers.
        request: names of the key, the indexes and their attributes.

    Raises:
        BadInput: the key or an index is not as the request says; the message has the remedy.
        Transient: an index is still being built.
    """
    names = request.names
    keys = _key_names(table["KeySchema"])
    for field, wanted, position in (("names.key", names.key, 0), ("names.sort_key", names.sort_key, 1)):
        actual = keys[position] if len(keys) > position else ""
        if wanted and wanted != actual:
            raise BadInput(f"{field}: the table's key is {', '.join(keys)}, not {wanted!r}")
    _check_index(table, "index", request.index, (names.line, "S"), (names.next_attempt, "N"))
    if request.is_fifo:
        if not names.group or not names.sequence:
            raise BadInput("names: a FIFO topic needs names.group and names.sequence, to keep the order of groups")
        _check_index(table, "group_index", request.group_index, (names.group_line, "S"), (names.sequence, ""))
    return keys


def _check_index(table: Mapping[str, Any], field: str, name: str, *wanted: tuple[str, str]) -> None:
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    found = next((each for each in table.get("GlobalSecondaryIndexes", []) if each["IndexName"] == name), None)
    keys = " and ".join(f"{attribute} ({kind or 'S or N'})" for attribute, kind in wanted)
    remedy = f"add a global secondary index {name!r} keyed by {keys}; deployments/cloudformation/outbox.yaml has it"
    if found is None:
        raise BadInput(f"{field}: the table {table['TableName']!r} has no index {name!r}: {remedy}")
    schema = _key_names(found["KeySchema"])
    named = tuple(attribute for attribute, _ in wanted)
    if schema != named or any(kind not in ("", types.get(attribute)) for attribute, kind in wanted):
        raise BadInput(f"{field}: the index {name!r} has another key ({', '.join(schema)}): {remedy}")
    if found.get("IndexStatus", "ACTIVE") not in ("ACTIVE", "UPDATING"):
        raise Transient(f"the index {name!r} is still being built; the next run may find it ready")


def _key_names(schema: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    ordered = sorted(schema, key=lambda each: each["KeyType"] != "HASH")
    return tuple(each["AttributeName"] for each in ordered)


def projects(table: Mapping[str, Any], index: str, attribute: str) -> bool:
    """True when an index holds an attribute beside its keys."""
    found = [each for each in table.get("GlobalSecondaryIndexes", []) if each["IndexName"] == index]
    projection: Mapping[str, Any] = found[0].get("Projection", {}) if found else {}
    return projection.get("ProjectionType") == "ALL" or attribute in projection.get("NonKeyAttributes", ())
