"""Exhausted rows get fresh attempts, once a person has fixed what exhausted them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from recovery.outbox_records import changes, rules
from recovery.outbox_records.gateway import READ_BATCH, Page, pages
from recovery.outbox_records.models import EXHAUSTED_LINE, Item, Row, Status, lines
from recovery.outbox_records.reading import read_candidates
from recovery.outbox_records.rounds import entry
from recovery.outbox_records.work import OutboxRun

NAMED = "the rows that are named"
"""In place of a partition: the request names rows, which are read by their keys."""


def revive(work: OutboxRun, line: str) -> int:
    """Put the exhausted rows of one partition (or those that the request names) back in line; how many.

    Raises:
        Transient, Refused: the table could not be read or written.
    """
    if line == NAMED:
        return _revive_named(work)

    def following(start: Item | None) -> Page:
        return work.table.due(line, None, 100, start)

    revived = 0
    for page in pages(following(None), following):
        revived += _revive(work, _exhausted(work, page.items))
        if not work.room or work.time_is_up:
            break
    return revived


def exhausted_lines(work: OutboxRun) -> list[str]:
    """The partitions in which exhausted rows are listed; one part for all rows that the request names."""
    return [NAMED] if work.request.rows else lines(work.request.shards, EXHAUSTED_LINE)


def _revive_named(work: OutboxRun) -> int:
    keys, wrong = [], []
    for row_id in work.request.rows:
        key = _key(row_id, work.table.key_types)
        if key is None:
            wrong.append(row_id)
        else:
            keys.append(key)
    rows = [
        row for start in range(0, len(keys), READ_BATCH) for row in _exhausted(work, keys[start : start + READ_BATCH])
    ]
    found = {row.row_id for row in rows}
    missing = [row_id for row_id in work.request.rows if row_id not in found]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        work.warn(f"rows: {', '.join(missing[:5])}{more}: no exhausted row with this id, so nothing was done about it")
    return _revive(work, rows)


def _key(row_id: str, types: Sequence[tuple[str, str]]) -> Item | None:
    """The key of a row from its id, as reports show it; None for an id that cannot be one of this table."""
    try:
        parts = [row_id] if len(types) == 1 else [str(part) for part in json.loads(row_id)]
        return {
            name: {kind: base64.b64decode(part, validate=True) if kind == "B" else str(_number(part, kind))}
            for (name, kind), part in zip(types, parts, strict=True)
        }
    except (ValueError, TypeError):
        return None


def _number(part: str, kind: str) -> str:
    if kind == "N":
        float(part)
    return part


def _exhausted(work: OutboxRun, keys: Sequence[Item]) -> list[Row]:
    rows = [each.row for each in read_candidates(work, keys)]
    return [row for row in rows if row.known and row.status is Status.EXHAUSTED]


def _revive(work: OutboxRun, rows: Sequence[Row]) -> int:
    rows = rows[: work.room]
    work.taken += len(rows)
    done = [True] * len(rows)
    if not work.dry_run:
        results = work.table.change([changes.revived(row, work.names, work.now()) for row in rows])
        done = [result.done for result in results]
    work.note(
        entry(work, row.row_id, rules.revived(row), attempt=row.attempts, settled=settled)
        for row, settled in zip(rows, done, strict=True)
    )
    return 0 if work.dry_run else sum(done)
