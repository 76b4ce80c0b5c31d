"""The AWS CLI commands that a person would run. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from recovery.replication_tasks.models import Facts, Migration, Verb
from recovery.replication_tasks.tables import Table
from recovery.replication_tasks.verdicts import Action, ReloadTables

RELOADED_AT_ONCE = 10
"""Tables that one request may reload (user guide, "Reloading tables during a task")."""


def begins_at(facts: Facts, verb: Verb) -> str:
    """The start position that goes with a start, "" for none.

    Change capture alone begins where it was set to only if the (first) start says so again; every other verb goes on
    from what DMS has kept, or loads everything (API reference, StartReplicationTask).
    """
    return facts.start_position if verb is Verb.START and facts.migration is Migration.CDC else ""


def command(facts: Facts, verb: Verb) -> str:
    """Starts, resumes or reloads the whole replication."""
    if facts.serverless:
        words = ["aws", "dms", "start-replication", "--replication-config-arn", facts.arn]
        words += ["--start-replication-type", verb.value]
    else:
        words = ["aws", "dms", "start-replication-task", "--replication-task-arn", facts.arn]
        words += ["--start-replication-task-type", verb.value]
    position = begins_at(facts, verb)
    return shlex.join([*words, "--cdc-start-position", position] if position else words)


def reload_tables_command(facts: Facts, tables: Sequence[Table]) -> str:
    """Loads some tables again; as many as one request may name."""
    operation = "reload-replication-tables" if facts.serverless else "reload-tables"
    option = "--replication-config-arn" if facts.serverless else "--replication-task-arn"
    named = [f"SchemaName={table.schema},TableName={table.name}" for table in tables[:RELOADED_AT_ONCE]]
    return shlex.join(["aws", "dms", operation, option, facts.arn, "--tables-to-reload", *named])


def by_hand(facts: Facts, wanted: Action) -> str:
    """Return the command that does what was wanted."""
    if isinstance(wanted, ReloadTables):
        return reload_tables_command(facts, wanted.tables)
    return command(facts, wanted.verb)


def stop_command(facts: Facts) -> str:
    """Stops the replication."""
    if facts.serverless:
        return shlex.join(["aws", "dms", "stop-replication", "--replication-config-arn", facts.arn])
    return shlex.join(["aws", "dms", "stop-replication-task", "--replication-task-arn", facts.arn])


def names(tables: Sequence[Table]) -> str:
    """The tables for a person's eye, cut."""
    labels = [table.label for table in tables]
    return ", ".join(labels[:RELOADED_AT_ONCE]) + (" ..." if len(labels) > RELOADED_AT_ONCE else "")
