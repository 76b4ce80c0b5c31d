"""Exhausted rows get a fresh budget, once a person has mended what exhausted them."""

from __future__ import annotations

from recovery.outbox_records import changes
from recovery.outbox_records.gateway import Page, pages
from recovery.outbox_records.models import EXHAUSTED_LINE, Item, Row, Status, lines
from recovery.outbox_records.reading import read_candidates
from recovery.outbox_records.work import Work
from recovery.report import Entry


def revive(work: Work, line: str) -> int:
    """Put the exhausted rows of one partition (or those of them that the request names) back in line; how many.

    Raises:
        Transient, Refused: the table could not be read or written.
    """
    chosen = set(work.request.rows)
    revived = 0

    def following(start: Item | None) -> Page:
        return work.table.due(line, None, 100, start)

    for page in pages(following(None), following):
        rows = [
            each.row
            for each in read_candidates(work, page.items)
            if each.row.known and each.row.status is Status.EXHAUSTED and (not chosen or each.row.row_id in chosen)
        ][: work.room]
        work.taken += len(rows)
        done = [True] * len(rows)
        if not work.dry_run:
            results = work.table.change([changes.revived(row, work.names, work.now()) for row in rows])
            done = [result.done for result in results]
            revived += sum(done)
        work.note(_entry(work, row, settled) for row, settled in zip(rows, done, strict=True))
        if not work.room or work.time_is_up:
            break
    return revived


def exhausted_lines(work: Work) -> list[str]:
    """The partitions in which exhausted rows are listed."""
    return lines(work.request.shards, EXHAUSTED_LINE)


def _entry(work: Work, row: Row, settled: bool) -> Entry:
    return Entry(
        key=row.row_id,
        source=work.table.name,
        action="revive",
        reason="it was exhausted, and gets a fresh budget",
        kind=row.kind,
        rule="revive",
        error=row.error,
        attempt=row.attempts,
        budget=work.policy.budget,
        settled=settled,
    )
