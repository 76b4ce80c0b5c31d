"""Claims: whoever claimed a restart makes it and is proved by it, whatever other runs see or die of meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto import mock_aws

from recovery.cases import State
from recovery.replication_tasks.act import restart_all
from recovery.replication_tasks.find import find
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.inspection import inspect
from recovery.replication_tasks.models import Facts, Verb
from recovery.replication_tasks.notices import notify
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.records import keep, note
from recovery.replication_tasks.triage import triage_all
from recovery.replication_tasks.work import Batch, ReplicationRun
from recovery.report import RecoveryReport
from recovery.scope import StartedBy
from simulated_aws.dms import Fault, Future
from tests.dms_world import Recovering, recover
from tests.unit.replication_tasks.situations import BINLOG, OUT_OF_MEMORY, RECOVERABLE, WRONG_PASSWORD

TABLE_BREAKS = Future(faults=(Fault("", "cdc", 30, table="public.items"),))


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


class Killed(BaseException):
    """The process is gone at this point."""


class Meddling(ReplicationGateway):
    """Lets something happen in the middle of a run: after it has listed everything, or before it asks for anything."""

    def __init__(self, world: Recovering, *, listed: Any = None, asking: Any = None) -> None:
        super().__init__(world.client, world.pace())
        self._listed: Callable[[], Any] = listed or (lambda: None)
        self._asking: Callable[[], Any] = asking or (lambda: None)

    def replications(self) -> Iterator[Facts]:
        yield from super().replications()
        self._listed()

    def restart(self, *arguments: Any) -> None:
        self._asking()
        super().restart(*arguments)

    def reload_tables(self, *arguments: Any) -> None:
        self._asking()
        super().reload_tables(*arguments)


def meddled(world: Recovering, *, listed: Any = None, asking: Any = None, **policy: Any) -> RecoveryReport:
    """A sweep in the middle of which something happens."""
    request = ReplicationRequest(tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP, policy=policy)
    work = world.work(request, Meddling(world, listed=listed, asking=asking))
    try:
        return recover(work)
    finally:
        work.close()


def killed(world: Recovering, **policy: Any) -> None:
    """A sweep that dies between its claim and its call."""

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        meddled(world, asking=die, **policy)


def failed(world: Recovering, text: str = RECOVERABLE, times: int | None = 1) -> str:
    arn = world.task("orders", "cdc", Future(faults=(Fault(text, "cdc", 30, times=times),)))
    world.start(arn)
    world.advance(300)
    assert world.status("orders") == "failed"
    return arn


def with_a_broken_table(world: Recovering) -> str:
    arn = world.task("orders", "full-load-and-cdc", TABLE_BREAKS)
    world.start(arn)
    world.advance(300)
    return arn


def by_hand(world: Recovering) -> tuple[ReplicationRun, Batch]:
    """A run by hand that has decided, and has not acted yet."""
    policy: Any = {"allow_reload": ("orders",)}
    work = world.work(ReplicationRequest(tasks=("orders",), dry_run=False, cause_fixed=True, policy=policy))
    batch = find(work)
    inspect(work, batch)
    triage_all(work, batch)
    return work, batch


def end(work: ReplicationRun, batch: Batch) -> RecoveryReport:
    restart_all(work, batch)
    notify(work, batch)
    keep(work, batch)
    note(work, batch)
    report = work.report("run")
    work.close()
    return report


# -- runs that race ----------------------------------------------------------------------------------------------


def test_a_run_that_listed_before_the_claim_leaves_it_alone(world: Recovering) -> None:
    """An event from before a restart proves nothing about it: the claim stays, and the restart is proved later."""
    arn = failed(world)
    late = meddled(world, listed=world.recover)
    assert late.is_quiet
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    assert world.case(arn).state is State.SENT
    assert world.memory(arn).restarts[-1].outcome == ""
    world.advance(700)
    assert world.recover().recovered == 1
    assert world.memory(arn).restarts[-1].outcome == "recovered"


def test_a_run_between_claim_and_call_leaves_it_alone(world: Recovering) -> None:
    """A claim whose call is still on its way is not taken for one that was never carried out."""
    arn = failed(world)
    others: list[RecoveryReport] = []
    assert meddled(world, asking=lambda: others.append(world.recover())).by_action == {"resume": 1}
    assert [other.is_quiet for other in others] == [True]
    assert world.case(arn).state is State.SENT
    world.advance(700)
    assert world.recover().recovered == 1
    assert world.memory(arn).restarts[-1].outcome == "recovered"
    assert world.starts("orders") == ["start-replication", "resume-processing"]


def test_a_reload_that_was_just_claimed_has_not_failed(world: Recovering) -> None:
    """A table that is still in error when its reload has only been claimed is not one that failed again."""
    arn = with_a_broken_table(world)
    policy: dict[str, Any] = {"allow_reload": ("orders",)}
    others: list[RecoveryReport] = []
    meddled(world, asking=lambda: others.append(world.recover(**policy)), **policy)
    assert [other.is_quiet for other in others] == [True]
    world.advance(600)
    assert world.recover(**policy).recovered == 1
    assert [one.outcome for one in world.memory(arn).restarts] == ["recovered"]
    assert world.dms.calls["ReloadTables"] == 1


def test_two_runs_by_hand_reload_a_table_once(world: Recovering) -> None:
    """Two people who say at once that the cause is fixed: one reload, even though DMS would take a second one."""
    with_a_broken_table(world)
    world.recover()
    runs = [by_hand(world), by_hand(world)]
    reports = [end(*run) for run in runs]
    assert world.dms.calls["ReloadTables"] == 1
    assert [report.by_action for report in reports] == [{"reload tables": 1}, {"wait": 1}]
    late = end(*by_hand(world))
    assert late.by_action == {"wait": 1}
    assert world.dms.calls["ReloadTables"] == 1
    world.advance(600)
    assert world.recover(allow_reload=("orders",)).recovered == 1


def test_a_table_that_somebody_reloads_meanwhile_is_not_reloaded_twice(world: Recovering) -> None:
    """The tables are looked at again just before they are reloaded, because the status shows nothing of them."""
    arn = with_a_broken_table(world)
    run = by_hand(world)
    world.client.reload_tables(ReplicationTaskArn=arn, TablesToReload=[{"SchemaName": "public", "TableName": "items"}])
    assert not end(*run).failed
    assert world.dms.calls["ReloadTables"] == 1


def test_a_recovery_is_counted_once(world: Recovering) -> None:
    """Of two runs that prove the same restart, the one that writes it down counts it."""
    failed(world)
    world.recover()
    world.advance(700)
    others: list[RecoveryReport] = []
    work = world.work(ReplicationRequest(tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP))
    batch = find(work)
    inspect(work, batch)
    triage_all(work, batch)
    others.append(world.recover())
    world.advance(1)
    assert [end(work, batch).recovered, *(other.recovered for other in others)] == [0, 1]


def test_an_alert_that_another_run_is_sending_fails_nobody(world: Recovering) -> None:
    """While one run sends the alert, another one neither sends it again nor ends as failed."""
    failed(world, WRONG_PASSWORD)
    others: list[RecoveryReport] = []
    publish = world.sns.publish

    def slowly(**message: Any) -> Any:
        world.sns.publish = publish
        others.append(world.recover())
        return publish(**message)

    world.sns.publish = slowly
    assert not world.recover().failed
    assert [other.failed for other in others] == [False]
    assert len(world.alerts()) == 1
    world.advance(600)
    assert world.recover().is_quiet
    assert world.alerts() == []


# -- runs that die -----------------------------------------------------------------------------------------------


def test_a_crash_does_not_use_up_the_only_try(world: Recovering) -> None:
    """A restart that was never carried out is made after all, where a cause is worth one try; and people read that."""
    failed(world, OUT_OF_MEMORY, times=2)
    killed(world)
    assert world.starts("orders") == ["start-replication"]
    assert world.recover().is_quiet, "the claim is too young to triage"
    world.advance(600)
    assert world.recover().by_action == {"resume": 1}
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    world.advance(600)
    assert world.recover().by_action == {"escalate": 1}
    [alert] = world.alerts()
    assert "once restarted it did not help" in alert["text"]
    assert alert["text"].count("resume-processing:") == 2
    assert alert["text"].count("DMS shows no start after it") == 1


def test_crashes_for_ever_end_all_the_same(world: Recovering) -> None:
    """If every run dies between claim and call, the claims end at `max_attempts`, and a person reads the truth."""
    arn = failed(world, OUT_OF_MEMORY)
    for _ in range(20):
        world.advance(600)
        try:
            killed(world, max_attempts=3)
        except pytest.fail.Exception:
            break
    assert len(world.memory(arn).restarts) == 3
    assert world.starts("orders") == ["start-replication"]
    [alert] = world.alerts()
    assert "3 times a restart was written down" in alert["text"]
    assert "DMS shows none of them" in alert["text"]
    world.advance(86_400)
    assert world.recover(max_attempts=3).is_quiet


def test_a_reload_of_tables_that_was_never_carried_out(world: Recovering) -> None:
    """A table that DMS has not begun to load since the claim did not fail again: its reload was never asked for."""
    arn = with_a_broken_table(world)
    policy: dict[str, Any] = {"allow_reload": ("orders",)}
    killed(world, **policy)
    world.advance(600)
    assert world.recover(**policy).by_action == {"reload tables": 1}
    assert [one.outcome for one in world.memory(arn).restarts] == ["not carried out", ""]
    world.advance(600)
    assert world.recover(**policy).recovered == 1


# -- what waits for a person -------------------------------------------------------------------------------------


def test_another_failure_after_somebodys_start_is_reported(world: Recovering) -> None:
    """A person fixes what the alert named and starts it; before any run sees it run, it fails of something else."""
    arn = failed(world, WRONG_PASSWORD)
    world.recover()
    assert len(world.alerts()) == 1
    world.dms.script("orders", Future(faults=(Fault(BINLOG, "cdc", 30),)))
    world.start(arn, Verb.RESUME)
    world.advance(300)
    assert world.status("orders") == "failed"
    for _ in range(3):
        world.recover()
        world.advance(600)
    [alert] = world.alerts()
    assert "binary log" in alert["text"]


def test_what_waits_for_a_person_takes_nobodys_room(world: Recovering) -> None:
    """A limit that those which wait would fill leaves its room to what failed since."""
    failed(world, WRONG_PASSWORD)
    request = ReplicationRequest(tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP, limit=1)

    def sweep() -> RecoveryReport:
        work = world.work(request)
        try:
            return recover(work)
        finally:
            work.close()

    assert sweep().by_action == {"escalate": 1}
    world.start(world.task("stock", "cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 30, times=1),))))
    world.advance(300)
    assert sweep().by_action == {"resume": 1}
    assert world.starts("stock") == ["start-replication", "resume-processing"]
