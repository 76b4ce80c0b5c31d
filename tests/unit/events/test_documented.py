"""The names of events, against which people write triggers, are documented as they are sent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recovery.events import hints, outward
from relay.metrics import Reading
from tests.unit.events.test_alarms import EVENT as ALARM
from tests.unit.events.test_hints import FAILED, depth, reported

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
EVENTS = sorted(
    value
    for module in (hints, outward)
    for value in vars(module).values()
    if isinstance(value, str) and value.startswith("reprise.")
)


def row(event: str) -> str:
    """The line of the table of names that reports an event."""
    [line] = [
        line for line in PAGE.splitlines() if line.startswith("| `reprise.") and f"`{event}`" in line.split("|")[1]
    ]
    return line


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_documented(event: str) -> None:
    """Each has one line, with the form of its resource id."""
    assert re.search(r"`reprise\.\w+\.<", row(event))


def test_no_event_is_documented_that_is_never_reported() -> None:
    """The table has no other names."""
    named = {name for line in PAGE.splitlines() if line.startswith("| `reprise.") for name in line.split("`")[1:4:2]}
    assert {name for name in named if "<" not in name} == set(EVENTS)


def test_payloads_are_documented() -> None:
    """Every name in a payload stands in its event's line."""
    for hint in [*reported(FAILED), *reported(depth(ALARM))]:
        assert [name for name in hint.payload if f"`{name}`" not in row(hint.event)] == []


def test_the_relay_s_numbers_are_documented() -> None:
    """Each metric stands on the page."""
    for name in Reading.__slots__:
        assert f"`{''.join(part.capitalize() for part in name.split('_'))}`" in PAGE
