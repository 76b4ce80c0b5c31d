"""Flows of AppFlow: each failure gets one further run, by itself or by a twin, or a person was notified."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from blocks.connection import Connection
from flows.appflow_runs import recover_appflow_runs
from proof.crash.process import Kill, in_child
from proof.crash.replication_scenes import alerts, cases_of, listen
from proof.crash.scene import Findings, Unpaced, for_one_run, is_open
from proof.plain_prefect import play
from recovery.appflow_runs.gateway import AppFlowGateway
from recovery.appflow_runs.models import PATH, TWIN_PREFIX
from recovery.appflow_runs.policy import AppFlowPolicy, AppFlowRequest
from recovery.appflow_runs.work import AppFlowRun
from recovery.cases import State
from simulated_aws.server import SimulatedAws
from tests.appflow_world import TASKS, to_salesforce
from tests.unit.appflow_runs.situations import DOWN, EXPIRED

DAILY = {"scheduleExpression": "rate(1days)", "dataPullMode": "Complete"}
HOURLY = {"scheduleExpression": "rate(1hours)", "dataPullMode": "Complete", "flowErrorDeactivationThreshold": 1}
POLICY = AppFlowPolicy(allow_twin=True, allow_reactivate=True)


class Flows:
    """A flow on demand whose run failed and is due; its next run works."""

    declared = "none"
    error = DOWN
    schedule: dict[str, Any] | None = None
    runs: tuple[str, ...] = ("Error", "Successful")

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        self.name = "flows, on demand"
        self.aws = aws
        self._connection = connection

    def stage(self) -> None:
        self.aws.reset()
        self.aws.create_estate()
        listen(self.aws)
        self.make("orders")
        self.aws.clock.advance(600)

    def make(self, name: str) -> None:
        """A flow whose first run fails as the scene says, and has begun."""
        appflow = self.aws.client("appflow")
        outcome = {"error": self.error, "records": 0}
        self.aws.control("POST", "appflow/script", {"flow": name, "outcomes": [outcome]})
        trigger: dict[str, Any] = {"triggerType": "OnDemand"}
        if self.schedule:
            trigger = {"triggerType": "Scheduled", "triggerProperties": {"Scheduled": self.schedule}}
        appflow.create_flow(
            flowName=name,
            triggerConfig=trigger,
            sourceFlowConfig={
                "connectorType": "Salesforce",
                "connectorProfileName": "crm",
                "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
            },
            destinationFlowConfigList=[to_salesforce("UPSERT")],
            tasks=TASKS,
        )
        appflow.start_flow(flowName=name)

    def run(self, connection: Connection) -> list[str]:
        request = AppFlowRequest(flows=("*",), dry_run=False, policy=POLICY)
        gateway = AppFlowGateway(connection.client("appflow"), cast(Any, Unpaced()))
        play(recover_appflow_runs, request, AppFlowRun(gateway, request, **connection.tools()))
        return []

    def later(self) -> None:
        self.aws.clock.advance(600)

    def flows(self) -> dict[str, Any]:
        """All flows by name."""
        return {flow["flowName"]: flow for flow in self.aws.client("appflow").list_flows()["flows"]}

    def statuses(self, flow: str = "orders") -> tuple[str, ...]:
        """The runs of a flow, oldest first."""
        records = self.aws.client("appflow").describe_flow_execution_records(flowName=flow)["flowExecutions"]
        return tuple(run["executionStatus"] for run in sorted(records, key=lambda run: run["startedAt"]))

    def is_safe(self) -> Findings:
        return Findings(lost=[] if "orders" in self.flows() else ["orders"])

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found = Findings()
        runs = self.statuses()
        if len(runs) > len(self.runs):
            found.doubled["orders"] = len(runs) - 1
            found.excess.append(f"runs: {runs}")
        elif runs != self.runs:
            found.lost.append(f"orders: {runs}")
        self.check(found, kill, operations)
        return found

    def check(self, found: Findings, kill: Kill | None, operations: Sequence[str]) -> None:
        """Beyond the flow's own runs."""
        case = cases_of(self.aws, PATH).get("orders")
        found.expect(case is not None and case.state is State.RECOVERED, f"the ledger says {case and case.state}")
        found.expect(not alerts(self.aws), f"alerts: {alerts(self.aws)}")
        left = [name for name in self.flows() if name.startswith(TWIN_PREFIX)]
        found.expect(not left, f"twins left behind: {left}")

    def after_trouble(self) -> Findings:
        """One further run at most, and it worked; or a person was notified."""
        found, runs = Findings(), self.statuses()
        case = cases_of(self.aws, PATH).get("orders")
        state = case.state if case else None
        if len(runs) > len(self.runs):
            found.excess.append(f"runs: {runs}")
        if state is State.ESCALATED:
            found.expect(bool(alerts(self.aws)), "given up, and nobody was notified")
        elif state is not State.RECOVERED:
            found.lost.append(f"orders: {runs}, the ledger says {state}")
        return found


class ForAPerson(Flows):
    """A flow whose credentials have run out."""

    declared = "an alert that was not written down: one more"
    error, runs = EXPIRED, ("Error",)

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name = "flows, for a person"

    def check(self, found: Findings, kill: Kill | None, operations: Sequence[str]) -> None:
        case = cases_of(self.aws, PATH).get("orders")
        found.expect(case is not None and case.state is State.ESCALATED, f"the ledger says {case and case.state}")
        count, open_alert = len(alerts(self.aws)), is_open(kill, operations, "Publish", "PutItem")
        found.expect(1 <= count <= 1 + open_alert, f"{count} alerts for one incident")


class Twin(Flows):
    """A scheduled flow that failed and whose schedule is far: a temporary twin makes the transfer."""

    schedule, runs = DAILY, ("Error",)

    def __init__(self, aws: SimulatedAws, connection: Connection, *, has_run: bool = False) -> None:
        super().__init__(aws, connection)
        self.name = "flows, twin to settle" if has_run else "flows, twin to make"
        self._has_run = has_run

    def stage(self) -> None:
        super().stage()
        # AppFlow's events of runs, since a twin's records go with it.
        self.aws.client("sqs").create_queue(QueueName="reports")
        events = self.aws.client("events")
        events.put_rule(Name="reports", EventPattern=json.dumps({"source": ["aws.appflow"]}))
        target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:reports"}
        events.put_targets(Rule="reports", Targets=[target])
        if self._has_run:
            ended = in_child(lambda: self.run(for_one_run(self._connection, self.aws)))
            assert not ended.error, ended.error
            self.later()

    def check(self, found: Findings, kill: Kill | None, operations: Sequence[str]) -> None:
        super().check(found, kill, operations)
        case = cases_of(self.aws, PATH).get("orders")
        attempts = case.detail.get("attempts", ()) if case else ()
        found.expect([each["outcome"] for each in attempts] == ["Successful"], f"attempts: {attempts}")
        reports = [json.loads(message["body"]) for message in self.aws.messages("reports")]
        ended = [each["detail"] for each in reports if each["detail-type"] == "AppFlow End Flow Run Report"]
        made = {each["execution-id"] for each in ended if each["flow-name"].startswith(TWIN_PREFIX)}
        if len(made) > 1:
            found.doubled["transfer"] = len(made)
            found.excess.append(f"the twins ran {len(made)} times")
        elif not made:
            found.lost.append("no twin made the transfer")


class SwitchedOff(Flows):
    """A flow that AppFlow switched off after its failure: it is activated again, once, and runs."""

    schedule = HOURLY

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name = "flows, switched off"

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found = Findings()
        flow = self.flows()["orders"]
        found.expect(flow["flowStatus"] == "Active", f"orders is {flow['flowStatus']}")
        runs = self.statuses()
        found.expect(runs[:1] == ("Error",), f"runs: {runs}")
        found.expect(runs[1:2] == ("Successful",), f"runs: {runs}")
        self.check(found, kill, operations)
        return found
