"""Reading more about what was found: table statistics, settings, and the state of the replication instances."""

from __future__ import annotations

from dataclasses import replace

from recovery.errors import Conflict, RepriseError
from recovery.replication_tasks.lag import LAGS
from recovery.replication_tasks.models import DEPROVISIONED, RUNNING, Facts
from recovery.replication_tasks.situation import has_failed
from recovery.replication_tasks.tables import Table
from recovery.replication_tasks.work import Batch, ReplicationRun, ReplicationWork

PAGES = 1_000
"""Pages of statistics in one sweep; beyond it, healthy replications are not read."""


def inspect(run: ReplicationRun, batch: Batch) -> None:
    """Read table statistics and settings of each, and the state of the replication instances.

    A replication whose statistics cannot be had keeps the reason in `failure`, and is left alone.

    Raises:
        Transient, Refused: the instances could not be asked about.
    """
    classic = any(not item.facts.serverless for item in batch.items)
    instances = run.dms.instances() if classic else {}
    asked_before = run.dms.pages
    for item in batch.items:
        if item.runs_well and run.dms.pages - asked_before >= PAGES:
            batch.items = [each for each in batch.items if not each.runs_well or each.facts.tables is not None]
            run.facts.append(
                "some that run well were not inspected in this sweep: statistics of others took its requests"
            )
            break
        if run.time_is_up:
            left = sum(each.facts.tables is None and each.failure is None for each in batch.items)
            run.warnings.append(f"the time limit was reached before {left} replications were inspected")
            return
        if item.failure is not None or item.met is not None:
            continue
        try:
            _inspect(run, item, instances.get(item.facts.instance, ""))
        except RepriseError as error:
            item.failure = error
    _read_latencies(run, batch)


def _read_latencies(run: ReplicationRun, batch: Batch) -> None:
    """Read what CloudWatch counts of those that run, in their turn, and of those that people know to be slow."""
    wanted = [
        item
        for item in batch.items
        if item.failure is None and item.facts.status == RUNNING and (item.in_turn or item.memory.finding in LAGS)
    ]
    wanted = [item for item in wanted if item.facts.migration.captures and not item.facts.tables_loading]
    if run.latencies is None or not run.policy.findings or not wanted:
        return
    try:
        found = run.latencies.read([item.facts for item in wanted], run.now())
    except RepriseError as error:
        # Nothing is decided by them but findings: those that are known stand.
        run.warn(f"latencies could not be read: {error}")
        return
    for item in wanted:
        item.facts = replace(item.facts, lag=found.get(item.facts.arn))


def _inspect(run: ReplicationRun, item: ReplicationWork, instance_status: str) -> None:
    facts = item.facts
    if facts.migration.loads and has_failed(facts):
        # The list comes without settings, and they decide whether a load empties its target.
        asked = run.now()
        fresh = run.dms.read(facts)
        if fresh is not None:
            facts, item.asked = replace(fresh, tags=facts.tags), asked
    item.facts = replace(facts, instance_status=instance_status, tables=tables_of(run, facts))


def tables_of(run: ReplicationRun, facts: Facts) -> tuple[Table, ...]:
    """The table statistics, as far as there are any.

    Raises:
        Transient, Refused, Conflict: they could not be read, and they would decide.
    """
    if facts.status == DEPROVISIONED:
        return ()  # DMS has thrown them away
    try:
        return run.dms.tables(facts)
    except Conflict:
        if facts.migration.loads and facts.has_run:
            raise
        return ()  # nothing about change capture alone, or about a first start, is decided by them
