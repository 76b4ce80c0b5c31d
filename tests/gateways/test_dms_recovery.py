"""Whole runs of the path on the strict DMS: what is restarted, what is proved, what people are notified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from recovery.cases import State
from recovery.replication_tasks import inspection
from recovery.replication_tasks.act import restart_all
from recovery.replication_tasks.find import find
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.inspection import inspect
from recovery.replication_tasks.models import PATH, Verb
from recovery.replication_tasks.notices import notify
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from recovery.replication_tasks.records import keep, note
from recovery.replication_tasks.triage import triage_all
from recovery.report import RecoveryReport
from recovery.scope import StartedBy
from simulated_aws.dms import Fault, Future
from tests.dms_world import MAPPINGS, Recovering, recover
from tests.unit.replication_tasks.situations import BINLOG, CHECKPOINT, LOST, RECOVERABLE, WRONG_PASSWORD

SOON = Future(starting_seconds=20, load_seconds=60)


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


def failing(text: str, stage: Any = "cdc", *, after: float = 30, times: int | None = 1, **future: Any) -> Future:
    return Future(faults=(Fault(text, stage, after, times=times),), **future)


def run_until_failed(world: Recovering, name: str, migration: str, future: Future, **arguments: Any) -> str:
    """A task that was started and has failed by its script."""
    arn = world.task(name, migration, future, **arguments)
    world.start(arn)
    world.advance(300)
    assert world.status(name) == "failed"
    return arn


def sweeps(world: Recovering, minutes: float, **arguments: Any) -> list[RecoveryReport]:
    """Sweeps, ten minutes apart."""
    reports = []
    for _ in range(int(minutes // 10)):
        world.advance(600)
        reports.append(world.recover(**arguments))
    return reports


def test_resumed_and_proved(world: Recovering) -> None:
    """A failed change capture is resumed at once, watched, and recovered once changes have moved for long enough."""
    arn = run_until_failed(world, "orders", "cdc", failing(RECOVERABLE))
    report = world.recover(started_by=StartedBy.EVENT)
    assert report.by_action == {"resume": 1}
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    assert world.case(arn).state is State.SENT
    world.advance(60)
    assert world.recover().is_quiet
    world.advance(600)
    proved = world.recover()
    assert proved.recovered == 1
    assert proved.seconds_to_recover == pytest.approx(270, abs=5)
    assert world.case(arn).state is State.RECOVERED
    assert world.memory(arn).seconds_to_recover == proved.seconds_to_recover
    assert world.alerts() == []
    assert world.recover().is_quiet
    assert world.starts("orders") == ["start-replication", "resume-processing"]


def test_event_that_never_came_is_counted(world: Recovering) -> None:
    """A failure that a sweep finds minutes later, and that no run had seen, is recovered and counted as missed."""
    run_until_failed(world, "orders", "cdc", failing(RECOVERABLE, silent=True))
    report = world.recover(started_by=StartedBy.SWEEP)
    assert (report.by_action, report.missed_events) == ({"resume": 1}, 1)


def test_failure_that_an_event_announced_is_not_missed(world: Recovering) -> None:
    """A failure that an event's run found first is not counted again by the sweep that finds it still waiting."""
    run_until_failed(world, "orders", "cdc", failing(LOST, after=269))
    first = world.recover(started_by=StartedBy.EVENT)
    assert (first.by_action, first.missed_events) == ({"wait": 1}, 0)
    world.advance(600)
    second = world.recover(started_by=StartedBy.SWEEP)
    assert (second.by_action, second.missed_events) == ({"resume": 1}, 0)


def test_fresh_failure_is_not_missed_yet(world: Recovering) -> None:
    """A sweep that comes before the event could have is not ahead of a lost one."""
    arn = world.task("orders", "cdc", failing(RECOVERABLE, after=29))
    world.start(arn)
    world.advance(60)
    assert world.status("orders") == "failed"
    assert world.recover(started_by=StartedBy.SWEEP).missed_events == 0


IN_LOAD = Future(faults=(Fault(RECOVERABLE, "full-load", 40),))


def test_reloaded_where_it_is_allowed(world: Recovering) -> None:
    """A load that never finished, and left no checkpoint, is loaded again when the policy allows it, and proven."""
    run_until_failed(world, "catalog", "full-load-and-cdc", IN_LOAD)
    report = world.recover(allow_reload=("catalog",))
    assert report.by_action == {"reload": 1}
    assert world.starts("catalog")[-1] == "reload-target"
    assert sum(report.recovered for report in sweeps(world, 20, allow_reload=("catalog",))) == 1
    assert world.dms.replication("catalog").emptied == 2
    assert {table.state for table in world.dms.replication("catalog").tables} == {"Table completed"}


def test_reload_is_never_without_permission(world: Recovering) -> None:
    """The same task without permission is not touched; one alert has the command, however many sweeps find it."""
    arn = run_until_failed(world, "ledger", "full-load-and-cdc", IN_LOAD)
    reports = sweeps(world, 60, allow_reload=("catalog",))
    assert reports[0].by_action == {"escalate": 1}
    assert all(report.is_quiet for report in reports[1:])
    assert world.starts("ledger") == ["start-replication"]
    assert world.dms.replication("ledger").emptied == 1
    [alert] = world.alerts()
    assert "reload-target" in alert["text"]
    assert "it empties 2 tables" in alert["text"], "both ways, with what each costs"
    assert arn in alert["text"]
    assert world.case(arn).state is State.ESCALATED


def test_one_table_set_aside_never_reloads_the_others(world: Recovering) -> None:
    """A lost connection of a task with a table in error is resumed; that table alone is then loaded again."""
    future = Future(
        faults=(Fault("", "cdc", 5, table="public.items"), Fault(LOST, "cdc", 40)),
    )
    run_until_failed(world, "wide", "full-load-and-cdc", future)
    world.advance(300)
    assert world.recover(allow_reload=("wide",)).by_action == {"resume": 1}
    world.advance(900)
    assert world.recover(allow_reload=("wide",)).by_action == {"reload tables": 1}
    sweeps(world, 20, allow_reload=("wide",))
    task = world.dms.replication("wide")
    assert task.starts == ["start-replication", "resume-processing"]
    assert task.emptied == 1
    assert {table.state for table in task.tables} == {"Table completed"}
    assert world.alerts() == []


def test_a_load_that_ended_with_tables_in_error_is_reported_once(world: Recovering) -> None:
    """DMS says "stopped", as of one that ended well: a person is notified of the tables, and nothing is emptied."""
    future = Future(faults=(Fault("", "full-load", 5, table="public.items"),))
    arn = world.task("once", "full-load", future)
    world.start(arn)
    world.advance(300)
    assert world.status("once") == "stopped"
    assert world.recover(allow_reload=("*",)).by_action == {"escalate": 1}
    [alert] = world.alerts()
    assert "public.items" in alert["text"]
    assert all(report.is_quiet for report in sweeps(world, 60, allow_reload=("*",)))
    assert world.alerts() == []
    assert world.dms.replication("once").emptied == 1
    assert world.recover("once", findings=False).by_action == {"leave": 1}


def test_wrong_credentials_are_reported_and_then_fixed(world: Recovering) -> None:
    """Nothing is tried against wrong credentials; once a person has fixed them and started it, one notice says so."""
    arn = run_until_failed(world, "billing", "cdc", failing(WRONG_PASSWORD))
    assert world.recover().by_action == {"escalate": 1}
    [alert] = world.alerts()
    assert "credentials" in alert["text"]
    assert "10.0.0.7" not in alert["text"], "values stay out of alerts"
    assert world.starts("billing") == ["start-replication"]
    world.client.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing")
    reports = sweeps(world, 20)
    assert sum(report.recovered for report in reports) == 1
    assert [each["subject"] for each in world.alerts()] == ["DMS billing has recovered"]
    assert world.case(arn).state is State.RECOVERED


def test_a_person_says_that_the_cause_fixed(world: Recovering) -> None:
    """A run by hand with `cause_fixed` restarts what waits for a person."""
    run_until_failed(world, "billing", "cdc", failing(WRONG_PASSWORD))
    world.recover()
    request = ReplicationRequest(tasks=("billing",), dry_run=False, cause_fixed=True)
    work = world.work(request)
    batch = find(work)
    inspect(work, batch)
    triage_all(work, batch)
    restart_all(work, batch)
    notify(work, batch)
    keep(work, batch)
    note(work, batch)
    assert work.report("by hand").by_action == {"resume": 1}
    work.close()
    assert world.starts("billing") == ["start-replication", "resume-processing"]
    world.advance(700)
    assert world.recover().recovered == 1


@pytest.mark.parametrize("serverless", [False, True], ids=["task", "serverless"])
@pytest.mark.parametrize("preparation", ["DO_NOTHING", "TRUNCATE_BEFORE_LOAD"])
def test_what_a_load_does_to_its_target_counts(world: Recovering, preparation: str, serverless: bool) -> None:
    """A reload over data that nothing removes is left to a person even where reloads are allowed; others are made."""
    settings = json.dumps({"FullLoadSettings": {"TargetTablePrepMode": preparation}})
    future = failing(RECOVERABLE, "full-load", after=20)
    if serverless:
        arn = world.config("it", "full-load-and-cdc", future, ReplicationSettings=settings)
    else:
        arn = world.task("it", "full-load-and-cdc", future, ReplicationTaskSettings=settings)
    world.start(arn)
    world.advance(600)
    assert world.status("it") == "failed"
    report = world.recover(allow_reload=("it",))
    assert report.by_action == ({"escalate": 1} if preparation == "DO_NOTHING" else {"reload": 1})
    assert world.starts("it") == ["start-replication"] + ["reload-target"] * (preparation != "DO_NOTHING")


def test_first_start_that_empties_nothing(world: Recovering) -> None:
    """A first start that drops nothing in its target needs no permission."""
    settings = json.dumps({"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}})
    future = Future(faults=(Fault(RECOVERABLE, "starting", 5),))
    world.start(world.task("load", "full-load", future, ReplicationTaskSettings=settings))
    world.advance(60)
    assert world.recover().by_action == {"start": 1}
    world.advance(700)
    assert world.recover().recovered == 1


def test_settings_that_change_under_our_hands(world: Recovering) -> None:
    """A task whose settings no longer empty its target when it is to be reloaded is decided again."""
    arn = run_until_failed(world, "it", "full-load-and-cdc", failing(RECOVERABLE, "full-load", after=20))
    request = ReplicationRequest(tasks=("*",), dry_run=False, policy=ReplicationPolicy(allow_reload=("it",)))
    work = world.work(request)
    batch = find(work)
    inspect(work, batch)
    triage_all(work, batch)
    world.dms.replication(arn).settings = json.dumps({"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}})
    restart_all(work, batch)
    work.close()
    assert batch.items[0].verdict.rule == "reload-over-data"
    assert world.starts("it") == ["start-replication"]


def test_lost_position_is_reloaded_or_reported(world: Recovering) -> None:
    """Without its position, a task with a full load is reloaded if it may be; change capture alone never is."""
    for name, migration in (("both", "full-load-and-cdc"), ("only", "cdc")):
        run_until_failed(world, name, migration, failing(BINLOG))
        world.dms.lose_position(name, BINLOG)
    report = world.recover(allow_reload=("*",))
    assert report.by_action == {"reload": 1, "escalate": 1}
    assert world.starts("both")[-1] == "reload-target"
    assert world.starts("only") == ["start-replication"]
    assert sweeps(world, 20, allow_reload=("*",))[-1].recovered + 1 >= 1
    assert world.status("both") == "running"


def test_endpoint_that_returns(world: Recovering) -> None:
    """While its endpoint is down each restart fails again and the waits grow; when it is back, the next one holds."""
    arn = world.task("orders", "cdc", SOON)
    world.start(arn)
    world.advance(120)
    world.dms.break_endpoint("source", "Lost connection to server during query.")
    world.advance(120)
    assert world.status("orders") == "failed"
    sweeps(world, 20)
    tried = len(world.starts("orders")) - 1
    assert tried >= 1
    world.dms.fix_endpoint("source")
    reports = sweeps(world, 60)
    assert sum(report.recovered for report in reports) == 1
    assert world.status("orders") == "running"
    assert world.alerts() == []


def test_endpoint_that_stays_away(world: Recovering) -> None:
    """Restarts that fail again at once end after a few, and a person is notified once what was tried."""
    arn = world.task("orders", "cdc", SOON)
    world.start(arn)
    world.advance(120)
    world.dms.break_endpoint("source", "Lost connection to server during query.")
    world.advance(120)
    sweeps(world, 600)
    assert world.starts("orders")[1:] == ["resume-processing"] * 3
    [alert] = world.alerts()
    assert alert["text"].count("resume-processing: failed again at once") == 3
    assert world.memory(arn).notified


def test_what_worked_but_came_back_counts(world: Recovering) -> None:
    """Restarts that hold for half an hour and fail again use up the allowed restarts; then a person is notified."""
    future = failing(RECOVERABLE, "cdc", after=1_800, times=None)
    arn = world.task("orders", "cdc", future)
    world.start(arn)
    sweeps(world, 360, max_attempts=3)
    assert world.starts("orders") == ["start-replication", *["resume-processing"] * 3]
    assert [alert["subject"].split(":")[0] for alert in world.alerts()] == ["DMS orders needs a person"]
    assert world.case(arn).state is State.ESCALATED


def test_given_up_until_a_person_says_otherwise(world: Recovering) -> None:
    """A replication that was given up does not begin again as time passes, but when a person has fixed the cause."""
    future = failing(RECOVERABLE, "cdc", after=420, times=3)
    world.start(world.task("orders", "cdc", future))
    sweeps(world, 120, max_attempts=2)
    assert world.starts("orders")[1:] == ["resume-processing"] * 2
    reports = sweeps(world, 600, max_attempts=2)
    assert all(report.is_quiet for report in reports)
    assert world.starts("orders")[1:] == ["resume-processing"] * 2
    work = world.work(ReplicationRequest(tasks=("orders",), dry_run=False, cause_fixed=True))
    assert recover(work).by_action == {"resume": 1}
    work.close()
    assert sum(report.recovered for report in sweeps(world, 30, max_attempts=2)) == 1
    subjects = [alert["subject"].partition(":")[0] for alert in world.alerts()]
    assert subjects == ["DMS orders needs a person", "DMS orders has recovered"]


def test_fixed_but_not_for_good(world: Recovering) -> None:
    """If a fix that a person trusted fails, they are notified again, and once more when it has recovered."""
    arn = run_until_failed(world, "billing", "cdc", failing(WRONG_PASSWORD, times=2))
    world.recover()
    for _ in range(2):
        work = world.work(ReplicationRequest(tasks=("billing",), dry_run=False, cause_fixed=True))
        assert recover(work).by_action == {"resume": 1}
        work.close()
        sweeps(world, 30)
    subjects = [alert["subject"].partition(":")[0] for alert in world.alerts()]
    assert subjects == ["DMS billing needs a person"] * 2 + ["DMS billing has recovered"]
    assert world.case(arn).state is State.RECOVERED


def test_escalated_for_want_of_permission_goes_on_with_it(world: Recovering) -> None:
    """Once the policy allows the reload that was asked for, the next run makes it."""
    run_until_failed(world, "it", "full-load-and-cdc", failing(RECOVERABLE, "full-load", after=20))
    assert world.recover().by_action == {"escalate": 1}
    assert world.recover(allow_reload=("it",)).by_action == {"reload": 1}
    assert sum(report.recovered for report in sweeps(world, 20, allow_reload=("it",))) == 1
    subjects = [alert["subject"].partition(":")[0] for alert in world.alerts()]
    assert subjects == ["DMS it needs a person", "DMS it has recovered"]


def test_quiet_source_is_no_failed_recovery(world: Recovering) -> None:
    """A change capture that has nothing to send is recovered after the quiet time, not restarted again."""
    arn = world.task("orders", "cdc", failing(RECOVERABLE, changes_per_second=0))
    world.start(arn)
    world.advance(300)
    world.recover()
    reports = sweeps(world, 70)
    assert [report.recovered for report in reports] == [0, 0, 0, 0, 0, 0, 1]
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    assert world.alerts() == []


def test_resume_that_moves_nothing_is_reported(world: Recovering) -> None:
    """A full load that reports running after a resume and loads no rows is not taken for recovered."""
    future = failing(RECOVERABLE, "full-load", after=20, resume_moves_nothing=True)
    run_until_failed(world, "catalog", "full-load", future)
    world.recover()
    assert world.starts("catalog")[-1] == "resume-processing"
    reports = sweeps(world, 70)
    assert sum(report.recovered for report in reports) == 0
    [alert] = world.alerts()
    assert "loads no rows" in alert["text"]
    assert "stop-replication-task" in alert["text"]


def test_tables_in_error_are_reloaded_alone(world: Recovering) -> None:
    """Just the tables in error are loaded again, while the task goes on."""
    future = Future(faults=(Fault("", "cdc", 30, table="public.items"),))
    arn = world.task("both", "full-load-and-cdc", future)
    world.start(arn)
    world.advance(300)
    report = world.recover(allow_reload=("both",))
    assert report.by_action == {"reload tables": 1}
    assert world.starts("both") == ["start-replication"]
    assert world.dms.replication("both").emptied == 1
    [proved] = sweeps(world, 10, allow_reload=("both",))
    assert proved.recovered == 1
    assert world.recover(allow_reload=("both",)).is_quiet


def test_serverless_is_recovered(world: Recovering) -> None:
    """A serverless replication is resumed, watched while it is set up for minutes, and proved."""
    arn = world.config("lake", "full-load-and-cdc", failing(RECOVERABLE, setup_seconds=1_500))
    world.start(arn)
    world.advance(1_500 + 20 + 60 + 40)
    assert world.status("lake") == "failed"
    assert world.recover().by_action == {"resume": 1}
    reports = sweeps(world, 60)
    assert [report.recovered for report in reports] == [0, 0, 0, 1, 0, 0]
    assert world.starts("lake") == ["start-replication", "resume-processing"]


def test_serverless_found_after_two_days(world: Recovering) -> None:
    """Deprovisioned after 48 hours, it is not resumed any more."""
    arn = world.config("lake", "full-load-and-cdc", failing(RECOVERABLE))
    world.start(arn)
    world.advance(3 * 86_400)
    assert world.recover().by_action == {"escalate": 1}
    assert world.recover(allow_reload=("lake",)).by_action == {"reload": 1}
    world.advance(1_200)
    assert world.recover(allow_reload=("lake",)).recovered == 1


def test_nothing_named_nothing_touched(world: Recovering) -> None:
    """A request without a scope acts on nothing, and lists what failed."""
    run_until_failed(world, "orders", "cdc", failing(RECOVERABLE))
    before = world.dms.calls
    work = world.work(ReplicationRequest(dry_run=False))
    assert not find(work).items
    report = work.report("by hand")
    assert report.found == 0
    assert report.warnings == ("1 failed replications are outside the request, and not touched: orders",)
    assert set(world.dms.calls) - set(before) <= {"DescribeReplicationTasks", "DescribeReplications"}
    assert world.starts("orders") == ["start-replication"]


def test_a_sweep_lists_what_is_outside_without_a_page_for_it(world: Recovering) -> None:
    """The report of a sweep names failures outside its scope, although they alone are worth no artifact."""
    run_until_failed(world, "orders", "cdc", failing(RECOVERABLE))
    report = world.recover("other-*")
    assert report.facts == ("1 failed replications are outside the request, and not touched: orders",)
    assert report.is_quiet


def test_scope_by_name_arn_glob_and_tag(world: Recovering) -> None:
    """Only what is named is restarted: by name, by ARN, by glob, by tag."""
    names = ("by-name", "by-arn", "glob-1", "tagged", "not-intended")
    arns = {}
    for name in names:
        tags = [{"Key": "reprise", "Value": "recover" if name == "tagged" else "no"}]
        arns[name] = run_until_failed(world, name, "cdc", failing(RECOVERABLE), Tags=tags)
    report = world.recover("by-name", arns["by-arn"], "glob-*", "tag:reprise=recover", started_by=StartedBy.BY_HAND)
    assert report.by_action == {"resume": 4}
    assert {name for name in names if len(world.starts(name)) > 1} == set(names) - {"not-intended"}
    assert "not-intended" in report.warnings[0]


def test_dry_run_changes_nothing(world: Recovering) -> None:
    """A dry run says what would be done, and neither DMS, ledger, topic nor archive sees a change."""
    arn = run_until_failed(world, "orders", "cdc", failing(RECOVERABLE))
    run_until_failed(world, "billing", "cdc", failing(WRONG_PASSWORD))
    report = world.recover(dry_run=True)
    assert report.by_action == {"resume": 1, "escalate": 1}
    assert world.starts("orders") == ["start-replication"]
    assert world.ledger.read_cases("replication_tasks", [arn]) == {}
    assert world.alerts() == []
    assert "Contents" not in world.s3.list_objects_v2(Bucket="archive")


def test_two_sweeps_at_once_restart_nothing_twice(world: Recovering) -> None:
    """Two runs that decided on the same facts restart each replication once, in whatever order they act."""
    names = [f"task-{number}" for number in range(6)]
    for name in names:
        run_until_failed(world, name, "cdc", failing(RECOVERABLE))
    request = ReplicationRequest(tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP)
    works = [world.work(request), world.work(request)]
    batches = [find(work) for work in works]
    for work, batch in zip(works, batches, strict=True):
        inspect(work, batch)
        triage_all(work, batch)
    for one, two in zip(batches[0].items, reversed(batches[1].items), strict=True):
        restart_all(works[0], type(batches[0])([one]))
        restart_all(works[1], type(batches[1])([two]))
    for work, batch in zip(works, batches, strict=True):
        notify(work, batch)
        keep(work, batch)
        note(work, batch)
    reports = [work.report("sweep") for work in works]
    assert [world.starts(name) for name in names] == [["start-replication", "resume-processing"]] * 6
    assert sum(report.by_action.get("resume", 0) for report in reports) == 6
    assert not any(report.failed for report in reports)
    for work in works:
        work.close()


class Killed(BaseException):
    """The process is gone at this point."""


def test_run_killed_between_claim_and_call(world: Recovering, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that was written down but never asked for is found out by the next run, and made after the backoff."""
    arn = run_until_failed(world, "orders", "cdc", failing(RECOVERABLE))

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(world.gateway, "restart", killed)
        with pytest.raises(Killed):
            world.recover()
    assert world.case(arn).state is State.SENT
    assert world.starts("orders") == ["start-replication"]
    assert world.recover().is_quiet, "the call may still be on its way"
    world.advance(600)
    assert world.recover().by_action == {"resume": 1}
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    world.advance(700)
    assert world.recover().recovered == 1


def test_run_killed_between_call_and_record(world: Recovering, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that was accepted before its run died is proved by the next run, and not made again."""
    arn = run_until_failed(world, "orders", "cdc", failing(RECOVERABLE))
    accepted = world.gateway.restart

    def killed(*arguments: Any) -> None:
        accepted(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(world.gateway, "restart", killed)
        with pytest.raises(Killed):
            world.recover()
    world.advance(700)
    assert world.recover().recovered == 1
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    assert world.case(arn).state is State.RECOVERED


def test_an_instance_gets_so_many_starts_in_a_run(world: Recovering) -> None:
    """Tasks that lost one source at once are started in portions, and none is left behind."""
    for number in range(7):
        task = world.dms.replication(world.task(f"task-{number}", "cdc"))
        task.status, task.last_failure, task.checkpoint = "failed", RECOVERABLE, CHECKPOINT
        task.fresh = task.began = task.ended = world.now
    assert world.recover(starts_per_instance=3).by_action == {"resume": 3, "wait": 4}
    world.advance(60)
    assert world.recover(starts_per_instance=3).by_action == {"resume": 3}
    world.advance(60)
    assert world.recover(starts_per_instance=3).by_action == {"resume": 1}
    assert all(world.starts(f"task-{number}")[-1] == "resume-processing" for number in range(7))


def test_500_tasks_in_one_sweep(world: Recovering) -> None:
    """500 failed tasks are restarted in one sweep; every call is counted, and no second sees more than its rate."""
    count = 500
    for number in range(count):
        arn = world.task(f"task-{number}", "cdc", mappings=MAPPINGS)
        task = world.dms.replication(arn)
        task.status, task.last_failure, task.checkpoint = "failed", RECOVERABLE, CHECKPOINT
        task.fresh = task.began = task.ended = world.now
    before = world.dms.calls
    moments: list[float] = []
    pace = world.pace()

    class Counted(ReplicationGateway):
        def _call(self, operation: str, **request: Any) -> Any:
            answer = super()._call(operation, **request)
            moments.append(world.seconds)
            return answer

    gateway = Counted(world.client, pace)
    policy = ReplicationPolicy(starts_per_instance=count)
    request = ReplicationRequest(tasks=("task-*",), dry_run=False, started_by=StartedBy.SWEEP, policy=policy)
    report = recover(world.work(request, gateway))
    assert report.by_action == {"resume": count}
    made = {name: calls - before.get(name, 0) for name, calls in world.dms.calls.items() if calls > before.get(name, 0)}
    assert made == {
        "DescribeReplicationTasks": 5 + count,  # five pages, and each once more just before it is restarted
        "DescribeReplications": 1,
        "DescribeReplicationInstances": 1,
        "DescribeTableStatistics": count,
        "StartReplicationTask": count,
    }
    total = sum(made.values())
    assert pace.taken == total == len(moments)
    assert world.seconds == pytest.approx((total - 8) / 8, abs=0.2)
    for index in range(len(moments) - 16):
        assert moments[index + 16] - moments[index] > 0.99, "a burst of 8 and a second of 8 are the most"


def test_policy_object_is_the_default_one() -> None:
    """The policy that nobody changed allows no reload and has the documented bounds."""
    policy = ReplicationPolicy()
    assert policy.allow_reload == ()
    assert (policy.max_attempts, policy.window_seconds) == (5, 6 * 3_600)
    assert [round(wait.total_seconds() / 60) for wait in policy.backoff.ceilings(5)] == [1, 3, 9, 27, 60]


def fail_many(world: Recovering, count: int, text: str) -> list[str]:
    """Tasks that failed with one text, as when a password of their source expired."""
    arns = []
    for number in range(count):
        arn = world.task(f"many-{number:02}", "cdc")
        task = world.dms.replication(arn)
        task.status, task.last_failure, task.checkpoint = "failed", text, CHECKPOINT
        task.fresh = task.began = task.ended = world.now
        task.start_type = "start-replication"
        arns.append(arn)
    return arns


def test_one_cause_on_many_tasks_is_one_alert(world: Recovering) -> None:
    """Forty tasks that are refused one password are one mail with their names, and one when they are back."""
    arns = fail_many(world, 40, WRONG_PASSWORD)
    assert world.recover().by_action == {"escalate": 40}
    [alert] = world.alerts()
    assert "40 replications need a person" in alert["subject"]
    assert all(f"many-{number:02}" in alert["text"] for number in range(40))
    assert all(report.is_quiet for report in sweeps(world, 30))
    assert world.alerts() == []
    for arn in arns:
        world.start(arn, Verb.RESUME)
    world.advance(900)
    assert world.recover().recovered == 40
    [back] = world.alerts()
    assert "40 replications have recovered" in back["subject"]


def test_few_of_one_cause_are_reported_one_by_one(world: Recovering) -> None:
    """A handful gets an alert each, with the command of each."""
    fail_many(world, 3, WRONG_PASSWORD)
    world.recover()
    assert len(world.alerts()) == 3


def test_a_deleted_task_waits_for_nobody(world: Recovering) -> None:
    """A task that needed a person and was deleted is closed by the next sweep, and not by one that names nothing."""
    [arn] = fail_many(world, 1, WRONG_PASSWORD)
    world.recover()
    assert world.case(arn).state is State.ESCALATED
    world.client.delete_replication_task(ReplicationTaskArn=arn)
    assert sum(report.by_action.get("leave", 0) for report in sweeps(world, 60)) == 1
    assert world.case(arn).state is State.SUPERSEDED
    assert list(world.ledger.waiting(PATH)) == []
    assert world.recover().is_quiet


def test_validation_that_fails_is_reported_once_with_numbers(world: Recovering) -> None:
    """A task runs well and its target is not as its source: an hour of sweeps finds it, and one alert names it."""
    arn = world.task("audited", "full-load-and-cdc")
    world.start(arn)
    world.advance(900)
    table = world.dms.replication(arn).tables[0]
    table.validation, table.mismatched = "Mismatched records", 12
    reports = sweeps(world, 120)
    assert sum(report.by_action.get("escalate", 0) for report in reports) == 1
    [alert] = world.alerts()
    assert f"{table.schema}.{table.name}" in alert["text"]
    assert "12 rows" in alert["text"]
    assert world.starts("audited") == ["start-replication"]
    table.validation, table.mismatched = "Validated", 0
    assert sum(report.recovered for report in sweeps(world, 20)) == 1
    assert len(world.alerts()) == 1


def test_validation_is_not_inspected_where_findings_are_off(world: Recovering) -> None:
    """Without findings nothing that runs well is inspected, and nobody hears of it."""
    arn = world.task("audited", "full-load-and-cdc")
    world.start(arn)
    world.advance(900)
    world.dms.replication(arn).tables[0].mismatched = 12
    before = world.dms.calls.get("DescribeTableStatistics", 0)
    sweeps(world, 90, findings=False)
    assert world.dms.calls.get("DescribeTableStatistics", 0) == before
    assert world.alerts() == []


def test_failures_are_read_before_what_runs_well_whose_statistics_are_bounded(
    world: Recovering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics of thousands of tables fill a sweep: new failures come first, and what runs well waits for another
    sweep once its pages are used up. The report says so."""
    names = [f"healthy-{n}" for n in range(4)]
    for name in names:
        world.start(world.task(name, "full-load-and-cdc"))
    fails = Future(faults=(Fault(LOST, stage="cdc", after_seconds=40),))
    world.start(world.task("zz-failed", "full-load-and-cdc", fails))
    world.advance(600)
    assert world.status("zz-failed") == "failed"
    monkeypatch.setattr(inspection, "PAGES", 2)
    read: list[str] = []
    tables = world.gateway.tables

    def watched(facts: Any) -> Any:
        read.append(facts.name)
        return tables(facts)

    monkeypatch.setattr(world.gateway, "tables", watched)
    report = world.recover()
    assert read[0] == "zz-failed"
    assert len(read) == 2
    assert world.starts("zz-failed")[-1] == "resume-processing"
    assert any("were not inspected in this sweep" in fact for fact in report.facts)
