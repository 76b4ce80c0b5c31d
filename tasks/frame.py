"""The frame of every run: open its tools, play its story, publish its report, its numbers and its day."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Protocol, TypeVar

from prefect import runtime
from prefect.client.schemas.objects import State
from pydantic import BaseModel

from blocks.connection import Connection
from blocks.estate import connect
from recovery.errors import RepriseError
from recovery.paths import PathInfo
from recovery.report import RecoveryReport
from recovery.run import RecoveryRun
from tasks.digest import note_day
from tasks.events import outgoing, publish_events
from tasks.links import find_links
from tasks.metrics import count_refusal, publish_metrics
from tasks.policies import ONCE
from tasks.reports import log_story, name_run, outcome, publish, quiet_tasks, refused
from tasks.steps import step
from tasks.telemetry import publish_telemetry, watch_steps


class Request(Protocol):
    """A request, as the frame needs it."""

    @property
    def dry_run(self) -> bool:
        """Nothing may be changed."""
        ...

    @property
    def estate(self) -> str | None:
        """Name of the estate's block."""
        ...

    @property
    def subject(self) -> str:
        """Return a run's subject for its name; short, so that the counts behind it are visible."""
        ...

    @property
    def run_name(self) -> str:
        """The name of a run that has just begun."""
        ...


Q = TypeVar("Q", bound=Request)
W = TypeVar("W", bound=RecoveryRun)


def recover(
    path: PathInfo, open_run: Callable[[Connection, Q], W], request: Q, story: Callable[[W], object]
) -> RecoveryReport | State[RecoveryReport]:
    """Play the story of one run, and show people what came of it.

    Args:
        path: what the report is called.
        open_run: makes the run's tools, on a connection.
        request: what the run is asked to do.
        story: the steps in their order.

    Returns:
        The report; a failed state that carries it when something did not go through, or one clear line when the run
        could not begin or go on.
    """
    try:
        quiet_tasks()
        signals = watch_steps()
        with closing(opened(open_run, request)) as work:
            work.links = find_links(request)
            work.outgoing = work.alerts.outgoing = outgoing(work)
            work.alerts.links = work.links
            story(work)
            report = publish_report(work, path, request.subject)
            publish_metrics(work, report)
            publish_events(work, report)
            note_day(work, report)
            publish_telemetry(signals, report)
            return outcome(report)
    except RepriseError as error:
        count_refusal(path.name, request, error)
        return refused(error)


def opened(open_run: Callable[[Connection, Q], W], request: Q) -> W:
    """Return a run's tools.

    Raises:
        BadInput: nothing says where to work, or the request cannot be carried out.
    """
    return open_run(connect(request.estate), request)


def run_name(model: type[BaseModel]) -> Callable[[], str]:
    """Return what names the runs of a flow when they begin, by their request."""

    def named() -> str:
        request = model.model_validate(runtime.flow_run.parameters["request"])
        return str(getattr(request, "run_name", ""))[:250]

    return named


def _publish_report(work: RecoveryRun, path: PathInfo, subject: str) -> RecoveryReport:
    """Store the full list, and show people what was found and done."""
    report = work.report(str(runtime.flow_run.name or "ad hoc run"))
    log_story(report)
    publish(report, path.artifact, path.title, work.rows, work.links)
    name_run(subject, report)
    return report


publish_report = step(_publish_report, "publish report", "published the report", ONCE)
