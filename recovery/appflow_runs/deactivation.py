"""The distance of a scheduled flow from being switched off by AppFlow. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recovery.appflow_runs.models import FlowFacts, FlowStatus, Trigger
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.appflow_runs.schedule import next_run, period
from recovery.times import shown


@dataclass(frozen=True, slots=True)
class Deactivation:
    """A threshold that the flow is approaching.

    Attributes:
        threshold: failures in a row at which AppFlow switches the schedule off.
        failures: failures in a row so far.
        runs_left: further failures until then, at least 1.
        at: when that would be by the schedule, aware; None where it is not known.
        warn: whether a person must hear of it now.
    """

    threshold: int
    failures: int
    runs_left: int
    at: datetime | None
    warn: bool


def forecast(ahead: Deactivation) -> str:
    """Return the sentence about it for a person."""
    when = f", at {shown(ahead.at)}" if ahead.at else ""
    times = "once" if ahead.failures == 1 else f"{ahead.failures} times in a row"
    return (
        f"it failed {times}, and AppFlow switches the schedule off after"
        f" {ahead.runs_left} more{when} (threshold {ahead.threshold})"
    )


def approaching(facts: FlowFacts, policy: AppFlowPolicy, now: datetime) -> Deactivation | None:
    """The threshold ahead, or None where there is none or nothing failed.

    A flow that is active although its failures reached the threshold was activated again since: only what is over the
    threshold counts then, because AppFlow does not report since when it counts.
    """
    flow = facts.flow
    schedule = flow.schedule
    if flow.trigger is not Trigger.SCHEDULED or flow.status is not FlowStatus.ACTIVE or schedule is None:
        return None
    failures = facts.failures_in_a_row
    if schedule.threshold is None or failures == 0:
        return None
    left = schedule.threshold - failures % schedule.threshold
    last_started = facts.runs[0].started
    following = next_run(schedule, now, last_started)
    step = period(schedule, now, last_started)
    at = following + (left - 1) * step if following is not None and step is not None else None
    soon = at is not None and (at - now).total_seconds() <= policy.warn_seconds_left
    return Deactivation(schedule.threshold, failures, left, at, soon or left <= policy.warn_runs_left)
