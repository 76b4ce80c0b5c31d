"""State of the simulated account: endpoints, instances, replications, subscriptions."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from simulated_aws.dms.future import Fault, Future

SERVERLESS_SETUP = (
    "initializing",
    "preparing_metadata_resources",
    "testing_connection",
    "fetching_metadata",
    "calculating_capacity",
    "provisioning_capacity",
)
KEPT_AFTER_STOP = timedelta(hours=48)

UNFINISHED = frozenset({"Before load", "Full load", "Table is being reloaded"})


@dataclass
class Endpoint:
    """An endpoint; `trouble` is the text that connecting to it fails with, "" while it is up."""

    arn: str
    identifier: str
    kind: str
    engine: str
    extra: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""
    trouble_level: str = "RECOVERABLE"
    since: datetime | None = None


@dataclass
class Instance:
    """A replication instance."""

    arn: str
    identifier: str
    instance_class: str
    storage: int
    created: datetime
    status: str = "available"


@dataclass
class Connection:
    """The last connection test of an instance and an endpoint."""

    instance: str
    endpoint: str
    until: datetime
    failure: str = ""


@dataclass
class TableRow:
    """One table of a replication; `share` is how much of its load is done, from 0 to 1."""

    schema: str
    name: str
    source_rows: int
    state: str = "Before load"
    share: float = 0.0
    changes: float = 0.0
    started: datetime | None = None
    ended: datetime | None = None
    reloaded: bool = False
    validation: str = "Not enabled"
    mismatched: int = 0

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def rows(self) -> int:
        return int(self.source_rows * self.share)


@dataclass
class Replicator:
    """A task or a serverless replication, with everything that DMS would remember of it.

    Attributes:
        status, entered: the status and since when.
        after: the status that follows one that passes ("modifying", "moving", "testing").
        requested, fresh, began, ended: start accepted; first or reloading run; last run; last stop.
        load_began, load_ended: of the last full load.
        loading: True while this run is in its full load.
        idle: this run reports running and moves nothing.
        counted: time up to which CloudWatch has its metrics.
        captured: seconds of change capture so far, which is what the checkpoint counts.
        position_lost: a resume can never find its position again; with this text.
        emptied: number of times that its target tables were dropped or truncated.
        starts: start types that were accepted, the oldest first.
        positions: the start position that each of them named, "" for none.
        accrued: time up to which progress has been computed.
        fired: number of times that each fault has happened.
        seen_faults: faults of this run that have happened.
    """

    arn: str
    identifier: str
    serverless: bool
    migration: str
    source: str
    target: str
    instance: str
    mappings: str
    settings: str
    created: datetime
    status: str
    entered: datetime
    future: Future = field(default_factory=Future)
    compute: dict[str, Any] = field(default_factory=dict)
    after: str = ""
    last_failure: str = ""
    stop_reason: str = ""
    checkpoint: str = ""
    cdc_start_position: str = ""
    cdc_stop_position: str = ""
    start_type: str = ""
    requested: datetime | None = None
    fresh: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None
    load_began: datetime | None = None
    load_ended: datetime | None = None
    accrued: datetime | None = None
    stage_began: datetime | None = None
    tables: list[TableRow] = field(default_factory=list)
    loading: bool = False
    idle: bool = False
    deprovisioned: bool = False
    captured: float = 0.0
    counted: datetime | None = None
    position_lost: str = ""
    emptied: int = 0
    starts: list[str] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)
    fired: Counter[Fault] = field(default_factory=Counter)
    seen_faults: set[Fault] = field(default_factory=set)

    @property
    def ran(self) -> bool:
        """True once it got past its first start."""
        return self.fresh is not None

    @property
    def loads(self) -> bool:
        return self.migration != "cdc"

    @property
    def captures(self) -> bool:
        return self.migration != "full-load"

    @property
    def errored(self) -> int:
        return sum(table.state == "Table error" for table in self.tables)

    def setting(self, group: str, name: str, default: Any) -> Any:
        """One of its task settings."""
        try:
            return (json.loads(self.settings or "{}").get(group) or {}).get(name, default)
        except ValueError:
            return default

    def fresh_tables(self) -> list[TableRow]:
        """Its tables as they are before any load."""
        rows = self.future.tables
        if rows is None:
            rows = dict.fromkeys(mapped_tables(self.mappings), 1000)
        return [TableRow(label.partition(".")[0], label.partition(".")[2], count) for label, count in rows.items()]


@dataclass
class Subscription:
    """An event subscription to an SNS topic."""

    name: str
    topic: str
    source_type: str
    source_ids: list[str]
    categories: list[str]
    enabled: bool
    created: datetime
    status: str = "active"


@dataclass
class PastEvent:
    """One entry of DescribeEvents."""

    source: str
    source_type: str
    message: str
    categories: list[str]
    at: datetime


@dataclass
class Account:
    """Everything that stands in one account and region."""

    region: str
    account: str
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    connections: dict[tuple[str, str], Connection] = field(default_factory=dict)
    tasks: dict[str, Replicator] = field(default_factory=dict)
    configs: dict[str, Replicator] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    events: list[PastEvent] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def arn(self, kind: str, identifier: str) -> str:
        """A new ARN. As on AWS, its last part is not the identifier; here it follows from it."""
        digest = hashlib.sha256(f"{kind}:{identifier}:{len(self.tags)}".encode()).hexdigest()[:26].upper()
        return f"arn:aws:dms:{self.region}:{self.account}:{kind}:{digest}"


def mapped_tables(mappings: str) -> list[str]:
    """The tables that the selection rules name outright, as "schema.name"; a wildcard stands for one table."""
    try:
        rules = json.loads(mappings or "{}").get("rules", [])
    except ValueError:
        rules = []
    labels = []
    for rule in rules:
        where = rule.get("object-locator", {})
        if rule.get("rule-type") == "selection" and rule.get("rule-action", "include") != "exclude":
            schema, name = where.get("schema-name", "%"), where.get("table-name", "%")
            labels.append(f"{'public' if '%' in schema else schema}.{'items' if '%' in name else name}")
    return labels or ["public.items"]
