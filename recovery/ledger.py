"""The ledger: one DynamoDB table for what all paths must remember.

Two kinds of items stand in it. A *case* is one failed item (see `recovery.cases`); messages have so many that they are
written 25 at a time without conditions, since the lease of the message already keeps others away. A *record* is
anything that workers must agree on (an alert, a circuit, the case of a task): it carries a version, and a write names
the version it replaces, so that of two workers one gets `Conflict`.

Keys: `pk`, `sk`. Index `waiting` (`wait`, `since`): only cases that wait for a person, by path, group and age; and
those whose next attempt the relay starts, by path and time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from recovery.aws import calling, require_field
from recovery.cases import (
    SHARDS,
    WAITS_FOR_A_PERSON,
    Case,
    DamagedCase,
    case_item,
    case_key,
    due_key,
    due_partition,
    from_item,
    to_json,
    wait_partition,
)
from recovery.errors import Conflict, Transient
from recovery.ledger_writes import Item, LedgerWrite, latest, put
from recovery.records import DamagedRecord, Record, from_record_item, record_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

READ_BATCH = 100  # BatchGetItem
WRITE_BATCH = 25  # BatchWriteItem
_ROUNDS = 6  # resubmissions of what DynamoDB left over, with doubling waits: about three seconds in all


ACTIONS = {
    "read_cases": ("dynamodb:BatchGetItem",),
    "write_cases": ("dynamodb:BatchWriteItem",),
    "write_items": ("dynamodb:BatchWriteItem",),
    "waiting": ("dynamodb:Query",),
    "due": ("dynamodb:Query",),
    "query": ("dynamodb:Query",),
    "read_record": ("dynamodb:GetItem",),
    "write_record": ("dynamodb:PutItem",),
    "change_case": ("dynamodb:PutItem",),
}
"""IAM actions of each method; the shipped policy is exactly the sum of these tables."""


class Ledger:
    """Reads and writes the ledger table.

    Args:
        client, table: a boto3 DynamoDB client, and the table's name.
        sleep: waits the given number of seconds between resubmissions.
    """

    def __init__(self, client: DynamoDBClient, table: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self.table = table
        self._sleep = sleep

    # -- cases ---------------------------------------------------------------------------------------------------

    def read_cases(
        self, path: str, keys: Iterable[str], *, damaged: list[DamagedCase] | None = None
    ) -> dict[str, Case]:
        """The cases of these items, by key; consistent reads, 100 at a time.

        Args:
            path: the recovery path.
            keys: keys of its items.
            damaged: takes the cases that cannot be read, so that one of them does not hide the others. Whoever gives
                it must leave those items alone; without it they are an error.

        Raises:
            DamagedCase: a case cannot be read, and nobody takes it.
            Transient: DynamoDB still left keys unread after the resubmissions.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Case] = {}
        for start in range(0, len(wanted), READ_BATCH):
            asked = [
                {"pk": {"S": case_key(path, key)}, "sk": {"S": "case"}} for key in wanted[start : start + READ_BATCH]
            ]
            for item in self._batch_get(asked):
                try:
                    case = from_item(path, item)
                except DamagedCase as error:
                    if damaged is None:
                        raise
                    damaged.append(error)
                else:
                    found[case.key] = case
        return found

    def write_cases(self, cases: Sequence[Case]) -> None:
        """Write cases whatever stood there; 25 at a time, leftovers resubmitted.

        Raises:
            Transient: some were not written; writing the same cases again is safe.
        """
        self.write_items([put(case_item(case)) for case in cases])

    def change_case(self, case: Case, *, expected: Case | None) -> None:
        """Replace a case only if it still is as it was read (None: only if there is none).

        Raises:
            Conflict: somebody changed it since. A repeated write of the very same case is a success, because the
                first answer may have been lost.
        """
        item = case_item(case)
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if expected is not None:
            condition = {
                "ConditionExpression": "#data = :data AND #state = :state",
                "ExpressionAttributeNames": {"#data": "data", "#state": "state"},
                "ExpressionAttributeValues": {
                    ":data": {"S": expected.stored or to_json(expected)},
                    ":state": {"S": expected.state},
                },
            }
        self._put(
            item, condition, same=lambda old: old.get("data") == item["data"] and old.get("state") == item["state"]
        )

    def waiting(
        self,
        path: str,
        group: str = "",
        *,
        limit: int | None = None,
        damaged: list[DamagedCase] | None = None,
        in_scope: Callable[[str], bool] | None = None,
        closed: bool = False,
    ) -> Iterator[Case]:
        """Cases of a path (and group) that wait for a person: by group, and by age within a group and shard.

        The index lags a little behind (eventual consistency), so what must be exact is read again by key.

        Args:
            path, group: of these; an empty group is any.
            limit: the most that are wanted.
            damaged: as in `read_cases`; they come on top of the limit.
            in_scope: True for the sources that are wanted; cases of others are passed over in the index, unread.
            closed: instead those that a person closed.

        Raises:
            DamagedCase: a case cannot be read, and nobody takes it.
        """
        left = limit
        for shard in range(SHARDS):
            values: dict[str, Any] = {":wait": {"S": wait_partition(path, shard, closed=closed)}}
            condition = "#wait = :wait"
            names = {"#wait": "wait"}
            if group:
                values[":group"] = {"S": f"{group}#"}
                condition += " AND begins_with(#since, :group)"
                names["#since"] = "since"
            keys: list[str] = []
            for page in self._pages("waiting", condition, names, values, left):
                keys = [
                    item["pk"]["S"].removeprefix(case_key(path, ""))
                    for item in page
                    if in_scope is None or in_scope(item["since"]["S"].split("#", 2)[-1])
                ]
                for case in self.read_cases(path, keys, damaged=damaged).values():
                    if case.state in WAITS_FOR_A_PERSON and case.is_closed is closed:
                        yield case
                        left = left and left - 1
                        if left == 0:
                            return

    def due(self, path: str, after: datetime, until: datetime) -> list[tuple[str, datetime]]:
        """Keys of cases whose next attempt falls due in a span of time, and when, the earliest first.

        The index lags a little behind (eventual consistency).

        Args:
            path: the recovery path, one that declares a `due_event`.
            after, until: aware; the span without its beginning and with its end.
        """
        values = {":wait": {"S": due_partition(path)}, ":from": {"S": due_key(after)}, ":to": {"S": due_key(until)}}
        names = {"#wait": "wait", "#since": "since"}
        pages = self._pages("waiting", "#wait = :wait AND #since BETWEEN :from AND :to", names, values, None)
        items = [item for page in pages for item in page]
        found = [(item["pk"]["S"].removeprefix(case_key(path, "")), item["since"]["S"]) for item in items]
        return [(key, datetime.fromisoformat(since)) for key, since in found if since > due_key(after)]

    # -- records -------------------------------------------------------------------------------------------------

    def read_record(self, pk: str, sk: str) -> Record:
        """A record, by a consistent read; version 0 and no data where there is none.

        Raises:
            DamagedRecord: it cannot be read.
        """
        with calling("dynamodb:GetItem"):
            answer = self._client.get_item(
                TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            )
        item = answer.get("Item")
        return from_record_item(item) if item else Record(pk, sk, {}, 0)

    def write_record(self, record: Record, expires: datetime) -> Record:
        """Write a record in place of the version it names; returns it with its new version.

        Raises:
            Conflict: another worker wrote since the record was read.
        """
        item = record_item(record, expires)
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if record.version:
            condition = {
                "ConditionExpression": "#v = :v",
                "ExpressionAttributeNames": {"#v": "v"},
                "ExpressionAttributeValues": {":v": {"N": str(record.version)}},
            }
        self._put(item, condition, same=lambda old: old.get("data") == item["data"] and old.get("v") == item["v"])
        return Record(record.pk, record.sk, record.data, record.version + 1)

    def query(self, pk: str, *, up_to: str = "", damaged: list[DamagedRecord] | None = None) -> Iterator[Record]:
        """All records of a partition in the order of `sk`, by consistent reads.

        Args:
            pk: the partition.
            up_to: sort keys not above it; "" for all.
            damaged: takes the records that cannot be read, so that one of them does not hide the others.

        Raises:
            DamagedRecord: one cannot be read, and nobody takes it.
        """
        values: dict[str, Any] = {":pk": {"S": pk}}
        condition = "pk = :pk"
        if up_to:
            condition += " AND sk <= :sk"
            values[":sk"] = {"S": up_to}
        for page in self._pages("", condition, {}, values, None):
            for item in page:
                try:
                    yield from_record_item(item)
                except DamagedRecord as error:
                    if damaged is None:
                        raise
                    damaged.append(error)

    # -- many at once --------------------------------------------------------------------------------------------

    def write_items(self, writes: Sequence[LedgerWrite]) -> None:
        """Carry out put and delete requests, 25 at a time; the last of the same key counts.

        Raises:
            Transient: DynamoDB left some over after the resubmissions; repeating all of them is safe.
        """
        pending = latest(writes)
        for start in range(0, len(pending), WRITE_BATCH):
            batch = pending[start : start + WRITE_BATCH]
            for attempt in range(_ROUNDS):
                with calling("dynamodb:BatchWriteItem"):
                    answer = self._client.batch_write_item(RequestItems={self.table: batch})  # type: ignore[dict-item]
                batch = list(require_field(answer, "UnprocessedItems", "dynamodb:BatchWriteItem").get(self.table, []))
                if not batch:
                    break
                self._sleep(0.05 * 2**attempt)
            else:
                raise Transient("dynamodb:BatchWriteItem left items unprocessed", operation="dynamodb:BatchWriteItem")

    # -- inside --------------------------------------------------------------------------------------------------

    def _batch_get(self, keys: list[Any]) -> Iterator[Item]:
        for attempt in range(_ROUNDS):
            with calling("dynamodb:BatchGetItem"):
                answer = self._client.batch_get_item(RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}})
            yield from require_field(answer, "Responses", "dynamodb:BatchGetItem").get(self.table, [])
            left = require_field(answer, "UnprocessedKeys", "dynamodb:BatchGetItem")
            keys = list(left[self.table]["Keys"]) if self.table in left else []
            if not keys:
                return
            self._sleep(0.05 * 2**attempt)
        raise Transient("dynamodb:BatchGetItem left keys unread", operation="dynamodb:BatchGetItem")

    def _pages(
        self, index: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any], limit: int | None
    ) -> Iterator[Sequence[Item]]:
        request: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": dict(values),
        }
        if names:
            request["ExpressionAttributeNames"] = dict(names)
        if index:
            request["IndexName"] = index
        else:
            request["ConsistentRead"] = True
        if limit is not None:
            request["Limit"] = max(1, limit)
        while True:
            with calling("dynamodb:Query"):
                answer = self._client.query(**request)
            yield require_field(answer, "Items", "dynamodb:Query")
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _put(self, item: Item, condition: dict[str, Any], same: Callable[[Mapping[str, Any]], bool]) -> None:
        try:
            with calling("dynamodb:PutItem"):
                self._client.put_item(
                    TableName=self.table, Item=item, ReturnValuesOnConditionCheckFailure="ALL_OLD", **condition
                )
        except Conflict as conflict:
            cause = conflict.__cause__
            old: Any = cause.response.get("Item") if isinstance(cause, ClientError) else None
            if not (old and same(old)):
                raise
