"""Cases of archived messages that the ledger has forgotten, made anew from the archive: for a ledger that was restored.

A replay finds what the ledger knows. A copy in the archive alone is no proof that the message is out of its queue, so a
case made here says only that the copy is there and waits for a person; a message that lies in its queue still is then
finished by the next sweep, which finds its copy safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from recovery.archive import Archive, Pointer
from recovery.cases import Case, DamagedCase, State
from recovery.dead_letters.archived import from_record
from recovery.dead_letters.names import name_of
from recovery.dead_letters.work import PATH
from recovery.errors import Conflict
from recovery.ledger import Ledger

REASON = "found in the archive after the ledger was restored"


def case_of(record: Mapping[str, Any], pointer: Pointer, now: datetime, keep: timedelta) -> Case:
    """Return the case of an archived message.

    Args:
        record: its line in the archive.
        pointer: the place of that line.
        now: the time.
        keep: how long the ledger keeps the case.

    Raises:
        ValueError: the line is not as the archive keeps messages; names the field and no value.
    """
    message = from_record(record, now)
    raw = record.get("diagnosis")
    diagnosis: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    verdict = record.get("verdict")
    return Case(
        path=PATH,
        key=message.message_id,
        source=name_of(message.queue),
        state=State.PARKED,
        kind=str(diagnosis.get("kind", "")),
        rule=str(diagnosis.get("rule", "")),
        group=str(diagnosis.get("group", "")),
        first_seen=datetime.fromisoformat(str(record.get("first_seen") or now.isoformat())),
        changed=now,
        expires=now + keep,
        reason=REASON,
        detail={
            "archive": pointer.as_json(),
            "id": message.message_id,
            "origin": message.origin.value,
            "identity": message.message_id,
            "arn": message.queue,
            "alert": isinstance(verdict, Mapping) and verdict.get("action") == "alert",
            "error": str(diagnosis.get("normalised", "")),
            "step": "see whether it was replayed since, then replay it",
        },
    )


def rebuild(
    ledger: Ledger, archive: Archive, keys: Iterable[str], now: datetime, keep: timedelta, *, dry_run: bool
) -> tuple[int, int, int]:
    """Make the missing cases of the messages in these objects of the archive; a case that is there stays as it is.

    Returns:
        Messages in the objects, cases made (or, in a dry run, missing), and lines that are no message.

    Raises:
        Transient, Refused: the archive or the ledger could not be read or written; repeating it is safe.
    """
    found = made = unreadable = 0
    for key in keys:
        cases = []
        for line, record in enumerate(archive.read_bundle(key)):
            try:
                cases.append(case_of(record, Pointer(key, line), now, keep))
            except ValueError:
                unreadable += 1
        found += len(cases)
        damaged: list[DamagedCase] = []
        known = set(ledger.read_cases(PATH, [case.key for case in cases], damaged=damaged))
        known |= {case.key for case in damaged}
        for case in cases:
            if case.key in known:
                continue
            if not dry_run:
                try:
                    ledger.change_case(case, expected=None)
                except Conflict:
                    continue
            made += 1
    return found, made, unreadable
