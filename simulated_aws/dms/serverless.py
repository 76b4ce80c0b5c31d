"""Serverless replications: configs, and the replication that each of them is."""

# ruff: noqa: ARG002 - every operation is called in the same way
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulated_aws.dms.lifecycle import Emit, enter
from simulated_aws.dms.protocol import DmsError
from simulated_aws.dms.queries import chosen, named_tables, page, stats, table_statistics
from simulated_aws.dms.state import KEPT_AFTER_STOP, Account, Replicator
from simulated_aws.dms.tasks import MIGRATIONS, check, named_position, position_of, reload_rows, tables_of


class Replications:
    """The operations on serverless replications."""

    def __init__(self, account: Account, emit: Emit) -> None:
        self._account = account
        self._emit = emit
        self.operations = {
            "CreateReplicationConfig": self.create,
            "DescribeReplicationConfigs": self.describe_configs,
            "DeleteReplicationConfig": self.delete,
            "DescribeReplications": self.describe,
            "StartReplication": self.start,
            "StopReplication": self.stop,
            "DescribeReplicationTableStatistics": self.statistics,
            "ReloadReplicationTables": self.reload_tables,
        }

    def create(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """CreateReplicationConfig."""
        name = given["ReplicationConfigIdentifier"]
        if any(config.identifier == name for config in self._account.configs.values()):
            raise DmsError("ResourceAlreadyExistsFault", f"Replication config {name} already exists")
        if given["ReplicationType"] not in MIGRATIONS:
            raise DmsError(
                "InvalidParameterValueException", f"Replication type {given['ReplicationType']} is not valid"
            )
        for field in ("SourceEndpointArn", "TargetEndpointArn"):
            if given[field] not in self._account.endpoints:
                raise DmsError("ResourceNotFoundFault", f"{field}: there is no {given[field]}")
        config = Replicator(
            arn=self._account.arn("replication-config", name),
            identifier=name,
            serverless=True,
            migration=given["ReplicationType"],
            source=given["SourceEndpointArn"],
            target=given["TargetEndpointArn"],
            instance="",
            mappings=given["TableMappings"],
            settings=given.get("ReplicationSettings", ""),
            compute=dict(given["ComputeConfig"]),
            created=now,
            status="created",
            entered=now,
        )
        self._account.configs[config.arn] = config
        self._account.tags[config.arn] = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags", [])}
        return {"ReplicationConfig": self._config(config)}

    def describe_configs(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeReplicationConfigs."""
        some, more = self._page("DescribeReplicationConfigs", given)
        return {"ReplicationConfigs": [self._config(config) for config in some], **more}

    def delete(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DeleteReplicationConfig."""
        config = self._found(given)
        if config.status not in {"created", "ready", "stopped", "failed", "deprovisioned"}:
            raise DmsError("InvalidResourceStateFault", f"Replication Config {config.identifier} is {config.status}")
        enter(config, "deleting", now)
        return {"ReplicationConfig": self._config(config)}

    def describe(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeReplications."""
        some, more = self._page("DescribeReplications", given)
        return {"Replications": [self._described(config) for config in some], **more}

    def start(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """StartReplication."""
        config = self._found(given)
        kind = given["StartReplicationType"]
        check("StartReplication", config, start_type=kind, **position_of(given))
        config.start_type = kind
        config.requested = now
        config.starts.append(kind)
        config.positions.append(named_position(given))
        # A config has no start position of its own: each start says where change capture begins.
        config.cdc_start_position = config.positions[-1]
        config.stop_reason = ""
        enter(config, "initializing", now)
        self._emit("initializing", config, "", now)
        return {"Replication": self._described(config)}

    def stop(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """StopReplication."""
        config = self._found(given)
        check("StopReplication", config)
        enter(config, "stopping", now)
        return {"Replication": self._described(config)}

    def statistics(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeReplicationTableStatistics."""
        config = self._found(given)
        rows, more = table_statistics("DescribeReplicationTableStatistics", given, config)
        return {"ReplicationConfigArn": config.arn, "ReplicationTableStatistics": rows, **more}

    def reload_tables(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """ReloadReplicationTables."""
        config = self._found(given)
        names = named_tables(given)
        check("ReloadReplicationTables", config, **tables_of(config, names))
        if given.get("ReloadOption", "data-reload") == "data-reload":
            reload_rows(config, names, now)
        return {"ReplicationConfigArn": config.arn}

    # -- inside --------------------------------------------------------------------------------------------------

    def _found(self, given: Mapping[str, Any]) -> Replicator:
        config = self._account.configs.get(given["ReplicationConfigArn"])
        if config is None:
            raise DmsError("ResourceNotFoundFault", f"Replication config {given['ReplicationConfigArn']} was not found")
        return config

    def _page(self, operation: str, given: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
        found = chosen(
            operation,
            given,
            list(self._account.configs.values()),
            lambda config: {"replication-config-arn": config.arn, "replication-config-id": config.identifier},
        )
        return page(operation, given, found)

    @staticmethod
    def _config(config: Replicator) -> dict[str, Any]:
        return {
            "ReplicationConfigIdentifier": config.identifier,
            "ReplicationConfigArn": config.arn,
            "SourceEndpointArn": config.source,
            "TargetEndpointArn": config.target,
            "ReplicationType": config.migration,
            "ComputeConfig": config.compute,
            "ReplicationSettings": config.settings or "{}",
            "TableMappings": config.mappings,
            "ReplicationConfigCreateTime": config.created,
        }

    @staticmethod
    def _described(config: Replicator) -> dict[str, Any]:
        described: dict[str, Any] = {
            "ReplicationConfigIdentifier": config.identifier,
            "ReplicationConfigArn": config.arn,
            "SourceEndpointArn": config.source,
            "TargetEndpointArn": config.target,
            "ReplicationType": config.migration,
            "Status": config.status,
            "RecoveryCheckpoint": config.checkpoint,
            "ReplicationCreateTime": config.created,
            "ReplicationStats": stats(config),
            "FailureMessages": [config.last_failure] if config.last_failure else [],
            "ProvisionData": {
                "ProvisionState": "deprovisioned" if config.deprovisioned or not config.ran else "provisioned",
                "ProvisionedCapacityUnits": config.compute.get("MinCapacityUnits", 1),
            },
        }
        optional: dict[str, Any] = {
            "StopReason": config.stop_reason,
            "StartReplicationType": config.start_type,
            "CdcStartPosition": config.cdc_start_position,
            "ReplicationLastStopTime": config.ended,
        }
        if config.ended and config.status in {"failed", "stopped", "deprovisioned"}:
            optional["ReplicationDeprovisionTime"] = config.ended + KEPT_AFTER_STOP
        return described | {name: value for name, value in optional.items() if value}
