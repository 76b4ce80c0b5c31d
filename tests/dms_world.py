"""A strict DMS in this process, with a clock that only tests move: for everything that replications are tested with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.replication_tasks import recover_replication_tasks
from proof.plain_prefect import play
from recovery.alerts import Alerts
from recovery.archive import Archive
from recovery.cases import Case
from recovery.ledger import Ledger
from recovery.pacing import Pace
from recovery.replication_tasks.gateway import BURST, CALLS_PER_SECOND, ReplicationGateway
from recovery.replication_tasks.latencies import Latencies
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import PATH, Facts, Preparation, Verb
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from recovery.replication_tasks.work import ReplicationRun
from recovery.report import RecoveryReport
from recovery.scope import StartedBy
from simulated_aws.appflow.inprocess import client_for
from simulated_aws.dms import DmsSimulator, Future
from simulated_aws.dms.state import Replicator, TableRow
from tests import once

once.make_signing_key()

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

MAPPINGS = (
    '{"rules": [{"rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",'
    ' "object-locator": {"schema-name": "public", "table-name": "orders"}},'
    ' {"rule-type": "selection", "rule-id": "2", "rule-name": "2", "rule-action": "include",'
    ' "object-locator": {"schema-name": "public", "table-name": "items"}}]}'
)


@dataclass
class Estate:
    """The estate that the simulator stands in: a clock, and what was reported through it."""

    time: datetime = START
    events: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, str]] = field(default_factory=list)
    topics: set[str] = field(default_factory=set)
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail, "resources": resources})

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        if topic_arn not in self.topics:
            raise LookupError("NotFound: Topic does not exist")
        self.notifications.append({"topic": topic_arn, "subject": subject, "message": message})

    def record_metric(self, namespace: str, name: str, value: float, dimensions: dict[str, str], at: datetime) -> None:
        named = [{"Name": key, "Value": each} for key, each in dimensions.items()]
        self.metrics.append({"MetricName": name, "Dimensions": named, "Timestamp": at, "Value": value})


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
        self.runs = 0

    def pace(self, **arguments: Any) -> Pace:
        """A pace on a clock of its own, which waiting moves."""

        def sleep(seconds: float) -> None:
            self.seconds += seconds

        return Pace(CALLS_PER_SECOND, BURST, clock=lambda: self.seconds, sleep=sleep, **arguments)

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
        """Put a replication into the simulator that is in exactly the state of these facts; returns its ARN.

        The simulator's defaults fill in the rest (such as its future).
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


class Recovering(World):
    """A world with an estate in moto (make it inside `mock_aws`), in which the path runs."""

    def __init__(self) -> None:
        super().__init__()
        self.dynamodb, self.s3, self.sns, self.sqs = map(once.moto_client, ("dynamodb", "s3", "sns", "sqs"))
        self.dynamodb.create_table(
            TableName="ledger",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "wait", "since")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "waiting",
                    "KeySchema": [
                        {"AttributeName": "wait", "KeyType": "HASH"},
                        {"AttributeName": "since", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.s3.create_bucket(Bucket="archive")
        self.cloudwatch = once.moto_client("cloudwatch")
        self.topic = self.sns.create_topic(Name="alerts")["TopicArn"]
        self.people = self.sqs.create_queue(QueueName="people")["QueueUrl"]
        queue = "arn:aws:sqs:us-east-1:123456789012:people"
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue)
        self.ledger = Ledger(self.dynamodb, "ledger", sleep=lambda _: None)

    def work(self, request: ReplicationRequest, gateway: ReplicationGateway | None = None) -> ReplicationRun:
        """The tools of one more run."""
        self.runs += 1
        while some := self.estate.metrics[:500]:
            self.cloudwatch.put_metric_data(Namespace="AWS/DMS", MetricData=some)
            del self.estate.metrics[:500]
        return ReplicationRun(
            gateway or self.gateway,
            request,
            Latencies(self.cloudwatch),
            ledger=self.ledger,
            archive=Archive(self.s3, "archive"),
            alerts=Alerts(self.sns, self.topic, self.ledger, f"run {self.runs}"),
            now=self.estate.now,
            requests=dict,
            jitter=lambda: 1.0,
            monotonic=lambda: (self.estate.time - START).total_seconds(),
        )

    def recover(
        self, *tasks: str, started_by: StartedBy = StartedBy.SWEEP, dry_run: bool = False, **policy: Any
    ) -> RecoveryReport:
        """One run over all that is named (everything, unless reported)."""
        request = ReplicationRequest(
            tasks=tasks or ("*",), started_by=started_by, dry_run=dry_run, policy=ReplicationPolicy(**policy)
        )
        return recover(self.work(request))

    def case(self, arn: str) -> Case:
        """Return the ledger's case of a replication."""
        return self.ledger.read_cases(PATH, [arn])[arn]

    def memory(self, arn: str) -> Memory:
        """Return the path's memory of it."""
        return Memory.from_json(self.case(arn).detail)

    def alerts(self) -> list[dict[str, str]]:
        """Every alert that was sent since the last call: subject and text."""
        sent = []
        while found := self.sqs.receive_message(QueueUrl=self.people, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                body = json.loads(message["Body"])
                sent.append({"subject": body["Subject"], "text": body["Message"]})
                self.sqs.delete_message(QueueUrl=self.people, ReceiptHandle=message["ReceiptHandle"])
        return sent

    def starts(self, name: str) -> list[str]:
        """The start types that DMS accepted for it."""
        return self.dms.replication(name).starts


def recover(run: ReplicationRun) -> RecoveryReport:
    """The flow's own function, without a server."""
    return play(recover_replication_tasks, run.request, run)


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
        TableRow(
            table.schema,
            table.name,
            1000,
            table.state,
            table.rows / 1000,
            table.changes,
            validation=table.validation or "Not enabled",
            mismatched=table.mismatched,
        )
        for table in facts.tables or ()
    ]
    if facts.status == "running" and not thing.captures:
        thing.loading = True
