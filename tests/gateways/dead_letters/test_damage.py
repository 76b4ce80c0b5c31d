"""A damaged case of the ledger is the trouble of its message: nobody else's, and nothing is lost over it."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from recovery.archive import encode
from recovery.cases import case_key
from recovery.dead_letters import find, outlook
from recovery.dead_letters.work import PATH, Work
from recovery.digest.request import DigestRequest
from recovery.errors import Transient
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.ledger_writes import put
from recovery.records import Record, record_item
from tasks.cases import histories_of
from tasks.digest import Desk, read_days
from tests.dead_letters_world import AUTH, TIMEOUT, DeadLettersWorld, Pair

DAMAGES = ["cut off", "no state of ours", "no data", "no number", "no kind of ours", "no pointer", "no object"]


def stored(world: DeadLettersWorld, key: str) -> dict[str, Any]:
    [item] = [item for item in world.items() if item["pk"]["S"] == case_key(PATH, key)]
    return item


def damage(world: DeadLettersWorld, key: str, how: str = "cut off") -> dict[str, Any]:
    """Write into a case what no run would write; returns it."""
    item = stored(world, key)
    data = json.loads(item["data"]["S"])
    match how:
        case "cut off":
            item["data"]["S"] = item["data"]["S"][:40]
        case "no state of ours":
            item["state"]["S"] = "lost"
        case "no data":
            del item["data"]
        case "no number":
            item["data"]["S"] = json.dumps(data | {"attempts": "one"})
        case "no kind of ours":
            item["data"]["S"] = json.dumps(data | {"kind": "s3cret"})
        case "no pointer":
            item["data"]["S"] = json.dumps(data | {"detail": {"archive": "SECRET"}})
        case "no object":
            item["data"]["S"] = json.dumps(data | {"detail": [1, 2]})
    world.aws.client("dynamodb").put_item(TableName=world.table, Item=item)
    return item


def come_back(world: DeadLettersWorld, pair: Pair) -> list[str]:
    """Let the healed messages fail again; returns their ids."""
    world.aws.clock.advance(100)
    world.fail(pair.source)
    return world.ids(pair.dead)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_message_whose_case_is_damaged_stays(world: DeadLettersWorld, how: str) -> None:
    """The others go on, nothing is written over the case, and once a person has deleted it, the message begins anew."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    assert world.recover(pair.dead).by_action == {"heal": 3}
    sick, *_ = come_back(world, pair)
    left = damage(world, sick, how)
    for healed in ({"heal": 2}, {}):
        report = world.recover(pair.dead)
        assert report.failed
        assert (report.unsettled, report.by_action) == (1, healed)
        [row] = [row for row in report.groups if not row.settled]
        assert (row.action, row.samples) == ("leave", (sick,))
        assert "damaged" in row.reason
        assert case_key(PATH, sick) in row.next_step
        assert world.table in row.next_step
        assert "SECRET" not in report.model_dump_json()
        assert (world.ids(pair.dead), world.visible(pair.dead)) == ([sick], 1)
        assert stored(world, sick) == left
    world.aws.client("dynamodb").delete_item(
        TableName=world.table, Key={"pk": {"S": case_key(PATH, sick)}, "sk": {"S": "case"}}
    )
    assert world.recover(pair.dead).by_action == {"heal": 1}


def test_order_is_kept_behind_a_message_whose_case_is_damaged(world: DeadLettersWorld) -> None:
    """Its FIFO group waits behind it; the other groups go on."""
    pair = world.pair(fifo=True)
    sick, _ = world.die(pair, [TIMEOUT] * 2)
    assert world.recover(pair.dead).by_action == {"wait": 2}
    damage(world, sick)
    world.die(pair, [TIMEOUT], MessageGroupId="g-0", MessageBody='{{"order": 7}}')
    world.aws.clock.advance(100)
    report = world.recover(pair.dead)
    assert (report.unsettled, report.by_action) == (1, {"heal": 1, "leave": 1})
    assert sorted(world.bodies(pair.dead)) == ['{"order": 0}', '{"order": 7}']


def test_a_message_whose_case_is_damaged_is_rescued_from_its_queue(world: DeadLettersWorld) -> None:
    """Before its queue drops it, it goes into the archive, with the damaged case beside it; a replay finds it there."""
    pair = world.pair(MessageRetentionPeriod="3600")
    world.die(pair, [TIMEOUT])
    world.recover(pair.dead)
    [sick] = come_back(world, pair)
    left = damage(world, sick)
    world.aws.clock.advance(3000)
    assert world.recover(pair.dead).by_action == {"archive": 1}
    assert world.ids(pair.dead) == []
    [record] = world.archived(pair.dead)
    assert json.loads(record["damaged_case"])["data"] == left["data"]
    assert world.replay(message_ids=(sick,)).by_action == {"replay": 1}
    assert world.bodies(pair.source) == ['{"order": 0}']


@pytest.mark.parametrize("how", DAMAGES)
def test_a_replay_goes_on_past_a_damaged_case(world: DeadLettersWorld, how: str) -> None:
    """Named by id or group it is a problem, found by queue it is a warning; the case and the copy stay as they are."""
    pair = world.pair()
    ids = world.die(pair, [AUTH] * 3)
    [group] = [row.group for row in world.recover(pair.dead).groups]
    left = damage(world, ids[0], how)
    for filters in ({"message_ids": tuple(ids)}, {"groups": (group,)}, {"queues": (pair.dead,)}):
        report = world.replay(**filters, dry_run=True)
        stated, silent = report.problems, report.warnings
        if "queues" in filters:
            stated, silent = silent, stated
        assert ids[0] in " ".join(stated), filters
        assert not silent
        assert "SECRET" not in report.model_dump_json()
        assert report.found == 2
    assert world.replay(queues=(pair.dead,)).by_action == {"replay": 2}
    assert len(world.ids(pair.source)) == 2
    assert stored(world, ids[0]) == left


def test_counting_goes_on_past_a_damaged_case(world: DeadLettersWorld) -> None:
    """Its message's recovery is unknown, which is reported once; the others count."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    world.recover(pair.dead)
    sick, *_ = world.ids(pair.source)
    damage(world, sick)
    world.aws.clock.advance(3600)
    world.work_off(pair.source)
    first, second = (world.recover(pair.dead) for _ in range(2))
    assert (first.recovered, second.recovered) == (2, 0)
    assert [line for line in first.warnings if sick in line]
    assert not second.warnings


def test_no_recovery_is_announced_while_a_case_cannot_be_read(world: DeadLettersWorld) -> None:
    """It may be one that still waits."""
    pair = world.pair()
    ids = world.die(pair, [AUTH] * 2)
    world.recover(pair.dead)
    damage(world, ids[0])
    world.replay(message_ids=(ids[1],))
    world.aws.clock.advance(3600)
    world.work_off(pair.source)
    assert world.recover(pair.dead).recovered == 1
    assert not [text for text in world.alerts(pair.dead) if "has recovered" in text]


# -- several runs at once ----------------------------------------------------------------------------------------


def count(work: Work) -> int:
    return outlook.count_recovered(work, find.find_queues(work))


def test_of_two_runs_one_counts_a_recovered_message(world: DeadLettersWorld) -> None:
    """Both find the send intent settled; the one that says so first in the ledger counts it."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    world.recover(pair.dead)
    world.aws.clock.advance(3600)
    world.work_off(pair.source)
    request = world.request(pair.dead)
    with world.at_work(request) as one, world.at_work(request) as other:
        [awaited], _ = other.unproven.awaited([])
        seen = list(other.unproven.settled(awaited, world.aws.clock.now(), []))
        assert len(seen) == 1
        with (
            mock.patch.object(other.unproven, "awaited", return_value=([awaited], {})),
            mock.patch.object(other.unproven, "settled", return_value=seen),
        ):
            assert (count(one), count(other)) == (3, 0)
        assert (one.recovered, other.recovered) == (3, 0)
    assert not [item for item in world.items() if item["pk"]["S"].startswith("settle#")]


def test_what_a_run_took_and_did_not_remove_is_not_counted_again(world: DeadLettersWorld) -> None:
    """The removal may fail after the count: the repetition counts nothing twice, and removes it."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    world.recover(pair.dead)
    world.aws.clock.advance(3600)
    world.work_off(pair.source)
    with world.at_work(world.request(pair.dead)) as work:
        with mock.patch.object(work.unproven, "forget", side_effect=Transient("no answer")), pytest.raises(Transient):
            count(work)
        assert work.recovered == 3
        assert count(work) == 0
        assert work.recovered == 3
        assert not [item for item in world.items() if item["pk"]["S"].startswith("settle#")]


def test_what_a_run_died_over_is_reported_as_uncounted(world: DeadLettersWorld) -> None:
    """Nobody can say whether its report counted them: a later run reports how many, once."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    world.recover(pair.dead)
    world.aws.clock.advance(3600)
    world.work_off(pair.source)
    died = Transient("no answer")
    with (
        world.at_work(world.request(pair.dead)) as work,
        mock.patch("recovery.dead_letters.outlook.remembered", return_value={}),
        mock.patch.object(work.unproven, "forget", side_effect=died),
        pytest.raises(Transient),
    ):
        count(work)
    assert not world.recover(pair.dead).warnings, "it may still be under way"
    world.aws.clock.advance(700)
    report = world.recover(pair.dead)
    assert [line for line in report.warnings if "up to 3 message(s) are in no run's count" in line]
    assert report.recovered == 0
    assert not world.recover(pair.dead).warnings


def test_a_throttled_ledger_loses_no_count(world: DeadLettersWorld) -> None:
    """Sends whose cases the next run writes are counted as recovered all the same."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 5)
    throttled = Transient("dynamodb:BatchWriteItem: throttled", code="ThrottlingException")
    with mock.patch("recovery.dead_letters.settle.write_all", side_effect=throttled):
        world.recover(pair.dead)
    assert len(world.bodies(pair.dead)) == 5
    world.aws.clock.advance(300)
    world.recover(pair.dead)
    assert world.bodies(pair.dead) == []
    assert world.work_off(pair.source) == 5
    world.aws.clock.advance(3600)
    assert world.recover(pair.dead).recovered == 5


# -- histories ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", DAMAGES)
def test_what_waits_is_listed_past_a_damaged_case(world: DeadLettersWorld, how: str) -> None:
    """The list has the others, and a line about it; asked for by name, the answer is what is wrong and where."""
    pair = world.pair()
    ids = world.die(pair, [AUTH] * 3)
    world.recover(pair.dead)
    damage(world, ids[0], how)
    asked = histories_of(world.connection())
    assert sorted(story.key for story in asked.waiting(ListRequest())) == sorted(ids[1:])
    [line] = [line for line in asked.warnings if ids[0] in line]
    assert case_key(PATH, ids[0]) in line
    assert "SECRET" not in line
    desk = Desk(world.connection())
    assert read_days.fn(desk, DigestRequest()).waits == 2
    assert "damaged" in " ".join(desk.warnings)
    asked = histories_of(world.connection())
    [story] = asked.describe(CaseRequest(key=ids[0]))
    assert story.key == ids[0], "as the lists of runs show it"
    assert any(case_key(PATH, ids[0]) in line for line in asked.warnings)
    assert asked.describe(CaseRequest(key=ids[1]))


def write_record(world: DeadLettersWorld, pk: str, sk: str, data: dict[str, Any]) -> None:
    expires = world.aws.clock.now() + timedelta(days=20)
    world.connection().ledger.write_items([put(record_item(Record(pk, sk, data, 0), expires))])


def test_a_damaged_intent_stops_its_own_queue_only(world: DeadLettersWorld) -> None:
    """Nobody knows which sends of it are unconfirmed: its messages stay, and the report names the ledger's item."""
    pair, other = world.pair(), world.pair("bills")
    world.die(pair, [TIMEOUT] * 3)
    world.die(other, [TIMEOUT])
    write_record(world, f"intent#{world.arn(pair.dead)}", "open#f-1", {"messages": []})
    report = world.recover(pair.dead, other.dead)
    assert (report.by_action.get("heal"), report.unsettled) == (1, 3)
    assert len(world.bodies(pair.dead)) == 3
    assert world.bodies(pair.source) == []
    assert [line.count("sk 'open#f-1' is damaged") for line in report.problems] == [1]
    [row] = [row for row in report.groups if not row.settled]
    assert f"restore the ledger's item with pk 'intent#{world.arn(pair.dead)}' and sk 'open#f-1'" in row.next_step
    assert "a second time" in row.next_step


def test_a_damaged_intent_lets_no_message_expire(world: DeadLettersWorld) -> None:
    """A message that the queue would drop before the next runs goes into the archive, whatever is known of it."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    write_record(world, f"intent#{world.arn(pair.dead)}", "sent#f-1", {})
    with world.at_work(world.request(pair.dead)) as work:
        [queue] = find.find_queues(work)
    world.aws.clock.advance(queue.retention.total_seconds() - 400)
    report = world.recover(pair.dead)
    assert report.by_action == {"archive": 1}
    assert (len(world.archived(pair.dead)), world.bodies(pair.dead)) == (1, [])
    assert "was not sent already, which is not known" in report.groups[0].next_step


def test_what_another_intent_says_was_sent_is_finished(world: DeadLettersWorld) -> None:
    """Its original is removed, and it is not archived as if it were still wanted, whatever stands beside its send
    intent."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    fault = {"code": "InternalError", "status": 500, "times": None}
    world.aws.fault("error", service="sqs", operation="DeleteMessageBatch", **fault)
    world.recover(pair.dead)
    world.aws.lift_faults()
    write_record(world, f"intent#{world.arn(pair.dead)}", "open#f-1", {})
    world.aws.clock.advance(3600)
    assert world.recover(pair.dead).by_action == {"finish": 1}
    assert (len(world.bodies(pair.source)), world.bodies(pair.dead), world.archived(pair.dead)) == (1, [], [])


def test_a_damaged_settled_intent_stops_no_run(world: DeadLettersWorld) -> None:
    """It is a warning; messages are healed, and those of other send intents are counted as recovered."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    world.recover(pair.dead)
    sk = f"{world.aws.clock.now().isoformat()}#f-1"
    between = f"settle#{world.arn(pair.dead)}|{world.url(pair.source)}"
    write_record(world, between, sk, {"keys": ["m-1"]})
    other = world.pair("bills", dead=pair.dead)
    world.aws.clock.advance(3600)
    world.work_off(pair.source)
    world.die(other, [TIMEOUT])
    report = world.recover(pair.dead)
    assert (report.by_action, report.recovered) == ({"heal": 1}, 3)
    assert [f"sk {sk!r}" in line for line in report.warnings] == [True]


BINARY = {"DataType": "Binary", "BinaryValue": "***"}


@pytest.mark.parametrize(
    "odd",
    [
        [1, 2],
        {"body": None},
        {"origin": "moon"},
        {"attributes": {"a": 1}},
        {"attributes": {"a": {}}},
        {"attributes": {"a": {"DataType": "String", "StringValue": 1}}},
        {"attributes": {"a": {"DataType": "String", "StringListValues": "x"}}},
        {"attributes": {"a": BINARY}},
        {"system": {"DeadLetterQueueSourceArn": 5}},
        {"system": {"SequenceNumber": 5}},
        {"system": {"MessageGroupId": ["a"]}},
    ],
)
def test_an_archived_line_that_is_no_message_is_not_replayed(world: DeadLettersWorld, odd: Any) -> None:
    """Its message is named in the report, and the others of the same object go back."""
    pair = world.pair()
    bad, _ = world.die(pair, [AUTH, AUTH])
    world.recover(pair.dead)
    s3 = world.aws.client("s3")
    [found] = s3.list_objects_v2(Bucket=world.bucket, Prefix="archive/")["Contents"]
    lines = world.connection().archive.read_bundle(found["Key"])
    spoilt = [
        ({**line, **odd} if isinstance(odd, dict) else odd) if line["message_id"] == bad else line for line in lines
    ]
    body = gzip.compress(b"".join(encode(line) + b"\n" for line in spoilt))
    s3.put_object(Bucket=world.bucket, Key=found["Key"], Body=body)
    report = world.replay(queues=[pair.dead])
    assert (report.unsettled, len(world.bodies(pair.source))) == (1, 1)
    assert [row.samples for row in report.groups if not row.settled] == [(bad,)]
