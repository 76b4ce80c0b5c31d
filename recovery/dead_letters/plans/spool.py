"""The messages of a plan while it is made, in a temporary database on disk: memory does not grow with their number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from recovery.cases import Case
from recovery.dead_letters.plans.frozen import Line

_COLUMNS = (
    *("id TEXT PRIMARY KEY", "source TEXT", "arn TEXT", "grp TEXT", "kind TEXT", "error TEXT", "content TEXT"),
    *("key TEXT", "line INTEGER", "first INTEGER", "attempts INTEGER", "replays INTEGER"),
    *("dest TEXT", "sha TEXT", "refused TEXT", "fifo INTEGER", "changed INTEGER"),
)
_EARLY = """CREATE TEMP TABLE early AS SELECT id AS early_id, rank FROM (
    SELECT id, fifo, row_number() OVER (PARTITION BY source, grp, dest ORDER BY key, line) AS rank
    FROM m WHERE refused = '') WHERE fifo = 0 ORDER BY rank, id LIMIT ?"""
_FIRST = "SELECT id, content, m.key, line, dest, sha FROM m JOIN early ON early_id = id ORDER BY rank, id"
_REST = """SELECT id, content, m.key, line, dest, sha FROM m LEFT JOIN early ON early_id = id
    WHERE refused = '' AND early_id IS NULL ORDER BY source, arn, m.key, line"""
_NUMBERS = """SELECT min(first), max(first), coalesce(sum(changed), 0), coalesce(sum(replays > 0), 0),
    count(DISTINCT key) FROM m WHERE refused = ''"""


class Spool:
    """Holds one row for each message.

    Attributes:
        count: messages that were added.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("")  # a temporary file that the database itself removes
        self._db.execute(f"CREATE TABLE m ({', '.join(_COLUMNS)})")
        self._db.execute("CREATE INDEX by_object ON m (arn, key, line)")
        self.count = 0

    def add(self, case: Case) -> None:
        """Add a message by its case; one that is there already is not added twice."""
        pointer = case.detail["archive"]
        values = (
            *(case.key, case.source, str(case.detail.get("arn", "")), case.group, case.kind),
            *(str(case.detail.get("error", ""))[:500], str(case.detail.get("content", ""))),
            *(pointer["key"], pointer["line"], round(case.first_seen.timestamp()), case.attempts),
            *(len(case.detail.get("earlier", [])), "", "", "", int(case.source.endswith(".fifo")), 0),
        )
        marks = ", ".join("?" * len(values))
        self.count += self._db.execute(f"INSERT OR IGNORE INTO m VALUES ({marks})", values).rowcount  # noqa: S608

    def objects(self) -> Iterator[tuple[str, str, list[tuple[str, int, str]]]]:
        """Yield each object of the archive once: ARN of the dead-letter queue, its key, and its messages."""
        keys = self._db.execute("SELECT DISTINCT arn, key FROM m ORDER BY source, arn, key").fetchall()
        for arn, key in keys:
            rows = self._db.execute(
                "SELECT id, line, content FROM m WHERE arn = ? AND key = ? ORDER BY line", (arn, key)
            )
            yield arn, key, rows.fetchall()

    def settle(self, rows: list[tuple[str, str, str, int, str]]) -> None:
        """Write down destination, hash, refusal and change of messages, by id (last)."""
        self._db.executemany("UPDATE m SET dest = ?, sha = ?, refused = ?, changed = ? WHERE id = ?", rows)

    def lines(self, first: int) -> Iterator[Line]:
        """Yield what can be sent, in the order of sending.

        The first ones are drawn from all groups in turn, so that a few messages try every group; the rest follows in
        the order of the archive. A FIFO queue keeps the order of the archive throughout.
        """
        self._db.execute(_EARLY, (first,))
        for query in (_FIRST, _REST):
            for row in self._db.execute(query):
                yield Line(*row)

    def by(self, what: str, *, refused: bool = False, most: int = 50) -> list[tuple[Any, ...]]:
        """Return counts of messages that can be sent (or not) by columns, the largest first."""
        where = "refused <> ''" if refused else "refused = ''"
        counted = f"SELECT {what}, count(*) AS n FROM m WHERE {where} GROUP BY {what} ORDER BY n DESC LIMIT ?"  # noqa: S608
        return self._db.execute(counted, (most,)).fetchall()

    def numbers(self) -> tuple[int | None, int | None, int, int, int]:
        """Return the earliest and the latest first sight, changed and returned messages, and objects of the archive."""
        found: tuple[int | None, int | None, int, int, int] = self._db.execute(_NUMBERS).fetchone()
        return found

    def close(self) -> None:
        """Remove the temporary file."""
        self._db.close()
