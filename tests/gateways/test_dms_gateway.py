"""The gateway reads all pages, keeps its pace, and every refusal leads to the decision that it should."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from recovery.cases import State
from recovery.errors import Conflict, OutcomeUnknown, Refused, Transient
from recovery.pacing import Pace
from recovery.replication_tasks import gateway as gateway_module
from recovery.replication_tasks.gateway import ACTIONS, BURST, CALLS_PER_SECOND, RELOAD_ACTIONS, ReplicationGateway
from recovery.replication_tasks.models import REFUSED, Verb
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.tables import Table
from recovery.scope import StartedBy
from simulated_aws.dms import Fault, Future
from simulated_aws.requests import SimulatedRequest, SimulatedResponse
from tests.dms_world import Recovering, World, recover
from tests.unit.replication_tasks.situations import RECOVERABLE


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


def failed(world: World, name: str = "orders", migration: str = "cdc") -> str:
    """A task that ran and has failed."""
    arn = world.task(name, migration, Future(faults=(Fault(RECOVERABLE, "cdc", 10),)))
    world.start(arn)
    world.advance(200)
    assert world.status(name) == "failed"
    return arn


def is_call(request: SimulatedRequest, operation: str) -> bool:
    return request.headers.get("x-amz-target", "").endswith(f".{operation}")


def before(world: World, operation: str, do: Callable[[], Any]) -> None:
    """Let something happen just before the next call of an operation arrives."""
    handle, pending = world.dms.handle, [do]

    def happen(request: SimulatedRequest) -> SimulatedResponse:
        if pending and is_call(request, operation):
            pending.pop()()
        return handle(request)

    world.dms.handle = happen  # type: ignore[method-assign]


def answers(
    world: World, operation: str, code: str, message: str = "no", status: int = 400, times: float = math.inf
) -> Callable[[], None]:
    """Let calls of an operation (all, or the first few) be answered with an error, until what is returned is called."""
    handle = world.dms.handle
    left = times

    def refuse(request: SimulatedRequest) -> SimulatedResponse:
        nonlocal left
        if not is_call(request, operation) or left <= 0:
            return handle(request)
        left -= 1
        return SimulatedResponse.error(code, message, status=status)

    def lift() -> None:
        world.dms.handle = handle  # type: ignore[method-assign]

    world.dms.handle = refuse  # type: ignore[method-assign]
    return lift


# -- reading -----------------------------------------------------------------------------------------------------------


def test_lists_go_over_all_pages(world: Recovering) -> None:
    """More than a hundred tasks and more than five hundred tables are all read."""
    for number in range(130):
        world.task(f"task-{number}", "cdc")
    many = {f"public.t{number}": 1 for number in range(620)}
    arn = world.task("wide", "full-load", Future(tables=many))
    world.start(arn)
    world.advance(30)
    assert len(list(world.gateway.tasks())) == 131
    assert len(world.facts(arn).tables or ()) == 620


def test_a_page_that_comes_twice_ends_the_list(world: Recovering) -> None:
    """A list whose marker never moves on is no endless loop: it could not be read."""

    class Stuck(ReplicationGateway):
        def _call(self, operation: str, **request: Any) -> Any:
            return {"ReplicationTasks": [], "Marker": "the same"}

    with pytest.raises(Transient, match="same page"):
        list(Stuck(world.client).tasks())


def test_what_is_gone_is_none(world: Recovering) -> None:
    """A replication that was deleted reads as None, and has no statistics."""
    arn = failed(world)
    facts = world.facts(arn)
    world.client.delete_replication_task(ReplicationTaskArn=arn)
    world.advance(10)
    assert world.gateway.read(facts) is None
    assert world.gateway.tables(facts) == ()


def test_tags_of_many(world: Recovering) -> None:
    """Tags are read fifty replications to a call, and those without any have none."""
    arns = [world.task(f"task-{number}", "cdc", Tags=[{"Key": "n", "Value": str(number)}]) for number in range(60)]
    bare = world.task("bare", "cdc")
    calls = world.dms.calls.get("ListTagsForResource", 0)
    tags = world.gateway.tags([*arns, bare])
    assert world.dms.calls["ListTagsForResource"] - calls == 2
    assert tags[arns[59]] == {("n", "59")}
    assert tags[bare] == frozenset()


@pytest.mark.parametrize(
    "settings",
    ["", "{}", "not json", '{"FullLoadSettings": null}', '{"FullLoadSettings": {"TargetTablePrepMode": "NEW"}}'],
)
def test_unreadable_settings_ask_for_permission(world: Recovering, settings: str) -> None:
    """If the settings do not name the target's preparation, it counts as emptied, which is DMS's default."""
    arn = world.task("load", "full-load", ReplicationTaskSettings=settings)
    assert world.facts(arn).empties_target


def test_errors_are_named_by_what_comes_next(world: Recovering) -> None:
    """Each refusal of a restart is one of the project's errors, with the code as AWS spells it."""
    arn = failed(world)
    facts = world.facts(arn)
    with pytest.raises(Refused) as refused:
        world.gateway.restart(facts, Verb.START)
    assert refused.value.code == "InvalidParameterCombinationException"
    world.gateway.restart(facts, Verb.RESUME)
    with pytest.raises(Conflict) as conflict:
        world.gateway.restart(facts, Verb.RESUME)
    assert conflict.value.code == "InvalidResourceStateFault"
    with pytest.raises(Conflict):
        world.gateway.reload_tables(facts, [Table("public", "orders", "Table error")])
    lift = answers(world, "StartReplicationTask", "ThrottlingException")
    with pytest.raises(Transient):
        world.gateway.restart(facts, Verb.RESUME)
    lift()
    answers(world, "StartReplicationTask", "InternalFailure", status=500)
    with pytest.raises(OutcomeUnknown):
        world.gateway.restart(facts, Verb.RESUME)


# -- pace --------------------------------------------------------------------------------------------------------------


def test_pace_is_a_token_bucket() -> None:
    """Eight calls go at once, then eight a second; what was not used comes back, as much as the bucket holds."""
    clock = [0.0]
    pace = Pace(
        CALLS_PER_SECOND,
        BURST,
        clock=lambda: clock[0],
        sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds),
    )
    moments = []
    for _ in range(24):
        pace.take()
        moments.append(clock[0])
    assert moments[:8] == [0.0] * 8
    assert moments[8:] == pytest.approx([number / 8 for number in range(1, 17)])
    clock[0] += 100
    for _ in range(9):
        pace.take()
    assert clock[0] == pytest.approx(102 + 1 / 8)
    assert pace.taken == 33


def test_every_call_is_paced_and_declared(world: Recovering) -> None:
    """No method calls DMS past the bucket, and each operation it calls stands in the declared IAM actions."""
    methods = gateway_module._METHODS
    declared = {action for actions in (ACTIONS | RELOAD_ACTIONS).values() for action in actions}
    assert {f"dms:{operation}" for operation in methods} == declared
    assert set(ACTIONS | RELOAD_ACTIONS) == {name for name in vars(ReplicationGateway) if not name.startswith("_")}
    taken = world.gateway.pace.taken
    calls = sum(world.dms.calls.values())
    arn = failed(world)
    made = sum(world.dms.calls.values()) - calls
    assert world.gateway.pace.taken == taken, "what tests do themselves is not paced"
    world.facts(arn)
    world.gateway.tags([arn])
    assert world.gateway.pace.taken - taken == sum(world.dms.calls.values()) - calls - made


# -- refusals, on the way through a run --------------------------------------------------------------------------------


def test_somebody_restarts_it_first(world: Recovering) -> None:
    """A person resumes it between our decision and our call: we neither restart it again nor lose sight of it."""
    arn = failed(world)
    before(world, "StartReplicationTask", lambda: world.start(arn, Verb.RESUME))
    report = world.recover()
    assert not report.failed
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    assert world.case(arn).state is State.SENT
    world.advance(700)
    assert world.recover().recovered == 1


def test_it_moved_on_before_the_claim(world: Recovering) -> None:
    """A replication restarted between list and second read is left, and no restart is recorded."""
    arn = failed(world)

    def someone_else() -> None:
        world.start(arn, Verb.RESUME)

    before(world, "DescribeTableStatistics", someone_else)
    report = world.recover(started_by=StartedBy.BY_HAND)
    assert report.by_action == {"wait": 1}
    assert world.starts("orders") == ["start-replication", "resume-processing"]


def test_somebody_changes_it(world: Recovering) -> None:
    """A task that is being modified when our call arrives is waited for, and the refused call does not count."""
    arn = failed(world)
    task = world.dms.replication("orders")

    def modify() -> None:
        task.status, task.entered, task.after = "modifying", world.now, "stopped"

    before(world, "StartReplicationTask", modify)
    report = world.recover()
    assert report.by_action == {"wait": 1}
    assert world.memory(arn).restarts == ()
    assert world.case(arn).state is State.BACKOFF


def test_refused_by_its_connection(world: Recovering) -> None:
    """If DMS wants a successful connection test first, a person is notified, and nothing is tried again."""
    arn = failed(world)
    world.dms.break_endpoint("source", "Lost connection.")
    world.client.test_connection(ReplicationInstanceArn=world.instance, EndpointArn=world.source)
    world.dms.fix_endpoint("source")
    report = world.recover()
    assert report.by_action == {"escalate": 1}
    [alert] = world.alerts()
    assert "test-connection" in alert["text"]
    for _ in range(3):
        world.advance(600)
        assert not world.recover().failed
    assert world.dms.calls["StartReplicationTask"] <= 1 + 5
    assert world.memory(arn).restarts[0].outcome == REFUSED


def test_it_ran_before_after_all(world: Recovering) -> None:
    """A first start that DMS refuses teaches that it ran before; the right restart follows in the same run."""
    arn = world.task("load", "full-load", Future(faults=(Fault(RECOVERABLE, "full-load", 20),)))
    world.start(arn)
    world.advance(200)

    def forget(parsed: Any, **_: Any) -> None:
        for task in parsed.get("ReplicationTasks", []):
            for name in ("FreshStartDate", "StartDate"):
                task["ReplicationTaskStats"].pop(name, None)

    world.client.meta.events.register("after-call.dms.DescribeReplicationTasks", forget)
    report = world.recover(allow_reload=("load",))
    assert not report.failed
    assert report.by_action == {"resume": 1}
    assert world.starts("load") == ["start-replication", "resume-processing"]
    assert world.dms.calls["StartReplicationTask"] == 3, "the first one, the refused one, the right one"
    memory = world.memory(arn)
    assert memory.start_was_refused
    assert [restart.verb for restart in memory.restarts] == [Verb.RESUME], "the refused start does not count"


def test_start_type_that_dms_does_not_take(world: Recovering) -> None:
    """Another refused start type is reported to a person with DMS's words, not tried again."""
    arn = failed(world)
    answers(world, "StartReplicationTask", "InvalidParameterCombinationException", "not for this task")
    assert world.recover().by_action == {"escalate": 1}
    [alert] = world.alerts()
    assert "not for this task" in alert["text"]
    assert world.case(arn).state is State.ESCALATED


def test_answer_that_was_not_read(world: Recovering) -> None:
    """A restart whose answer is lost counts as made; the next run proves it and makes no other."""
    arn = failed(world)
    accept = world.client.meta.events

    def lose(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="http://dms")

    accept.register("after-call.dms.StartReplicationTask", lose)
    report = world.recover()
    assert not report.failed
    assert report.by_action == {"resume": 1}
    assert world.case(arn).state is State.SENT
    accept.unregister("after-call.dms.StartReplicationTask", lose)
    world.advance(700)
    assert world.recover().recovered == 1
    assert world.starts("orders") == ["start-replication", "resume-processing"]


def test_a_restart_that_is_throttled_for_a_moment_is_asked_for_again(world: Recovering) -> None:
    """A throttled start was certainly not carried out, so the same run asks again, later and later."""
    failed(world)
    answers(world, "StartReplicationTask", "ThrottlingException", times=3)
    before = world.seconds
    assert world.recover().by_action == {"resume": 1}
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    assert world.seconds - before >= 3.5


def test_a_restart_whose_outcome_is_unknown_is_asked_for_once(world: Recovering) -> None:
    """An inner error leaves open whether it was carried out: it is not repeated unseen, and the next run looks."""
    failed(world)
    answers(world, "StartReplicationTask", "InternalFailure", status=500, times=1)
    assert world.recover().by_action == {"resume": 1}
    assert world.starts("orders") == ["start-replication"]


def test_throttled_restart_does_not_count(world: Recovering) -> None:
    """A throttled call was not carried out: the run says so, no attempt is counted, the next run restarts."""
    arn = failed(world)
    lift = answers(world, "StartReplicationTask", "ThrottlingException")
    report = world.recover()
    assert (report.failed, report.unsettled) == (True, 1)
    assert world.memory(arn).restarts == ()
    lift()
    assert world.recover().by_action == {"resume": 1}


def test_missing_permission_is_reported_for_each(world: Recovering) -> None:
    """Without the right to start tasks the run fails with AWS's words and the permission, and no attempt is counted."""
    arn = failed(world)
    lift = answers(
        world, "StartReplicationTask", "AccessDeniedFault", "not authorized to perform dms:StartReplicationTask"
    )
    report = world.recover()
    assert report.failed
    assert "not authorized to perform dms:StartReplicationTask" in report.groups[0].reason
    assert "allow dms:StartReplicationTask" in report.groups[0].next_step
    assert world.memory(arn).restarts == ()
    lift()
    world.advance(3_600)
    assert world.recover().by_action == {"resume": 1}


def test_statistics_that_may_not_be_read(world: Recovering) -> None:
    """A replication whose statistics cannot be had is left alone with the reason, and the others go on."""
    lost = failed(world, "orders")
    failed(world, "billing")

    def lose(parsed: Any, **_: Any) -> None:
        if parsed["ReplicationTaskArn"] == lost:
            raise ReadTimeoutError(endpoint_url="http://dms")

    world.client.meta.events.register("after-call.dms.DescribeTableStatistics", lose)
    report = world.recover()
    assert (report.unsettled, report.by_action) == (1, {"resume": 1})


def test_tags_that_may_not_be_read(world: Recovering) -> None:
    """Without the right to read tags nothing is chosen by tag, and the run says why."""
    failed(world)
    answers(world, "ListTagsForResource", "AccessDeniedFault")
    report = world.recover("tag:reprise")
    assert report.failed
    assert report.found == 0
    assert "tags could not be read" in report.problems[0]
    assert world.starts("orders") == ["start-replication"]


def test_alert_that_cannot_be_sent(world: Recovering) -> None:
    """While the topic refuses, the run says so and nothing is settled; the next run shows, once."""
    arn = world.task("orders", "cdc", Future(faults=(Fault("Access denied for user 'x'", "cdc", 10),)))
    world.start(arn)
    world.advance(200)
    topic, world.topic = world.topic, "arn:aws:sns:us-east-1:123456789012:gone"
    assert world.recover().failed
    world.topic = topic
    assert world.recover().by_action == {"escalate": 1}
    assert len(world.alerts()) == 1
    assert world.recover().is_quiet


def test_replication_of_tomorrow(world: Recovering) -> None:
    """A replication that cannot be understood is a problem if it is named, by tag or not, and the others go on."""
    failed(world, "orders")
    strange = failed(world, "strange")

    def rename(parsed: Any, **_: Any) -> None:
        for task in parsed.get("ReplicationTasks", []):
            if task["ReplicationTaskIdentifier"] == "strange":
                task["MigrationType"] = "zero-etl"

    world.client.meta.events.register("after-call.dms.DescribeReplicationTasks", rename)
    report = world.recover()
    assert report.by_action == {"resume": 1}
    assert [line for line in report.problems if line.endswith(": strange")]
    assert world.recover("orders").problems == ()
    assert world.recover("tag:reprise=recover").problems == ()
    world.client.add_tags_to_resource(ResourceArn=strange, Tags=[{"Key": "reprise", "Value": "recover"}])
    assert len(world.recover("tag:reprise=recover", started_by=StartedBy.EVENT).problems) == 1


def test_time_limit_is_kept(world: Recovering) -> None:
    """A run that is out of time begins nothing more, and says what it left."""
    for name in ("a", "b", "c"):
        failed(world, name)
    read = world.gateway.read

    def slow(facts: Any) -> Any:
        world.estate.time += timedelta(seconds=2_000)
        return read(facts)

    world.gateway.read = slow  # type: ignore[method-assign]
    report = world.recover()
    assert report.by_action == {"resume": 1, "wait": 2}
    assert "time limit" in report.warnings[0]


def test_limit_is_kept(world: Recovering) -> None:
    """No more replications than `limit` are taken up."""
    for name in ("a", "b", "c"):
        failed(world, name)
    work = world.work(ReplicationRequest(tasks=("*",), dry_run=False, limit=2))
    report = recover(work)
    work.close()
    assert report.by_action == {"resume": 2}
    assert "1 more" in report.warnings[0]
