"""Verdicts where nothing could be decided. Pure: the ids are those of docs/paths/appflow_runs.md."""

from __future__ import annotations

from datetime import datetime

from recovery.appflow_runs.verdicts import Escalate, Leave, Wait


def damaged(name: str, place: str) -> Escalate:
    """The verdict on a flow of which nobody knows what was done before."""
    return Escalate(
        "L1",
        "what was done about it before is not known, so nothing is done",
        f"look at flow {name} in AppFlow, then delete {place}: the next run begins anew with it, and its attempts count"
        " anew",
    )


NOT_READ = Leave("L2", "it was not read")


def out_of_time(now: datetime) -> Wait:
    """The verdict on an attempt whose turn came after the time of the run."""
    return Wait("L3", "the run's time was up before its turn (time_limit_seconds); the next run makes the attempt", now)
