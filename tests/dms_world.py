"""A strict DMS in this process, with a clock that only tests move: for everything that replications are tested with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.local.appflow.inprocess import client_for
from deployments.local.dms import DmsSimulator, Future
from deployments.local.dms.state import Replicator, TableRow
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.models import Facts, Preparation, Verb
from recovery.replication_tasks.pace import Pace

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

MAPPINGS = (
    '{"rules": [{"rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",'
    ' "object-locator": {"schema-name": "public", "table-name": "orders"}},'
    ' {"rule-type": "selection", "rule-id": "2", "rule-name": "2", "rule-action": "include",'
    ' "object-locator": {"schema-name": "public", "table-name": "items"}}]}'
)


@dataclass
class Estate:
    """The estate that the simulator stands in: a clock, and what was told through it."""

    time: datetime = START
    events: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, str]] = field(default_factory=list)
    topics: set[str] = field(default_factory=set)

    def now(self) -> datetime:
        return self.time

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail, "resources": resources})

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        if topic_arn not in self.topics:
            raise LookupError("NotFound: Topic does not exist")
        self.notifications.append({"topic": topic_arn, "subject": subject, "message": message})


class World:
    """The simulator, a client and a gateway on it, one instance and two endpoints."""

    def __init__(self) -> None:
        self.estate = Estate()
        self.dms = DmsSimulator(self.estate)
        self.client = client_for(self.dms, "dms")
        self.seconds = 0.0
        self.gateway = ReplicationGateway(self.client, self.pace())
        instance = self.client.create_replication_instance(
            ReplicationInstanceIdentifier="r1", ReplicationInstanceClass="dms.t3.medium"
        )
        self.instance: str = instance["ReplicationInstance"]["ReplicationInstanceArn"]
        self.source, self.target = (self._endpoint(kind) for kind in ("source", "target"))

    def pace(self, **arguments: Any) -> Pace:
        """A pace on a clock of its own, which waiting moves."""

        def sleep(seconds: float) -> None:
            self.seconds += seconds

        return Pace(clock=lambda: self.seconds, sleep=sleep, **arguments)

    def advance(self, seconds: float) -> datetime:
        """Let time pass, and let what is due happen."""
        self.estate.time += timedelta(seconds=seconds)
        return self.dms.advance()

    @property
    def now(self) -> datetime:
        return self.estate.time

    def task(self, name: str, migration: str, future: Future | None = None, **arguments: Any) -> str:
        """A new task that is ready; returns its ARN."""
        answer = self.client.create_replication_task(
            ReplicationTaskIdentifier=name,
            MigrationType=migration,
            SourceEndpointArn=self.source,
            TargetEndpointArn=self.target,
            ReplicationInstanceArn=self.instance,
            TableMappings=arguments.pop("mappings", MAPPINGS),
            **arguments,
        )
        if future is not None:
            self.dms.script(name, future)
        self.advance(5)
        arn: str = answer["ReplicationTask"]["ReplicationTaskArn"]
        return arn

    def config(self, name: str, migration: str, future: Future | None = None, **arguments: Any) -> str:
        """A new serverless replication; returns its ARN."""
        answer = self.client.create_replication_config(
            ReplicationConfigIdentifier=name,
            ReplicationType=migration,
            SourceEndpointArn=self.source,
            TargetEndpointArn=self.target,
            ComputeConfig={"MaxCapacityUnits": 4},
            TableMappings=MAPPINGS,
            **arguments,
        )
        if future is not None:
            self.dms.script(name, future)
        arn: str = answer["ReplicationConfig"]["ReplicationConfigArn"]
        return arn

    def start(self, arn: str, verb: Verb = Verb.START) -> None:
        """Start a task or a serverless replication, past the gateway."""
        if ":replication-config:" in arn:
            self.client.start_replication(ReplicationConfigArn=arn, StartReplicationType=verb.value)
        else:
            self.client.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=verb.value)

    def status(self, name: str) -> str:
        self.dms.advance()
        return self.dms.replication(name).status

    def facts(self, arn: str) -> Facts:
        """Everything that the path may know of a replication."""
        found = [facts for facts in [*self.gateway.tasks(), *self.gateway.replications()] if facts.arn == arn]
        facts = self.gateway.read(found[0])
        assert facts is not None
        return with_everything(facts, self.gateway)

    def install(self, facts: Facts) -> str:
        """Put a replication into the simulator that is in exactly the state that these facts tell; returns its ARN.

        What no fact tells (future, what happens next) is the simulator's default.
        """
        settings = "" if facts.preparation is Preparation.DROP_AND_CREATE else _prepares(facts.preparation)
        if facts.serverless:
            arguments: dict[str, Any] = {"ReplicationSettings": settings} if settings else {}
            arn = self.config(facts.name, facts.migration.value, **arguments)
        else:
            arguments = {"ReplicationTaskSettings": settings} if settings else {}
            arn = self.task(facts.name, facts.migration.value, **arguments)
            self.dms.set_instance_status(self.instance, facts.instance_status)
        thing = self.dms.replication(arn)
        self.estate.time = START
        _put(thing, facts, START)
        return arn

    def _endpoint(self, kind: str) -> str:
        answer = self.client.create_endpoint(
            EndpointIdentifier=kind, EndpointType=kind, EngineName="postgres", ServerName=f"{kind}.internal"
        )
        arn: str = answer["Endpoint"]["EndpointArn"]
        return arn


def with_everything(facts: Facts, gateway: ReplicationGateway) -> Facts:
    """The same facts with table statistics and the instance's status."""
    status = "" if facts.serverless else gateway.instances().get(facts.instance, "")
    return replace(facts, tables=gateway.tables(facts), instance_status=status)


def _prepares(preparation: Preparation) -> str:
    return f'{{"FullLoadSettings": {{"TargetTablePrepMode": "{preparation.value}"}}}}'


def _put(thing: Replicator, facts: Facts, now: datetime) -> None:
    thing.status, thing.entered = facts.status, now
    thing.after = "ready"
    thing.last_failure, thing.stop_reason, thing.checkpoint = facts.last_failure, facts.stop_reason, facts.checkpoint
    thing.fresh = thing.began = facts.started if facts.has_run else None
    thing.ended = facts.stopped
    thing.accrued = thing.stage_began = now if facts.status == "running" else None
    thing.deprovisioned = facts.status == "deprovisioned"
    thing.start_type = "resume-processing" if facts.has_run else "start-replication"
    thing.tables = [
        TableRow(table.schema, table.name, 1000, table.state, table.rows / 1000, table.changes)
        for table in facts.tables or ()
    ]
    if facts.status == "running" and not thing.captures:
        thing.loading = True
