"""The list of what waits shows every path, however much waits on one of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from recovery.cases import State
from recovery.closing.requests import CloseRequest
from recovery.histories import search
from recovery.histories.requests import ListRequest
from recovery.histories.search import Histories, Ledgered
from recovery.paths import Path
from recovery.story import story_of
from tests.unit.histories.test_story import case

NOW = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture
def list_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """List cases of which so many wait on each path."""

    def listed(limit: int, **waiting: int) -> tuple[dict[str, int], list[str]]:
        nothing: Any = None
        histories = Histories(nothing, nothing, lambda _: nothing, lambda _: [], lambda: NOW)

        def cases(path: Path, group: str, *, closed: bool) -> Iterator[Any]:
            one = case("k", State.PARKED, path=path.value)
            return iter([one] * (0 if closed else waiting.get(path.value, 0)))

        monkeypatch.setattr(histories, "open_cases", cases)
        monkeypatch.setattr(histories, "notes", lambda _: {})
        plain = Ledgered(lambda _: None, lambda key, case: story_of(key, case, ()))
        monkeypatch.setattr(search, "LEDGERED", dict.fromkeys(search.LEDGERED, plain))
        found = histories.waiting(ListRequest(limit=limit))
        return {path: sum(one.path == path for one in found) for path in waiting}, histories.warnings

    return listed


def test_many_messages_hide_no_task_and_no_flow(list_of: Any) -> None:
    """Each path has its share, and what the small ones leave over goes to the large one, which is named as cut."""
    counts, warnings = list_of(500, dead_letters=5_000, replication_tasks=3, appflow_runs=2)
    assert counts == {"dead_letters": 495, "replication_tasks": 3, "appflow_runs": 2}
    [warning] = warnings
    assert "495 of dead_letters" in warning
    assert "appflow_runs" not in warning


def test_paths_that_are_all_too_long_share_the_list(list_of: Any) -> None:
    """None is hidden, the limit holds, and each is named."""
    counts, warnings = list_of(90, dead_letters=1_000, replication_tasks=1_000, appflow_runs=1_000)
    assert sum(counts.values()) == 90
    assert min(counts.values()) >= 22
    assert all(path in warnings[0] for path in counts)


def test_what_fits_is_listed_whole(list_of: Any) -> None:
    """No warning where nothing was left out."""
    counts, warnings = list_of(100, dead_letters=80, replication_tasks=3, appflow_runs=2)
    assert counts == {"dead_letters": 80, "replication_tasks": 3, "appflow_runs": 2}
    assert warnings == []


@pytest.mark.parametrize("request_class", [ListRequest, CloseRequest])
def test_prefect_can_copy_a_request(request_class: type[BaseModel]) -> None:
    """It copies by `dict(request)`, which a field named as a method of mappings breaks: no flow would take it."""
    assert not {"keys", "items", "values", "get"} & set(request_class.model_fields)
