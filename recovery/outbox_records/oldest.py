"""The age of the oldest unfinished row."""

from __future__ import annotations

from datetime import UTC, datetime

from recovery.outbox_records.lost import keep_expiring
from recovery.outbox_records.models import Row, lines, read_row, written_at
from recovery.outbox_records.work import OutboxRun

_LOOK = 10
"""Keys of each partition that are looked at for the oldest row: one BatchGetItem for up to ten partitions."""


def look_at_oldest(work: OutboxRun) -> None:
    """Find the oldest unfinished row among the first in line, and keep TTL from deleting rows that stand there; both
    cost one Query a partition.

    Raises:
        Transient, Refused: the table could not be read.
    """
    pages = work.each(lambda line: work.table.due(line, None, _LOOK, None), lines(work.request.shards))
    keys = [key for page in pages for key in page.items]
    for start in range(0, len(keys), 100):
        for item in work.table.read(keys[start : start + 100]):
            moment = _since(work, read_row(item, work.names, work.table.key_names))
            if moment and (work.oldest is None or moment < work.oldest):
                work.oldest = moment
    keep_expiring(work)


def _since(work: OutboxRun, row: Row) -> datetime | None:
    """Since when a row waits: when it was written, else when it was or is due."""
    written = written_at(row.item.get(work.names.created)) if work.names.created else None
    if written is not None and written <= work.now():
        return written
    return datetime.fromtimestamp(row.due, UTC) if row.due is not None and 0 <= row.due < 1e11 else None
