"""Reasons of decisions in words that hold: they stand in reports, alerts and the ledger. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.replication_tasks.models import ON_PURPOSE, Facts, Migration, Restart
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.verdicts import Action, ReloadTables


def begins(facts: Facts) -> str:
    """Where the change capture of a first start begins: a full load has everything, capture alone has not."""
    if facts.migration is not Migration.CDC:
        return ""
    if facts.start_position:
        return "; its change capture begins where it was told to"
    return (
        "; nobody told where its change capture begins, so it begins now: what changed since that first start is missed"
    )


def purpose(facts: Facts) -> str:
    """Why it stands still, where nothing is wrong with it."""
    code = facts.stop_code
    if code == "FULL_LOAD_ONLY_FINISHED":
        if facts.errored:
            return f"its full load is finished, with tables in error: {facts.errored}"
        return "its full load is finished"
    if code.startswith("STOPPED_A"):
        return "it stopped where it was told to stop"
    if code and code not in ON_PURPOSE:
        return f"it stopped for a reason that is not known here ({code}), so nothing is done"
    return "it was stopped on purpose"


def used_up(recent: Sequence[Restart], wanted: Action, policy: ReplicationPolicy) -> str:
    """What became of the budget, in words that are true of restarts that never reached DMS, too."""
    within = f"within {policy.window_seconds // 60} minutes"
    made = sum(restart.was_made for restart in recent)
    idle = len(recent) - made
    if not made:
        return f"{times(idle)} a restart was written down {within}, and DMS shows none of them"
    again = "tables are still in error" if isinstance(wanted, ReloadTables) else "it failed again"
    verb = "tables were reloaded" if isinstance(wanted, ReloadTables) else "restarted"
    return f"{times(made)} {verb} {within}, and {again}" + (
        f"; {times(idle)} one was written down that DMS does not show" if idle else ""
    )


def times(count: int) -> str:
    """A count in words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
