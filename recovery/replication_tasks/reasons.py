"""Reasons of decisions in words that hold: they stand in reports, alerts and the ledger. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.replication_tasks.commands import command, names
from recovery.replication_tasks.models import ON_PURPOSE, Facts, Migration, Preparation, Restart, Verb
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.tables import Table
from recovery.replication_tasks.verdicts import Action, ReloadTables


def begins(facts: Facts) -> str:
    """Beginning of the change capture of a first start: a full load has everything, capture alone has not."""
    if facts.migration is not Migration.CDC:
        return ""
    if facts.start_position:
        return "; its change capture begins where it was set to"
    return "; no start position is set, so its change capture begins now: changes since that first start are missed"


def purpose(facts: Facts) -> str:
    """Reason why it stands still, where nothing is wrong with it."""
    code = facts.stop_code
    if code == "FULL_LOAD_ONLY_FINISHED":
        return "its full load is finished"
    if code.startswith("STOPPED_A"):
        return "it stopped where it was set to stop"
    if code and code not in ON_PURPOSE:
        return f"it stopped for a reason that is not known here ({code}), so nothing is done"
    return "it was stopped on purpose"


def used_up(recent: Sequence[Restart], wanted: Action, policy: ReplicationPolicy) -> str:
    """Attempts used so far, in words that are true of restarts that never reached DMS, too."""
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


def counted(tables: Sequence[Table]) -> str:
    """A number of tables, in words."""
    return f"{len(tables)} table{'' if len(tables) == 1 else 's'}"


def states(tables: Sequence[Table]) -> str:
    """The states that tables are in, in words."""
    return ", ".join(sorted({table.state.removeprefix("Table ") for table in tables}))


def what_a_reload_empties(facts: Facts) -> str:
    """The tables and rows that a reload of the whole target would empty, and when they were loaded last."""
    tables = facts.tables or ()
    if not tables:
        return "every table of the task (no statistics show which, or how many rows)"
    ended = max((table.load_ended for table in tables if table.load_ended is not None), default=None)
    last = f"; last loaded {ended:%Y-%m-%d %H:%M} UTC" if ended else ""
    rows = sum(table.rows for table in tables)
    return f"{counted(tables)} with {rows:,} loaded rows ({names(sorted(tables))}{last})"


def both_ways(facts: Facts, *, lost: bool) -> str:
    """The two ways that a person chooses between, with what each costs.

    Args:
        facts: of the replication.
        lost: its position is gone, so that it cannot go on from there.
    """
    keep = (
        "create a task for change capture only, from a position that still exists; it costs what changed from"
        f" {_since(facts)} to that position, which is missing in the target until it is compared and repaired"
        if lost
        else f"run: {command(facts, Verb.RESUME)}; it costs nothing that stands in the target, but look afterwards at"
        " whether rows move"
    )
    how = "loads over" if facts.preparation is Preparation.DO_NOTHING else "empties"
    again = (
        f"run: {command(facts, Verb.RELOAD)}; it {how} {what_a_reload_empties(facts)}, and the target is incomplete"
        " until they are loaded again"
    )
    return f"choose. (1) Keep the target: {keep}. (2) Load everything again: {again}"


def _since(facts: Facts) -> str:
    return f"{facts.stopped:%Y-%m-%d %H:%M} UTC" if facts.stopped else "its last checkpoint"
