"""The sentence about a schedule that AppFlow is about to switch off."""

from __future__ import annotations

from recovery.appflow_runs.work import FlowWork
from recovery.times import shown


def forecast(item: FlowWork) -> str:
    """Return when it will be, and after how many failures."""
    ahead = item.deactivation
    assert ahead is not None
    when = f", at {shown(ahead.at)}" if ahead.at else ""
    times = "once" if ahead.failures == 1 else f"{ahead.failures} times in a row"
    return (
        f"it failed {times}, and AppFlow switches the schedule off after"
        f" {ahead.runs_left} more{when} (threshold {ahead.threshold})"
    )
