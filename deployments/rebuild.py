"""`reprise rebuild`: after the ledger was restored, the cases of what was archived since, made from the archive.

A person runs it, with rights of their own: it lists the archive, which no role of ours may.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from blocks.connection import Connection
from recovery.errors import BadInput, RepriseError
from recovery.paths import DEAD_LETTERS


def main(*, since: str, write: bool = False, estate: str = "") -> int:
    """Count the archived messages that the ledger lacks, or make their cases. Cases that are there stay as they are.

    Args:
        since: the moment that the ledger was restored to, as 2026-03-01T12:00 (UTC unless it says otherwise).
        write: make the cases; without it nothing is changed.
        estate: name of a Recovery Estate block; the default one when empty.

    Returns:
        The exit status: 1 when a line of the archive is no message.
    """
    from deployments.person import connect
    from recovery.dead_letters.rebuilding import rebuild

    try:
        begin = _moment(since)
        connection = connect(estate)
        keys = list(archived(connection, begin))
        keep = timedelta(days=connection.archive_days + 30)
        found, made, unreadable = rebuild(
            connection.ledger, connection.archive, keys, connection.clock.now(), keep, dry_run=not write
        )
    except RepriseError as error:
        print(error, file=sys.stderr)
        return 2
    done = "made" if write else "missing (--write makes them)"
    print(f"{len(keys)} objects since {begin:%Y-%m-%d %H:%M} UTC, {found} messages in them, {made} cases {done}")
    if unreadable:
        print(f"{unreadable} lines are no message and were left out")
    return int(bool(unreadable))


def archived(connection: Connection, since: datetime) -> Iterator[str]:
    """Yield the keys of the archive's objects of dead letters that were written since."""
    pages = connection.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=connection.archive_bucket, Prefix=f"archive/path={DEAD_LETTERS.name}/"):
        for each in page.get("Contents", []):
            if each["LastModified"] >= since:
                yield each["Key"]


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise BadInput(f"--since {given}: expected a moment as 2026-03-01T12:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
