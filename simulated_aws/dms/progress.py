"""Progress of a running replication: rows of the full load, changes since, the checkpoint."""

from __future__ import annotations

from datetime import datetime

from simulated_aws.dms.state import UNFINISHED, Replicator, TableRow


def begin_run(thing: Replicator, at: datetime) -> None:
    """A run begins: what it loads again, and what it goes on with, by the way it was started."""
    first = not thing.ran
    afresh = thing.start_type != "resume-processing"
    thing.began = thing.accrued = thing.stage_began = at
    thing.seen_faults = set()
    thing.idle = False
    if afresh:
        thing.fresh = at
        thing.position_lost = ""
        thing.deprovisioned = False
        if thing.loads or first:
            thing.tables = thing.fresh_tables()
        if thing.loads:
            if thing.setting("FullLoadSettings", "TargetTablePrepMode", "DROP_AND_CREATE") != "DO_NOTHING":
                thing.emptied += 1
        else:
            for table in thing.tables:
                table.state = "Table completed"
    elif not thing.tables:
        thing.tables = thing.fresh_tables()
    left = [table for table in thing.tables if table.state in UNFINISHED]
    thing.loading = thing.loads and bool(left)
    if thing.loading:
        thing.load_began, thing.load_ended = at, None
    if not afresh and thing.loading:
        # A full load that was interrupted: for a task that only loads, DMS loads the unfinished tables again; with
        # change capture after it, the field has seen tasks that report running and move nothing.
        thing.idle = thing.captures or thing.future.resume_moves_nothing
        for table in left:
            table.state, table.share, table.started = "Before load", 0.0, None
    elif not afresh and thing.future.resume_moves_nothing:
        thing.idle = True


def load_left(thing: Replicator) -> float:
    """Seconds that the full load still needs."""
    return sum((1 - table.share) * _seconds(thing) for table in thing.tables if table.state in UNFINISHED)


def accrue(thing: Replicator, until: datetime) -> None:
    """Count what was moved since the last look."""
    if thing.status != "running" or thing.accrued is None or until <= thing.accrued:
        return
    seconds = (until - thing.accrued).total_seconds()
    began, thing.accrued = thing.accrued, until
    if thing.idle:
        return
    _load(thing, seconds, began, until)
    if not thing.loading and thing.captures:
        done = [table for table in thing.tables if table.state == "Table completed"]
        # A quiet source moves no position either, but capture has begun, so there is one.
        thing.captured += seconds if thing.future.changes_per_second else 0.0
        thing.captured = max(thing.captured, 1.0)
        for table in done:
            table.changes += thing.future.changes_per_second * seconds / len(done)


def _load(thing: Replicator, seconds: float, began: datetime, until: datetime) -> None:
    each = _seconds(thing)
    for table in thing.tables:
        if table.state not in UNFINISHED or seconds <= 0:
            continue
        if table.started is None:
            table.started = began
        if table.state == "Before load":
            table.state = "Full load"
        need = (1 - table.share) * each
        spent = min(need, seconds)
        table.share = 1.0 if spent >= need - 1e-6 else table.share + spent / each
        seconds -= spent
        if table.share >= 1.0:
            _complete(table, until)


def _complete(table: TableRow, at: datetime) -> None:
    table.state, table.share, table.ended = "Table completed", 1.0, at


def _seconds(thing: Replicator) -> float:
    return max(thing.future.load_seconds, 1e-3) / max(len(thing.tables), 1)
