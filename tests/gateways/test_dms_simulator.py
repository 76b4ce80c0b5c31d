"""The strict DMS does what its contract says, speaks botocore's model, and defeats the usual restarter."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.events.dms import read
from recovery.replication_tasks.models import Verb
from simulated_aws.dms import Fault, Future
from simulated_aws.dms.contract import CONDITIONS, Line, load
from simulated_aws.dms.protocol import answer, service
from simulated_aws.requests import SimulatedRequest
from tests.dms_world import MAPPINGS, World
from tests.unit.replication_tasks.situations import BINLOG, LOST, RECOVERABLE

LINES = {line.key: line for lines in load().lines.values() for line in lines}
TYPES = ("start-replication", "resume-processing", "reload-target")


@pytest.fixture
def world() -> World:
    return World()


def code_of(call: Any, **arguments: Any) -> str:
    """The error code of a call, or "" when it is accepted."""
    try:
        call(**arguments)
    except ClientError as error:
        answered = error.response
    else:
        return ""
    assert answered["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answered["Error"]["Message"]
    return str(answered["Error"]["Code"])


# -- the contract --------------------------------------------------------------------------------------------------


def test_the_contract_is_whole() -> None:
    """Every line names itself once, its source, an operation of the model and an error; every condition is tried."""
    assert len(LINES) == sum(len(lines) for lines in load().lines.values())
    for line in LINES.values():
        assert line.operation in service().operation_names
        assert line.source
        assert line.when
        assert set(line.when) <= CONDITIONS
    assert {name for line in LINES.values() for name in line.when} == CONDITIONS
    for operation in (*load().filters, *load().pages):
        assert operation in service().operation_names


def situation_of(line: Line, values: dict[str, Any]) -> World:
    """A world in which a request meets just this line."""
    world = World()
    serverless = "Replication" in line.operation and "Task" not in line.operation
    migration = values.get("migration", "full-load-and-cdc")
    arn = world.config("it", migration) if serverless else world.task("it", migration)
    thing = world.dms.replication("it")
    if values.get("past") == "ran" or values.get("start_type", TYPES[0]) != TYPES[0]:
        thing.fresh = thing.began = thing.ended = world.now
    if values.get("past") == "never":
        thing.fresh = thing.began = thing.ended = None
    thing.tables = thing.fresh_tables()
    default = "running" if line.operation.startswith(("Reload", "Stop")) else "stopped"
    status = values.get("status", "deprovisioned" if values.get("deprovisioned") else default)
    thing.status, thing.entered = status, world.now
    thing.deprovisioned = bool(values.get("deprovisioned"))
    if values.get("connection") == "failed":
        world.dms.break_endpoint("source", "Lost connection")
        world.client.test_connection(ReplicationInstanceArn=world.instance, EndpointArn=world.source)
        world.dms.fix_endpoint("source")
    if "instance" in values:
        world.dms.set_instance_status("r1", values["instance"])
    assert arn
    return world


def request_of(line: Line, values: dict[str, Any], world: World) -> tuple[Any, dict[str, Any]]:
    """The call that meets this line."""
    arn = world.dms.replication("it").arn
    start_type = values.get("start_type", "start-replication")
    position = values.get("position", "none")
    positions: dict[str, Any] = {}
    if position in ("both", "time"):
        positions["CdcStartTime"] = world.now
    if position in ("both", "position"):
        positions["CdcStartPosition"] = "2026-01-01T00:00:00"
    if line.key == "task-start-twice-from-position":
        positions["CdcStartPosition"] = "2026-01-01T00:00:00"
    names = ["orders"]
    if "tables" in values:
        names = [f"table{number}" for number in range(11)]
    if "duplicates" in values:
        names = ["orders", "orders"]
    if "unknown_tables" in values:
        names = ["nowhere"]
    tables = {"TablesToReload": [{"SchemaName": "public", "TableName": name} for name in names]}
    task = {"ReplicationTaskArn": arn}
    config = {"ReplicationConfigArn": arn}
    chosen = "restart" if start_type == "other" else start_type
    client = world.client
    calls: dict[str, tuple[Any, dict[str, Any]]] = {
        "StartReplicationTask": (
            client.start_replication_task,
            {**task, "StartReplicationTaskType": chosen, **positions},
        ),
        "StopReplicationTask": (client.stop_replication_task, task),
        "DeleteReplicationTask": (client.delete_replication_task, task),
        "ModifyReplicationTask": (client.modify_replication_task, task),
        "ReloadTables": (client.reload_tables, {**task, **tables}),
        "StartReplication": (client.start_replication, {**config, "StartReplicationType": chosen, **positions}),
        "StopReplication": (client.stop_replication, config),
        "ReloadReplicationTables": (client.reload_replication_tables, {**config, **tables}),
    }
    return calls[line.operation]


def cases() -> list[tuple[str, dict[str, Any]]]:
    """Each line with each value of its first condition, the others at their first value."""
    found = []
    for line in LINES.values():
        base = {name: values[0] for name, values in line.when.items()}
        first = next(iter(line.when))
        found += [(line.key, {**base, first: value}) for value in line.when[first]]
    return found


@pytest.mark.parametrize(
    ("key", "values"), cases(), ids=lambda part: part if isinstance(part, str) else str(next(iter(part.values())))
)
def test_each_line_of_the_contract(key: str, values: dict[str, Any]) -> None:
    """In the situation of each line, for each status it names, a real client gets the line's error."""
    line = LINES[key]
    world = situation_of(line, values)
    call, arguments = request_of(line, values, world)
    assert code_of(call, **arguments) == line.code
    if any(name in values for name in ("status", "past", "start_type")):
        assert world.dms.replication("it").starts == []


ACCEPTED = [
    # status, past, migration, start type
    ("ready", False, "full-load", "start-replication"),
    ("ready", False, "cdc", "start-replication"),
    ("failed", False, "full-load-and-cdc", "start-replication"),
    ("failed", True, "full-load", "resume-processing"),
    ("failed", True, "full-load", "reload-target"),
    ("stopped", True, "cdc", "resume-processing"),
    ("failed", True, "full-load-and-cdc", "resume-processing"),
    ("stopped", True, "full-load-and-cdc", "reload-target"),
]


@pytest.mark.parametrize(("status", "ran", "migration", "kind"), ACCEPTED)
def test_what_is_accepted(world: World, status: str, ran: bool, migration: str, kind: str) -> None:
    """A start that the starting rules allow is accepted, and the task starts."""
    arn = world.task("it", migration)
    task = world.dms.replication("it")
    task.status = status
    task.fresh = world.now if ran else None
    assert code_of(world.client.start_replication_task, ReplicationTaskArn=arn, StartReplicationTaskType=kind) == ""
    assert task.status == "starting"
    world.advance(30)
    assert task.status == "running"


def test_start_again_from_a_position(world: World) -> None:
    """Only change capture alone starts a second time, and only from a position that is named."""
    arn = world.task("it", "cdc")
    task = world.dms.replication("it")
    task.status, task.fresh = "failed", world.now
    again = {"ReplicationTaskArn": arn, "StartReplicationTaskType": "start-replication"}
    assert code_of(world.client.start_replication_task, **again) == "InvalidParameterCombinationException"
    position = "mysql-bin-changelog.000024:373"
    assert code_of(world.client.start_replication_task, **again, CdcStartPosition=position) == ""


# -- the usual restarter ---------------------------------------------------------------------------------------------


def usual_restarter(world: World) -> list[str]:
    """A common restarter's answer to each failed task: start a full load, resume the rest, note the refusal."""
    notes = []
    for task in world.client.describe_replication_tasks()["ReplicationTasks"]:
        if task["Status"] != "failed":
            continue
        kind = "start-replication" if task["MigrationType"] == "full-load" else "resume-processing"
        try:
            world.client.start_replication_task(
                ReplicationTaskArn=task["ReplicationTaskArn"], StartReplicationTaskType=kind
            )
        except ClientError as error:
            notes.append(error.response["Error"]["Code"])
    return notes


def test_the_usual_restarter_fails() -> None:
    """Started again, a full load is refused for ever; a resumed load moves nothing; a lost position fails for ever."""
    world = World()
    half = Future(faults=(Fault(RECOVERABLE, "full-load", 20),))
    for name, migration, future in (
        ("load", "full-load", half),
        ("both", "full-load-and-cdc", half),
        ("lost", "full-load-and-cdc", Future(faults=(Fault(BINLOG, "cdc", 20),))),
    ):
        world.start(world.task(name, migration, future))
    world.advance(300)
    world.dms.lose_position("lost", BINLOG)
    refused = 0
    for _ in range(5):
        refused += len(usual_restarter(world))
        world.advance(300)
    load, both, lost = (world.dms.replication(name) for name in ("load", "both", "lost"))
    assert (load.status, load.starts) == ("failed", ["start-replication"])
    assert refused == 5, "the full load, each time"
    assert both.status == "running"
    assert sum(table.changes for table in both.tables) == 0
    assert {table.state for table in both.tables} != {"Table completed"}
    assert lost.status == "failed"
    assert lost.starts == ["start-replication", *["resume-processing"] * 5]


# -- describing --------------------------------------------------------------------------------------------------------


def test_pages_lead_to_every_task(world: World) -> None:
    """A page of tasks has a marker to the next; together they hold each task once."""
    names = [f"task-{number:03}" for number in range(45)]
    for name in names:
        world.task(name, "cdc")
    seen: list[str] = []
    marker: dict[str, str] = {}
    pages = 0
    while True:
        page = world.client.describe_replication_tasks(MaxRecords=20, **marker)
        seen += [task["ReplicationTaskIdentifier"] for task in page["ReplicationTasks"]]
        pages += 1
        if "Marker" not in page:
            break
        marker = {"Marker": page["Marker"]}
    assert (seen, pages) == (names, 3)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"Filters": [{"Name": "status", "Values": ["failed"]}]}, "InvalidParameterValueException"),
        ({"Filters": [{"Name": "replication-task-id", "Values": ["none"]}]}, "ResourceNotFoundFault"),
        ({"MaxRecords": 19}, "InvalidParameterValueException"),
        ({"MaxRecords": 101}, "InvalidParameterValueException"),
        ({"Marker": "bm90LW1pbmU="}, "InvalidParameterValueException"),
    ],
)
def test_describe_refuses(world: World, arguments: dict[str, Any], code: str) -> None:
    """An unknown filter, one that nothing passes, a page size out of bounds and a foreign marker are refused."""
    world.task("orders", "cdc")
    assert code_of(world.client.describe_replication_tasks, **arguments) == code


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("replication-task-id", "orders"),
        ("migration-type", "cdc"),
        ("endpoint-arn", "source"),
        ("replication-instance-arn", "instance"),
    ],
)
def test_filters(world: World, name: str, value: str) -> None:
    """Each filter of the API finds what it names, and nothing else."""
    world.task("orders", "cdc")
    world.task("catalog", "full-load")
    wanted = getattr(world, value, value)
    found = world.client.describe_replication_tasks(Filters=[{"Name": name, "Values": [wanted]}])["ReplicationTasks"]
    both = name in ("endpoint-arn", "replication-instance-arn")
    assert [task["ReplicationTaskIdentifier"] for task in found] == (["orders", "catalog"] if both else ["orders"])


def test_answers_are_checked_against_the_model() -> None:
    """A field that botocore does not know, or of another type, is a defect that does not go unseen."""
    with pytest.raises(AssertionError, match="Colour"):
        answer("DescribeReplicationTasks", {"ReplicationTasks": [{"Colour": "red"}]})
    with pytest.raises(AssertionError, match="Marker"):
        answer("DescribeReplicationTasks", {"Marker": 5})


def test_requests_are_checked_against_the_model(world: World) -> None:
    """A request that is not JSON, lacks a parameter or names another operation is refused."""

    def ask(target: str, body: bytes) -> str:
        request = SimulatedRequest("POST", "/", {}, {"x-amz-target": f"AmazonDMSv20160101.{target}"}, body)
        response = world.dms.handle(request)
        assert response.status == 400
        return str(json.loads(response.body)["__type"])

    assert ask("StartReplicationTask", b"{") == "SerializationException"
    assert ask("StartReplicationTask", b"[]") == "SerializationException"
    assert ask("StartReplicationTask", b"{}") == "InvalidParameterValueException"
    assert ask("Fly", b"{}") == "UnknownOperationException"
    assert ask("BatchStartRecommendations", b"{}") == "UnknownOperationException"


def test_unknown_resources(world: World) -> None:
    """A resource that does not exist is a ResourceNotFoundFault, whoever asks."""
    arn = "arn:aws:dms:us-east-1:000000000000:task:NONE"
    client = world.client
    assert code_of(client.describe_table_statistics, ReplicationTaskArn=arn) == "ResourceNotFoundFault"
    assert code_of(client.stop_replication_task, ReplicationTaskArn=arn) == "ResourceNotFoundFault"
    assert code_of(client.list_tags_for_resource, ResourceArn=arn) == "ResourceNotFoundFault"
    assert code_of(client.stop_replication, ReplicationConfigArn=arn) == "ResourceNotFoundFault"


# -- living ------------------------------------------------------------------------------------------------------------


def test_a_full_load_lives_and_ends(world: World) -> None:
    """A full load creates, starts, loads table by table and stops as finished, with statistics all the way."""
    world.client.create_replication_task(
        ReplicationTaskIdentifier="load",
        MigrationType="full-load",
        SourceEndpointArn=world.source,
        TargetEndpointArn=world.target,
        ReplicationInstanceArn=world.instance,
        TableMappings=MAPPINGS,
    )
    assert world.status("load") == "creating"
    world.advance(3)
    arn = world.dms.replication("load").arn
    assert world.status("load") == "ready"
    world.start(arn)
    assert world.status("load") == "starting"
    world.advance(20 + 45)
    rows = {row.name: (row.state, row.rows) for row in world.facts(arn).tables or ()}
    assert rows == {"orders": ("Table completed", 1000), "items": ("Full load", 500)}
    world.advance(30)
    [task] = world.client.describe_replication_tasks()["ReplicationTasks"]
    assert (task["Status"], task["StopReason"]) == ("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED")
    assert task["ReplicationTaskStats"]["TablesLoaded"] == 2
    assert task["ReplicationTaskStats"]["FullLoadFinishDate"]
    assert task["RecoveryCheckpoint"] == ""


def test_change_capture_leaves_a_checkpoint_when_it_stops(world: World) -> None:
    """The checkpoint is reported once a capture has stopped, and a resume goes on from it."""
    arn = world.task("orders", "cdc")
    world.start(arn)
    world.advance(80)
    assert world.facts(arn).checkpoint == ""
    world.client.stop_replication_task(ReplicationTaskArn=arn)
    assert world.status("orders") == "stopping"
    world.advance(10)
    facts = world.facts(arn)
    assert (facts.status, facts.stop_code) == ("stopped", "NORMAL")
    assert facts.checkpoint.startswith("checkpoint:V1#")
    changes = facts.progress.changes
    world.start(arn, Verb.RESUME)
    world.advance(120)
    assert world.facts(arn).progress.changes > changes > 0


def test_settings_that_stop_after_the_load(world: World) -> None:
    """A task that is to stop after its full load, or after the cached changes, does, and says which."""
    for name, setting in (("a", "StopTaskCachedChangesNotApplied"), ("b", "StopTaskCachedChangesApplied")):
        settings = json.dumps({"FullLoadSettings": {setting: True}})
        world.start(world.task(name, "full-load-and-cdc", ReplicationTaskSettings=settings))
    world.advance(200)
    reasons = [task["StopReason"] for task in world.client.describe_replication_tasks()["ReplicationTasks"]]
    assert reasons == ["Stop Reason STOPPED_AFTER_FULL_LOAD", "Stop Reason STOPPED_AFTER_CACHED_EVENTS"]


def test_stop_position(world: World) -> None:
    """A capture with a stop time stops then."""
    arn = world.task("orders", "cdc", CdcStopPosition="server_time:2026-01-05T12:10:00")
    world.start(arn)
    world.advance(500)
    assert world.status("orders") == "running"
    world.advance(200)
    assert world.dms.replication("orders").stop_reason == "Stop Reason STOPPED_AT_SERVER_TIME"


def test_dms_retries_before_it_fails(world: World) -> None:
    """An endpoint that goes away and returns soon is not noticed; one that stays away fails the task."""
    arn = world.task("orders", "cdc")
    world.start(arn)
    world.advance(60)
    world.dms.break_endpoint("source", "Lost connection to server.")
    world.advance(40)
    assert world.status("orders") == "running"
    world.dms.fix_endpoint("source")
    world.advance(40)
    assert world.status("orders") == "running"
    world.dms.break_endpoint("source", "Lost connection to server.")
    world.advance(50)
    facts = world.facts(arn)
    assert facts.status == "failed"
    assert facts.is_recoverable
    assert facts.last_failure == facts.stop_reason
    world.start(arn, Verb.RESUME)
    world.advance(10)
    assert world.status("orders") == "failed", "its endpoint is still away"
    world.dms.fix_endpoint("source")
    world.start(arn, Verb.RESUME)
    world.advance(60)
    assert world.status("orders") == "running"
    assert world.facts(arn).last_failure, "DMS keeps the old message"
    assert world.facts(arn).failure == ""


def test_faults_happen_as_often_as_they_are_notified(world: World) -> None:
    """A fault strikes in as many runs as it names, and at its stage."""
    arn = world.task("orders", "cdc", Future(faults=(Fault(LOST, "cdc", 10, times=2),)))
    for expected in ("failed", "failed", "running"):
        world.start(arn, Verb.RESUME if world.dms.replication("orders").ran else Verb.START)
        world.advance(60)
        assert world.status("orders") == expected


def test_fault_at_the_first_start_leaves_no_past(world: World) -> None:
    """A task that fails while it starts has not run: the same first start is taken again."""
    arn = world.task("orders", "cdc", Future(faults=(Fault(LOST, "starting", 5),)))
    world.start(arn)
    world.advance(30)
    facts = world.facts(arn)
    assert (facts.status, facts.has_run, facts.tables) == ("failed", False, ())
    world.start(arn)
    world.advance(30)
    assert world.status("orders") == "running"


def test_stop_reasons_by_script(world: World) -> None:
    """A script may let DMS stop a task, with the reason in its own words."""
    fault = Fault("Stop Reason STOPPED_DUE_TO_LOW_MEMORY", "cdc", 10, outcome="stopped")
    arn = world.task("orders", "cdc", Future(faults=(fault,)))
    world.start(arn)
    world.advance(60)
    facts = world.facts(arn)
    assert (facts.status, facts.stop_code) == ("stopped", "STOPPED_DUE_TO_LOW_MEMORY")


def test_serverless_is_set_up_and_deprovisioned(world: World) -> None:
    """A serverless replication goes through its statuses, and two days after it failed loses its statistics."""
    arn = world.config("lake", "full-load-and-cdc", Future(setup_seconds=600, faults=(Fault(RECOVERABLE, "cdc", 30),)))
    world.start(arn)
    seen = []
    for _ in range(80):
        seen.append(world.status("lake"))
        world.advance(10)
    assert list(dict.fromkeys(seen)) == [
        "initializing",
        "preparing_metadata_resources",
        "testing_connection",
        "fetching_metadata",
        "calculating_capacity",
        "provisioning_capacity",
        "replication_starting",
        "running",
        "failed",
    ]
    [replication] = world.client.describe_replications()["Replications"]
    assert replication["FailureMessages"] == [RECOVERABLE]
    gone = replication["ReplicationDeprovisionTime"] - replication["ReplicationLastStopTime"]
    assert gone.total_seconds() == 48 * 3_600
    world.advance(49 * 3_600)
    assert world.status("lake") == "deprovisioned"
    statistics = world.client.describe_replication_table_statistics(ReplicationConfigArn=arn)
    assert statistics["ReplicationTableStatistics"] == []


def test_connection_test_of_serverless(world: World) -> None:
    """A serverless replication tests its connections while it is set up, and fails with the endpoint's name."""
    world.dms.break_endpoint("target", "Cannot connect.")
    arn = world.config("lake", "cdc")
    world.start(arn)
    world.advance(300)
    [replication] = world.client.describe_replications()["Replications"]
    assert replication["Status"] == "failed"
    assert "Test connection failed for endpoint 'target'" in replication["FailureMessages"][0]


def test_modified_moved_deleted(world: World) -> None:
    """A task that ran is stopped after a change, one that never ran is ready; a deleted one is gone."""
    arn = world.task("orders", "cdc")
    world.client.modify_replication_task(ReplicationTaskArn=arn, TableMappings=MAPPINGS)
    assert world.status("orders") == "modifying"
    world.advance(5)
    assert world.status("orders") == "ready"
    other = world.client.create_replication_instance(
        ReplicationInstanceIdentifier="r2", ReplicationInstanceClass="dms.t3.medium"
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    world.client.move_replication_task(ReplicationTaskArn=arn, TargetReplicationInstanceArn=other)
    assert world.status("orders") == "moving"
    world.advance(5)
    world.client.delete_replication_task(ReplicationTaskArn=arn)
    assert world.status("orders") == "deleting"
    world.advance(5)
    assert world.client.describe_replication_tasks()["ReplicationTasks"] == []


def test_connections_and_tags(world: World) -> None:
    """Connections are tested and reported; tags are kept, listed for one or many, and removed."""
    client = world.client
    client.test_connection(ReplicationInstanceArn=world.instance, EndpointArn=world.source)
    assert client.describe_connections()["Connections"][0]["Status"] == "testing"
    world.advance(5)
    assert client.describe_connections()["Connections"][0]["Status"] == "successful"
    arn = world.task("orders", "cdc", Tags=[{"Key": "team", "Value": "data"}])
    client.add_tags_to_resource(ResourceArn=arn, Tags=[{"Key": "env", "Value": "dev"}])
    client.remove_tags_from_resource(ResourceArn=arn, TagKeys=["team"])
    assert client.list_tags_for_resource(ResourceArn=arn)["TagList"] == [{"Key": "env", "Value": "dev"}]
    many = client.list_tags_for_resource(ResourceArnList=[arn, world.instance])["TagList"]
    assert many == [{"Key": "env", "Value": "dev", "ResourceArn": arn}]


# -- telling -----------------------------------------------------------------------------------------------------------


def test_events_of_a_task(world: World) -> None:
    """EventBridge hears of start and failure; the failed event has neither id nor link, and names the ARN."""
    arn = world.task("orders", "cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 10),)))
    world.start(arn)
    world.advance(60)
    reported = [event for event in world.estate.events if event["resources"] == [arn]]
    assert [event["detail"]["eventType"] for event in reported] == [
        "REPLICATION_TASK_CREATED",
        "REPLICATION_TASK_STARTED",
        "REPLICATION_TASK_FAILED",
    ]
    assert reported[-1] == {
        "source": "aws.dms",
        "detail-type": "DMS Replication Task State Change",
        "resources": [arn],
        "detail": {
            "type": "REPLICATION_TASK",
            "category": "Failure",
            "eventType": "REPLICATION_TASK_FAILED",
            "detailMessage": RECOVERABLE,
        },
    }
    messages = [each["Message"] for each in world.client.describe_events(Duration=60)["Events"]]
    assert "Replication task has failed." in messages


def test_events_of_a_serverless_replication(world: World) -> None:
    """A serverless replication speaks of itself by its config's ARN, and of its failure by another type."""
    arn = world.config("lake", "cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 10),)))
    world.start(arn)
    world.advance(400)
    reported = [event for event in world.estate.events if event["resources"] == [arn]]
    assert {event["detail-type"] for event in reported} == {"DMS Replication State Change"}
    assert reported[0]["detail"]["eventType"] == "REPLICATION_INITIALIZING"
    assert reported[-1]["detail"] == {
        "type": "REPLICATION_CONFIG",
        "category": "Failure",
        "eventType": "REPLICATION_FAILED",
        "detailMessage": "DMS replication has failed.",
    }


def test_event_subscriptions(world: World) -> None:
    """A subscription sends what it was made for: these tasks, these categories, in the shape of real notifications."""
    topic = "arn:aws:sns:us-east-1:000000000000:dms"
    world.estate.topics.add(topic)
    arn = world.task("orders", "cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 10),)))
    other = world.task("other", "cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 10),)))
    world.client.create_event_subscription(
        SubscriptionName="failures",
        SnsTopicArn=topic,
        SourceType="replication-task",
        SourceIds=["orders"],
        EventCategories=["failure"],
    )
    world.start(arn)
    world.start(other)
    world.advance(60)
    [notification] = world.estate.notifications
    assert notification["subject"] == "DMS Notification Message"
    [event] = read({"Type": "Notification", "MessageId": "m", "TopicArn": topic, "Message": notification["message"]})
    assert (event.name, event.is_failure) == ("orders", True)
    assert "Reason: Last Error  ODBC general error." in event.message
    assert json.loads(notification["message"])["Event ID"].endswith("#DMS-EVENT-0078 ")


def test_subscription_that_cannot_send(world: World) -> None:
    """A topic that is gone shows in the subscription's status; nothing else changes."""
    arn = world.task("orders", "cdc")
    topic = "arn:aws:sns:us-east-1:000000000000:gone"
    world.client.create_event_subscription(SubscriptionName="all", SnsTopicArn=topic)
    world.start(arn)
    world.advance(60)
    [subscription] = world.client.describe_event_subscriptions(SubscriptionName="all")["EventSubscriptionsList"]
    assert subscription["Status"] == "topic-not-exist"
    assert world.status("orders") == "running"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"SnsTopicArn": "not-a-topic"}, "SNSInvalidTopicFault"),
        ({"SourceType": "replication-task", "SourceIds": ["none"]}, "ResourceNotFoundFault"),
        ({"EventCategories": ["noise"]}, "InvalidParameterValueException"),
        ({"SourceType": "endpoint"}, "InvalidParameterValueException"),
        ({"SubscriptionName": "there"}, "ResourceAlreadyExistsFault"),
    ],
)
def test_subscriptions_that_are_refused(world: World, arguments: dict[str, Any], code: str) -> None:
    """A subscription to nothing, of nothing, or of a name that is taken is refused."""
    topic = "arn:aws:sns:us-east-1:000000000000:dms"
    world.client.create_event_subscription(SubscriptionName="there", SnsTopicArn=topic)
    given = {"SubscriptionName": "new", "SnsTopicArn": topic} | arguments
    assert code_of(world.client.create_event_subscription, **given) == code


def test_silent_replication(world: World) -> None:
    """A replication whose events are lost fails without a word; DMS itself still shows it when asked."""
    arn = world.task("orders", "cdc", Future(silent=True, faults=(Fault(RECOVERABLE, "cdc", 10),)))
    before = len(world.estate.events)
    world.start(arn)
    world.advance(60)
    assert world.status("orders") == "failed"
    assert len(world.estate.events) == before


# -- the script endpoint -----------------------------------------------------------------------------------------------


def test_script_endpoint(world: World) -> None:
    """Futures, endpoints, instances and positions are scripted over HTTP, and the state is reported."""

    def order(body: Any) -> int:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return world.dms.handle(SimulatedRequest("POST", "/_reprise/dms/script", {}, {}, raw)).status

    arn = world.task("orders", "cdc")
    fault = {"text": RECOVERABLE, "stage": "cdc", "after_seconds": 10}
    assert order({"replication": "orders", "future": {"starting_seconds": 1, "faults": [fault]}}) == 200
    world.start(arn)
    world.advance(20)
    assert world.status("orders") == "failed"
    assert order({"replication": "orders", "lose_position": BINLOG}) == 200
    assert order({"endpoint": "source", "trouble": "Lost connection."}) == 200
    assert order({"endpoint": "source", "trouble": ""}) == 200
    assert order({"instance": "r1", "status": "maintenance"}) == 200
    assert order({"replication": "orders", "status": "failed-move"}) == 200
    assert order({"advance": True}) == 200
    assert world.facts(arn).instance_status == "maintenance"
    for wrong in (
        {},
        {"replication": "nobody", "lose_position": "x"},
        {"replication": "orders", "future": {"x": 1}},
        b"{",
    ):
        assert order(wrong) == 400
    state = json.loads(world.dms.handle(SimulatedRequest("GET", "/_reprise/dms/state", {}, {}, b"")).body)
    [reported] = state["replications"]
    assert (reported["name"], reported["status"], reported["starts"]) == (
        "orders",
        "failed-move",
        ["start-replication"],
    )


def test_lost_position(world: World) -> None:
    """A resume from a position that is gone fails with the text; a reload finds a new one."""
    arn = world.task("both", "full-load-and-cdc", Future(faults=(Fault(BINLOG, "cdc", 10),)))
    world.start(arn)
    world.advance(200)
    world.dms.lose_position("both", BINLOG)
    world.start(arn, Verb.RESUME)
    world.advance(60)
    assert replace(world.facts(arn), tables=()).failure == BINLOG
    world.start(arn, Verb.RELOAD)
    world.advance(200)
    assert world.status("both") == "running"
    assert world.dms.replication("both").emptied == 2
