"""Verdicts on what runs, and on what stopped without a failure. Pure."""

from __future__ import annotations

from datetime import datetime

from recovery.replication_tasks.commands import RELOADED_AT_ONCE, names, reload_tables_command, stop_command
from recovery.replication_tasks.lag import MOVES_NOTHING, Slow
from recovery.replication_tasks.models import Facts, History, Preparation
from recovery.replication_tasks.policy import ReplicationPolicy, matches
from recovery.replication_tasks.reasons import counted, states, what_a_reload_empties
from recovery.replication_tasks.rules.bounds import bounded
from recovery.replication_tasks.rules.failed import LOOK_AGAIN
from recovery.replication_tasks.tables import MISSING
from recovery.replication_tasks.verdicts import AnyVerdict, Escalate, Leave, ReloadTables, Wait


def while_it_runs(
    facts: Facts, history: History, policy: ReplicationPolicy, now: datetime, slow: Slow | None = None
) -> AnyVerdict:
    """Decide on one that runs: only single tables may need something, or a person."""
    tables = facts.tables_set_aside
    if not tables and policy.findings and facts.tables_unequal:
        return _unequal(facts)
    if not tables and policy.findings and slow is not None:
        return _slow(facts, slow)
    if not tables and not facts.errored:
        return Leave(rule="running", reason="it runs; what goes wrong now, DMS retries by itself")
    if not tables:
        return Leave(rule="running", reason=f"it runs; {facts.errored} errors were counted, but no table is set aside")
    count = f"{counted(tables)} set aside ({states(tables)}: {names(tables)})"
    loadable = tuple(table for table in tables if table.state != MISSING)
    if not loadable:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and what the source does not have cannot be loaded",
            next_step="create the tables on the source, or take them out of the table mapping",
        )
    if not facts.migration.loads:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and a replication without a full load cannot load tables again",
            next_step=f"load these tables by another task, or repair them by hand: {names(tables)}",
        )
    if facts.preparation is Preparation.DO_NOTHING:
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and a reload would load over what stands in the target, because the task does not"
            " prepare its tables",
            next_step=f"empty these tables in the target, then run: {reload_tables_command(facts, loadable)}",
        )
    if not matches(facts, policy.allow_reload):
        return Escalate(
            rule="table-errors",
            reason=f"{count}, and the policy does not allow to reload them",
            next_step=f"remove what set them aside, then run: {reload_tables_command(facts, loadable)}",
        )
    wanted = ReloadTables(
        rule="table-errors", reason=f"{count} while the rest goes on", tables=loadable[:RELOADED_AT_ONCE]
    )
    return bounded(wanted, facts, history, policy, now, rest=False)


def _slow(facts: Facts, slow: Slow) -> Escalate:
    if slow.rule == MOVES_NOTHING:
        return Escalate(
            rule="moves-nothing",
            reason=f"it runs, but {slow.reason}",
            next_step="compare a row that changed on the source since then with the target: if it is missing, read the"
            f" task's log and stop the task ({stop_command(facts)}), then resume it; if nothing changed, nothing needs"
            " doing",
        )
    if slow.reads:
        step = (
            "look at the source's load, open transactions and log, at the network, and at memory and swap of the"
            " replication instance; a resume would not make it faster"
        )
    else:
        step = (
            "look at the target's load, locks and missing primary keys, and at the task's BatchApply and parallel apply"
            " settings; a resume would not make it faster"
        )
    return Escalate(rule="latency-grows", reason=f"it runs, but {slow.reason}", next_step=step)


def unknown_lag(now: datetime) -> Wait:
    """Leave a finding as it is while CloudWatch does not show it."""
    reason = "CloudWatch does not show its latency now, so what was reported stands"
    return Wait(rule="running", reason=reason, until=now + LOOK_AGAIN, unchanged=True)


def _unequal(facts: Facts) -> Escalate:
    tables = facts.tables_unequal
    rows = sum(table.mismatched for table in tables)
    seen = ", ".join(sorted({table.validation for table in tables if table.validation}))
    again = f"{reload_tables_command(facts, tables)} --reload-option validate-only"
    return Escalate(
        rule="validation-failed",
        reason=f"it runs, but {counted(tables)} in the target differ from the source ({names(tables)}; {rows:,} rows;"
        f" {seen or 'mismatched'})",
        next_step="read awsdms_control.awsdms_validation_failures_v1 in the target, repair the rows, then validate"
        f" again: {again}; a reload of single tables would empty these",
    )


def loaded_with_errors(facts: Facts) -> Escalate:
    """Name the tables that a finished load left out, and never a reload of the others."""
    broken = facts.tables_set_aside
    broken_tables = f"{counted(broken)} ({states(broken)}: {names(broken)})" if broken else f"{facts.errored} tables"
    way = f"resume the task, then load just these again: {reload_tables_command(facts, broken)}"
    if not facts.migration.captures or not broken:
        way = "load just these tables by another task"
    return Escalate(
        rule="load-with-errors",
        reason=f"its full load ended, but {broken_tables} of {len(facts.tables or ()) or 'its'} are not loaded",
        next_step=f"read in the task's log what set them aside and remove it, then {way}; a reload of the whole task"
        f" would empty {what_a_reload_empties(facts)}",
    )
