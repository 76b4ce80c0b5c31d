"""Reading rows by key, and deciding about each."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.outbox_records.gateway import READ_BATCH
from recovery.outbox_records.models import Item
from recovery.outbox_records.rounds import RowWork
from recovery.outbox_records.work import OutboxRun


def read_candidates(work: OutboxRun, keys: Sequence[Item]) -> list[RowWork]:
    """Rows by key, read consistently and decided; what is gone is missing.

    A row that moves while the index is read may stand on two of its pages, and one request with a key twice is refused.
    """
    now = work.now()
    once = list({work.table.identity(key): key for key in keys}.values())
    parts = [once[start : start + READ_BATCH] for start in range(0, len(once), READ_BATCH)]
    found = [item for part in work.each(work.table.read, parts) for item in part]
    work.rows_read += len(found)
    return [RowWork.of(work, item, now) for item in found]
