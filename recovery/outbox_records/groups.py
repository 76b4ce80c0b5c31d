"""The FIFO groups that a pass over the due rows has met."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recovery.outbox_records.rounds import RowWork


class Groups:
    """Groups that one pass met.

    Attributes:
        to_go_on: groups that have more rows to send.
        known: all groups of which a chain was taken.
        heads: by group: the row that holds it until a person decides.
        taken: ids of rows that were taken up.
        met: group and id of each due row that was met.
    """

    def __init__(self) -> None:
        self.to_go_on: list[str] = []
        self.known: set[str] = set()
        self.heads: dict[str, RowWork] = {}
        self.taken: set[str] = set()
        self.met: list[tuple[str, str]] = []
