"""Reading rows by key, and deciding about each."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.outbox_records.gateway import READ_BATCH
from recovery.outbox_records.models import Item
from recovery.outbox_records.rounds import Candidate
from recovery.outbox_records.work import Work


def read_candidates(work: Work, keys: Sequence[Item]) -> list[Candidate]:
    """Rows by key, read consistently and decided; what is gone is missing."""
    now = work.now()
    parts = [keys[start : start + READ_BATCH] for start in range(0, len(keys), READ_BATCH)]
    found = [item for part in work.each(work.table.read, parts) for item in part]
    work.rows_read += len(found)
    return [Candidate.of(work, item, now) for item in found]
