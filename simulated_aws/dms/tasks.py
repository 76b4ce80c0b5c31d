"""Replication tasks: create, describe, start, stop, modify, move, delete, reload tables."""

# ruff: noqa: ARG002 - every operation is called in the same way
from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulated_aws.dms import contract
from simulated_aws.dms.lifecycle import Emit, enter
from simulated_aws.dms.protocol import DmsError
from simulated_aws.dms.queries import chosen, named_tables, page, stats, table_statistics
from simulated_aws.dms.state import Account, Replicator

START_TYPES = ("start-replication", "resume-processing", "reload-target")
MIGRATIONS = ("full-load", "cdc", "full-load-and-cdc")


class Tasks:
    """The operations on replication tasks."""

    def __init__(self, account: Account, emit: Emit) -> None:
        self._account = account
        self._emit = emit
        self.operations = {
            "CreateReplicationTask": self.create,
            "DescribeReplicationTasks": self.describe,
            "StartReplicationTask": self.start,
            "StopReplicationTask": self.stop,
            "ModifyReplicationTask": self.modify,
            "MoveReplicationTask": self.move,
            "DeleteReplicationTask": self.delete,
            "DescribeTableStatistics": self.statistics,
            "ReloadTables": self.reload_tables,
        }

    def create(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """CreateReplicationTask."""
        name = given["ReplicationTaskIdentifier"]
        if any(task.identifier == name for task in self._account.tasks.values()):
            raise DmsError("ResourceAlreadyExistsFault", f"Replication task {name} already exists")
        if given["MigrationType"] not in MIGRATIONS:
            raise DmsError("InvalidParameterValueException", f"Migration type {given['MigrationType']} is not valid")
        for field, there in (
            ("SourceEndpointArn", self._account.endpoints),
            ("TargetEndpointArn", self._account.endpoints),
            ("ReplicationInstanceArn", self._account.instances),
        ):
            if given[field] not in there:
                raise DmsError("ResourceNotFoundFault", f"{field}: there is no {given[field]}")
        task = Replicator(
            arn=self._account.arn("task", name),
            identifier=name,
            serverless=False,
            migration=given["MigrationType"],
            source=given["SourceEndpointArn"],
            target=given["TargetEndpointArn"],
            instance=given["ReplicationInstanceArn"],
            mappings=given["TableMappings"],
            settings=given.get("ReplicationTaskSettings", ""),
            cdc_start_position=named_position(given),
            cdc_stop_position=given.get("CdcStopPosition", ""),
            created=now,
            status="creating",
            entered=now,
        )
        self._account.tasks[task.arn] = task
        self._account.tags[task.arn] = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags", [])}
        return {"ReplicationTask": self._described(task)}

    def describe(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeReplicationTasks."""
        operation = "DescribeReplicationTasks"
        found = chosen(
            operation,
            given,
            list(self._account.tasks.values()),
            lambda task: {
                "replication-task-arn": task.arn,
                "replication-task-id": task.identifier,
                "migration-type": task.migration,
                "endpoint-arn": [task.source, task.target],
                "replication-instance-arn": task.instance,
            },
        )
        some, more = page(operation, given, found)
        settings = not given.get("WithoutSettings", False)
        return {"ReplicationTasks": [self._described(task, settings=settings) for task in some], **more}

    def start(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """StartReplicationTask."""
        task = self._task(given)
        kind = given["StartReplicationTaskType"]
        self._check("StartReplicationTask", task, start_type=kind, **position_of(given))
        task.start_type = kind
        task.requested = now
        task.starts.append(kind)
        task.positions.append(named_position(given))
        task.stop_reason = ""
        if task.positions[-1]:
            task.cdc_start_position, task.position_lost = task.positions[-1], ""
        enter(task, "starting", now)
        return {"ReplicationTask": self._described(task)}

    def stop(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """StopReplicationTask."""
        task = self._task(given)
        self._check("StopReplicationTask", task)
        enter(task, "stopping", now)
        return {"ReplicationTask": self._described(task)}

    def modify(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """ModifyReplicationTask. A task that ran before is stopped afterwards, any other is ready."""
        task = self._task(given)
        self._check("ModifyReplicationTask", task)
        task.mappings = given.get("TableMappings", task.mappings)
        task.settings = given.get("ReplicationTaskSettings", task.settings)
        task.migration = given.get("MigrationType", task.migration)
        enter(task, "modifying", now, after="stopped" if task.ran else "ready")
        return {"ReplicationTask": self._described(task)}

    def move(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """MoveReplicationTask."""
        task = self._task(given)
        self._check("ModifyReplicationTask", task)
        if given["TargetReplicationInstanceArn"] not in self._account.instances:
            raise DmsError("ResourceNotFoundFault", "There is no such replication instance")
        task.instance = given["TargetReplicationInstanceArn"]
        enter(task, "moving", now, after="stopped" if task.ran else "ready")
        return {"ReplicationTask": self._described(task)}

    def delete(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DeleteReplicationTask."""
        task = self._task(given)
        self._check("DeleteReplicationTask", task)
        enter(task, "deleting", now)
        return {"ReplicationTask": self._described(task)}

    def statistics(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeTableStatistics."""
        task = self._task(given)
        rows, more = table_statistics("DescribeTableStatistics", given, task)
        return {"ReplicationTaskArn": task.arn, "TableStatistics": rows, **more}

    def reload_tables(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """ReloadTables."""
        task = self._task(given)
        names = named_tables(given)
        self._check("ReloadTables", task, **tables_of(task, names))
        if given.get("ReloadOption", "data-reload") == "data-reload":
            reload_rows(task, names, now)
        self._emit("reloading", task, "", now)
        return {"ReplicationTaskArn": task.arn}

    # -- inside --------------------------------------------------------------------------------------------------

    def _task(self, given: Mapping[str, Any]) -> Replicator:
        task = self._account.tasks.get(given["ReplicationTaskArn"])
        if task is None:
            raise DmsError("ResourceNotFoundFault", f"Replication task {given['ReplicationTaskArn']} was not found")
        return task

    def _check(self, operation: str, task: Replicator, **situation: Any) -> None:
        instance = self._account.instances.get(task.instance)
        check(
            operation,
            task,
            instance=instance.status if instance else "",
            connection=self._connection(task),
            **situation,
        )

    def _connection(self, task: Replicator) -> str:
        tests = [self._account.connections.get((task.instance, end)) for end in (task.source, task.target)]
        if any(test is not None and test.failure for test in tests):
            return "failed"
        return "successful" if all(tests) else "untested"

    def _described(self, task: Replicator, *, settings: bool = True) -> dict[str, Any]:
        described: dict[str, Any] = {
            "ReplicationTaskIdentifier": task.identifier,
            "ReplicationTaskArn": task.arn,
            "SourceEndpointArn": task.source,
            "TargetEndpointArn": task.target,
            "ReplicationInstanceArn": task.instance,
            "MigrationType": task.migration,
            "Status": task.status,
            "ReplicationTaskCreationDate": task.created,
            "RecoveryCheckpoint": task.checkpoint,
            "ReplicationTaskStats": stats(task),
        }
        if settings:
            described |= {"TableMappings": task.mappings, "ReplicationTaskSettings": task.settings or "{}"}
        optional = {
            "LastFailureMessage": task.last_failure,
            "StopReason": task.stop_reason,
            "ReplicationTaskStartDate": task.requested,
            "CdcStartPosition": task.cdc_start_position,
            "CdcStopPosition": task.cdc_stop_position,
        }
        return described | {name: value for name, value in optional.items() if value}


def check(operation: str, thing: Replicator, **situation: Any) -> None:
    """Ask the contract.

    Raises:
        DmsError: the request is refused.
    """
    start_type = situation.get("start_type", "")
    found = {
        "status": thing.status,
        "past": "ran" if thing.ran else "never",
        "migration": thing.migration,
        "deprovisioned": thing.deprovisioned,
        **situation,
        "start_type": start_type if start_type in START_TYPES else "other",
    }
    line = contract.load().refusal(operation, found)
    if line is not None:
        words = {"status": thing.status.upper() if thing.serverless else thing.status, "name": thing.identifier}
        shown = start_type.upper().replace("-", "_") if start_type in START_TYPES else start_type
        raise DmsError(line.code, line.message.format(**words, start_type=shown))


def position_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of start position that a request names."""
    time, position = given.get("CdcStartTime"), given.get("CdcStartPosition")
    if time and position:
        return {"position": "both"}
    return {"position": "time" if time else "position" if position else "none"}


def named_position(given: Mapping[str, Any]) -> str:
    """The start position that a request names, "" for none."""
    return str(given.get("CdcStartPosition") or given.get("CdcStartTime") or "")


def tables_of(thing: Replicator, names: list[str]) -> dict[str, Any]:
    """Return facts about the tables that a reload names."""
    there = {table.label for table in thing.tables}
    return {
        "tables": len(names),
        "duplicates": len(set(names)) < len(names),
        "unknown_tables": bool(set(names) - there),
    }


def reload_rows(thing: Replicator, names: list[str], now: datetime) -> None:
    """Load these tables again, after their target tables are dropped or truncated."""
    for table in thing.tables:
        if table.label in names:
            table.state, table.share, table.changes, table.reloaded = "Table is being reloaded", 0.0, 0.0, True
            table.started = now.astimezone(UTC)
