"""Showing people what a run found and did: artifacts, log lines, and the run's name. Used by every path."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Failed

from recovery import settings
from recovery.errors import Incomplete, RepriseError
from recovery.links import NO_LINKS, Links
from recovery.report import RecoveryReport, headline
from recovery.report_page import markdown, table
from recovery.sentences import Level, run_name, story


def publish(
    report: RecoveryReport, key: str, title: str, rows: Sequence[dict[str, Any]] = (), links: Links = NO_LINKS
) -> None:
    """Make one report artifact and its tables, for a run that did or found anything.

    Args:
        report: the run's report.
        key: stable over runs, so that the Artifacts page shows a history; lower-case letters, digits and dashes.
        title: heading of the page.
        rows: items one by one, for paths that have few of them.
        links: addresses of the forms.
    """
    if report.is_quiet:
        return
    create_markdown_artifact(key=key, markdown=markdown(report, title, links), description=headline(report))
    if report.groups:
        create_table_artifact(
            key=f"{key}-groups", table=table(report, links), description=f"{title}: groups, and what to do next"
        )
    if rows:
        create_table_artifact(
            key=f"{key}-one-by-one", table=list(rows), description=f"{title}, one by one: what each was, what was done"
        )


def log_story(report: RecoveryReport) -> None:
    """Log the run in sentences; ids, never bodies. REPRISE_LOG_LEVEL sets the level of those that only report."""
    level = logging.getLevelNamesMapping()[settings.log_level()]
    logger = get_run_logger()
    for sentence in story(report):
        logger.log(level if sentence.level is Level.STORY else sentence.level, "%s", sentence.text)


def quiet_tasks() -> None:
    """Keep "Finished in state Completed()" of each task out of the run's log, unless REPRISE_LOG_LEVEL is DEBUG."""
    chatter = logging.getLogger("prefect.task_runs")
    if settings.log_level() != "DEBUG":
        chatter.addFilter(_without_ends)


def _without_ends(record: logging.LogRecord) -> bool:
    """False for Prefect's own line on the end of a task that went well; its failures and retries stay."""
    return record.levelno > logging.INFO or not str(record.msg).startswith("Finished in state")


def name_run(subject: str, report: RecoveryReport) -> None:
    """Put its counts into the run's name."""
    rename_run(run_name(subject, report))


def rename_run(name: str) -> None:
    """Put the outcome into the run's name; outside a run nothing happens."""
    if run_id := runtime.flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(str(run_id)), name=name[:250])


def outcome(report: RecoveryReport) -> RecoveryReport | State[RecoveryReport]:
    """Return the report, or a failed state that carries it when work did not go through."""
    if not report.failed:
        return report
    parts = list(report.problems[:5])
    if report.unsettled:
        parts.append(f"{report.unsettled} of {report.found} did not go through and stay where they were")
    message = "; ".join(parts)
    return Failed(message=message, data=Incomplete(message, report))


def refused(error: RepriseError) -> State[RecoveryReport]:
    """Return a failed state for a person's mistake or an unusable estate: one clear line, no traceback."""
    return Failed(message=str(error), data=error)
