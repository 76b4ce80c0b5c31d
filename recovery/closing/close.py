"""Closing and reopening cases on every path. Each case changes only if it still is as it was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict, Field

from recovery.audit import Act, Audit
from recovery.cases import Case, case_key
from recovery.closing.marks import How, mark, marked, may_be_closed, unmarked
from recovery.closing.notes import Comment, NoteBook, Notes
from recovery.closing.requests import CloseRequest, NoteRequest, ReopenRequest
from recovery.errors import Conflict, RepriseError, Transient
from recovery.histories.requests import Standing
from recovery.histories.search import Histories
from recovery.histories.waiting import Found
from recovery.ledger_writes import delete
from recovery.paths import Path

THREADS = 16
SHOWN = 20
ELSEWHERE = "it changed meanwhile, and was left alone"


class Closed(BaseModel):
    """Outcome of closing or reopening."""

    model_config = ConfigDict(frozen=True)

    action: str = Field(description="As dismiss, snooze or reopen.")
    dry_run: bool
    done: int = Field(description="Cases that were changed, or would be.")
    by_group: dict[str, int] = Field(default_factory=dict, description="The same by path, source and group.")
    left_out: dict[str, int] = Field(default_factory=dict, description="Cases that were left alone, by reason.")
    examples: tuple[str, ...] = ()
    groups: tuple[str, ...] = Field((), description="Groups that were snoozed or woken.")
    failed: str = Field("", description="First failure of the ledger; the rest can be done by running it again.")

    @property
    def headline(self) -> str:
        """One sentence."""
        would = "would be " if self.dry_run else ""
        return f"{self.action}: {self.done} case(s) {would}changed, {sum(self.left_out.values())} left alone"


def close_cases(histories: Histories, request: CloseRequest) -> Closed:
    """Close the cases that the request names.

    Args:
        histories: sources of the cases.
        request: which of them, how, and who does it.

    Raises:
        BadInput: no person, no reason, or nothing named.
        Transient, Refused: the ledger could not be read, or the act could not be written down: nothing was changed.
    """
    request.check()
    found = histories.choose(request.listed(Standing.WAITING, Standing.SNOOZED))
    now = histories.now()
    until = request.until_when(now)
    made = mark(request.how, request.operator, request.reason, now, until)
    refused = Counter(why for one in found if (why := may_be_closed(one.case, now)))
    able = [one for one in found if not may_be_closed(one.case, now)]
    groups = _groups(request, request.groups) if request.how is How.SNOOZE else ()
    if not request.dry_run:
        _write_down(histories, request, request.how.value, len(able))
        for path, group in groups:
            NoteBook(histories.ledger).snooze(path, group, until, now)
    return _carry_out(
        histories, request, request.how.value, able, refused, lambda case: marked(case, made), [g for _, g in groups]
    )


def reopen_cases(histories: Histories, request: ReopenRequest) -> Closed:
    """Let closed or snoozed cases wait for a person again, exactly as they were.

    Raises:
        BadInput, Transient, Refused: as `close_cases`.
    """
    request.check()
    found = histories.choose(request.listed(Standing.DISMISSED, Standing.RESOLVED, Standing.SNOOZED))
    now = histories.now()
    able = [one for one in found if one.case.closing]
    groups = _groups(request, request.groups)
    if not request.dry_run:
        _write_down(histories, request, "reopen", len(able))
        for path, group in groups:
            NoteBook(histories.ledger).snooze(path, group, None, now)
    return _carry_out(histories, request, "reopen", able, Counter(), unmarked, [group for _, group in groups])


def note_group(histories: Histories, request: NoteRequest) -> Notes:
    """Add a comment to a group, and set its owner.

    Raises:
        BadInput: no group, no author or nothing to note.
        Transient, Refused: it was not added.
    """
    request.check()
    now = histories.now()
    owner = "" if request.owner == "-" else request.owner
    reason = request.comment or f"owner: {owner or 'nobody'}"
    Audit(histories.ledger).write(
        Act(now, request.operator, "note", reason, f"{request.path.value} {request.group}", 1, request.identity)
    )
    comment = Comment(now, request.operator, request.comment.strip())
    return NoteBook(histories.ledger).comment(request.path.value, request.group, comment, owner)


def _groups(request: CloseRequest | ReopenRequest, groups: Sequence[str]) -> list[tuple[str, str]]:
    """Return the groups that are snoozed or woken as such: those named, on each path that was named."""
    return [(path.value, group) for path in request.paths or tuple(Path) for group in groups]


def _write_down(histories: Histories, request: CloseRequest | ReopenRequest, action: str, count: int) -> None:
    named = request.model_dump(
        mode="json",
        exclude={"operator", "reason", "identity", "dry_run", "limit", "estate", "how"},
        exclude_defaults=True,
    )
    subject = ", ".join(f"{name} {value}" for name, value in named.items())
    Audit(histories.ledger).write(
        Act(histories.now(), request.operator, action, request.reason, subject, count, request.identity)
    )


def _carry_out(
    histories: Histories,
    request: CloseRequest | ReopenRequest,
    action: str,
    able: Sequence[Found],
    refused: Counter[str],
    change: Callable[[Case], Case],
    groups: Sequence[str],
) -> Closed:
    def change_one(one: Found) -> RepriseError | None:
        new = change(one.case)
        try:
            if one.case.path == Path.OUTBOX_RECORDS and not new.closing:
                histories.ledger.write_items([delete(case_key(new.path, new.key), "case")])
            else:
                histories.ledger.change_case(new, expected=one.case if one.is_marked else None)
        except RepriseError as error:
            return error
        return None

    outcomes: list[RepriseError | None] = [None] * len(able)
    if not request.dry_run and able:
        with ThreadPoolExecutor(THREADS) as pool:
            outcomes = list(pool.map(change_one, able))
    done = [one for one, error in zip(able, outcomes, strict=True) if error is None]
    left = Counter(refused)
    failed = ""
    for error in outcomes:
        if isinstance(error, Conflict):
            left[ELSEWHERE] += 1
        elif error is not None:
            failed = failed or str(error)
            left["the ledger did not take it" if isinstance(error, Transient) else "the ledger refused it"] += 1
    return Closed(
        action=action,
        dry_run=request.dry_run,
        done=len(done),
        by_group=dict(Counter(f"{one.story.path} {one.story.source} {one.story.group}".strip() for one in done)),
        left_out=dict(left),
        examples=tuple(one.story.key for one in done[:SHOWN]),
        groups=tuple(dict.fromkeys(groups)),
        failed=failed,
    )
