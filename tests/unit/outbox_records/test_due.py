"""The keys of due rows, in turn from each partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.outbox_records.due import DueKeys
from recovery.outbox_records.gateway import Page
from tests.unit.outbox_records.rows import NOW


class Table:
    """Partitions as lists of keys."""

    def __init__(self, partitions: dict[str, int]) -> None:
        self.partitions = {
            line: [{"id": {"S": f"{line}/{n}"}} for n in range(count)] for line, count in partitions.items()
        }
        self.asked: list[tuple[str, int]] = []

    def due(self, line: str, until: Any, most: int, start: Any) -> Page:
        keys = self.partitions[line]
        begin = keys.index(start) + 1 if start else 0
        page = keys[begin : begin + most]
        self.asked.append((line, len(page)))
        return Page(page, page[-1] if begin + most < len(keys) else None, len(page), 0.5)


def one_by_one(do: Callable[[Any], Page], things: Sequence[Any]) -> list[Page]:
    return [do(thing) for thing in things]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 15), st.integers(1, 30))
def test_every_key_comes_once(counts: list[int], page: int, most: int) -> None:
    """Whatever the sizes of partitions, pages and rounds, a pass gives each key once, in the order of its partition."""
    table = Table({f"L{n}": count for n, count in enumerate(counts)})
    keys = DueKeys(table, list(table.partitions), NOW, page)  # type: ignore[arg-type]
    found: list[str] = []
    while taken := keys.take(most, one_by_one):
        assert len(taken) <= most
        found += [key["id"]["S"] for key in taken]
    assert len(found) == len(set(found)) == sum(counts) == keys.read
    for line in table.partitions:
        mine = [int(each.partition("/")[2]) for each in found if each.startswith(f"{line}/")]
        assert mine == sorted(mine)


def test_partitions_take_turns() -> None:
    """A large partition does not keep the others waiting."""
    table = Table({"large": 100, "small": 2})
    keys = DueKeys(table, ["large", "small"], NOW, 50)  # type: ignore[arg-type]
    taken = [key["id"]["S"] for key in keys.take(4, one_by_one)]
    assert taken == ["large/0", "small/0", "large/1", "small/1"]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_keys_that_were_put_back_come_first(count: int) -> None:
    """Rows that a round could not use are not lost."""
    table = Table({"a": 10})
    keys = DueKeys(table, ["a"], NOW, 10)  # type: ignore[arg-type]
    first = keys.take(5, one_by_one)
    keys.put_back(first[5 - count :])
    rest = [key["id"]["S"] for key in keys.take(100, one_by_one)]
    assert rest == [f"a/{n}" for n in range(5 - count, 10)]
