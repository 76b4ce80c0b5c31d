"""Answers of DMS and AppFlow with fields that are missing, unknown or odd: each is decided on, set aside or refused.

The gateways are asked through clients that hand out such answers, so that nothing but the project's own errors comes
back from them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from proof.rubbish.mutation import TIMES as ODD_TIMES
from proof.rubbish.mutation import Rubbish
from proof.rubbish.reasons import check_reason
from recovery.appflow_runs import memory as flow_memory
from recovery.appflow_runs import rules as flow_rules
from recovery.appflow_runs.causes import diagnosed
from recovery.appflow_runs.coverage import Coverage
from recovery.appflow_runs.gateway import AppFlowGateway
from recovery.appflow_runs.models import FlowFacts
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.errors import RepriseError
from recovery.failures import DEFAULT_RULES
from recovery.pacing import Pace
from recovery.replication_tasks import rules as task_rules
from recovery.replication_tasks.causes import cause_of
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.memory import Memory, mark_of
from recovery.replication_tasks.models import History
from recovery.replication_tasks.policy import ReplicationPolicy, matches
from recovery.replication_tasks.situation import Situation
from tests.unit.replication_tasks.situations import SITUATIONS

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
AGO = NOW - timedelta(hours=2)
TEXTS = sorted({situation.facts.stop_reason for situation in SITUATIONS if situation.facts.stop_reason})
TASK: dict[str, Any] = {
    "ReplicationTaskArn": "arn:aws:dms:us-east-1:000000000000:task:ORDERS",
    "ReplicationTaskIdentifier": "orders",
    "MigrationType": "full-load-and-cdc",
    "Status": "failed",
    "LastFailureMessage": "",
    "StopReason": "",
    "ReplicationInstanceArn": "arn:aws:dms:us-east-1:000000000000:rep:R1",
    "ReplicationTaskSettings": '{"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}}',
    "ReplicationTaskStartDate": AGO,
    "RecoveryCheckpoint": "checkpoint:V1#90#orders-log.000090:4#0#0#*#0#0",
    "CdcStartPosition": "",
    "ReplicationTaskStats": {"FreshStartDate": AGO, "StartDate": AGO, "StopDate": AGO, "TablesErrored": 1},
}
REPLICATION: dict[str, Any] = {
    "ReplicationConfigArn": "arn:aws:dms:us-east-1:000000000000:replication-config:ORDERS",
    "ReplicationConfigIdentifier": "orders",
    "ReplicationType": "cdc",
    "Status": "failed",
    "FailureMessages": ["Last Error", "boom"],
    "StopReason": "",
    "RecoveryCheckpoint": "",
    "CdcStartTime": AGO,
    "ReplicationLastStopTime": AGO,
    "ReplicationDeprovisionTime": NOW + timedelta(hours=46),
    "ReplicationStats": {"StartDate": AGO, "StopDate": AGO, "TablesErrored": 0},
}
TABLE: dict[str, Any] = {
    "SchemaName": "public",
    "TableName": "orders",
    "TableState": "Table completed",
    "FullLoadRows": 1000,
    "Inserts": 3,
    "Deletes": 0,
    "Updates": 1,
    "Ddls": 0,
    "FullLoadStartTime": AGO,
}
INSTANCE = {"ReplicationInstanceArn": TASK["ReplicationInstanceArn"], "ReplicationInstanceStatus": "available"}
TAGS = [{"Key": "team", "Value": "a", "ResourceArn": TASK["ReplicationTaskArn"]}]
FLOW: dict[str, Any] = {
    "flowName": "orders",
    "flowArn": "arn:aws:appflow:eu-west-1:000000000000:flow/orders",
    "flowStatus": "Active",
    "flowStatusMessage": "",
    "triggerType": "Scheduled",
    "triggerConfig": {
        "triggerType": "Scheduled",
        "triggerProperties": {
            "Scheduled": {
                "scheduleExpression": "rate(5minutes)",
                "dataPullMode": "Incremental",
                "scheduleStartTime": AGO,
                "scheduleOffset": 60,
                "flowErrorDeactivationThreshold": 3,
            }
        },
    },
    "sourceFlowConfig": {"connectorType": "Salesforce"},
    "destinationFlowConfigList": [
        {"connectorType": "Redshift", "destinationConnectorProperties": {"Redshift": {"object": "x"}}}
    ],
    "lastRunExecutionDetails": {"mostRecentExecutionStatus": "Error", "mostRecentExecutionTime": AGO},
    "tags": {"team": "a"},
}
RUN: dict[str, Any] = {
    "executionId": "e-1",
    "executionStatus": "Error",
    "startedAt": AGO,
    "lastUpdatedAt": AGO,
    "dataPullStartTime": AGO - timedelta(hours=1),
    "dataPullEndTime": AGO,
    "executionResult": {
        "bytesWritten": 0,
        "recordsProcessed": 0,
        "errorInfo": {"putFailuresCount": 0, "executionMessage": "Request to the source timed out"},
    },
}


class Client:
    """Answers each call with what was planted for it, whatever is asked."""

    def __init__(self, planted: dict[str, Any]) -> None:
        self._planted = planted

    def __getattr__(self, name: str) -> Any:
        return lambda **_: self._planted.get(name, {})


def made(rubbish: Rubbish) -> dict[str, Any]:
    """The answers of one service about one of its things, mutated."""
    if rubbish.chance(0.5):
        return _of_appflow(rubbish)
    task = {**TASK, "Status": rubbish.pick(("failed", "stopped", "running", "ready", "FAILED", rubbish.text()))}
    task |= {name: rubbish.pick(TEXTS) for name in ("LastFailureMessage", "StopReason") if rubbish.chance(0.7)}
    task["MigrationType"] = rubbish.pick(("cdc", "full-load", "full-load-and-cdc"))
    config = {**REPLICATION, "Status": rubbish.pick(("failed", "stopped", "deprovisioned", "running"))}
    tables = [TABLE, {**TABLE, "TableName": "items", "TableState": "Table error"}]
    return {
        "service": "dms",
        "describe_replication_tasks": {"ReplicationTasks": [_odd(rubbish, task)]},
        "describe_replications": {"Replications": [_odd(rubbish, config)]},
        "describe_replication_configs": {"ReplicationConfigs": [{"ReplicationSettings": rubbish.text()}]},
        "describe_table_statistics": {"TableStatistics": [_odd(rubbish, table) for table in tables]},
        "describe_replication_table_statistics": {"ReplicationTableStatistics": [_odd(rubbish, TABLE)]},
        "describe_replication_instances": {"ReplicationInstances": [_odd(rubbish, INSTANCE)]},
        "list_tags_for_resource": {"TagList": [_odd(rubbish, tag) for tag in TAGS]},
    }


def _of_appflow(rubbish: Rubbish) -> dict[str, Any]:
    trigger = rubbish.pick(("Scheduled", "OnDemand", "Event"))
    flow = {**FLOW, "triggerType": trigger, "triggerConfig": {**FLOW["triggerConfig"], "triggerType": trigger}}
    flow["flowStatus"] = rubbish.pick(("Active", "Suspended", "Errored", "Draft"))
    statuses = ("Error", "Successful", "InProgress", "Canceled")
    runs = [
        {**RUN, "executionId": f"e-{n}", "executionStatus": rubbish.pick(statuses) if n else "Error"} for n in range(3)
    ]
    return {
        "service": "appflow",
        "list_flows": {"flows": [_odd(rubbish, flow)]},
        "describe_flow": _odd(rubbish, flow),
        "describe_flow_execution_records": {"flowExecutions": [_odd(rubbish, run) for run in runs]},
    }


def _odd(rubbish: Rubbish, answer: dict[str, Any]) -> dict[str, Any]:
    """Change an answer: fields go missing, unknown ones appear, values get odd. Its types stay, as the SDK's parser
    guarantees them: an object stays an object, a list a list, and a time a time.
    """
    changed: dict[str, Any] = {}
    for name, value in answer.items():
        if rubbish.chance(0.06):
            continue
        if rubbish.chance(0.02):
            changed[rubbish.text()[:40]] = rubbish.text()
        changed[name] = _odd_value(rubbish, value)
    return changed


def _odd_value(rubbish: Rubbish, value: Any) -> Any:
    if isinstance(value, dict):
        return {} if rubbish.chance(0.05) else _odd(rubbish, value)
    if isinstance(value, list):
        return [] if rubbish.chance(0.05) else [_odd_value(rubbish, each) for each in value]
    if not rubbish.chance(0.06):
        return value
    if isinstance(value, datetime):
        return rubbish.pick(ODD_TIMES)
    return rubbish.text() if isinstance(value, str) else rubbish.pick((0, -1, 2**31, 2**63, 10**400))


def outcome(case: dict[str, Any]) -> str:
    """Return the rules that decided, or "set aside", or the name of the refusal."""
    pace = Pace(1e9, 1_000)
    client = cast(Any, Client(case))
    try:
        if case["service"] == "dms":
            return _decided_on_tasks(ReplicationGateway(client, pace))
        return _decided_on_flows(AppFlowGateway(client, pace))
    except RepriseError as refusal:
        check_reason(str(refusal))
        return f"{case['service']}: {type(refusal).__name__}"


def _decided_on_tasks(dms: ReplicationGateway) -> str:
    rules = []
    found = [*dms.tasks(), *dms.replications()]
    assert len(found) + len(dms.unreadable) == 2, "something was listed and neither read nor set aside"
    instances = dms.instances()
    for listed in found:
        facts = dms.read(listed)
        assert facts is not None
        status = instances.get(facts.instance, "")
        tags = dms.tags([facts.arn])[facts.arn]
        facts = replace(facts, tables=dms.tables(facts), instance_status=status, tags=tags)
        matches(facts, ("orders*", "tag:team=a"))
        memory = Memory().begun(facts, NOW, 0.5)
        again = Memory.from_json(json.loads(json.dumps(memory.as_json())))
        for history in (History(), again.history()):
            decision = task_rules.decide(Situation(facts, history), ReplicationPolicy(allow_reload=("*",)), NOW)
            check_reason(decision.reason)
            assert decision.rule
            rules.append(decision.rule)
        if facts.failure:
            assert cause_of(facts).reason
        mark_of(facts)
    return f"dms: {' '.join(dict.fromkeys(rules)) or 'set aside'}"


def _decided_on_flows(appflow: AppFlowGateway) -> str:
    found, unread = appflow.list_flows()
    assert len(found) + len(unread) == 1, "something was listed and neither read nor set aside"
    assert all(len(str(line.problem)) > 10 for line in unread)
    described = appflow.flow("orders")
    assert described is not None
    policy = AppFlowPolicy(allow_twin=True)
    runs = appflow.runs("orders")
    Coverage().with_runs(runs).gaps()
    facts, _ = diagnosed(FlowFacts(described.flow, runs), flow_memory.Memory().history, DEFAULT_RULES)
    history, _ = flow_memory.up_to_date(flow_memory.Memory().history, facts, policy)
    memory = flow_memory.Memory(history=history, coverage=Coverage().with_runs(runs))
    flow_memory.Memory.from_json(json.loads(json.dumps(memory.as_json())))
    verdict = flow_rules.decide(facts, history, policy, NOW)
    check_reason(verdict.reason)
    return f"appflow: {type(verdict).__name__} {verdict.rule}"
