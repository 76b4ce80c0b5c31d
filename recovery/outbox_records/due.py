"""Keys of due rows, partition by partition of the index, without holding more than a few pages of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from recovery.outbox_records.gateway import OutboxTable, Page
from recovery.outbox_records.models import Item

PAGE = 1_000
"""Keys of one Query."""


class DueKeys:
    """One pass over all partitions, each in the order of due times; every key comes once.

    Args:
        table: the outbox table.
        lines: the partitions.
        until: keys that are due then or earlier.
        page: most keys of one Query.
    """

    def __init__(self, table: OutboxTable, lines: Sequence[str], until: datetime, page: int = PAGE) -> None:
        self._table = table
        self._until = until
        self._page = max(1, min(page, PAGE))
        self._lines = list(lines)
        self._buffers: dict[str, deque[Item]] = {line: deque() for line in lines}
        self._next: dict[str, Item | None] = {}
        self._ended: set[str] = set()
        self.read = 0

    def take(self, most: int, each: Callable[[Callable[[str], Page], Sequence[str]], list[Page]]) -> list[Item]:
        """Up to `most` more keys, in turn from each partition; none at the end of the pass.

        Args:
            each: carries out a function for each of several things, at once where it can.
        """
        taken: list[Item] = []
        while not taken:
            empty = [line for line in self._lines if not self._buffers[line] and line not in self._ended]
            if not empty and not any(self._buffers.values()):
                return []
            for line, page in zip(empty, each(self._fetch, empty), strict=True):
                self.read += page.read
                self._buffers[line].extend(page.items)
                self._next[line] = page.next
                if page.next is None:
                    self._ended.add(line)
            while len(taken) < most and any(self._buffers.values()):
                for buffer in self._buffers.values():
                    if buffer and len(taken) < most:
                        taken.append(buffer.popleft())
        return taken

    def put_back(self, keys: Sequence[Item]) -> None:
        """Keys that were taken and not used: they come first next time."""
        if keys:
            self._buffers[self._lines[0]].extendleft(reversed(keys))

    def _fetch(self, line: str) -> Page:
        start: Any = self._next.get(line)
        return self._table.due(line, self._until, self._page, start)
