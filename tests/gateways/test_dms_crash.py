"""Killed at any call, and run twice at once: no restart twice, nothing forgotten, nobody notified twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from recovery.alerts import Alerts
from recovery.archive import Archive
from recovery.cases import State
from recovery.ledger import Ledger
from recovery.pacing import Pace
from recovery.replication_tasks.gateway import CALLS_PER_SECOND, ReplicationGateway
from recovery.replication_tasks.models import Verb
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from recovery.replication_tasks.work import ReplicationRun
from recovery.scope import StartedBy
from simulated_aws.dms import Fault, Future
from simulated_aws.server import SimulatedAws
from tests.dms_world import Recovering, recover
from tests.unit.replication_tasks.situations import RECOVERABLE, WRONG_PASSWORD

CALLS = 24
"""More calls than a run over the two tasks makes; a kill that never comes is a whole run."""


class Killed(BaseException):
    """The process is gone at this point: nothing after it happens."""


@contextmanager
def a_world() -> Iterator[Recovering]:
    """Two tasks that have failed: one that a resume fixes, one that needs a person."""
    with mock_aws():
        world = Recovering()
        for name, text in (("orders", RECOVERABLE), ("billing", WRONG_PASSWORD)):
            world.start(world.task(name, "cdc", Future(faults=(Fault(text, "cdc", 30),))))
        world.advance(300)
        assert world.status("orders") == world.status("billing") == "failed"
        yield world


def kill_at(world: Recovering, number: int) -> Callable[[], int]:
    """Kill the run at its n-th AWS request, after it was applied; returns what counts them.

    For AWS that is the same as a kill before the next request is sent; `proof.crash` plays both with SIGKILL.
    """
    seen = 0

    def before_send(**_: Any) -> None:
        nonlocal seen
        seen += 1

    def applied(**_: Any) -> None:
        if seen == number:
            raise Killed

    clients = (world.client, world.dynamodb, world.sns, world.s3)
    for client in clients:
        client.meta.events.register_first("before-send", before_send)
        client.meta.events.register_first("after-call", applied)

    def lift() -> int:
        for client in clients:
            client.meta.events.unregister("before-send", before_send)
            client.meta.events.unregister("after-call", applied)
        return seen

    return lift


def all_is_well(world: Recovering, *, alerts: int) -> None:
    """Check the laws of the end, asked of DMS, ledger and topic."""
    orders, billing = (world.dms.replication(name) for name in ("orders", "billing"))
    assert orders.status == "running"
    assert orders.starts == ["start-replication", "resume-processing"]
    assert sum(table.changes for table in orders.tables) > 0
    assert (billing.status, billing.starts) == ("failed", ["start-replication"])
    assert world.case(orders.arn).state is State.RECOVERED
    assert world.case(billing.arn).state is State.ESCALATED
    reported = [alert["subject"].partition(":")[0] for alert in world.alerts()]
    assert set(reported) == {"DMS billing needs a person"}
    assert 1 <= len(reported) <= alerts


@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_killed_at_any_call(number: int) -> None:
    """Wherever a run is killed, the next ones bring it to the same end: one restart, one alert, one recovery."""
    with a_world() as world:
        lift = kill_at(world, number)
        try:
            world.recover()
            killed = False
        except Killed:
            killed = True
        made = lift()
        assert killed is (number <= made)
        for _ in range(5):
            world.advance(600)
            assert not world.recover().failed
        # The one duplicate window of an alert: it was published, and the run died before it had written that down.
        all_is_well(world, alerts=2 if killed else 1)


@pytest.mark.parametrize("number", range(1, 16))
def test_killed_while_it_proves_a_recovery(number: int) -> None:
    """Wherever the run is killed that finds a recovery, people who were alarmed are reported it, and it is counted."""
    with a_world() as world:
        world.recover("billing")
        assert len(world.alerts()) == 1
        arn = world.dms.replication("billing").arn
        world.start(arn, Verb.RESUME)
        world.advance(700)
        lift = kill_at(world, number)
        try:
            world.recover("billing")
            killed = False
        except Killed:
            killed = True
        made = lift()
        assert killed is (number <= made)
        assert number < 15 or not killed, "the last number lies behind the last call"
        for _ in range(3):
            world.advance(600)
            assert not world.recover("billing").failed
        assert world.case(arn).state is State.RECOVERED
        reported = [alert["subject"] for alert in world.alerts()]
        assert set(reported) == {"DMS billing has recovered"}
        # The same duplicate window as that of an alert: published, and not written down yet.
        assert len(reported) <= (2 if killed else 1)


def test_all_calls_of_a_run_are_tried() -> None:
    """The kills above reach past the last call of a whole run."""
    with a_world() as world:
        lift = kill_at(world, 10_000)
        world.recover()
        assert 12 < lift() < CALLS


def test_four_runs_at_once(aws: SimulatedAws) -> None:
    """Runs that really race, on a ledger that takes writes at the same time, restart each task once."""
    aws.create_estate()
    names = [f"task-{number}" for number in range(8)]
    for name in names:
        make(aws, name)
    aws.clock.advance(300)
    request = ReplicationRequest(tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP)
    gate = threading.Barrier(4)
    reports = []

    def run(owner: str) -> None:
        work = work_on(aws, request, owner)
        gate.wait()
        reports.append(recover(work))
        work.close()

    threads = [threading.Thread(target=run, args=(f"run {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = {state["name"]: state for state in aws.control("GET", "dms/state")["replications"]}
    assert [states[name]["starts"] for name in names] == [["start-replication", "resume-processing"]] * len(names)
    assert sum(report.by_action.get("resume", 0) for report in reports) == len(names)
    assert not any(report.failed for report in reports)
    assert aws.request_counts()["dms:StartReplicationTask"] == 2 * len(names), "nobody even asked twice"


def make(aws: SimulatedAws, name: str) -> None:
    """A task that fails half a minute after it began to capture changes."""
    dms = aws.client("dms")
    if not dms.describe_replication_instances()["ReplicationInstances"]:
        dms.create_replication_instance(ReplicationInstanceIdentifier="r1", ReplicationInstanceClass="dms.t3.medium")
        for kind in ("source", "target"):
            dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, EngineName="mysql")
    ends = {end["EndpointIdentifier"]: end["EndpointArn"] for end in dms.describe_endpoints()["Endpoints"]}
    arn = dms.create_replication_task(
        ReplicationTaskIdentifier=name,
        MigrationType="cdc",
        SourceEndpointArn=ends["source"],
        TargetEndpointArn=ends["target"],
        ReplicationInstanceArn=dms.describe_replication_instances()["ReplicationInstances"][0][
            "ReplicationInstanceArn"
        ],
        TableMappings="{}",
    )["ReplicationTask"]["ReplicationTaskArn"]
    fault = {"text": RECOVERABLE, "stage": "cdc", "after_seconds": 30}
    aws.control("POST", "dms/script", {"replication": name, "future": {"faults": [fault]}})
    aws.clock.advance(5)
    dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")


def work_on(aws: SimulatedAws, request: ReplicationRequest, owner: str) -> ReplicationRun:
    """The tools of a run on the simulated AWS."""
    ledger = Ledger(aws.client("dynamodb"), aws.environment["REPRISE_LEDGER_TABLE"])
    return ReplicationRun(
        dms=ReplicationGateway(aws.client("dms"), Pace(CALLS_PER_SECOND, burst=1_000)),
        ledger=ledger,
        archive=Archive(aws.client("s3"), aws.environment["REPRISE_ARCHIVE_BUCKET"]),
        alerts=Alerts(aws.client("sns"), aws.environment["REPRISE_ALERT_TOPIC_ARN"], ledger, owner),
        now=aws.clock.now,
        requests=dict,
        request=request,
    )


def test_a_day_of_failures_keeps_the_laws() -> None:
    """Over a day of a task that never stays up: never two restarts within the backoff, none beyond the bound."""
    with mock_aws():
        world = Recovering()
        arn = world.task("orders", "cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 420, times=None),)))
        world.start(arn)
        policy = ReplicationPolicy(max_attempts=4)
        accepted = []
        for _ in range(6 * 24):
            world.advance(600)
            before = len(world.starts("orders"))
            world.recover(max_attempts=policy.max_attempts)
            accepted += [world.now] * (len(world.starts("orders")) - before)
        assert len(accepted) == policy.max_attempts, "the passing of the window begins nothing again"
        for index, moment in enumerate(accepted):
            within = [
                other for other in accepted if timedelta(0) <= moment - other < timedelta(seconds=policy.window_seconds)
            ]
            assert len(within) <= policy.max_attempts
            if index:
                assert moment - accepted[index - 1] >= policy.backoff.ceiling(1) / 2
        assert set(world.starts("orders")[1:]) == {Verb.RESUME.value}
        assert len(world.alerts()) == 1
