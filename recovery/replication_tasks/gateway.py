"""DMS's API as this path uses it: thin, paced, one method for each thing that is asked or done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.aws import calling
from recovery.errors import Refused
from recovery.replication_tasks.models import Facts, Migration, Preparation, Table, Verb
from recovery.replication_tasks.pace import Pace

if TYPE_CHECKING:
    from mypy_boto3_dms import DatabaseMigrationServiceClient

PAGE = 100
TABLE_PAGE = 500
TAGGED_AT_ONCE = 50
"""ARNs in one ListTagsForResource; the API names no limit of its own."""

ACTIONS = {
    "tasks": ("dms:DescribeReplicationTasks",),
    "replications": ("dms:DescribeReplications",),
    "read": ("dms:DescribeReplicationTasks", "dms:DescribeReplications", "dms:DescribeReplicationConfigs"),
    "tables": ("dms:DescribeTableStatistics", "dms:DescribeReplicationTableStatistics"),
    "instances": ("dms:DescribeReplicationInstances",),
    "tags": ("dms:ListTagsForResource",),
    "restart": ("dms:StartReplicationTask", "dms:StartReplication"),
}
"""IAM actions of each method that the path always needs."""

RELOAD_ACTIONS = {"reload_tables": ("dms:ReloadTables", "dms:ReloadReplicationTables")}
"""IAM actions of the method that only `allow_reload` uses: the optional policy. (A reload of a whole target is a start,
so IAM cannot tell it from a resume: the request's policy alone guards it.)"""


class ReplicationGateway:
    """Reads and restarts replication tasks and serverless replications.

    Args:
        client: a boto3 DMS client.
        pace: shared by all calls of a run.

    Attributes:
        unreadable: what was listed but could not be understood (a migration type of tomorrow), by name or ARN.
    """

    def __init__(self, client: DatabaseMigrationServiceClient, pace: Pace | None = None) -> None:
        self._client = client
        self.pace = pace or Pace()
        self.unreadable: list[str] = []

    def tasks(self) -> Iterator[Facts]:
        """All replication tasks of the account and region, without settings or table statistics; 100 to a call.

        Raises:
            Transient: not now.
            Refused: they may not be read.
        """
        for page in self._pages("DescribeReplicationTasks", MaxRecords=PAGE, WithoutSettings=True):
            yield from self._understood(page["ReplicationTasks"], _task)

    def replications(self) -> Iterator[Facts]:
        """All serverless replications of the account and region, without table statistics.

        Raises:
            Transient: not now.
            Refused: they may not be read.
        """
        for page in self._pages("DescribeReplications", MaxRecords=PAGE):
            yield from self._understood(page["Replications"], _replication)

    def read(self, facts: Facts) -> Facts | None:
        """The same replication as it is now, with its settings, without table statistics; None when it is gone.

        Raises:
            Transient: not now.
            Refused: it may not be read.
        """
        if not facts.serverless:
            name = "replication-task-arn"
            raw = self._one("DescribeReplicationTasks", "ReplicationTasks", name, facts.arn)
            return None if raw is None else _task(raw)
        name = "replication-config-arn"
        raw = self._one("DescribeReplications", "Replications", name, facts.arn)
        if raw is None:
            return None
        config = self._one("DescribeReplicationConfigs", "ReplicationConfigs", name, facts.arn)
        return _replication(raw, settings=(config or {}).get("ReplicationSettings", ""))

    def tables(self, facts: Facts) -> tuple[Table, ...]:
        """The table statistics; empty when it has none (any more).

        Raises:
            Transient: not now.
            Refused: they may not be read.
        """
        rows: list[Table] = []
        if facts.serverless:
            operation, field = "DescribeReplicationTableStatistics", "ReplicationTableStatistics"
            pages = self._pages(operation, ReplicationConfigArn=facts.arn, MaxRecords=TABLE_PAGE)
        else:
            operation, field = "DescribeTableStatistics", "TableStatistics"
            pages = self._pages(operation, ReplicationTaskArn=facts.arn, MaxRecords=TABLE_PAGE)
        try:
            for page in pages:
                rows += [_table(raw) for raw in page.get(field, [])]
        except Refused as refusal:
            if refusal.code != "ResourceNotFoundFault":
                raise
        return tuple(rows)

    def instances(self) -> dict[str, str]:
        """The status of each replication instance, by ARN.

        Raises:
            Transient: not now.
            Refused: they may not be read.
        """
        return {
            raw["ReplicationInstanceArn"]: raw.get("ReplicationInstanceStatus", "").lower()
            for page in self._pages("DescribeReplicationInstances", MaxRecords=PAGE)
            for raw in page["ReplicationInstances"]
        }

    def tags(self, arns: Iterable[str]) -> dict[str, frozenset[tuple[str, str]]]:
        """The tags of these replications, by ARN; 50 to a call.

        Raises:
            Transient: not now.
            Refused: they may not be read, or one is gone.
        """
        wanted = list(arns)
        found: dict[str, set[tuple[str, str]]] = {arn: set() for arn in wanted}
        for start in range(0, len(wanted), TAGGED_AT_ONCE):
            some = wanted[start : start + TAGGED_AT_ONCE]
            answer = self._call("ListTagsForResource", ResourceArnList=some)
            for tag in answer.get("TagList", []):
                found.setdefault(tag.get("ResourceArn", some[0]), set()).add((tag["Key"], tag.get("Value", "")))
        return {arn: frozenset(tags) for arn, tags in found.items()}

    def restart(self, facts: Facts, verb: Verb) -> None:
        """Start, resume or reload it. Answered as soon as DMS has accepted; whether it worked is told later.

        Raises:
            Conflict: its status does not allow it now: read and decide again.
            Refused: this start type is not valid for it (code "InvalidParameterCombinationException"), or it may not.
            OutcomeUnknown: it may have been accepted.
            Transient: it was not accepted.
        """
        if facts.serverless:
            self._call("StartReplication", ReplicationConfigArn=facts.arn, StartReplicationType=verb.value)
        else:
            self._call("StartReplicationTask", ReplicationTaskArn=facts.arn, StartReplicationTaskType=verb.value)

    def reload_tables(self, facts: Facts, tables: Sequence[Table]) -> None:
        """Load these tables again while it runs; at most ten.

        Raises:
            Conflict: it does not run (any more).
            OutcomeUnknown, Transient, Refused: as in `restart`.
        """
        named = [{"SchemaName": table.schema, "TableName": table.name} for table in tables]
        if facts.serverless:
            self._call("ReloadReplicationTables", ReplicationConfigArn=facts.arn, TablesToReload=named)
        else:
            self._call("ReloadTables", ReplicationTaskArn=facts.arn, TablesToReload=named)

    # -- inside --------------------------------------------------------------------------------------------------

    def _understood(
        self, raws: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Facts]
    ) -> Iterator[Facts]:
        for raw in raws:
            try:
                yield read(raw)
            except (KeyError, TypeError, ValueError):
                name = (
                    raw.get("ReplicationTaskIdentifier") or raw.get("ReplicationConfigIdentifier") or "without a name"
                )
                self.unreadable.append(str(name))

    def _one(self, operation: str, field: str, name: str, arn: str) -> Mapping[str, Any] | None:
        try:
            answer = self._call(operation, Filters=[{"Name": name, "Values": [arn]}])
        except Refused as refusal:
            # A filter that nothing passes is a fault in DMS, not an empty list.
            if refusal.code == "ResourceNotFoundFault":
                return None
            raise
        found: list[Mapping[str, Any]] = answer.get(field, [])
        return found[0] if found else None

    def _pages(self, operation: str, **request: Any) -> Iterator[Mapping[str, Any]]:
        while True:
            answer = self._call(operation, **request)
            yield answer
            if not answer.get("Marker"):
                return
            request["Marker"] = answer["Marker"]

    def _call(self, operation: str, **request: Any) -> Mapping[str, Any]:
        method = _METHODS[operation]
        self.pace.take()
        with calling(f"dms:{operation}"):
            answer: Mapping[str, Any] = getattr(self._client, method)(**request)
        return answer


_METHODS = {
    "DescribeReplicationTasks": "describe_replication_tasks",
    "DescribeReplications": "describe_replications",
    "DescribeReplicationConfigs": "describe_replication_configs",
    "DescribeTableStatistics": "describe_table_statistics",
    "DescribeReplicationTableStatistics": "describe_replication_table_statistics",
    "DescribeReplicationInstances": "describe_replication_instances",
    "ListTagsForResource": "list_tags_for_resource",
    "StartReplicationTask": "start_replication_task",
    "StartReplication": "start_replication",
    "ReloadTables": "reload_tables",
    "ReloadReplicationTables": "reload_replication_tables",
}


def _task(raw: Mapping[str, Any]) -> Facts:
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
        **_shared(raw, stats),
    )


def _replication(raw: Mapping[str, Any], *, settings: str = "") -> Facts:
    stats: Mapping[str, Any] = raw.get("ReplicationStats") or {}
    shared = _shared(raw, stats)
    shared["stopped"] = shared["stopped"] or _utc(raw.get("ReplicationLastStopTime"))
    return Facts(
        arn=raw["ReplicationConfigArn"],
        name=raw["ReplicationConfigIdentifier"],
        migration=Migration(raw["ReplicationType"]),
        status=raw.get("Status", "").lower(),
        serverless=True,
        last_failure=" ".join(raw.get("FailureMessages") or []),
        stop_reason=raw.get("StopReason") or "",
        deprovisions=_utc(raw.get("ReplicationDeprovisionTime")),
        preparation=_preparation(settings),
        **shared,
    )


def _shared(raw: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint = raw.get("RecoveryCheckpoint") or ""
    return {
        "checkpoint": checkpoint,
        # `ReplicationTaskStartDate` only tells that a start was accepted; these tell that it got past it.
        "has_run": bool(
            stats.get("FreshStartDate") or stats.get("StartDate") or stats.get("TablesLoaded") or checkpoint
        ),
        "errored": int(stats.get("TablesErrored") or 0),
        "started": _utc(stats.get("StartDate")),
        "stopped": _utc(stats.get("StopDate")),
    }


def _table(raw: Mapping[str, Any]) -> Table:
    return Table(
        schema=raw.get("SchemaName", ""),
        name=raw.get("TableName", ""),
        state=raw.get("TableState", ""),
        rows=int(raw.get("FullLoadRows") or 0),
        changes=sum(int(raw.get(name) or 0) for name in ("Inserts", "Deletes", "Updates", "Ddls")),
    )


def _preparation(settings: str) -> Preparation:
    try:
        wanted = (json.loads(settings or "{}").get("FullLoadSettings") or {}).get("TargetTablePrepMode")
        return Preparation(wanted or Preparation.DROP_AND_CREATE)
    except (ValueError, AttributeError):
        # DMS's own default, and the one that asks for permission.
        return Preparation.DROP_AND_CREATE


def _utc(moment: datetime | None) -> datetime | None:
    # botocore gives local time with the noise of a float; what is kept and compared are whole milliseconds in UTC.
    if moment is None:
        return None
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=0) + timedelta(milliseconds=round(utc.microsecond / 1000))
