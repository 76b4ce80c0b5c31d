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
from recovery.report import RecoveryReport, headline, markdown, table


def publish(report: RecoveryReport, key: str, title: str, rows: Sequence[dict[str, Any]] = ()) -> None:
    """Make one report artifact and its tables, for a run that did or found anything.

    Args:
        report: the run's report.
        key: stable over runs, so that the Artifacts page shows a history; lower-case letters, digits and dashes.
        title: heading of the page.
        rows: items one by one, for paths that have few of them.
    """
    if report.is_quiet:
        return
    create_markdown_artifact(key=key, markdown=markdown(report, title), description=headline(report))
    if report.groups:
        create_table_artifact(
            key=f"{key}-groups", table=table(report), description=f"{title}: groups, and what to do next"
        )
    if rows:
        create_table_artifact(
            key=f"{key}-one-by-one", table=list(rows), description=f"{title}, one by one: what each was, what was done"
        )


def log_groups(report: RecoveryReport) -> None:
    """One structured line for each action and group; ids, never bodies. Its level is REPRISE_LOG_LEVEL."""
    level = logging.getLevelNamesMapping()[settings.log_level()]
    logger = get_run_logger()
    for row in report.groups:
        logger.log(
            level,
            "path=%s source=%s action=%s settled=%s count=%d kind=%s diagnosis=%s rule=%s group=%s samples=%s",
            report.path,
            row.source,
            row.action,
            row.settled,
            row.count,
            row.kind or "-",
            row.diagnosis or "-",
            row.rule or "-",
            row.group or "-",
            ",".join(row.samples),
        )
    for line in report.problems:
        logger.error("path=%s problem: %s", report.path, line)
    for line in report.warnings:
        logger.warning("path=%s warning: %s", report.path, line)


def name_run(subject: str, report: RecoveryReport) -> None:
    """Put its counts into the run's name."""
    done = ", ".join(f"{count} {action}" for action, count in sorted(report.by_action.items())) or "nothing to do"
    name = f"{subject}: {done}" + (f", {report.unsettled} stuck" if report.unsettled else "")
    if report.dry_run:
        name = f"{name} (dry run)"
    rename_run(name)


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
