"""A strict AppFlow in this process, with a ledger, a clock that only tests move, and runs of the path on them.

Ledger, archive and alerts live in moto, so a test that makes a world runs inside `mock_aws` (the fixture `world`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto import mock_aws

from flows.appflow_runs import recover_appflow_runs
from proof.plain_prefect import play
from recovery.alerts import Alerts
from recovery.appflow_runs.gateway import CALLS_PER_SECOND, AppFlowGateway
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH, TWIN_PREFIX, Flow, Run, Schedule
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.appflow_runs.work import AppFlowRun
from recovery.archive import Archive
from recovery.aws import Requests
from recovery.cases import Case
from recovery.ledger import Ledger
from recovery.pacing import Pace
from recovery.report import RecoveryReport
from simulated_aws.appflow import AppFlowSimulator, Outcome
from simulated_aws.appflow.inprocess import client_for
from simulated_aws.appflow.state import SimulatedRun
from tests import once

once.make_signing_key()

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TABLE, BUCKET, TOPIC = "ledger", "archive", "alerts"
REGION = "us-east-1"
TASKS = [
    {
        "sourceFields": ["Id"],
        "connectorOperator": {"Salesforce": "NO_OP"},
        "destinationField": "Id",
        "taskType": "Map",
    }
]
MUTATING = frozenset(
    {"CreateFlow", "UpdateFlow", "StartFlow", "StopFlow", "DeleteFlow", "TagResource", "UntagResource"}
)


@dataclass
class Estate:
    """The estate that the simulator stands in: a clock, and the events that were sent."""

    time: datetime = START
    events: list[dict[str, Any]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail, "resources": resources})

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        raise AssertionError("AppFlow publishes to no topic")


class Through:
    """Stands between the path and a client, and is reported every call."""

    def __init__(self, client: Any, around: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._client, self._around = client, around

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._client, name)
        if not callable(inner) or name in ("meta", "exceptions"):
            return inner
        return lambda *args, **kwargs: self._around(name, lambda: inner(*args, **kwargs))


class World:
    """The simulator, an estate in moto, and what runs of the path leave behind."""

    def __init__(self, **simulator: Any) -> None:
        self.estate = Estate()
        self.appflow = AppFlowSimulator(self.estate, **simulator)
        self.client: Any = client_for(self.appflow)
        self.dynamodb = once.moto_client("dynamodb")
        self.sns = once.moto_client("sns")
        self.sqs = once.moto_client("sqs")
        self.s3 = once.moto_client("s3")
        self.runs = 0
        self._make_estate()

    # -- the estate ------------------------------------------------------------------------------------------------

    def _make_estate(self) -> None:
        self.dynamodb.create_table(
            TableName=TABLE,
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
        self.s3.create_bucket(Bucket=BUCKET)
        self.topic = self.sns.create_topic(Name=TOPIC)["TopicArn"]
        queue = self.sqs.create_queue(QueueName="people")["QueueUrl"]
        self.people = queue
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:people")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.dynamodb, TABLE, sleep=lambda _: None)

    def case(self, flow: str) -> Case | None:
        """The case of a flow."""
        return self.ledger.read_cases(PATH, [flow]).get(flow)

    def memory(self, flow: str) -> Memory:
        """Return the ledger's memory of a flow."""
        case = self.case(flow)
        return Memory.from_json(case.detail if case else {})

    def alerts(self) -> list[str]:
        """Subjects of all alerts since the last call."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.people, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"])["Subject"])
                self.sqs.delete_message(QueueUrl=self.people, ReceiptHandle=message["ReceiptHandle"])
        return found

    # -- time and flows --------------------------------------------------------------------------------------------

    def advance(self, **duration: float) -> None:
        """Let time pass, and let what is due happen."""
        self.estate.time += timedelta(**duration)
        self.appflow.advance()

    def flow(
        self,
        name: str,
        *outcomes: Outcome,
        schedule: dict[str, Any] | None = None,
        trigger: str = "OnDemand",
        destination: dict[str, Any] | None = None,
        profile: str = "crm",
        start: bool = True,
        **other: Any,
    ) -> str:
        """A flow from Salesforce, whose next runs go as scripted; started, and given time to end its first run."""
        if outcomes:
            self.appflow.script(*outcomes, flow=name)
        if schedule is not None:
            trigger = "Scheduled"
        config: dict[str, Any] = {"triggerType": trigger}
        if schedule is not None:
            config["triggerProperties"] = {"Scheduled": schedule}
        self.client.create_flow(
            flowName=name,
            triggerConfig=config,
            sourceFlowConfig={
                "connectorType": "Salesforce",
                "connectorProfileName": profile,
                "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
            },
            destinationFlowConfigList=[destination or to_salesforce("UPSERT")],
            tasks=TASKS,
            **other,
        )
        if start:
            self.client.start_flow(flowName=name)
            self.advance(seconds=5)
        return name

    def install(self, flow: Flow, runs: tuple[Run, ...]) -> None:
        """Put a flow into the simulator that is in exactly this state, with these runs."""
        schedule = _scheduled(flow.schedule) if flow.schedule else None
        destination = flow.destinations[0]
        described = to_salesforce(destination.operation) if destination.connector == "Salesforce" else None
        self.flow(
            flow.name,
            schedule=schedule,
            trigger=flow.trigger.value,
            destination=described or TO[destination.connector],
            start=False,
        )
        thing = self.appflow.flow(flow.name)
        if flow.trigger != "OnDemand" and flow.status == "Active":
            self.appflow.pretend_active(flow.name)
        else:
            thing.status = flow.status.value
            thing.status_message = flow.status_message or None
        thing.runs = [_simulated(run) for run in reversed(runs)]

    def changes(self) -> list[tuple[str, str]]:
        """Calls so far that change something, with the name of the flow."""
        return [call for call in self.appflow.calls if call[0] in MUTATING]

    def twins(self) -> list[str]:
        """Temporary twins that stand there."""
        return [name for name in self.appflow.names() if name.startswith(TWIN_PREFIX)]

    def definition(self, name: str) -> dict[str, Any]:
        """All that a person has set on a flow."""
        answer = self.client.describe_flow(flowName=name)
        for volatile in ("ResponseMetadata", "lastRunExecutionDetails", "flowStatus", "flowStatusMessage"):
            answer.pop(volatile, None)
        return dict(answer)

    # -- runs of the path ------------------------------------------------------------------------------------------

    def work(self, request: AppFlowRequest, through: Callable[[Any], Any] = lambda client: client) -> AppFlowRun:
        """The tools of one run.

        Args:
            request: of the run.
            through: puts something between the path and each client.
        """
        requests = Requests()
        requests.watch(self.client)
        kept = Ledger(through(self.dynamodb), TABLE, sleep=lambda _: None)
        self.runs += 1
        return AppFlowRun(
            appflow=AppFlowGateway(through(self.client), self.pace()),
            ledger=kept,
            archive=Archive(through(self.s3), BUCKET),
            alerts=Alerts(through(self.sns), self.topic, kept, f"run-{self.runs}"),
            now=self.estate.now,
            requests=requests.by_service,
            request=request,
            monotonic=self.seconds,
        )

    def pace(self) -> Pace:
        """A pace whose waiting moves the world's clock."""

        def sleep(seconds: float) -> None:
            self.estate.time += timedelta(seconds=seconds)

        return Pace(CALLS_PER_SECOND, clock=self.seconds, sleep=sleep)

    def seconds(self) -> float:
        """The clock as a number that only grows; waiting for the pace moves it."""
        return (self.estate.time - START).total_seconds()

    def recover(
        self,
        *flows: str,
        dry_run: bool = False,
        through: Callable[[Any], Any] = lambda client: client,
        **request: Any,
    ) -> RecoveryReport:
        """One run of the path over these flows (all, unless named)."""
        asked = AppFlowRequest(flows=flows or ("*",), dry_run=dry_run, **request)
        return play(recover_appflow_runs, asked, self.work(asked, through))

    def sweeps(
        self,
        hours: float,
        *,
        every: float = 10,
        until: Callable[[], bool] | None = None,
        flows: tuple[str, ...] = (),
        **request: Any,
    ) -> None:
        """Sweep as the deployment does, every ten minutes, until the time has passed or something is reached."""
        for _ in range(round(hours * 60 / every)):
            self.recover(*flows, started_by="sweep", **request)
            if until is not None and until():
                return
            self.advance(minutes=every)


@contextmanager
def a_world(**simulator: Any) -> Iterator[World]:
    """A world in a moto of its own."""
    with mock_aws():
        yield World(**simulator)


def to_salesforce(operation: str) -> dict[str, Any]:
    """A destination in Salesforce."""
    properties: dict[str, Any] = {"object": "Order__c"}
    if operation:
        properties["writeOperationType"] = operation
    if operation == "UPSERT":
        properties["idFieldNames"] = ["Id"]
    return {"connectorType": "Salesforce", "destinationConnectorProperties": {"Salesforce": properties}}


TO: dict[str, dict[str, Any]] = {
    "S3": {"connectorType": "S3", "destinationConnectorProperties": {"S3": {"bucketName": "lake"}}},
    "Snowflake": {
        "connectorType": "Snowflake",
        "connectorProfileName": "warehouse",
        "destinationConnectorProperties": {"Snowflake": {"object": "ORDERS", "intermediateBucketName": "stage"}},
    },
}


def _scheduled(schedule: Schedule) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "scheduleExpression": schedule.expression,
        "dataPullMode": "Incremental" if schedule.incremental else "Complete",
        "scheduleStartTime": schedule.starts,
        "scheduleEndTime": schedule.ends,
        "flowErrorDeactivationThreshold": schedule.threshold,
    }
    return {name: value for name, value in answer.items() if value is not None}


def _simulated(run: Run) -> SimulatedRun:
    error = run.message if run.status == "Error" else ""
    return SimulatedRun(
        id=run.id,
        outcome=Outcome(
            error=error,
            records=run.records or 0,
            failed_records=run.failed_records or 0,
            bytes_written=run.bytes_written,
            has_bytes=run.bytes_written is not None,
            has_records=run.records is not None,
        ),
        started=run.started,
        ends=run.updated,
        status=run.status.value,
        updated=run.updated,
    )
