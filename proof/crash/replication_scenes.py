"""Replications: each runs again, restarted once for each failure, or a person was notified."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from blocks.connection import Connection
from flows.replication_tasks import recover_replication_tasks
from proof.crash.process import Kill
from proof.crash.scene import Findings, Unpaced, is_open
from proof.plain_prefect import play
from recovery.cases import State, from_json
from recovery.replication_tasks.models import PATH
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from recovery.scope import StartedBy
from simulated_aws.server import SimulatedAws
from tasks.replication_tasks import open_run
from tests.dms_world import MAPPINGS
from tests.unit.replication_tasks.situations import RECOVERABLE, WRONG_PASSWORD


def failing(text: str, stage: str = "cdc", **more: Any) -> dict[str, Any]:
    """A future with one failure, half a minute after its stage began."""
    return {"faults": [{"text": text, "stage": stage, "after_seconds": 30, **more}], "starting_seconds": 5}


class Replications:
    """A change capture to resume, a full load to reload, tables to load again, and one that needs a person."""

    declared = "none for a restart"
    resumed = ("start-replication", "resume-processing")

    def __init__(self, aws: SimulatedAws, *, serverless: bool = False) -> None:
        self.name = f"replications, {'serverless' if serverless else 'tasks'}"
        self.aws = aws
        self.serverless = serverless
        self.wanted: dict[str, tuple[str, ...]] = {}

    def stage(self) -> None:
        self.aws.reset()
        self.aws.create_estate()
        listen(self.aws)
        dms = self.aws.client("dms")
        dms.create_replication_instance(ReplicationInstanceIdentifier="r1", ReplicationInstanceClass="dms.t3.medium")
        for kind in ("source", "target"):
            dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, EngineName="postgres")
        self.wanted = {"orders": self.resumed, "billing": self.resumed[:1]}
        self.make("orders", "cdc", failing(RECOVERABLE))
        self.make("billing", "cdc", failing(WRONG_PASSWORD))
        if not self.serverless:
            self.make("history", "full-load", failing(RECOVERABLE, "full-load", table=""))
            self.make("tables", "full-load-and-cdc", failing("a row", "full-load", table="public.items"))
            self.wanted |= {"history": ("start-replication", "*"), "tables": self.resumed[:1]}
        self.aws.clock.advance(900 if self.serverless else 300)
        self.aws.control("POST", "dms/script", {"advance": True})

    def make(self, name: str, migration: str, future: dict[str, Any]) -> None:
        """A replication, started."""
        dms = self.aws.client("dms")
        ends = {end["EndpointIdentifier"]: end["EndpointArn"] for end in dms.describe_endpoints()["Endpoints"]}
        common = {"SourceEndpointArn": ends["source"], "TargetEndpointArn": ends["target"], "TableMappings": MAPPINGS}
        if self.serverless:
            config = dms.create_replication_config(
                ReplicationConfigIdentifier=name,
                ReplicationType=migration,
                ComputeConfig={"MaxCapacityUnits": 4},
                **common,
            )["ReplicationConfig"]["ReplicationConfigArn"]
        else:
            [instance] = dms.describe_replication_instances()["ReplicationInstances"]
            task = dms.create_replication_task(
                ReplicationTaskIdentifier=name,
                MigrationType=migration,
                ReplicationInstanceArn=instance["ReplicationInstanceArn"],
                **common,
            )["ReplicationTask"]["ReplicationTaskArn"]
        self.aws.control("POST", "dms/script", {"replication": name, "future": future})
        self.aws.clock.advance(5)
        if self.serverless:
            dms.start_replication(ReplicationConfigArn=config, StartReplicationType="start-replication")
        else:
            dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")

    def run(self, connection: Connection) -> list[str]:
        policy = ReplicationPolicy(allow_reload=("*",))
        request = ReplicationRequest(tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP, policy=policy)
        play(recover_replication_tasks, request, open_run(connection, request, cast(Any, Unpaced())))
        return []

    def later(self) -> None:
        self.aws.clock.advance(1500 if self.serverless else 900)
        self.aws.control("POST", "dms/script", {"advance": True})

    def states(self) -> dict[str, dict[str, Any]]:
        """Return states that only DMS's side of the migrations knows."""
        return {state["name"]: state for state in self.aws.control("GET", "dms/state")["replications"]}

    def is_safe(self) -> Findings:
        return Findings(lost=sorted(set(self.wanted) - set(self.states())))

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found = Findings()
        states = self.states()
        for name, wanted in self.wanted.items():
            state, starts = states[name], states[name]["starts"]
            if len(starts) > len(wanted):
                found.doubled[name] = len(starts)
                found.excess.append(f"{name}: started {starts}")
            elif len(starts) < len(wanted):
                found.lost.append(f"{name}: started {starts}, {state['status']}")
            elif wanted[-1] != "*":
                found.expect(tuple(starts) == wanted, f"{name}: started {starts}")
        found.expect(states["orders"]["status"] == "running", f"orders: {states['orders']['status']}")
        found.expect(states["orders"]["changes"] > 0, "orders: runs and moves nothing")
        found.expect(states["billing"]["status"] == "failed", f"billing: {states['billing']['status']}")
        cases = cases_of(self.aws, PATH)
        for name, state in states.items():
            case = cases.get(state["arn"])
            recorded = case.state if case else None
            right = State.ESCALATED if name == "billing" else State.RECOVERED
            found.expect(recorded is right, f"{name}: the ledger holds {recorded}, and it is {state['status']}")
        subjects = alerts(self.aws)
        found.expect({"billing" in subject for subject in subjects} == {True}, f"alerts: {subjects}")
        open_alert = is_open(kill, operations, "Publish", "PutItem")
        found.expect(1 <= len(subjects) <= 1 + open_alert, f"{len(subjects)} alerts for one incident")
        return found

    def after_trouble(self) -> Findings:
        """Each runs, restarted once for its one failure, or a person was notified."""
        found, states, cases = Findings(), self.states(), cases_of(self.aws, PATH)
        subjects = " ".join(alerts(self.aws))
        for name, wanted in self.wanted.items():
            starts, case = states[name]["starts"], cases.get(states[name]["arn"])
            state = case.state if case else None
            if len(starts) > len(wanted):
                found.excess.append(f"{name}: started {starts}")
            if state is State.ESCALATED:
                found.expect(name in subjects, f"{name}: given up, and nobody was notified")
            elif len(starts) < len(wanted) or state is not State.RECOVERED:
                found.lost.append(f"{name}: {states[name]['status']}, started {starts}, the ledger says {state}")
        return found


def listen(aws: SimulatedAws) -> None:
    """A queue that gets the alerts."""
    aws.client("sqs").create_queue(QueueName="people")
    arn = "arn:aws:sqs:us-east-1:000000000000:people"
    aws.client("sns").subscribe(TopicArn=aws.environment["REPRISE_ALERT_TOPIC_ARN"], Protocol="sqs", Endpoint=arn)


def alerts(aws: SimulatedAws) -> list[str]:
    """Subjects of the alerts."""
    return [str(json.loads(message["body"])["Subject"]) for message in aws.messages("people")]


def cases_of(aws: SimulatedAws, path: str) -> dict[str, Any]:
    """The ledger's cases of a path, by key."""
    found = {}
    table = aws.environment["REPRISE_LEDGER_TABLE"]
    for page in aws.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            if item["pk"]["S"].startswith(f"case#{path}#"):
                case = from_json(item["state"]["S"], item["data"]["S"], int(item["expires"]["N"]))
                found[case.key] = case
    return found
