"""The replication path as Prefect runs it, on the simulated AWS with the strict DMS in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from flows.replication_tasks import recover_replication_tasks
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tests.dms_world import MAPPINGS
from tests.orchestration.path_runs import alerts, artifacts, report_of, subscribe_people
from tests.unit.replication_tasks.situations import RECOVERABLE, WRONG_PASSWORD


@pytest.fixture(autouse=True)
def people(aws: SimulatedAws) -> None:
    """People who get alerts, a replication instance and two endpoints."""
    subscribe_people(aws)
    dms = aws.client("dms")
    dms.create_replication_instance(ReplicationInstanceIdentifier="r1", ReplicationInstanceClass="dms.t3.medium")
    for kind in ("source", "target"):
        dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, EngineName="postgres")


def make(aws: SimulatedAws, name: str, migration: str, text: str, stage: str = "cdc", **future: Any) -> str:
    """A task that fails half a minute into its stage, is started, and has failed."""
    dms = aws.client("dms")
    ends = {end["EndpointIdentifier"]: end["EndpointArn"] for end in dms.describe_endpoints()["Endpoints"]}
    task = dms.create_replication_task(
        ReplicationTaskIdentifier=name,
        MigrationType=migration,
        SourceEndpointArn=ends["source"],
        TargetEndpointArn=ends["target"],
        ReplicationInstanceArn=dms.describe_replication_instances()["ReplicationInstances"][0][
            "ReplicationInstanceArn"
        ],
        TableMappings=MAPPINGS,
    )["ReplicationTask"]
    fault = {"text": text, "stage": stage, "after_seconds": 20}
    aws.control("POST", "dms/script", {"replication": name, "future": {"faults": [fault], **future}})
    aws.clock.advance(5)
    dms.start_replication_task(
        ReplicationTaskArn=task["ReplicationTaskArn"], StartReplicationTaskType="start-replication"
    )
    aws.clock.advance(200)
    assert state_of(aws, name)["status"] == "failed"
    return str(task["ReplicationTaskArn"])


def state_of(aws: SimulatedAws, name: str) -> dict[str, Any]:
    """Return the states that DMS itself knows."""
    [state] = [each for each in aws.control("GET", "dms/state")["replications"] if each["name"] == name]
    return dict(state)


def recover(*tasks: str, **request: Any) -> RecoveryReport:
    """One run of the flow that ends well."""
    request.setdefault("dry_run", False)
    report = recover_replication_tasks(ReplicationRequest(tasks=tasks, **request))
    assert isinstance(report, RecoveryReport)
    return report


def test_resumed_and_proved(aws: SimulatedAws) -> None:
    """A failed capture is resumed by one run and proved by a later one, with the time that it took."""
    make(aws, "orders", "cdc", RECOVERABLE)
    first = recover("orders", started_by="sweep")
    assert first.by_action == {"resume": 1}
    assert first.missed_events == 1
    assert state_of(aws, "orders")["starts"] == ["start-replication", "resume-processing"]
    aws.clock.advance(900)
    end = recover("orders", started_by="sweep")
    assert (end.recovered, end.by_action) == (1, {"recovered": 1})
    assert end.seconds_to_recover is not None
    assert 100 < end.seconds_to_recover < 400
    assert alerts(aws) == []
    assert recover("orders", started_by="sweep").is_quiet
    assert aws.request_counts()["dms:StartReplicationTask"] == 2


def test_the_report_has_each_replication(aws: SimulatedAws) -> None:
    """One artifact has a line for each: what it was, what was decided and why, what happened."""
    make(aws, "orders", "cdc", RECOVERABLE)
    make(aws, "billing", "cdc", WRONG_PASSWORD)
    report = recover("*")
    assert report.by_action == {"resume": 1, "escalate": 1}
    [table] = artifacts("replication-tasks-one-by-one")[-1:]
    rows = {row["replication"]: row for row in json.loads(table)}
    assert rows["orders"]["happened"] == "resume-processing was accepted"
    assert rows["billing"]["decided"] == "escalate"
    assert "test-connection" in rows["billing"]["next step"]
    assert "10.0.0.7" not in table
    assert "orders" in artifacts("replication-tasks-groups")[-1]
    assert report.full_list.startswith("s3://")
    assert alerts(aws) == [f"DMS billing needs a person: {rows['billing']['why']}"]


def test_reload_only_where_it_is_allowed(aws: SimulatedAws) -> None:
    """A failed full load with change capture is reloaded if it may be; the other one is reported, once."""
    for name in ("catalog", "ledger"):
        make(aws, name, "full-load-and-cdc", RECOVERABLE, "full-load")
    policy = ReplicationPolicy(allow_reload=("catalog",))
    assert recover("*", policy=policy).by_action == {"reload": 1, "escalate": 1}
    aws.clock.advance(900)
    assert recover("*", policy=policy, started_by="sweep").recovered == 1
    assert state_of(aws, "catalog")["emptied"] == 2
    assert state_of(aws, "ledger")["emptied"] == 1
    assert state_of(aws, "ledger")["starts"] == ["start-replication"]
    assert len(alerts(aws)) == 1


def test_dry_run_changes_nothing(aws: SimulatedAws) -> None:
    """The run reports what would be done; nothing is started, recorded or sent."""
    make(aws, "orders", "cdc", RECOVERABLE)
    make(aws, "billing", "cdc", WRONG_PASSWORD)
    aws.clear_requests()
    report = recover("*", dry_run=True)
    assert report.by_action == {"resume": 1, "escalate": 1}
    assert set(aws.request_counts()) == {
        "dms:DescribeReplicationTasks",
        "dms:DescribeReplications",
        "dms:DescribeReplicationInstances",
        "dms:DescribeTableStatistics",
        "dynamodb:BatchGetItem",
    }


def test_nothing_named_nothing_touched(aws: SimulatedAws) -> None:
    """A request without tasks acts on nothing, and lists what failed."""
    make(aws, "orders", "cdc", RECOVERABLE)
    report = recover()
    assert report.found == 0
    assert "orders" in report.warnings[0]
    assert state_of(aws, "orders")["starts"] == ["start-replication"]


def test_missing_permission_fails_the_run(aws: SimulatedAws) -> None:
    """Without permission the run ends as failed with its report and AWS's words; once fixed, it is restarted."""
    make(aws, "orders", "cdc", RECOVERABLE)
    aws.fault("error", service="dms", operation="StartReplicationTask", code="AccessDeniedFault", status=400)
    state: State[Any] = recover_replication_tasks(ReplicationRequest(tasks=("*",), dry_run=False), return_state=True)
    aws.lift_faults()
    assert state.is_failed()
    report = report_of(state)
    assert report.unsettled == 1
    assert "dms:StartReplicationTask" in report.groups[0].reason
    assert recover("*", cause_fixed=True).by_action == {"resume": 1}


def test_throttled_list_is_asked_again(aws: SimulatedAws) -> None:
    """A throttle of the list that outlasts the SDK's repetitions passes, and the run completes."""
    make(aws, "orders", "cdc", RECOVERABLE)
    aws.fault("error", service="dms", operation="DescribeReplicationTasks", code="ThrottlingException", times=5)
    assert recover("*").by_action == {"resume": 1}


def test_without_an_estate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does not know where to work says which variable or block to set."""
    monkeypatch.delenv("REPRISE_LEDGER_TABLE")
    state: State[Any] = recover_replication_tasks(ReplicationRequest(tasks=("*",)), return_state=True)
    assert state.is_failed()
    assert "REPRISE_LEDGER_TABLE" in str(state.message)


def test_what_fails_meanwhile_is_seen_by_an_events_run(aws: SimulatedAws) -> None:
    """A run that an event started looks again until it finds nothing new."""
    make(aws, "orders", "cdc", RECOVERABLE)
    aws.clear_requests()
    assert recover("*", started_by="event").by_action == {"resume": 1}
    assert aws.request_counts()["dms:DescribeReplications"] == 2


def test_a_reload_is_not_repeated_by_the_sdk(aws: SimulatedAws) -> None:
    """DMS would load a table again each time it is asked: one whose answer was lost is asked for once in a run."""
    arn = make(aws, "wide", "full-load-and-cdc", RECOVERABLE)
    fault = {"text": "", "stage": "cdc", "after_seconds": 20, "table": "public.items"}
    aws.control("POST", "dms/script", {"replication": "wide", "future": {"faults": [fault]}})
    aws.client("dms").start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing")
    aws.clock.advance(200)
    aws.clear_requests()
    aws.fault("error", service="dms", operation="ReloadTables", code="InternalFailure", status=500)
    report = recover("wide", policy=ReplicationPolicy(allow_reload=("wide",)))
    aws.lift_faults()
    assert report.by_action == {"reload tables": 1}
    assert aws.request_counts()["dms:ReloadTables"] == 1
