"""The outbox table: the DynamoDB calls of this path, and nothing else. Its topic stands in `topic.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recovery.aws import calling, require_field
from recovery.errors import BadInput, OutcomeUnknown, Refused, Transient
from recovery.outbox_records.changes import Change, is_done, statement
from recovery.outbox_records.models import Item, number, row_id
from recovery.outbox_records.policy import OutboxRequest
from recovery.outbox_records.shape import check, projects

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

READ_BATCH = 100  # BatchGetItem
WRITE_BATCH = 25  # BatchExecuteStatement
_ROUNDS = 6  # resubmissions with doubling waits: about three seconds in all

ACTIONS = {
    "describe": ("dynamodb:DescribeTable",),
    "due": ("dynamodb:Query",),
    "expiring": ("dynamodb:Query",),
    "group": ("dynamodb:Query",),
    "read": ("dynamodb:BatchGetItem",),
    "change": ("dynamodb:PartiQLUpdate",),
    "scan": ("dynamodb:Scan",),
}
"""IAM actions of each method; the shipped policy is exactly the sum of these tables."""

# A statement that failed with one of these was not carried out, or may be repeated because its condition guards it.
_AGAIN = frozenset(
    {
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "TransactionConflict",
        "InternalServerError",
    }
)


@dataclass(frozen=True, slots=True)
class Changed:
    """Outcome of a conditional change.

    Attributes:
        done: whether the row now is as wanted.
        item: when a condition refused it: the row as it is; None where it is gone.
        problem: when it could not be carried out at all: code and text.
        again: that was for the moment: throttled, or AWS's own trouble.
    """

    done: bool
    item: Item | None = None
    problem: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of keys (or items) and where the next one begins; None at the end.

    Attributes:
        read: rows that DynamoDB looked at.
        units: read units consumed.
        first_due: of an index page: the sort key of its first row.
    """

    items: Sequence[Item]
    next: Item | None
    read: int
    units: float
    first_due: float | None = None


class OutboxTable:
    """Reads and changes the outbox table.

    Args:
        client: a boto3 DynamoDB client.
        request: names of the table, its attributes and its indexes.
        pause: waits the given number of seconds between resubmissions; tests replace it.
    """

    def __init__(
        self, client: DynamoDBClient, request: OutboxRequest, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._request = request
        self._pause = pause
        self.name = request.table
        self.key_names: tuple[str, ...] = ()
        self.key_types: tuple[tuple[str, str], ...] = ()
        self.arn = ""
        self.shows_expiry = False

    def describe(self) -> None:
        """Learn the table's key, and check that what the request names exists.

        Raises:
            BadInput: the table, its key or an index is not as the request says.
            Transient, Refused: it could not be described.
        """
        try:
            with calling("dynamodb:DescribeTable"):
                table = require_field(
                    self._client.describe_table(TableName=self.name), "Table", "dynamodb:DescribeTable"
                )
        except Refused as error:
            if error.code == "ResourceNotFoundException":
                raise BadInput(f"table: there is no table {self.name!r} in this account and region") from error
            raise
        self.arn = table["TableArn"]
        self.key_names = check(table, self._request)
        types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        self.key_types = tuple((name, types[name]) for name in self.key_names)
        self.shows_expiry = projects(table, self._request.index, self._request.names.expires)

    def identity(self, item: Item) -> str:
        """The id of a row, from any item that holds its key."""
        return row_id(item, self.key_names)

    def key_of(self, item: Item) -> Item:
        """The table's key within an item."""
        return {name: item[name] for name in self.key_names}

    def due(
        self, line: str, until: datetime | None, most: int, start: Item | None, after: datetime | None = None
    ) -> Page:
        """Keys of one partition of the index, the earliest first.

        The index lags a little behind (eventual consistency), so nothing is decided from it.

        Args:
            line: the partition.
            until: due at this time or earlier; None for all.
            most: at most so many.
            start: where the page before ended.
            after: instead of `until`: due later than this.
        """
        names = self._request.names
        condition, values = "#line = :line", {":line": {"S": line}}
        attributes = {"#line": names.line}
        moment = after or until
        if moment:
            condition += " AND #due > :due" if after else " AND #due <= :due"
            attributes["#due"] = names.next_attempt
            values[":due"] = {"N": f"{moment.timestamp():.3f}"}
        return self._query(self._request.index, condition, attributes, values, most, start)

    def expiring(self, line: str) -> list[Item]:
        """Keys of rows in one partition of the index that have a TTL, as far as one page goes (1 MB)."""
        names = self._request.names
        request: dict[str, Any] = {
            "TableName": self.name,
            "IndexName": self._request.index,
            "KeyConditionExpression": "#line = :line",
            "FilterExpression": "attribute_exists(#expires)",
            "ExpressionAttributeNames": {"#line": names.line, "#expires": names.expires},
            "ExpressionAttributeValues": {":line": {"S": line}},
        }
        with calling("dynamodb:Query"):
            answer: Any = self._client.query(**request)
        return [self.key_of(item) for item in require_field(answer, "Items", "dynamodb:Query")]

    def group(self, group: str, most: int, start: Item | None = None) -> Page:
        """Keys of a group's unfinished (and held) rows, in the order of the sequence."""
        values = {":group": {"S": group}}
        attributes = {"#group": self._request.names.group_line}
        return self._query(self._request.group_index, "#group = :group", attributes, values, most, start)

    def _query(
        self, index: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any], most: int, start: Any
    ) -> Page:
        request: dict[str, Any] = {
            "TableName": self.name,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": dict(names),
            "ExpressionAttributeValues": dict(values),
            "Limit": most,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if start:
            request["ExclusiveStartKey"] = start
        with calling("dynamodb:Query"):
            answer: Any = self._client.query(**request)
        items = require_field(answer, "Items", "dynamodb:Query")
        first = items[:1]
        due = number(first[0].get(self._request.names.next_attempt)) if first else None
        # An index may hold more than keys: the group shows which rows need not be read.
        wanted = {*self.key_names, self._request.names.group_line}
        return _page([{n: v for n, v in item.items() if n in wanted} for item in items], answer, due)

    def read(self, keys: Sequence[Item]) -> list[Item]:
        """Rows by key, by consistent reads, at most 100; in no order. A row that is gone is missing.

        Raises:
            Transient: DynamoDB left keys unread after the resubmissions.
        """
        asked: list[Any] = [self.key_of(key) for key in keys]
        found: list[Item] = []
        for attempt in range(_ROUNDS):
            if not asked:
                return found
            with calling("dynamodb:BatchGetItem"):
                answer: Any = self._client.batch_get_item(
                    RequestItems={self.name: {"Keys": asked, "ConsistentRead": True}}
                )
            found += require_field(answer, "Responses", "dynamodb:BatchGetItem").get(self.name, [])
            asked = require_field(answer, "UnprocessedKeys", "dynamodb:BatchGetItem").get(self.name, {}).get("Keys", [])
            if asked:
                self._pause(0.05 * 2**attempt)
        if asked:
            raise Transient("dynamodb:BatchGetItem left keys unread", operation="dynamodb:BatchGetItem")
        return found

    def change(self, changes: Sequence[Change]) -> list[Changed]:
        """Carry out conditional changes, 25 a call, each with a condition of its own; results in order.

        A change that was refused because our own first request had already made it counts as done.

        Raises:
            Transient, Refused: a call could not be made at all. Making all of them again is safe.
        """
        results: list[Changed] = []
        for start in range(0, len(changes), WRITE_BATCH):
            results += self._change(changes[start : start + WRITE_BATCH])
        return results

    def _change(self, changes: Sequence[Change]) -> list[Changed]:
        results: dict[int, Changed] = {}
        pending = list(range(len(changes)))
        for attempt in range(_ROUNDS):
            with calling("dynamodb:BatchExecuteStatement"):
                answer: Any = self._client.batch_execute_statement(
                    Statements=[statement(self.name, changes[index]) for index in pending]  # type: ignore[misc]
                )
            again: list[int] = []
            responses = require_field(answer, "Responses", "dynamodb:BatchExecuteStatement")
            if len(responses) != len(pending):
                raise OutcomeUnknown(
                    f"dynamodb:BatchExecuteStatement: {len(responses)} answers to {len(pending)} statements",
                    operation="dynamodb:BatchExecuteStatement",
                )
            for index, response in zip(pending, responses, strict=True):
                error = response.get("Error")
                if error and error["Code"] in _AGAIN and attempt < _ROUNDS - 1:
                    again.append(index)
                else:
                    results[index] = _changed(changes[index], error)
            pending = again
            if not pending:
                break
            self._pause(0.05 * 2**attempt)
        return [results[index] for index in range(len(changes))]

    def scan(self, segment: int, segments: int, start: Item | None, lines: Sequence[str]) -> Page:
        """A page of rows that may be lost: they hold a message, are not Successful, and stand in none of the lines, or
        have a TTL.

        An item without the message's attribute is not taken for an outbox row: a table may hold other things.

        Args:
            segment, segments: which part of the table.
            start: where the page before ended.
            lines: the partitions of the index that are read.
        """
        names = self._request.names
        values: dict[str, Any] = {f":l{n}": {"S": line} for n, line in enumerate(lines)}
        values[":done"] = {"S": "Successful"}
        attributes = {"#line": names.line, "#due": names.next_attempt, "#status": names.status}
        attributes["#expires"] = names.expires
        wanted = dict.fromkeys(
            (*self.key_names, names.status, names.line, names.next_attempt, names.claim, names.attempts, names.seen)
        )
        wanted |= dict.fromkeys((names.expires,))
        wanted |= dict.fromkeys(filter(None, (names.created, names.group)))
        projection = []
        for n, name in enumerate(wanted):
            attributes[f"#p{n}"] = name
            projection.append(f"#p{n}")
        attributes["#message"] = names.message
        request: dict[str, Any] = {
            "TableName": self.name,
            "Segment": segment,
            "TotalSegments": segments,
            "ProjectionExpression": ", ".join(projection),
            "FilterExpression": "attribute_exists(#message) AND (attribute_not_exists(#status) OR #status <> :done)"
            " AND (attribute_not_exists(#line) OR attribute_not_exists(#due)"
            " OR attribute_exists(#expires)"
            f" OR NOT #line IN ({', '.join(name for name in values if name != ':done')}))",
            "ExpressionAttributeNames": attributes,
            "ExpressionAttributeValues": values,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if start:
            request["ExclusiveStartKey"] = start
        with calling("dynamodb:Scan"):
            answer: Any = self._client.scan(**request)
        return _page(require_field(answer, "Items", "dynamodb:Scan"), answer)


def pages(first: Page, following: Callable[[Item], Page]) -> Iterator[Page]:
    """All pages from the first on."""
    page = first
    while True:
        yield page
        if page.next is None:
            return
        page = following(page.next)


def _page(items: Sequence[Item], answer: Any, first_due: float | None = None) -> Page:
    units = float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))
    return Page(items, answer.get("LastEvaluatedKey"), int(answer.get("ScannedCount", len(items))), units, first_due)


def _changed(change: Change, error: Any) -> Changed:
    if not error:
        return Changed(True)
    if error["Code"] != "ConditionalCheckFailed":
        problem = f"{error['Code']}: {error.get('Message', '')}"
        return Changed(False, problem=problem, again=error["Code"] in _AGAIN)
    item: Item | None = error.get("Item")
    return Changed(item is not None and is_done(change, item), item=item)
