"""Damage, refusal or loss of one replication stops none of the others, and is reported with the next step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from recovery.cases import case_key
from recovery.errors import Conflict, Refused, Transient
from recovery.replication_tasks.gateway import ReplicationGateway
from recovery.replication_tasks.models import PATH, Facts, Verb
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.replication_tasks.tables import Table
from recovery.report import RecoveryReport
from recovery.scope import StartedBy
from simulated_aws.dms import Fault, Future
from tests.dms_world import Recovering, recover
from tests.unit.replication_tasks.situations import OUT_OF_MEMORY, RECOVERABLE


@pytest.fixture
def world() -> Iterator[Recovering]:
    with mock_aws():
        yield Recovering()


def failed(world: Recovering, name: str, text: str = RECOVERABLE, migration: str = "cdc", **future: Any) -> str:
    future.setdefault("times", 1)
    arn = world.task(name, migration, Future(faults=(Fault(text, "cdc", 30, **future),)))
    world.start(arn)
    world.advance(300)
    assert world.status(name) == "failed"
    return arn


def sweep(world: Recovering, gateway: ReplicationGateway, *tasks: str, **policy: Any) -> RecoveryReport:
    request = ReplicationRequest(tasks=tasks or ("*",), dry_run=False, started_by=StartedBy.SWEEP, policy=policy)
    work = world.work(request, gateway)
    try:
        return recover(work)
    finally:
        work.close()


# -- damaged cases -----------------------------------------------------------------------------------------------


def stored(world: Recovering, arn: str) -> dict[str, Any]:
    key = {"pk": {"S": case_key(PATH, arn)}, "sk": {"S": "case"}}
    found: dict[str, Any] = world.dynamodb.get_item(TableName="ledger", Key=key)["Item"]
    return found


def damage(world: Recovering, arn: str, how: str) -> dict[str, Any]:
    """Write into a case what no run would write; returns it."""
    item = stored(world, arn)
    data = json.loads(item["data"]["S"])
    detail = data["detail"]
    match how:
        case "cut off":
            item["data"]["S"] = item["data"]["S"][:40]
        case "no state of ours":
            item["state"]["S"] = "lost"
        case "no restart":
            detail["restarts"] = [{"at": "yesterday", "verb": "resume-processing", "before": [0, 0, 0, ""]}]
        case "a verb of tomorrow":
            detail["restarts"][0]["verb"] = "rewind"
        case "no zone":
            detail["incident"] = "2026-01-05T12:00:00"
        case "no number":
            detail["jitter"] = "much"
        case "no object":
            data["detail"] = [1, 2]
    if how not in {"cut off", "no state of ours"}:
        item["data"]["S"] = json.dumps(data)
    world.dynamodb.put_item(TableName="ledger", Item=item)
    return item


@pytest.mark.parametrize(
    "how",
    ["cut off", "no state of ours", "no restart", "a verb of tomorrow", "no zone", "no number", "no object"],
)
def test_a_damaged_case_is_one_entry_with_what_to_do(world: Recovering, how: str) -> None:
    """The others go on, it is left as it is however often it is found, and deleting the named item begins anew."""
    arns = {name: failed(world, name) for name in ("a", "b", "c")}
    assert world.recover().by_action == {"resume": 3}
    left = damage(world, arns["b"], how)
    world.advance(700)
    for settled in ({"recovered": 2}, {}):
        report = world.recover()
        assert report.failed
        assert (report.unsettled, report.by_action) == (1, settled)
        [row] = [row for row in report.groups if not row.settled]
        assert row.samples == ("b",)
        assert "damaged" in row.reason
        assert case_key(PATH, arns["b"]) in row.next_step
        assert "'ledger'" in row.next_step
        assert stored(world, arns["b"]) == left
    assert world.starts("b") == ["start-replication", "resume-processing"]
    key = {"pk": {"S": case_key(PATH, arns["b"])}, "sk": {"S": "case"}}
    world.dynamodb.delete_item(TableName="ledger", Key=key)
    assert world.recover().is_quiet, "it runs, and nothing is known of it that would have to be proved"


def test_a_damaged_case_outside_the_scope_is_nobodys_business(world: Recovering) -> None:
    """A replication that is not named is not inspected, damaged or not."""
    arns = {name: failed(world, name) for name in ("a", "b")}
    world.recover()
    damage(world, arns["b"], "cut off")
    world.advance(700)
    report = world.recover("a")
    assert not report.failed
    assert report.recovered == 1


# -- one that is refused or gone ---------------------------------------------------------------------------------


class Twisted(ReplicationGateway):
    """A gateway on the simulator whose answers a test changes."""

    def __init__(self, world: Recovering, **changes: Any) -> None:
        super().__init__(world.client, world.pace())
        self.changes = changes

    def tasks(self) -> Iterator[Facts]:
        return (replace(facts, **self.changes) for facts in super().tasks())

    def read(self, facts: Facts) -> Facts | None:
        fresh = super().read(facts)
        return None if fresh is None else replace(fresh, **self.changes)


def test_statistics_that_nobody_needs_may_be_refused(world: Recovering) -> None:
    """Change capture is resumed without its statistics; what they would decide about is left alone, and reported."""
    failed(world, "capture")
    failed(world, "load", migration="full-load-and-cdc")

    class Silent(ReplicationGateway):
        def tables(self, facts: Facts) -> tuple[Table, ...]:
            raise Conflict(f"no statistics of {facts.name} now")

    report = sweep(world, Silent(world.client, world.pace()), allow_reload=("*",))
    assert report.by_action == {"resume": 1}
    assert report.unsettled == 1
    assert world.starts("capture")[-1] == "resume-processing"
    assert world.starts("load") == ["start-replication"]


def test_a_count_of_errors_that_lags_behind_hides_no_table(world: Recovering) -> None:
    """A table that the statistics show in error is one, whatever the list counts: nothing has recovered yet."""
    labels = [f"public.t{number:02}" for number in range(12)]
    faults = tuple(Fault("", "cdc", 30, table=label) for label in labels)
    arn = world.task("wide", "full-load-and-cdc", Future(tables=dict.fromkeys(labels, 10), faults=faults))
    world.start(arn)
    world.advance(300)
    world.recover(allow_reload=("wide",))
    world.advance(600)
    report = sweep(world, Twisted(world, errored=0), allow_reload=("wide",))
    assert (report.by_action, report.recovered) == ({"reload tables": 1}, 0)


def test_what_was_deprovisioned_is_not_asked_for_statistics(world: Recovering) -> None:
    """DMS has thrown them away, and refuses: that is known, and decided upon."""
    arn = world.config("lake", "full-load-and-cdc", Future(faults=(Fault(RECOVERABLE, "cdc", 30),)))
    world.start(arn)
    world.advance(3 * 86_400)
    assert world.status("lake") == "deprovisioned"
    before = world.dms.calls
    assert world.recover().by_action == {"escalate": 1}
    assert "DescribeReplicationTableStatistics" not in set(world.dms.calls) - set(before)


def test_a_tag_of_nobody_is_given_to_nobody(world: Recovering) -> None:
    """If DMS leaves a tag's owner out, each is asked alone: a guess would touch replications that were not named."""
    arns = [world.task(name, "cdc") for name in ("a", "b")]
    world.client.add_tags_to_resource(ResourceArn=arns[1], Tags=[{"Key": "reprise", "Value": "recover"}])

    def nameless(parsed: Mapping[str, Any], **_: Any) -> None:
        for tag in parsed["TagList"]:
            tag.pop("ResourceArn", None)

    world.client.meta.events.register("after-call.dms.ListTagsForResource", nameless)
    assert world.gateway.tags(arns) == {arns[0]: frozenset(), arns[1]: frozenset({("reprise", "recover")})}


def test_one_that_was_deleted_hides_no_tags(world: Recovering) -> None:
    """A replication that is gone since it was listed has no tags, and the others have theirs."""
    arn = world.task("a", "cdc", Tags=[{"Key": "reprise", "Value": "recover"}])
    gone = f"{arn[:-4]}GONE"
    assert world.gateway.tags([gone, arn]) == {gone: frozenset(), arn: frozenset({("reprise", "recover")})}


def test_what_dms_says_is_reported_without_values(world: Recovering) -> None:
    """The words of a refusal reach people and the ledger normalised, as failure texts do."""
    arn = failed(world, "orders")

    class Refusing(ReplicationGateway):
        def restart(self, facts: Facts, verb: Verb) -> None:
            code, operation = "InvalidParameterCombinationException", "dms:StartReplicationTask"
            stated = "Start Type not valid at ip-10-1-2-3.ec2.internal after 4711 rows"
            raise Refused(f"{operation}: {code}: {stated}", code=code, operation=operation)

    assert sweep(world, Refusing(world.client, world.pace())).by_action == {"escalate": 1}
    [alert] = world.alerts()
    case = world.case(arn)
    for reported in (
        alert["subject"],
        alert["text"].partition("What to do")[0],
        case.reason,
        json.dumps(dict(case.detail)),
    ):
        assert not [value for value in ("10-1-2-3", "4711") if value in reported]
    assert "Start Type not valid" in alert["text"]


def test_a_throttled_call_is_not_a_try(world: Recovering) -> None:
    """A throttled restart was not carried out: it is taken back, and the next run has its one try still."""
    failed(world, "orders", OUT_OF_MEMORY)

    class Throttled(ReplicationGateway):
        def restart(self, facts: Facts, verb: Verb) -> None:
            raise Transient("dms:StartReplicationTask: ThrottlingException: Rate exceeded")

    for _ in range(8):
        assert sweep(world, Throttled(world.client, world.pace())).unsettled == 1
        world.advance(600)
    assert world.recover().by_action == {"resume": 1}
    assert world.alerts() == []


# -- failures without a date -------------------------------------------------------------------------------------


def test_what_was_given_up_without_a_date_stays_given_up(world: Recovering) -> None:
    """Without the moment of a failure, the passing of time is still no new failure; somebody's start is."""
    arn = failed(world, "orders", OUT_OF_MEMORY, times=None)
    gateway = Twisted(world, stopped=None)
    for _ in range(60):
        world.advance(600)
        assert not sweep(world, gateway).failed
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    assert len(world.alerts()) == 1
    world.start(arn, Verb.RESUME)
    world.advance(300)
    assert world.status("orders") == "failed"
    for _ in range(60):
        world.advance(600)
        sweep(world, gateway)
    assert world.starts("orders")[2:] == ["resume-processing"] * 2, "a person's, and one try at the new failure"
    assert len(world.alerts()) == 1
    assert world.memory(arn).gave_up


def test_without_any_date_the_words_show_a_new_failure(world: Recovering) -> None:
    """If DMS gives no time at all, the same text is the same failure, and another text is a new one."""
    failed(world, "orders", OUT_OF_MEMORY, times=None)
    gateway = Twisted(world, stopped=None, started=None, accepted=None)
    for _ in range(60):
        world.advance(600)
        sweep(world, gateway)
    assert world.starts("orders") == ["start-replication", "resume-processing"]
    world.dms.script("orders", Future())
    world.dms.replication("orders").last_failure = world.dms.replication("orders").stop_reason = RECOVERABLE
    sweep(world, gateway)
    assert world.starts("orders")[2:] == ["resume-processing"]
