"""The cases that people may end: found in the ledger's index and in outbox tables, and narrowed by filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from recovery.cases import CLOSING, Case, State
from recovery.closing.marks import is_snoozed
from recovery.closing.notes import Notes
from recovery.fields import EPOCH
from recovery.histories.requests import ListRequest, Standing
from recovery.paths import Path
from recovery.story import Story

if TYPE_CHECKING:
    from recovery.histories.search import Histories

CLOSED = frozenset({Standing.DISMISSED, Standing.RESOLVED})
KEEP_ROWS = timedelta(days=430)
NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Found:
    """One case that fits.

    Attributes:
        story: as people see it.
        standing: its standing with people.
        case: the ledger's case; of an outbox row the one that holds the mark, or would.
        is_marked: False for an outbox row that nobody has marked so far: the ledger holds nothing of it.
        first_seen: None where that is not known.
    """

    story: Story
    standing: Standing
    case: Case
    is_marked: bool = True
    first_seen: datetime | None = None


def find(histories: Histories, path: Path, request: ListRequest, most: int) -> Iterator[Found]:
    """Yield the cases of a path that fit, at most so many.

    Raises:
        BadInput: a table that is no outbox.
        Transient, Refused: the ledger or a table could not be read.
    """
    if most <= 0:
        return
    notes = histories.notes(path)
    now = histories.now()  # after an answer: before the first one, this machine's clock is all there is
    for found in _of_path(histories, path, request, notes, now):
        if _fits(found, request, notes, now):
            yield found
            most -= 1
            if most <= 0:
                return


def _of_path(
    histories: Histories, path: Path, request: ListRequest, notes: Mapping[str, Notes], now: datetime
) -> Iterator[Found]:
    if path is Path.OUTBOX_RECORDS:
        for table in request.outbox_tables:
            yield from _rows(histories, table, now)
        return
    for closed in (False, True):
        if (closed and not CLOSED & set(request.standings)) or (not closed and set(request.standings) <= CLOSED):
            continue
        for group in request.groups or ("",):
            for case in histories.open_cases(path, group, closed=closed):
                note = notes.get(case.group)
                standing = _standing(case, now)
                if standing is Standing.WAITING and note is not None and note.is_snoozed(now):
                    standing = Standing.SNOOZED
                yield Found(histories.story_of(path, case), standing, case, first_seen=case.first_seen)


def _rows(histories: Histories, table: str, now: datetime) -> Iterator[Found]:
    rows = histories.rows(table)
    page: list[Story] = []
    for row in rows.exhausted(1_000_000):
        page.append(row)
        if len(page) == 100:
            yield from _with_marks(histories, table, page, now)
            page = []
    yield from _with_marks(histories, table, page, now)


def _with_marks(histories: Histories, table: str, rows: Sequence[Story], now: datetime) -> Iterator[Found]:
    keys = {f"{table}|{row.key}": row for row in rows}
    marks = histories.ledger.read_cases(Path.OUTBOX_RECORDS, keys, damaged=histories.damaged) if keys else {}
    for key, row in keys.items():
        since = row.moments[-1].at if row.moments else None
        mark = marks.get(key)
        case = Case(
            path=Path.OUTBOX_RECORDS,
            key=key,
            source=table,
            state=State.EXHAUSTED,
            kind=row.kind,
            rule=row.rule,
            group="",
            first_seen=min((one.at for one in row.moments if one.at), default=since or now),
            changed=since or EPOCH,
            expires=now + KEEP_ROWS,
            reason=row.reason,
            detail={"row": row.key},
        )
        # A row that was revived and is exhausted again waits again, whatever its old mark is.
        known = mark is not None and since is not None and mark.changed == _whole(since)
        if known and mark is not None:
            case = mark
            row = row.model_copy(update=_words(mark)) if mark.is_closed else row
        first = min((one.at for one in row.moments if one.at), default=None)
        yield Found(row, _standing(case, now), case, is_marked=known, first_seen=first)


def _whole(moment: datetime) -> datetime:
    """Return a time as cases keep it, in whole milliseconds."""
    return EPOCH + timedelta(milliseconds=round((moment - EPOCH) / timedelta(milliseconds=1)))


def _words(mark: Case) -> dict[str, object]:
    closing = mark.detail[CLOSING]
    meaning = f"{closing.get('how')} by {closing.get('operator')}: {closing.get('reason')}"
    return {"state": closing.get("how"), "meaning": meaning, "waits_for_a_person": False}


def _standing(case: Case, now: datetime) -> Standing:
    if case.is_closed:
        return Standing(case.closing["how"])
    return Standing.SNOOZED if is_snoozed(case, now) else Standing.WAITING


def _fits(found: Found, request: ListRequest, notes: Mapping[str, Notes], now: datetime) -> bool:
    story = found.story
    latest = now - timedelta(seconds=request.older_than_seconds)
    note = notes.get(story.group) if story.group else None
    text = request.text.casefold()
    return (
        found.standing in request.standings
        and (not request.states or found.case.state in request.states)
        and (not request.groups or story.group in request.groups)
        and (not request.kinds or story.kind in request.kinds)
        and (not request.rules or story.rule in request.rules)
        and (not request.sources or any(fnmatchcase(story.source, pattern) for pattern in request.sources))
        and (not request.ids or bool({story.key, found.case.key, *story.ids} & set(request.ids)))
        and (not text or any(text in known.casefold() for known in (story.error, story.reason, story.next_step)))
        and (request.owner is None or (note.owner if note and note.owner else NOBODY) == (request.owner or NOBODY))
        and (request.since is None or (found.first_seen is not None and found.first_seen >= request.since))
        and (request.before is None or (found.first_seen is not None and found.first_seen < request.before))
        and (not request.older_than_seconds or found.first_seen is None or found.first_seen <= latest)
    )
