"""`reprise cases`: list what waits for a person, end it, reopen it, note on it, and list the acts of a day.

Every command works under the rights of the person who types it, and puts that AWS identity beside the name.
"""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from deployments.person import Names, connect, moment, valid, who
from recovery.errors import BadInput

if TYPE_CHECKING:
    from recovery.closing.close import Closed
    from recovery.histories.requests import ListRequest

HELP = "List, end, reopen and note on what waits for a person."
COMMANDS = {
    "list": ("deployments.cases:list_cases", "List cases that wait for a person, in full."),
    "close": ("deployments.cases:close", "Dismiss or resolve cases, or snooze them until a time."),
    "reopen": ("deployments.cases:reopen", "Let closed or snoozed cases wait again."),
    "note": ("deployments.cases:note", "Write a comment on a group, or name its owner."),
    "audit": ("deployments.cases:audit", "List every act of a person on a day."),
}

COLUMNS = (
    *("path", "source", "key", "state", "kind", "rule", "group", "attempts", "first_seen"),
    *("error", "reason", "next_step"),
)


def list_cases(
    *,
    path: Names = (),
    source: Names = (),
    group: Names = (),
    kind: Names = (),
    rule: Names = (),
    key: Names = (),
    text: str = "",
    owner: str | None = None,
    standing: Names = ("waiting",),
    state: Names = (),
    older_than_seconds: float = 0.0,
    since: str = "",
    before: str = "",
    outbox_table: Names = (),
    form: str = "table",
    estate: str = "",
) -> int:
    """List cases, all of them, as a table, as CSV or as lines of JSON. Only reads.

    Args:
        path, source, group, kind, rule, key: only these.
        text: only cases with this text in their normalised error or reason.
        owner: only groups of this owner; "-" for those that have none.
        standing: waiting, snoozed, dismissed or resolved.
        state: only these states of the ledger, as parked.
        older_than_seconds: only cases first seen so long ago.
        since, before: only cases first seen in this time, as 2026-05-01 or 2026-05-01T09:00Z.
        outbox_table: outbox tables to search.
        form: table, csv or json.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.histories.requests import ListRequest
    from tasks.cases import histories_of

    if form not in ("table", "csv", "json"):
        raise BadInput(f"form: {form!r} is none of table, csv, json")
    request: ListRequest = valid(
        ListRequest,
        paths=path,
        sources=source,
        groups=group,
        kinds=kind,
        rules=rule,
        ids=key,
        text=text,
        owner=owner,
        standings=standing,
        states=state,
        older_than_seconds=older_than_seconds,
        since=moment(since, "since") if since else None,
        before=moment(before, "before") if before else None,
        outbox_tables=outbox_table,
    )
    histories = histories_of(connect(estate))
    found = histories.choose(request)
    rows = [
        {
            **{name: getattr(one.story, name) for name in COLUMNS if name != "first_seen"},
            "first_seen": one.first_seen.isoformat(timespec="seconds") if one.first_seen else "",
        }
        for one in found
    ]
    if form == "json":
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    else:
        for row in rows:
            print(f"{row['first_seen'][:16]}  {row['state']:<10} {row['kind']:<18} {row['source']}  {row['key']}")
            print(f"    {row['reason'] or row['error']}" + (f" -> {row['next_step']}" if row["next_step"] else ""))
        print(f"{len(rows)} case(s)")
    for warning in histories.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def close(
    how: str,
    *,
    reason: str,
    operator: str = "",
    until: str = "",
    path: Names = (),
    source: Names = (),
    group: Names = (),
    kind: Names = (),
    rule: Names = (),
    key: Names = (),
    text: str = "",
    owner: str | None = None,
    older_than_seconds: float = 0.0,
    outbox_table: Names = (),
    yes: bool = False,
    estate: str = "",
) -> int:
    """End cases that wait for a person. Without --yes it only prints what would change.

    Args:
        how: dismiss, resolve or snooze.
        reason: the grounds; they stand in the ledger.
        operator: your name; the name of your login when empty.
        until: end of a snooze, as 2026-05-01 or 2026-05-01T09:00Z (UTC).
        path, source, group, kind, rule, key, text, owner, older_than_seconds, outbox_table: which cases.
        yes: carry it out.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.closing.close import close_cases
    from recovery.closing.requests import CloseRequest
    from tasks.cases import histories_of

    connection = connect(estate)
    request = valid(
        CloseRequest,
        how=how,
        until=moment(until, "until") if until else None,
        **who(connection, operator, reason),
        paths=path,
        sources=source,
        groups=group,
        kinds=kind,
        rules=rule,
        ids=key,
        text=text,
        owner=owner,
        older_than_seconds=older_than_seconds,
        outbox_tables=outbox_table,
        dry_run=not yes,
    )
    histories = histories_of(connection)
    return _print(close_cases(histories, request), histories.warnings)


def reopen(
    *,
    reason: str,
    operator: str = "",
    path: Names = (),
    source: Names = (),
    group: Names = (),
    kind: Names = (),
    key: Names = (),
    outbox_table: Names = (),
    yes: bool = False,
    estate: str = "",
) -> int:
    """Let closed or snoozed cases wait again, exactly as they were. Without --yes it only prints what would change.

    Args:
        reason: the grounds; they stand in the ledger.
        operator: your name; the name of your login when empty.
        path, source, group, kind, key, outbox_table: which cases.
        yes: carry it out.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.closing.close import reopen_cases
    from recovery.closing.requests import ReopenRequest
    from tasks.cases import histories_of

    connection = connect(estate)
    request = valid(
        ReopenRequest,
        **who(connection, operator, reason),
        paths=path,
        sources=source,
        groups=group,
        kinds=kind,
        ids=key,
        outbox_tables=outbox_table,
        dry_run=not yes,
    )
    histories = histories_of(connection)
    return _print(reopen_cases(histories, request), histories.warnings)


def note(
    group: str,
    comment: str = "",
    *,
    owner: str | None = None,
    path: str = "dead_letters",
    operator: str = "",
    estate: str = "",
) -> int:
    """Write a comment on a group of alike failures, or name its owner.

    Args:
        group: its fingerprint, as lists and reports show it.
        comment: your comment.
        owner: person or team that cares for it; "-" takes the owner off.
        path: its path.
        operator: your name; the name of your login when empty.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.closing.close import note_group
    from recovery.closing.requests import NoteRequest
    from tasks.cases import histories_of

    connection = connect(estate)
    person = who(connection, operator, "")
    del person["reason"]
    notes = note_group(
        histories_of(connection), valid(NoteRequest, path=path, group=group, comment=comment, owner=owner, **person)
    )
    print(f"{notes.group}: owner {notes.owner or 'nobody'}, {len(notes.comments)} comment(s)")
    return 0


def audit(day: str = "", *, estate: str = "") -> int:
    """List every act of a person on a day (UTC): the operator, the act and the reason.

    Args:
        day: as 2026-05-01; today when empty.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.audit import Audit
    from recovery.closing.pages import audit_text
    from recovery.records import DamagedRecord

    connection = connect(estate)
    try:
        asked = date.fromisoformat(day) if day else datetime.now(UTC).date()
    except ValueError:
        raise BadInput(f"day: {day!r} is no date; write it as 2026-05-01") from None
    damaged: list[DamagedRecord] = []
    print(audit_text(Audit(connection.ledger).of_day(asked, damaged)))
    for one in damaged:
        print(f"warning: {one}", file=sys.stderr)
    return 0


def _print(closed: Closed, warnings: list[str]) -> int:
    from recovery.closing.pages import text

    print(text(closed, warnings))
    return int(bool(closed.failed))
