"""DMS's API as this path uses it: thin, paced, one method for each thing that is asked or done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from recovery.aws import calling, is_throttle, require_field
from recovery.errors import BadInput, Refused, Transient
from recovery.failures import mask
from recovery.pacing import Pace
from recovery.replication_tasks.answers import ODD, replication_of, table_of, task_of
from recovery.replication_tasks.commands import begins_at
from recovery.replication_tasks.models import Facts, Migration, Verb
from recovery.replication_tasks.tables import Table

if TYPE_CHECKING:
    from mypy_boto3_dms import DatabaseMigrationServiceClient

CALLS_PER_SECOND = 8.0
"""DMS publishes no rate of its API, and throttles whole accounts: eight calls a second leave room for others."""
BURST = 8
PAGE = 100
TABLE_PAGE = 500
RESTS = (0.5, 1.0, 2.0)
"""Seconds of rest after a start or reload that was throttled; then it is left to the next run."""
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
so IAM cannot distinguish it from a resume: the request's policy alone guards it.)"""


class ReplicationGateway:
    """Reads and restarts replication tasks and serverless replications.

    Args:
        client: a boto3 DMS client.
        pace: shared by all calls of a run.
        once: a client that repeats nothing by itself, for starts and reloads; None: `client`.

    Attributes:
        pages: pages of table statistics that were asked for.
        unreadable: what was listed but could not be understood (a migration type of tomorrow): name and ARN, no more.
    """

    def __init__(
        self,
        client: DatabaseMigrationServiceClient,
        pace: Pace | None = None,
        once: DatabaseMigrationServiceClient | None = None,
    ) -> None:
        self._client = client
        self._once = once or client
        self.pace = pace or Pace(CALLS_PER_SECOND, BURST)
        self.pages = 0
        self.unreadable: list[Facts] = []

    def tasks(self) -> Iterator[Facts]:
        """All replication tasks of the account and region, without settings or table statistics; 100 to a call.

        Raises:
            Transient: not now.
            Refused: they may not be read.
        """
        for page in self._pages("DescribeReplicationTasks", MaxRecords=PAGE, WithoutSettings=True):
            yield from self._understood(
                require_field(page, "ReplicationTasks", "dms:DescribeReplicationTasks"), task_of
            )

    def replications(self) -> Iterator[Facts]:
        """All serverless replications of the account and region, without table statistics.

        Raises:
            Transient: not now.
            Refused: they may not be read.
        """
        for page in self._pages("DescribeReplications", MaxRecords=PAGE):
            yield from self._understood(require_field(page, "Replications", "dms:DescribeReplications"), replication_of)

    def read(self, facts: Facts) -> Facts | None:
        """The same replication as it is now, with its settings, without table statistics; None when it is gone.

        Raises:
            Transient: not now.
            Refused: it may not be read.
            BadInput: the answer holds what this version does not know.
        """
        if not facts.serverless:
            name = "replication-task-arn"
            raw = self._one("DescribeReplicationTasks", "ReplicationTasks", name, facts.arn)
            with _understanding(facts.name, "DescribeReplicationTasks"):
                return None if raw is None else task_of(raw)
        name = "replication-config-arn"
        raw = self._one("DescribeReplications", "Replications", name, facts.arn)
        if raw is None:
            return None
        config = self._one("DescribeReplicationConfigs", "ReplicationConfigs", name, facts.arn)
        with _understanding(facts.name, "DescribeReplications"):
            return replication_of(raw, settings=(config or {}).get("ReplicationSettings", ""))

    def tables(self, facts: Facts) -> tuple[Table, ...]:
        """The table statistics; empty when it has none (any more).

        Raises:
            Transient: not now.
            Refused: they may not be read.
            BadInput: the answer holds what this version does not know.
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
                self.pages += 1
                with _understanding(facts.name, operation):
                    rows += [table_of(raw) for raw in page.get(field, [])]
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
            for raw in require_field(page, "ReplicationInstances", "dms:DescribeReplicationInstances")
            if "ReplicationInstanceArn" in raw
        }

    def tags(self, arns: Iterable[str]) -> dict[str, frozenset[tuple[str, str]]]:
        """The tags of these replications, by ARN; 50 to a call.

        Raises:
            Transient: not now.
            Refused: they may not be read.
        """
        wanted = list(arns)
        found: dict[str, frozenset[tuple[str, str]]] = {}
        for start in range(0, len(wanted), TAGGED_AT_ONCE):
            found |= self._tags_of(wanted[start : start + TAGGED_AT_ONCE])
        return found

    def restart(self, facts: Facts, verb: Verb) -> None:
        """Start, resume or reload it. Answered as soon as DMS has accepted; whether it worked is reported later.

        Raises:
            Conflict: its status does not allow it now: read and decide again.
            Refused: this start type is not valid for it (code "InvalidParameterCombinationException"), or it may not.
            OutcomeUnknown: it may have been accepted.
            Transient: it was not accepted.
        """
        position = begins_at(facts, verb)
        begin = {"CdcStartPosition": position} if position else {}
        if facts.serverless:
            self._call("StartReplication", ReplicationConfigArn=facts.arn, StartReplicationType=verb.value, **begin)
        else:
            self._call(
                "StartReplicationTask", ReplicationTaskArn=facts.arn, StartReplicationTaskType=verb.value, **begin
            )

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
            except ODD:
                name = (
                    raw.get("ReplicationTaskIdentifier") or raw.get("ReplicationConfigIdentifier") or "without a name"
                )
                arn = raw.get("ReplicationTaskArn") or raw.get("ReplicationConfigArn") or ""
                # Only its name and ARN count: they show whether it is in scope by a request.
                self.unreadable.append(Facts(str(arn), str(name), Migration.CDC, status=""))

    def _tags_of(self, arns: Sequence[str]) -> dict[str, frozenset[tuple[str, str]]]:
        try:
            answer = self._call("ListTagsForResource", ResourceArnList=list(arns))
        except Refused as refusal:
            if refusal.code != "ResourceNotFoundFault":
                raise
            if len(arns) == 1:
                return {arns[0]: frozenset()}
            return self._tags_one_by_one(arns)  # one of them has been deleted since it was listed
        found: dict[str, set[tuple[str, str]]] = {arn: set() for arn in arns}
        for tag in answer.get("TagList", []):
            arn = tag.get("ResourceArn") or (arns[0] if len(arns) == 1 else "")
            if arn not in found:
                return self._tags_one_by_one(arns)  # whose tag it is, is not reported: nothing may be guessed
            found[arn].add((tag.get("Key", ""), tag.get("Value", "")))
        return {arn: frozenset(tags) for arn, tags in found.items()}

    def _tags_one_by_one(self, arns: Sequence[str]) -> dict[str, frozenset[tuple[str, str]]]:
        if len(arns) == 1:
            return {arns[0]: frozenset()}
        found: dict[str, frozenset[tuple[str, str]]] = {}
        for arn in arns:
            found |= self._tags_of([arn])
        return found

    def _one(self, operation: str, field: str, name: str, arn: str) -> Mapping[str, Any] | None:
        try:
            answer = self._call(operation, Filters=[{"Name": name, "Values": [arn]}])
        except Refused as refusal:
            # A filter that nothing passes is a fault in DMS, not an empty list.
            if refusal.code == "ResourceNotFoundFault":
                return None
            raise
        found: list[Mapping[str, Any]] = require_field(answer, field, f"dms:{operation}")
        return found[0] if found else None

    def _pages(self, operation: str, **request: Any) -> Iterator[Mapping[str, Any]]:
        while True:
            answer = self._call(operation, **request)
            yield answer
            marker = answer.get("Marker")
            if not marker:
                return
            if marker == request.get("Marker"):
                raise Transient(f"dms:{operation}: the same page came twice", operation=f"dms:{operation}")
            request["Marker"] = marker

    def _call(self, operation: str, **request: Any) -> Mapping[str, Any]:
        if operation not in _ONCE:
            return self._sent(self._client, operation, request)
        for seconds in RESTS:
            try:
                return self._sent(self._once, operation, request)
            except Transient as error:
                if not is_throttle(error.code):
                    raise  # it may be at work, or cannot be asked for now: the next run sees
                self.pace.rest(seconds)
        return self._sent(self._once, operation, request)

    def _sent(self, client: Any, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.pace.take()
        with calling(f"dms:{operation}"):
            answer: Mapping[str, Any] = getattr(client, _METHODS[operation])(**request)
        return answer


@contextmanager
def _understanding(name: str, operation: str) -> Iterator[None]:
    """An answer that is not understood is the trouble of that replication, not of all."""
    try:
        yield
    except ODD as error:
        raise BadInput(
            f"replication {name}: DMS's answer is not understood: {mask(repr(error))}",
            code="not understood",
            operation=f"dms:{operation}",
        ) from None


_ONCE = frozenset({"ReloadTables", "ReloadReplicationTables", "StartReplicationTask", "StartReplication"})
"""Calls that must not be repeated unseen. DMS loads tables again each time it is asked; and it refuses a second start
while the first is at work, which would report a start that was carried out as of one that was not."""

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
