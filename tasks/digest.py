"""The verbs of the digest: each run writes itself into the day book; once a day the book becomes a page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from prefect import runtime
from prefect.artifacts import create_markdown_artifact

from blocks.connection import Connection
from blocks.estate import connect
from recovery.alerts import Alert, Announced
from recovery.digest.book import DayBook
from recovery.digest.digest import WEEK, Digest, digest
from recovery.digest.pages import headline, page, text
from recovery.digest.request import DigestRequest
from recovery.errors import RepriseError
from recovery.histories.requests import ListRequest
from recovery.report import RecoveryReport
from tasks.cases import histories_of
from tasks.links import find_links
from tasks.policies import ONCE
from tasks.reports import rename_run
from tasks.steps import inform, step

ONE_A_DAY = timedelta(days=365)
"""The window of the alert: its group names the day."""


class Page:
    """One run's entry for the day book. Plain, so that Prefect does not walk through the report."""

    def __init__(self, book: DayBook, report: RecoveryReport, run: str, now: datetime) -> None:
        self.book = book
        self.report = report
        self.run = run
        self.now = now


def note_day(work: Any, report: RecoveryReport) -> None:
    """Write a run that found anything into the day book. It never fails the run: a failure is one warning.

    Args:
        work: the run.
        report: what it found and did.
    """
    if report.dry_run or report.is_quiet:
        return
    run = str(runtime.flow_run.id or f"{report.run} {report.started.isoformat()}")
    page = Page(DayBook(work.ledger), report, run, work.now())
    inform("this run is missing in the digest of its day", write_day, page)


def _write_day(page: Page) -> None:
    """Add the run to its day; a repetition adds nothing."""
    page.book.add(page.report, page.run, page.now)


write_day = step(_write_day, "note the day", "noted the day")


class Desk:
    """Tools of a digest. Plain, so that Prefect does not walk through a connection."""

    def __init__(self, connection: Connection) -> None:
        self.book = DayBook(connection.ledger)
        self.alerts = connection.alerts
        self.now = connection.clock.now
        self.histories = histories_of(connection)
        self.warnings: list[str] = []


def at_desk(estate: str | None) -> Desk:
    """Open the day book.

    Raises:
        BadInput: nothing says where to work.
    """
    return Desk(connect(estate))


def _read_days(desk: Desk, request: DigestRequest) -> Digest:
    """The day, the week before it, and what waits now.

    Raises:
        Transient, Refused: the ledger could not be read.
    """
    waiting = desk.histories.waiting(ListRequest(limit=request.most_waiting))
    if desk.histories.damaged:
        desk.warnings.append("the ledger has damaged cases, which are missing here: run cases/list, which names them")
    day = request.day or (desk.now() - timedelta(days=1)).date()
    days = {past: desk.book.read(past) for past in (day - timedelta(days=n) for n in range(WEEK + 1))}
    is_cut = len(waiting) >= request.most_waiting
    for table in request.outbox_tables:
        try:
            waiting += list(desk.histories.rows(table).exhausted(request.most_waiting))
        except RepriseError as error:
            desk.warnings.append(f"the exhausted rows of {table} could not be counted: {error}")
    return digest(day, days, waiting, is_cut=is_cut)


read_days = step(_read_days, "read the day book", "read the day book")


def _show(desk: Desk, made: Digest, request: DigestRequest) -> None:
    """One page, with its history on the Artifacts page."""
    shown = page(made, desk.warnings, find_links(request))
    create_markdown_artifact(key="daily-digest", markdown=shown, description=headline(made))
    rename_run(f"digest of {headline(made)}")


show = step(_show, "show the digest", "showed the digest", ONCE)


def _publish(desk: Desk, made: Digest) -> str:
    """Publish it to the alert topic, once for each day; returns what was done.

    Raises:
        Transient, Refused: the topic did not take it.
    """
    alert = Alert(
        path="digest",
        source="daily",
        group=made.day.isoformat(),
        subject=f"Reprise, {headline(made)}",
        text=text(made),
        count=max(1, made.failed),
    )
    done = desk.alerts.announce(alert, desk.now(), ONE_A_DAY)
    return {
        Announced.SENT: "published",
        Announced.ALREADY: "published before",
        Announced.ELSEWHERE: "another run is publishing it",
    }[done]


publish = step(_publish, "publish the digest", "published the digest")
