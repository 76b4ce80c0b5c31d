"""Failures of all four paths, and what AWS itself says became of each."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from demo.dms_scene import TABLES
from simulated_aws import estate
from simulated_aws.server import SimulatedAws

QUEUE, SOURCE = "orders-dlq", "orders"
TABLE, TOPIC, SUBSCRIBER = "chaos-outbox", "chaos-orders", "chaos-subscriber"
QUICK: dict[str, Any] = {"starting_seconds": 1, "setup_seconds": 2, "load_seconds": 2, "changes_per_second": 5}
BROKEN = "Last Error  ODBC general error. Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE"
DOWN = {"error": "503 Service Unavailable: the connector could not reach the source", "records": 0, "seconds": 1}
BACKOFF = {"base_seconds": 1, "factor": 2, "cap_seconds": 4}
EACH = 2
"""Replications, and flows, in a burst."""


class Failures:
    """Lets work fail, and knows what must become of it.

    Args:
        aws: with an estate and the sample workload.
    """

    def __init__(self, aws: SimulatedAws) -> None:
        self._aws = aws
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._messages: set[str] = set()
        self._rows: set[str] = set()
        self._tasks: set[str] = set()
        self._flows: set[str] = set()
        self.queues = (QUEUE,)

    def prepare(self) -> None:
        """The outbox with a subscriber, and what replications need."""
        client = self._aws.client
        outputs = estate.create(
            client, estate.TEMPLATES / "outbox.yaml", "chaos-outbox", {"TableName": TABLE, "TopicName": TOPIC}
        )
        self._topic = outputs["TopicArn"]
        url = client("sqs").create_queue(QueueName=SUBSCRIBER)["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("sns").subscribe(TopicArn=self._topic, Protocol="sqs", Endpoint=arn)
        self._source_arn = "arn:aws:sqs:us-east-1:000000000000:orders"
        dms = client("dms")
        self._instance = dms.create_replication_instance(
            ReplicationInstanceIdentifier="chaos", ReplicationInstanceClass="dms.t3.medium"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        self._ends = {
            f"{kind.capitalize()}EndpointArn": dms.create_endpoint(
                EndpointIdentifier=f"chaos-{kind}", EndpointType=kind, EngineName="aurora-postgresql"
            )["Endpoint"]["EndpointArn"]
            for kind in ("source", "target")
        }

    def requests(self) -> dict[str, dict[str, Any]]:
        """Requests of the deployments."""
        messages = {
            "queues": [QUEUE],
            "policy": {"backoff": BACKOFF, "error_attributes": ["error"], "destination": SOURCE},
            "dry_run": False,
        }
        replications = {
            "tasks": ["tag:reprise=recover"],
            "policy": {"backoff": BACKOFF, "settle_seconds": 3, "flap_seconds": 1},
            "dry_run": False,
        }
        flows = {"flows": ["tag:reprise=recover"], "policy": {"backoff": BACKOFF}, "dry_run": False}
        return {
            "dead-letters/on-event": messages,
            "dead-letters/sweep": messages,
            "outbox-records/on-insert": self.outboxes()[0],
            "outbox-records/retry": self.outboxes()[0],
            "outbox-records/find-lost": {
                **self.outboxes()[0],
                "mode": "find_lost",
                "policy": {"backoff": BACKOFF, "probe_seconds": 0, "lost_after_seconds": 0},
            },
            "replication-tasks/on-failure": {**replications, "started_by": "event"},
            "replication-tasks/sweep": {**replications, "started_by": "sweep"},
            "appflow-runs/on-failure": {**flows, "started_by": "event"},
            "appflow-runs/sweep": {**flows, "started_by": "sweep"},
        }

    def outboxes(self) -> list[dict[str, Any]]:
        """The outbox, as the relay and the deployments get it."""
        policy = {"backoff": BACKOFF, "probe_seconds": 0}
        return [{"table": TABLE, "topic_arn": self._topic, "policy": policy, "dry_run": False}]

    def burst(self, items: int) -> None:
        """Let messages, rows, replications and flows fail."""
        with self._lock:
            for _ in range(EACH):
                self._fail_flow(f"flow-{next(self._numbers)}")
                self._fail_task(f"task-{next(self._numbers)}")
            for _ in range(items):
                self._write_row(f"row-{next(self._numbers)}")
                self._send_message(f"message-{next(self._numbers)}")

    def missing(self) -> list[str]:
        """Return the items that are not recovered yet; empty when all are."""
        back = Counter(message["body"] for message in self._aws.messages(SOURCE))
        sent = self._received()
        running = {state["name"] for state in self._replications() if _is_back(state)}
        return [
            *(f"{message} did not come back to {SOURCE}" for message in sorted(self._messages - set(back))),
            *(f"{row} was not published" for row in sorted(self._rows - set(sent))),
            *(f"{task} does not run" for task in sorted(self._tasks - running)),
            *(f"{flow} has no successful run" for flow in sorted(self._flows) if not self._has_succeeded(flow)),
        ]

    def summary(self) -> str:
        """Count the recovered items of each kind, and those that came twice."""
        missing = self.missing()
        kinds = (("message", self._messages), ("row", self._rows), ("task", self._tasks), ("flow", self._flows))
        parts = [
            f"{len(all_of) - sum(line.startswith(f'{kind}-') for line in missing)} of {len(all_of)} {kind}s"
            for kind, all_of in kinds
        ]
        back = Counter(message["body"] for message in self._aws.messages(SOURCE))
        twice = sum(count - 1 for count in [*back.values(), *self._received().values()])
        return f"{', '.join(parts)} recovered; {twice} sent twice"

    # -- inside --------------------------------------------------------------------------------------------------

    def _send_message(self, name: str) -> None:
        error = {"DataType": "String", "StringValue": "503 Service Unavailable: stock.internal"}
        url = self._aws.queue_url(QUEUE)
        self._aws.client("sqs").send_message(QueueUrl=url, MessageBody=name, MessageAttributes={"error": error})
        self._messages.add(name)

    def _write_row(self, name: str) -> None:
        item = {"id": {"S": name}, "message": {"S": json.dumps({"order": name})}}
        self._aws.client("dynamodb").put_item(TableName=TABLE, Item=item)
        self._rows.add(name)

    def _fail_task(self, name: str) -> None:
        fault = {"text": BROKEN, "stage": "cdc", "after_seconds": 1}
        dms = self._aws.client("dms")
        task = dms.create_replication_task(
            ReplicationTaskIdentifier=name,
            MigrationType="cdc",
            ReplicationInstanceArn=self._instance,
            TableMappings=TABLES,
            Tags=[{"Key": "reprise", "Value": "recover"}],
            **self._ends,
        )["ReplicationTask"]["ReplicationTaskArn"]
        self._aws.control("POST", "dms/script", {"replication": name, "future": {**QUICK, "faults": [fault]}})
        while next(state for state in self._replications() if state["name"] == name)["status"] == "creating":
            threading.Event().wait(0.2)
        dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")
        self._tasks.add(name)

    def _fail_flow(self, name: str) -> None:
        self._aws.control("POST", "appflow/script", {"flow": name, "outcomes": [DOWN]})
        written = {"object": "Order__c", "writeOperationType": "UPSERT", "idFieldNames": ["Id"]}
        appflow = self._aws.client("appflow")
        appflow.create_flow(
            flowName=name,
            triggerConfig={"triggerType": "OnDemand"},
            sourceFlowConfig={
                "connectorType": "Salesforce",
                "connectorProfileName": "shop",
                "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
            },
            destinationFlowConfigList=[
                {"connectorType": "Salesforce", "destinationConnectorProperties": {"Salesforce": written}}
            ],
            tasks=[
                {
                    "sourceFields": ["Id"],
                    "connectorOperator": {"Salesforce": "NO_OP"},
                    "destinationField": "Id",
                    "taskType": "Map",
                }
            ],
            tags={"reprise": "recover"},
        )
        appflow.start_flow(flowName=name)
        self._flows.add(name)

    def _replications(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._aws.control("GET", "dms/state")["replications"]
        return found

    def _received(self) -> Counter[str]:
        envelopes = [json.loads(message["body"]) for message in self._aws.messages(SUBSCRIBER)]
        return Counter(json.loads(envelope["Message"])["order"] for envelope in envelopes)

    def _has_succeeded(self, flow: str) -> bool:
        records = self._aws.client("appflow").describe_flow_execution_records(flowName=flow)["flowExecutions"]
        return any(record["executionStatus"] == "Successful" for record in records)


def _is_back(state: Mapping[str, Any]) -> bool:
    return bool(state["status"] == "running" and len(state["starts"]) > 1)
