"""DMS's answers as the facts of this path. Pure.

What is needed raises one of `ODD` where it is missing, of a kind that is not known here, or a time beyond all times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from recovery.replication_tasks.models import Facts, Migration, Preparation
from recovery.replication_tasks.tables import Table
from recovery.times import from_answer

ODD = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
"""Errors of an answer that is not understood."""


def task_of(raw: Mapping[str, Any]) -> Facts:
    """A `ReplicationTask`, without its table statistics."""
    stats: Mapping[str, Any] = raw.get("ReplicationTaskStats") or {}
    return Facts(
        arn=raw["ReplicationTaskArn"],
        name=raw["ReplicationTaskIdentifier"],
        migration=Migration(raw["MigrationType"]),
        status=raw.get("Status", "").lower(),
        last_failure=raw.get("LastFailureMessage") or "",
        stop_reason=raw.get("StopReason") or "",
        instance=raw.get("ReplicationInstanceArn", ""),
        preparation=_preparation(raw.get("ReplicationTaskSettings", "")),
        accepted=from_answer(raw.get("ReplicationTaskStartDate")),
        **_shared(raw, stats),
    )


def replication_of(raw: Mapping[str, Any], *, settings: str = "") -> Facts:
    """A serverless `Replication`; its settings stand in its config."""
    stats: Mapping[str, Any] = raw.get("ReplicationStats") or {}
    shared = _shared(raw, stats)
    stops = [moment for moment in (shared["stopped"], from_answer(raw.get("ReplicationLastStopTime"))) if moment]
    shared["stopped"] = max(stops, default=None)
    begins = from_answer(raw.get("CdcStartTime"))
    if begins is not None and not shared["start_position"]:
        shared["start_position"] = f"{begins:%Y-%m-%dT%H:%M:%S}"
    return Facts(
        arn=raw["ReplicationConfigArn"],
        name=raw["ReplicationConfigIdentifier"],
        migration=Migration(raw["ReplicationType"]),
        status=raw.get("Status", "").lower(),
        serverless=True,
        last_failure=" ".join(raw.get("FailureMessages") or []),
        stop_reason=raw.get("StopReason") or "",
        deprovisions=from_answer(raw.get("ReplicationDeprovisionTime")),
        preparation=_preparation(settings),
        **shared,
    )


def _shared(raw: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint = raw.get("RecoveryCheckpoint") or ""
    return {
        "checkpoint": checkpoint,
        "start_position": raw.get("CdcStartPosition") or "",
        # `ReplicationTaskStartDate` only shows that a start was accepted; these show that it got past it.
        "has_run": bool(
            stats.get("FreshStartDate") or stats.get("StartDate") or stats.get("TablesLoaded") or checkpoint
        ),
        "errored": int(stats.get("TablesErrored") or 0),
        "started": from_answer(stats.get("StartDate")),
        "stopped": from_answer(stats.get("StopDate")),
    }


def table_of(raw: Mapping[str, Any]) -> Table:
    """One row of the table statistics."""
    return Table(
        schema=raw.get("SchemaName", ""),
        name=raw.get("TableName", ""),
        state=raw.get("TableState", ""),
        rows=int(raw.get("FullLoadRows") or 0),
        changes=sum(int(raw.get(name) or 0) for name in ("Inserts", "Deletes", "Updates", "Ddls")),
        load_began=from_answer(raw.get("FullLoadStartTime")),
        load_ended=from_answer(raw.get("FullLoadEndTime")),
        validation=raw.get("ValidationState") or "",
        mismatched=sum(int(raw.get(f"Validation{kind}Records") or 0) for kind in ("Failed", "Suspended")),
    )


def _preparation(settings: str) -> Preparation:
    try:
        wanted = (json.loads(settings or "{}").get("FullLoadSettings") or {}).get("TargetTablePrepMode")
        return Preparation(wanted or Preparation.DROP_AND_CREATE)
    except (ValueError, AttributeError, RecursionError):
        # DMS's own default, and the one that asks for permission.
        return Preparation.DROP_AND_CREATE
