"""The tools of `make bench` are true: its figures are of messages that were really brought back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.table import Table

from benchmarks import far_aws
from benchmarks.__main__ import markdown, names
from benchmarks.traffic import WriteUnits, environment
from benchmarks.ways import Way, bare_mover, one_by_one, plain, stopwatch
from simulated_aws.server import SimulatedAws

MESSAGES = 25


@pytest.fixture(scope="module")
def far() -> Iterator[SimulatedAws]:
    with far_aws.started(latency=0.0) as aws:
        yield aws


@pytest.mark.parametrize("way", [one_by_one, bare_mover, plain()], ids=["one by one", "bare mover", "path"])
def test_each_way_brings_all_messages_back(far: SimulatedAws, way: Way) -> None:
    """Nothing is left and nothing is doubled, on the AWS that only lets time pass."""
    far_aws.fill(far, MESSAGES)
    with environment(far):
        way(far)()
    assert far.messages("orders-dlq") == []
    assert len(far.messages("orders")) == MESSAGES


def test_the_path_keeps_to_its_bounds_there_too(far: SimulatedAws) -> None:
    """Requests and write units are counted, and the time is split by what it is spent on."""
    units = WriteUnits()
    far_aws.fill(far, 1_000)
    with environment(far), stopwatch() as spent:
        go = plain(units)(far)
        far.clear_requests()
        go()
    assert sum(far.request_counts().values()) <= 400
    assert 1_000 < units.total <= 2_000
    assert set(spent) == {"AWS", "diagnosis"}


def test_tables_can_be_kept_as_markdown() -> None:
    """As docs/benchmarks.md has them; and what only helps to measure is no benchmark."""
    table = Table(title="Speed", caption="best of 2")
    table.add_column("way")
    table.add_column("messages/s", justify="right")
    table.add_row("one by one", "19")
    assert markdown(table).splitlines() == [
        "**Speed**", "", "| way | messages/s |", "|---|---:|", "| one by one | 19 |", "", "best of 2"
    ]  # fmt: skip
    assert {"dead_letters", "diagnosis", "few_items", "outbox_records"} <= set(names())
    assert not {"far_aws", "traffic", "ways"} & set(names())
