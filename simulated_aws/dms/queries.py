"""Shared parts of all Describe operations: filters, pages, and the form of tables and statistics."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulated_aws.dms.contract import load
from simulated_aws.dms.protocol import DmsError
from simulated_aws.dms.state import Replicator, TableRow

Values = Callable[[Any], Mapping[str, str | Sequence[str]]]


def chosen(operation: str, parameters: Mapping[str, Any], things: Sequence[Any], values: Values) -> list[Any]:
    """The things that pass the request's filters.

    Raises:
        DmsError: a filter that does not exist is refused, and filters that nothing passes are a fault, as on AWS.
    """
    known = load().filters.get(operation, ())
    filters = parameters.get("Filters") or []
    for each in filters:
        if each["Name"] not in known:
            raise DmsError("InvalidParameterValueException", f"The filter {each['Name']!r} is not valid")
    left = [thing for thing in things if all(_passes(values(thing), each) for each in filters)]
    if filters and not left and "Statistics" not in operation:
        raise DmsError("ResourceNotFoundFault", f"{operation}: nothing was found for the given filters")
    return left


def page(operation: str, parameters: Mapping[str, Any], things: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
    """One page of the things, and the marker of the next one.

    Raises:
        DmsError: a page size that is not allowed, or a marker that was not given out by this operation.
    """
    low, high = load().pages.get(operation, (20, 100))
    size = parameters.get("MaxRecords", 100)
    if not low <= size <= high:
        raise DmsError("InvalidParameterValueException", f"MaxRecords must be from {low} to {high}")
    start = 0
    if marker := parameters.get("Marker"):
        try:
            owner, _, offset = base64.urlsafe_b64decode(marker.encode()).decode().partition(":")
            start = int(offset)
        except ValueError:
            owner = ""
        if owner != operation:
            raise DmsError("InvalidParameterValueException", "The marker is not valid")
    rest = start + size
    more = {"Marker": base64.urlsafe_b64encode(f"{operation}:{rest}".encode()).decode()} if rest < len(things) else {}
    return list(things[start:rest]), more


def stats(thing: Replicator) -> dict[str, Any]:
    """`ReplicationTaskStats`, which serverless replications share."""
    states = [table.state for table in thing.tables]
    total = len(states)
    done = states.count("Table completed")
    described: dict[str, Any] = {
        # 100 % of nothing: a task that found no tables says so too.
        "FullLoadProgressPercent": round(100 * done / total) if total else 100,
        "ElapsedTimeMillis": 0,
        "TablesLoaded": done,
        "TablesLoading": states.count("Full load") + states.count("Table is being reloaded"),
        "TablesQueued": states.count("Before load"),
        "TablesErrored": states.count("Table error"),
    }
    if thing.began and thing.accrued:
        described["ElapsedTimeMillis"] = round((thing.accrued - thing.began).total_seconds() * 1000)
    moments = {
        "FreshStartDate": thing.fresh,
        "StartDate": thing.began,
        "StopDate": thing.ended,
        "FullLoadStartDate": thing.load_began,
        "FullLoadFinishDate": thing.load_ended,
    }
    return described | {name: moment for name, moment in moments.items() if moment is not None}


def table_statistics(
    operation: str, parameters: Mapping[str, Any], thing: Replicator
) -> tuple[list[Any], dict[str, str]]:
    """A page of `TableStatistics`."""
    rows = chosen(
        operation,
        parameters,
        thing.tables,
        lambda table: {"schema-name": table.schema, "table-name": table.name, "table-state": table.state},
    )
    some, more = page(operation, parameters, rows)
    return [_table(row) for row in some], more


def named_tables(parameters: Mapping[str, Any]) -> list[str]:
    """The tables that a reload names, as "schema.name"."""
    return [f"{each['SchemaName']}.{each['TableName']}" for each in parameters["TablesToReload"]]


def _passes(found: Mapping[str, str | Sequence[str]], given: Mapping[str, Any]) -> bool:
    value = found.get(given["Name"], "")
    return any(each in ([value] if isinstance(value, str) else value) for each in given["Values"])


def _table(row: TableRow) -> dict[str, Any]:
    changes = int(row.changes)
    described: dict[str, Any] = {
        "SchemaName": row.schema,
        "TableName": row.name,
        "Inserts": changes,
        "Deletes": 0,
        "Updates": 0,
        "Ddls": 0,
        "AppliedInserts": changes,
        "AppliedDeletes": 0,
        "AppliedUpdates": 0,
        "AppliedDdls": 0,
        "FullLoadRows": row.rows,
        "FullLoadCondtnlChkFailedRows": 0,
        "FullLoadErrorRows": 0,
        "FullLoadReloaded": row.reloaded,
        "TableState": row.state,
        "ValidationPendingRecords": 0,
        "ValidationFailedRecords": row.mismatched,
        "ValidationSuspendedRecords": 0,
        "ValidationState": row.validation,
    }
    if row.started:
        described["FullLoadStartTime"] = row.started
    if row.ended:
        described["FullLoadEndTime"] = row.ended
    return described
