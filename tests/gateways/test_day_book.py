"""The day book in a real ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from recovery.digest.book import DayBook
from recovery.errors import Transient
from recovery.ledger import Ledger
from recovery.records import Record
from simulated_aws.server import SimulatedAws
from tests.outbox_world import connection_to
from tests.unit.metrics.samples import entry, report

NOW = datetime(2026, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def ledger(simulated_aws: SimulatedAws) -> Ledger:
    simulated_aws.reset()
    simulated_aws.create_estate()
    return connection_to(simulated_aws).ledger


def test_runs_of_all_paths_are_in_the_book(ledger: Ledger) -> None:
    """Each path has its own record; what was written is read."""
    book = DayBook(ledger)
    book.add(report(entry("heal")), "a", NOW)
    book.add(report(entry("heal")), "b", NOW)
    book.add(report(entry("heal")), "b", NOW)
    book.add(report(entry("escalate"), path="appflow_runs"), "c", NOW)
    found = {day.path: (day.runs, day.failed) for day in book.read(NOW.date())}
    assert found == {"dead_letters": (2, 2), "appflow_runs": (1, 1)}
    assert book.read(datetime(2026, 3, 3, tzinfo=UTC).date()) == []


def test_two_runs_at_once_are_both_added(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that comes second reads again and adds itself to what the first wrote."""
    book, other = DayBook(ledger), DayBook(ledger)
    write = ledger.write_record
    pending = [report(entry("archive"))]

    def interrupted(record: Record, expires: datetime) -> Record:
        if pending:
            other.add(pending.pop(), "other", NOW)
        return write(record, expires)

    monkeypatch.setattr(ledger, "write_record", interrupted)
    book.add(report(entry("heal")), "mine", NOW)
    [day] = book.read(NOW.date())
    assert day.names == ("other", "mine")
    assert day.actions == {"archive": 1, "heal": 1}


def test_a_book_that_others_never_let_go_is_given_up(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded: after a few rounds it is an error that may pass by itself."""
    book, other, number = DayBook(ledger), DayBook(ledger), iter(range(100))
    write = ledger.write_record
    busy: list[Any] = []

    def interrupted(record: Record, expires: datetime) -> Record:
        if not busy:
            busy.append(True)
            other.add(report(entry("archive")), f"other-{next(number)}", NOW)
            busy.clear()
        return write(record, expires)

    monkeypatch.setattr(ledger, "write_record", interrupted)
    with pytest.raises(Transient, match="again and again"):
        book.add(report(entry("heal")), "mine", NOW)
