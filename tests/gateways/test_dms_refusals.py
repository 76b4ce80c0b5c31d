"""Restarts that DMS refuses for good: reported once, not repeated at each sweep, counted nowhere, made once allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from recovery.cases import State
from recovery.errors import Refused
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.models import Facts, Verb
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.report import RecoveryReport
from recovery.scope import StartedBy
from simulated_aws.dms import Fault, Future
from tests.dms_world import Recovering, recover
from tests.unit.replication_tasks.situations import RECOVERABLE

RELOADABLE: dict[str, Any] = {"allow_reload": ("*",)}


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


class Denied(ReplicationGateway):
    """A role that may only read."""

    def __init__(self, world: Recovering, code: str = "AccessDeniedFault") -> None:
        super().__init__(world.client, world.pace())
        self.code = code
        self.tried: list[Verb] = []

    def restart(self, facts: Facts, verb: Verb) -> None:
        self._refuse("dms:StartReplicationTask", verb)

    def reload_tables(self, *_: Any) -> None:
        self._refuse("dms:ReloadTables", Verb.RELOAD_TABLES)

    def _refuse(self, operation: str, verb: Verb) -> None:
        self.tried.append(verb)
        text = f"{operation}: {self.code}: not authorized at ip-10-1-2-3.ec2.internal"
        raise Refused(text, code=self.code, operation=operation)


def sweep(world: Recovering, gateway: ReplicationGateway, *, fixed: bool = False, **policy: Any) -> RecoveryReport:
    request = ReplicationRequest(
        tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP, cause_fixed=fixed, policy=policy
    )
    work = world.work(request, gateway)
    try:
        return recover(work)
    finally:
        work.close()


def failed(world: Recovering, name: str = "orders", text: str = RECOVERABLE, times: int | None = 1) -> str:
    arn = world.task(name, "cdc", Future(faults=(Fault(text, "cdc", 30, times=times),)))
    world.start(arn)
    world.advance(300)
    assert world.status(name) == "failed"
    return arn


def with_a_broken_table(world: Recovering) -> None:
    future = Future(faults=(Fault("", "cdc", 30, table="public.items"),))
    world.start(world.task("orders", "full-load-and-cdc", future))
    world.advance(300)


@pytest.mark.parametrize("code", ["AccessDeniedFault", "ResourceQuotaExceededFault"])
def test_a_refused_restart_is_reported_once(world: Recovering, code: str) -> None:
    """A day of sweeps: one alert, one call an hour, a failed entry for each call and quiet between, no restart counted;
    once it is allowed it is restarted, and people hear that it recovered."""
    arn = failed(world)
    denied = Denied(world, code)
    reports = []
    for _ in range(6 * 24):
        reports.append(sweep(world, denied))
        world.advance(600)
    assert len(denied.tried) == 24
    assert [report.unsettled for report in reports[:7]] == [1, 0, 0, 0, 0, 0, 1]
    assert reports[1].is_quiet
    [group] = reports[0].groups
    assert code in group.reason
    assert "10-1-2-3" not in group.reason
    assert ("allow dms:StartReplicationTask" in group.next_step) == (code == "AccessDeniedFault")
    [alert] = world.alerts()
    assert "dms:StartReplicationTask" in alert["text"]
    assert "10-1-2-3" not in alert["text"]
    assert (world.case(arn).state, world.case(arn).attempts) == (State.ESCALATED, 0)
    assert world.recover().by_action == {"resume": 1}
    world.advance(700)
    assert world.recover().recovered == 1
    assert [one["subject"] for one in world.alerts()] == ["DMS orders has recovered"]
    assert world.memory(arn).refusal_notified == ""


def test_a_refused_reload_of_tables_is_reported_once(world: Recovering) -> None:
    """The right to reload tables is one of its own: while it is missing, a running task is reported once."""
    with_a_broken_table(world)
    denied = Denied(world)
    for _ in range(5):
        sweep(world, denied, **RELOADABLE)
        world.advance(600)
    assert denied.tried == [Verb.RELOAD_TABLES]
    [alert] = world.alerts()
    assert "allow dms:ReloadTables" in alert["text"]
    world.advance(1_200)
    assert world.recover(**RELOADABLE).by_action == {"reload tables": 1}


def test_one_who_fixed_it_need_not_wait(world: Recovering) -> None:
    """By hand, with `cause_fixed`, the refused call is made at once; if refused again, it is reported."""
    failed(world)
    denied = Denied(world)
    sweep(world, denied)
    assert world.recover().is_quiet
    world.advance(60)
    assert sweep(world, denied, fixed=True).unsettled == 1
    assert len(denied.tried) == 2
    assert len(world.alerts()) == 2
    assert sweep(world, world.gateway, fixed=True).by_action == {"resume": 1}


def test_who_heard_of_a_refusal_still_hears_what_follows(world: Recovering) -> None:
    """Once it is allowed and its restarts are used up, people are notified of that, too."""
    arn = failed(world, times=None)
    sweep(world, Denied(world))
    assert len(world.alerts()) == 1
    for _ in range(6 * 8):
        world.advance(600)
        world.recover(flaps=50, max_attempts=2)
    assert world.case(arn).state is State.ESCALATED
    [alert] = world.alerts()
    assert "twice restarted within" in alert["text"]
    assert world.starts("orders")[1:] == ["resume-processing"] * 2


def test_who_heard_of_something_else_still_hears_of_a_refusal(world: Recovering) -> None:
    """A person who allows the reload that an alert asked for learns that the role may not make it."""
    with_a_broken_table(world)
    world.recover()
    assert "policy does not allow" in world.alerts()[0]["text"]
    assert sweep(world, Denied(world), **RELOADABLE).unsettled == 1
    [alert] = world.alerts()
    assert "allow dms:ReloadTables" in alert["text"]


def test_a_run_killed_while_it_is_refused(world: Recovering) -> None:
    """A run that dies between what was refused and its alert leaves the telling to the next, which asks DMS nothing."""
    failed(world)

    class Killed(BaseException):
        pass

    def die(**_: Any) -> Any:
        raise Killed

    denied, publish = Denied(world), world.sns.publish
    world.sns.publish = die
    with pytest.raises(Killed):
        sweep(world, denied)
    world.sns.publish = publish
    world.advance(600)
    assert not sweep(world, denied).failed
    assert len(world.alerts()) == 1
    assert len(denied.tried) == 1
    world.advance(600)
    assert sweep(world, denied).is_quiet


def test_a_refusal_that_nobody_could_be_notified_of(world: Recovering) -> None:
    """While the alert does not go out the entry says that, too, and the next run shows without asking DMS again."""
    failed(world)
    denied, publish = Denied(world), world.sns.publish

    def down(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://sns")

    world.sns.publish = down
    [group] = sweep(world, denied).groups
    assert "sns:Publish" in group.reason
    world.sns.publish = publish
    world.advance(600)
    assert not sweep(world, denied).failed
    assert len(world.alerts()) == len(denied.tried) == 1
