"""Searching for rows that nobody put in line: a scan in segments, rate-limited, that a later run takes up again."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from recovery.errors import Conflict, RepriseError
from recovery.outbox_records import changes, rules
from recovery.outbox_records.changes import Change
from recovery.outbox_records.gateway import READ_BATCH, WRITE_BATCH, Page, pages
from recovery.outbox_records.models import (
    EXHAUSTED_LINE,
    OPEN_LINE,
    UNFINISHED,
    Item,
    Row,
    Status,
    lines,
    number,
    read_row,
    written_at,
)
from recovery.outbox_records.reading import read_candidates
from recovery.outbox_records.rounds import entry
from recovery.outbox_records.verdicts import Action, Verdict
from recovery.outbox_records.work import OutboxRun
from recovery.records import Record

PAGES_A_STEP = 8
"""Pages of each segment (1 MB each) between two notes of how far the search has come."""
_KEEP = timedelta(days=30)
_END = "end"


class Search:
    """A search of the whole table, over as many runs as it takes.

    Attributes:
        began: when its first run began.
        progress: by segment: the key at which it goes on, None at the beginning, or "end".
        found: rows that it has put in line so far.
        scanned: rows that DynamoDB looked at in this run.
    """

    def __init__(self, record: Record, began: datetime, progress: dict[int, Any], found: int) -> None:
        self.record = record
        self.began = began
        self.progress = progress
        self.found = found
        self.scanned = 0

    @property
    def is_over(self) -> bool:
        """True when every segment was read to its end."""
        return all(each == _END for each in self.progress.values())


def begin(work: OutboxRun) -> Search:
    """The search that an earlier run has left unfinished, else a new one.

    Raises:
        Transient, Refused: the ledger could not be read.
    """
    record = work.ledger.read_record(f"search#outbox_records#{work.table.name}", "state")
    data = record.data
    segments = work.policy.scan_segments
    if data.get("progress") and data.get("segments") == segments:
        progress = {int(segment): _decoded(each) for segment, each in data["progress"].items()}
        search = Search(record, datetime.fromisoformat(data["began"]), progress, int(data["found"]))
        if not search.is_over:
            work.facts.append(f"the search goes on where an earlier run ended; begun {search.began:%Y-%m-%d %H:%M} UTC")
            return search
    return Search(record, work.started, dict.fromkeys(range(segments)), 0)


def search_on(work: OutboxRun, search: Search) -> int:
    """Read some pages of every segment, put lost rows in line, and note how far it came; rows put in line.

    Raises:
        Transient, Refused: some pages were not read; the search goes on there next time.
    """
    open_segments = [segment for segment, each in search.progress.items() if each != _END]
    results = work.each(lambda segment: _search_segment(work, search, segment), open_segments)
    found = sum(count for count, _ in results)
    search.found += found
    work.lost += found
    _save(work, search)
    for _, error in results:
        if error is not None:
            raise error
    return found


def _search_segment(work: OutboxRun, search: Search, segment: int) -> tuple[int, RepriseError | None]:
    found = 0
    for _ in range(PAGES_A_STEP):
        start = search.progress[segment]
        if start == _END or work.time_is_up:
            break
        try:
            page = work.table.scan(segment, work.policy.scan_segments, start, _read_lines(work))
            work.pace_scan.take(max(page.units, 0.5))
            found += _put_in_line(work, [read_row(item, work.names, work.table.key_names) for item in page.items])
        except RepriseError as error:
            return found, error
        search.scanned += page.read
        search.progress[segment] = _END if page.next is None else page.next
    return found, None


def _read_lines(work: OutboxRun) -> list[str]:
    return [*lines(work.request.shards, OPEN_LINE), *lines(work.request.shards, EXHAUSTED_LINE)]


def _put_in_line(work: OutboxRun, rows: list[Row]) -> int:
    now = work.now()
    wanted: list[tuple[Row, Verdict, Change | None]] = []
    for row in rows:
        if _is_kept(work, row):
            wanted.append((row, rules.kept(), changes.kept(row, work.names)))
            continue
        written = written_at(row.item.get(work.names.created)) if work.names.created else None
        seen = number(row.item.get(work.names.seen))
        verdict = rules.lost(row, written, seen, work.policy, now)
        if verdict is None:
            continue
        if verdict.action is Action.LEAVE:
            work.note([entry(work, row.row_id, verdict, attempt=row.attempts)])
        elif verdict.action is Action.ENLIST:
            wanted.append((row, verdict, _enlistment(work, row, now)))
        else:
            wanted.append((row, verdict, changes.noticed(row, work.names, now)))
    if work.dry_run:
        work.note(entry(work, row.row_id, verdict, attempt=row.attempts) for row, verdict, _ in wanted)
        return 0
    found = 0
    for start in range(0, len(wanted), WRITE_BATCH):
        part = wanted[start : start + WRITE_BATCH]
        results = work.table.change([change for _, _, change in part if change is not None])
        for (row, verdict, _), result in zip(part, results, strict=True):
            if result.done or result.problem:
                found += result.done and verdict.action is Action.ENLIST
                work.note(
                    [
                        entry(
                            work,
                            row.row_id,
                            verdict,
                            attempt=row.attempts,
                            settled=result.done,
                            trouble=result.problem,
                        )
                    ]
                )
    return found


def _is_kept(work: OutboxRun, row: Row) -> bool:
    """True for a row in line that has a TTL, which would delete it unpublished."""
    is_open = row.known and row.status is not Status.SUCCESSFUL and row.due is not None
    return is_open and row.line in _read_lines(work) and work.names.expires in row.item


def keep_expiring(work: OutboxRun) -> None:
    """Take the TTL from rows that stand in line, so that none is deleted before it went out; a page of each partition.

    Only an index that holds the TTL attribute shows them; `find_lost` finds the others.

    Raises:
        Transient, Refused: the table could not be read or written.
    """
    if not work.table.shows_expiry:
        return
    found = work.each(work.table.expiring, lines(work.request.shards))
    rows = [
        read_row(item, work.names, work.table.key_names)
        for keys in found
        for start in range(0, len(keys), READ_BATCH)
        for item in work.table.read(keys[start : start + READ_BATCH])
    ]
    rows = [row for row in rows if _is_kept(work, row)]
    results = [] if work.dry_run else work.table.change([changes.kept(row, work.names) for row in rows])
    work.note(
        entry(work, row.row_id, rules.kept(), attempt=row.attempts, settled=work.dry_run or results[n].done)
        for n, row in enumerate(rows)
    )


def _enlistment(work: OutboxRun, row: Row, now: datetime) -> Change:
    if row.line or row.due is not None:
        return changes.realigned(row, work.names, work.request.shards, now)
    return changes.enlisted(
        row.key,
        work.names,
        identity=row.row_id,
        shards=work.request.shards,
        due=now,
        group=row.text(work.names.group),
        status=row.item.get(work.names.status),
    )


def find_far_ahead(work: OutboxRun) -> int:
    """Rows due so far ahead that a clock must have been wrong are due now; how many.

    Raises:
        Transient, Refused: the table could not be read or written.
    """
    horizon = work.now() + timedelta(seconds=work.policy.horizon_seconds)
    found = 0
    for line in lines(work.request.shards):

        def following(start: Item | None, line: str = line) -> Page:
            return work.table.due(line, None, 100, start, after=horizon)

        for page in pages(following(None), following):
            rows = [each.row for each in read_candidates(work, page.items)]
            far = [row for row in rows if row.known and row.status in UNFINISHED and _is_beyond(row, horizon)]
            results = (
                []
                if work.dry_run
                else work.table.change(
                    [changes.realigned(row, work.names, work.request.shards, work.now()) for row in far]
                )
            )
            work.note(
                entry(
                    work,
                    row.row_id,
                    rules.far_ahead(),
                    attempt=row.attempts,
                    settled=work.dry_run or results[n].done,
                )
                for n, row in enumerate(far)
            )
            found += sum(result.done for result in results)
    work.lost += found
    return found


def _is_beyond(row: Row, horizon: datetime) -> bool:
    return row.due is not None and row.due > horizon.timestamp()


# -- how far it came ---------------------------------------------------------------------------------------------


def _save(work: OutboxRun, search: Search) -> None:
    if work.dry_run:
        return
    data = {
        "began": search.began.isoformat(),
        "segments": work.policy.scan_segments,
        "progress": {str(segment): _encoded(each) for segment, each in search.progress.items()},
        "found": search.found,
    }
    record = search.record
    try:
        search.record = work.ledger.write_record(Record(record.pk, record.sk, data, record.version), work.now() + _KEEP)
    except Conflict:
        # Another search of the same table is under way. Both are right; the later one notes how far it came.
        search.record = work.ledger.read_record(record.pk, record.sk)


def _encoded(key: Any) -> Any:
    if not isinstance(key, Mapping):
        return key
    return {
        name: {kind: base64.b64encode(bytes(raw)).decode() if kind == "B" else raw for kind, raw in value.items()}
        for name, value in key.items()
    }


def _decoded(key: Any) -> Any:
    if not isinstance(key, Mapping):
        return key
    return {
        name: {kind: base64.b64decode(raw) if kind == "B" else raw for kind, raw in value.items()}
        for name, value in key.items()
    }
