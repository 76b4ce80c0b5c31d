"""The story of an outbox row: what became of it stands on the row itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

from recovery.errors import Refused
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.models import Item, Row, Status, lines, read_row, written_at
from recovery.outbox_records.policy import OutboxRequest, RowNames
from recovery.paths import Path
from recovery.story import Moment, Story

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MEANING = {
    Status.PENDING: "waits to be published",
    Status.IN_FLIGHT: "a run is publishing it, or its lease is about to end",
    Status.SUCCESSFUL: "published",
    Status.FAILURE: "was not taken; it is due again",
    Status.EXHAUSTED: "not published any more; it waits for a person",
}
_NEXT_STEP = "fix what its error says, then run outbox-records/by-hand with mode revive"


class Rows:
    """Reads the rows of an outbox table with the recommended names; never shows what they hold.

    Args:
        client: a boto3 DynamoDB client.
        table: its name.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._request = OutboxRequest(table=table)
        self._names: RowNames = self._request.names
        self._table = OutboxTable(client, self._request)
        self._described = False

    def find(self, key: str) -> Story | None:
        """The story of the row with this key; None where there is none.

        Raises:
            BadInput: there is no such table, or it is no outbox.
            Transient, Refused: it could not be read.
        """
        self._describe()
        names = self._table.key_names
        parts = [key] if len(names) == 1 else _parts(key, len(names))
        # A key is a string or a number; which, only the table knows, and it refuses the other.
        forms = [dict(zip(names, values, strict=True)) for values in product(*([{"S": p}, {"N": p}] for p in parts))]
        for item in self._read_as(forms) if parts else []:
            return story(read_row(item, self._names, names), self._table.name, self._names)
        return None

    def exhausted(self, most: int) -> Iterator[Story]:
        """The rows that wait for a person, at most so many."""
        self._describe()
        for row in self._listed(most):
            yield story(row, self._table.name, self._names)

    def _describe(self) -> None:
        if not self._described:
            self._table.describe()
            self._described = True

    def _listed(self, most: int) -> Iterator[Row]:
        left = most
        for line in lines(self._request.shards, Status.EXHAUSTED.value):
            start: Item | None = None
            while left > 0:
                page = self._table.due(line, None, min(100, left), start)
                for item in self._table.read(page.items):
                    left -= 1
                    yield read_row(item, self._names, self._table.key_names)
                start = page.next
                if start is None:
                    break

    def _read_as(self, forms: Sequence[Item]) -> list[Item]:
        """The row under the first form of the key that the table takes; none when it takes none."""
        for form in forms:
            try:
                return self._table.read([form])
            except Refused as error:
                if error.code != "ValidationException":
                    raise
        return []


def _parts(key: str, count: int) -> list[str]:
    """The values of a composite key, which is written as a JSON array; none when it is something else."""
    try:
        parts = json.loads(key)
    except ValueError:
        return []
    return [str(part) for part in parts] if isinstance(parts, list) and len(parts) == count else []


def story(row: Row, table: str, names: RowNames) -> Story:
    """Return the story that a row holds of itself."""
    status = row.status or Status.PENDING
    written = written_at(row.item.get(names.created)) if names.created else None
    due = datetime.fromtimestamp(row.due, UTC) if row.due is not None and 0 <= row.due < 1e11 else None
    moments = [Moment(at=written, what="written by its service")] if written else []
    if row.attempts:
        moments.append(Moment(at=None, what=f"{row.attempts} attempt(s) to publish it"))
    if sent := row.text(names.message_id):
        moments.append(Moment(at=None, what=f"published as SNS message {sent}"))
    waits = status is Status.EXHAUSTED
    if waits and due is not None:
        moments.append(Moment(at=due, what="given up: its attempts are used up"))
    return Story(
        key=row.row_id,
        path=Path.OUTBOX_RECORDS,
        source=table,
        state=status.value if row.known else "unknown",
        meaning=_MEANING[status] if row.known else "its status is none that Reprise knows, so it is left alone",
        waits_for_a_person=waits,
        kind=row.kind,
        attempts=row.attempts,
        error=row.error,
        next_step=_NEXT_STEP if waits else "",
        due=due if status in (Status.PENDING, Status.FAILURE, Status.IN_FLIGHT) else None,
        ids=(row.row_id,),
        moments=tuple(moments),
    )
