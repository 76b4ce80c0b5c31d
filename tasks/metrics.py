"""Publishing a run's numbers to CloudWatch. It never fails the run: what could not be published is one warning."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from prefect import runtime

from blocks.estate import connect
from recovery.errors import RepriseError
from recovery.metrics.publication import Metrics, Publication
from recovery.report import RecoveryReport
from tasks.policies import SEND
from tasks.steps import inform, step

SCHEDULED = "auto-scheduled"
"""The tag that Prefect gives to runs of a schedule."""


class Run(Protocol):
    """A run's tools, as the metrics need them."""

    metrics: Metrics | None

    def now(self) -> datetime:
        """The time as AWS sees it."""
        ...


class Request(Protocol):
    """A request, as the metrics need it."""

    @property
    def dry_run(self) -> bool:
        """True when nothing is changed."""
        ...

    @property
    def estate(self) -> str | None:
        """Name of the estate's block."""
        ...


def publish_metrics(work: Run, report: RecoveryReport) -> None:
    """Publish the numbers of a run, unless it was a dry run or had nothing to look at.

    Args:
        work: the run's tools, a path's own class.
        report: what it found and did.
    """
    if work.metrics is None or report.dry_run or not report.requests:
        return
    _send(work.metrics.publication(report, work.now(), swept=SCHEDULED in runtime.flow_run.tags and not report.failed))


def count_refusal(path: str, request: Request, error: RepriseError) -> None:
    """A run that could not begin is an error of the healer, too."""
    if request.dry_run:
        return
    try:
        connection = connect(request.estate)
        metrics = connection.metrics
    except RepriseError:
        return  # nothing says where to work, so nothing says where to count it
    if metrics is None:
        return
    now = connection.clock.now()
    report = RecoveryReport(
        path=path,
        run=str(runtime.flow_run.name or "ad hoc run"),
        started=now,
        seconds=0.0,
        dry_run=False,
        found=0,
        by_kind={},
        by_action={},
        unsettled=0,
        problems=(str(error),),
    )
    _send(metrics.publication(report, now, swept=False))


def _send_metrics(publication: Publication) -> None:
    """Send the numbers to CloudWatch; what was sent is not sent again by a repetition."""
    publication.send()


send_metrics = step(_send_metrics, "publish metrics", "published the metrics", SEND)


def _send(publication: Publication) -> None:
    inform("the metrics of this run are not complete", send_metrics, publication)
