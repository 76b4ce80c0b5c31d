"""AWS does a part of a request, refuses it, or answers too late: messages stay, and the next run goes on."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

from flows.dead_letters import recover_dead_letters
from proof.plain_prefect import play
from recovery.cases import State
from recovery.dead_letters import announcing, find, receiving, sending, settle, staying, triage
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.work import LEASE, Work
from recovery.errors import Transient
from recovery.report import RecoveryReport
from tests.dead_letters_world import AUTH, ERROR, INVALID, POLICY, TIMEOUT, DeadLettersWorld, Pair, text


def fault(world: DeadLettersWorld, service: str, operation: str, kind: str = "error", **rule: Any) -> None:
    world.aws.fault(kind, service=service, operation=operation, **rule)


def denied(world: DeadLettersWorld, service: str, operation: str, **rule: Any) -> None:
    code = {"dynamodb": "AccessDeniedException", "sns": "AuthorizationError"}.get(service, "AccessDenied")
    fault(
        world, service, operation, code="AccessDeniedException" if service == "dynamodb" else code, status=403, **rule
    )


def triaged(world: DeadLettersWorld, work: Work, pair: Pair, policy: DeadLetterPolicy = POLICY) -> Batch:
    """The first half of a round."""
    batch = world.received(work)
    triage.look_up(work, batch)
    triage.diagnose_messages(work, batch)
    triage.decide_messages(work, batch)
    return batch


# -- sends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 500], ids=["throttled", "inner error"])
@pytest.mark.parametrize("executed", [False, True], ids=["not stored", "stored"])
def test_a_part_of_a_send_fails(world: DeadLettersWorld, status: int, executed: bool) -> None:
    """Messages that were not sent stay, and the next run sends them; one copy more where SQS sent what it refused."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 5)
    code = "RequestThrottled" if status == 403 else "InternalError"
    fault(world, "sqs", "SendMessageBatch", "partial", entries=[1, 3], code=code, status=status, executed=executed)
    report = world.recover(pair.dead)
    assert (report.by_action, report.unsettled) == ({"heal": 3}, 2)
    assert world.visible(pair.dead) == 2
    report = world.recover(pair.dead)
    assert (report.by_action, report.unsettled) == ({"heal": 2}, 0)
    copies = Counter(world.bodies(pair.source))
    assert len(copies) == 5
    assert sum(copies.values()) == (7 if executed else 5)
    assert {case.attempts for case in world.cases(pair.dead).values()} == {1}
    assert {case.tries for case in world.cases(pair.dead).values()} == ({1, 2} if status == 500 else {1})


def test_an_outage_of_the_destination_uses_nothing_up(world: DeadLettersWorld) -> None:
    """Throttled or refused sends, sweep after sweep: no message is archived, no try used, no send intent left
    behind."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    rules: list[dict[str, Any]] = [
        {"code": "RequestThrottled", "status": 403},
        {"code": "AccessDenied", "status": 403},
        {"code": "AWS.SimpleQueueService.NonExistentQueue", "status": 400},
        {"code": "KmsAccessDenied", "status": 400},
    ]
    for rule in rules:
        for _ in range(2):
            fault(world, "sqs", "SendMessageBatch", **rule, times=None)
            report = world.recover(pair.dead)
            world.aws.lift_faults()
            assert report.unsettled == 3
            assert world.open_intents(pair.dead) == 0
    assert world.cases(pair.dead) == {}
    assert world.archived(pair.dead) == []
    assert world.recover(pair.dead).by_action == {"heal": 3}
    assert {(case.attempts, case.tries) for case in world.cases(pair.dead).values()} == {(1, 1)}


def test_a_missing_permission_to_send_is_one_line(world: DeadLettersWorld) -> None:
    """Not one for each message or batch; it names the queue and what AWS answered."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 25)
    denied(world, "sqs", "SendMessageBatch", times=None)
    report = world.recover(pair.dead)
    [line] = report.problems
    assert line.startswith(f"queue {pair.source}: nothing can be sent to it: sqs:SendMessage: AccessDenied")
    assert report.failed


def test_answers_that_are_never_read_end_with_a_person(world: DeadLettersWorld) -> None:
    """Three sends of one attempt without an answer: the message is kept, a person checks, and no fourth copy is
    sent."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    for expected in ({}, {}, {}, {"alert": 1}):
        fault(world, "sqs", "SendMessageBatch", "lose_ack")
        assert world.recover(pair.dead).by_action == expected
        world.aws.lift_faults()
    assert len(world.bodies(pair.source)) == 3
    [case] = [case for case in world.cases(pair.dead).values() if case.state is State.EXHAUSTED]
    assert "never confirmed" in case.reason
    assert len(world.alerts(pair.dead)) == 1


def test_a_copy_of_an_unconfirmed_send_has_used_its_attempt(world: DeadLettersWorld) -> None:
    """The copy whose answer was lost comes back with an id that nobody knows: its content does."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    fault(world, "sqs", "SendMessageBatch", "lose_ack")
    world.recover(pair.dead)
    [copy] = world.ids(pair.source)
    world.aws.clock.advance(61)
    world.fail(pair.source)
    world.recover(pair.dead)
    assert sorted(case.attempts for case in world.cases(pair.dead).values()) == [1, 2]
    assert copy not in world.ids(pair.dead)


def test_a_message_that_its_queue_will_never_take_is_parked(world: DeadLettersWorld) -> None:
    """Its size was lowered since: a person is notified, the message is kept, and the others are sent."""
    pair = world.pair()
    world.die(pair, [TIMEOUT], MessageBody="x" * 2000)
    world.die(pair, [TIMEOUT], MessageBody="small")
    world.sqs.set_queue_attributes(QueueUrl=world.url(pair.source), Attributes={"MaximumMessageSize": "1024"})
    report = world.recover(pair.dead)
    assert (report.by_action, report.failed) == ({"heal": 1, "alert": 1}, False)
    assert world.bodies(pair.source) == ["small"]
    [record] = world.archived(pair.dead)
    assert len(record["body"]) == 2000
    assert "refuses it" in world.alerts(pair.dead)[0]
    assert world.bodies(pair.dead) == []
    assert world.open_intents(pair.dead) == 0


def test_fifo_a_message_that_was_not_sent_holds_its_group_back(world: DeadLettersWorld) -> None:
    """The rest of its group stays in order; other groups go on; the next run sends them, in order."""
    pair = world.pair(fifo=True)
    at_once = DeadLetterPolicy(
        error_attributes=(ERROR,), backoff=POLICY.backoff.model_copy(update={"base_seconds": 1.0})
    )
    world.die(pair, [TIMEOUT] * 3, MessageBody="a{n}", MessageGroupId="a")
    world.die(pair, [TIMEOUT] * 3, MessageBody="b{n}", MessageGroupId="b")
    fault(world, "sqs", "SendMessageBatch", "partial", entries=[0], code="RequestThrottled", status=403)
    report = world.recover(pair.dead, policy=at_once)
    assert report.unsettled == 3
    assert world.bodies(pair.source) == ["b0", "b1", "b2"]
    world.recover(pair.dead, policy=at_once)
    assert world.bodies(pair.source) == ["b0", "b1", "b2", "a0", "a1", "a2"]


# -- ledger --------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_that_is_not_written_ahead(world: DeadLettersWorld) -> None:
    """A ledger that cannot be written: messages stay, and no copy of them goes anywhere."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, AUTH, INVALID])
    denied(world, "dynamodb", "BatchWriteItem", times=None)
    report = world.recover(pair.dead)
    world.aws.lift_faults()
    assert report.unsettled == 3
    assert world.bodies(pair.source) == []
    assert world.alerts() == []
    assert world.visible(pair.dead) == 3
    assert world.recover(pair.dead).by_action == {"heal": 1, "alert": 1, "archive": 1}


def test_a_ledger_that_cannot_be_read_stops_the_round(world: DeadLettersWorld) -> None:
    """Without history nobody knows the attempt: nothing is done, and the messages are visible again."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    denied(world, "dynamodb", "BatchGetItem", times=None)
    assert world.recover(pair.dead).unsettled == 1
    world.aws.lift_faults()
    assert world.visible(pair.dead) == 1
    denied(world, "dynamodb", "Query", times=None)
    report = world.recover(pair.dead)
    world.aws.lift_faults()
    assert report.unsettled == 1
    assert "could not be counted" in report.warnings[0]
    assert world.visible(pair.dead) == 1


def test_what_was_sent_and_not_confirmed_is_sent_once_more(world: DeadLettersWorld) -> None:
    """The ledger fails after the sends: nothing is removed, and the next run repeats the same attempt."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    denied(world, "dynamodb", "BatchWriteItem", after=1, times=None)
    assert world.recover(pair.dead).unsettled == 1
    world.aws.lift_faults()
    assert len(world.bodies(pair.source)) == len(world.bodies(pair.dead)) == 1
    assert world.recover(pair.dead).by_action == {"heal": 1}
    assert len(world.bodies(pair.source)) == 2
    assert {case.attempts for case in world.cases(pair.dead).values()} == {1}


def test_what_was_confirmed_and_not_recorded_is_recorded_by_the_next_run(world: DeadLettersWorld) -> None:
    """A confirmation says what became what: nothing is sent twice, and the case is written from it."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    denied(world, "dynamodb", "BatchWriteItem", after=2, times=None)
    assert world.recover(pair.dead).unsettled == 1
    world.aws.lift_faults()
    assert world.recover(pair.dead).by_action == {"finish": 1}
    [copy] = world.ids(pair.source)
    assert {key: case.attempts for key, case in world.cases(pair.dead).items()} == {copy: 1}
    assert world.bodies(pair.dead) == []
    assert world.open_intents(pair.dead) == 0


def test_a_ledger_that_takes_no_confirmation_ends_the_sending(world: DeadLettersWorld) -> None:
    """Of two hundred messages the run sends one round, not the backlog: no other round is begun."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 25)
    fault(
        world,
        "dynamodb",
        "BatchWriteItem",
        code="ProvisionedThroughputExceededException",
        status=400,
        after=1,
        times=None,
    )
    with mock.patch.object(receiving, "ROUND", 10):
        report = world.recover(pair.dead)
    world.aws.lift_faults()
    assert len(world.bodies(pair.source)) == 10
    assert any("sends nothing more" in line for line in report.problems)


def test_unprocessed_items_and_keys_are_submitted_again(world: DeadLettersWorld) -> None:
    """DynamoDB does a part: the rest is repeated, and the report knows nothing of it."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 12 + [AUTH] * 3)
    fault(world, "dynamodb", "BatchWriteItem", "partial", entries=[0, 2], times=4)
    fault(world, "dynamodb", "BatchGetItem", "partial", entries=[0, 5, 14], times=2)
    report = world.recover(pair.dead)
    assert (report.by_action, report.failed) == ({"heal": 12, "alert": 3}, False)
    assert world.states(pair.dead) == {"sent": 12, "parked": 3}
    assert world.open_intents(pair.dead) == 0


# -- archive and alerts --------------------------------------------------------------------------------------------


def test_nothing_is_removed_that_is_not_archived(world: DeadLettersWorld) -> None:
    """S3 refuses: what was to be kept stays in its queue and nobody is notified; what is healed goes on."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, AUTH, INVALID])
    denied(world, "s3", "PutObject", times=None)
    report = world.recover(pair.dead)
    world.aws.lift_faults()
    assert (report.by_action, report.unsettled) == ({"heal": 1}, 2)
    assert "could not be stored" in report.warnings[-1]
    assert world.alerts() == []
    assert world.visible(pair.dead) == 2
    assert world.recover(pair.dead).by_action == {"alert": 1, "archive": 1}


def test_messages_whose_alert_is_refused_stay(world: DeadLettersWorld) -> None:
    """Archived, recorded, and not removed until a person was notified: by the next run, once, and archived once."""
    pair = world.pair()
    world.die(pair, [AUTH, AUTH, INVALID])
    denied(world, "sns", "Publish", times=None)
    report = world.recover(pair.dead)
    assert (report.by_action, report.unsettled) == ({"archive": 1}, 2)
    assert world.visible(pair.dead) == 2
    world.aws.lift_faults()
    assert world.recover(pair.dead).by_action == {"finish": 2}
    assert world.bodies(pair.dead) == []
    [alert] = world.alerts(pair.dead)
    assert alert.startswith("2 message(s)")
    assert len(world.archived(pair.dead)) == 3


def test_an_alert_that_another_run_is_sending_is_waited_for(world: DeadLettersWorld) -> None:
    """Two runs with messages of one group at once: one message, and nobody removes messages before it is out."""
    pair = world.pair()
    world.die(pair, [AUTH] * 60)
    with ThreadPoolExecutor(2) as pool:
        reports: list[RecoveryReport] = list(pool.map(lambda _: world.recover(pair.dead, threads=2), range(2)))
    world.aws.clock.advance(400)
    world.recover(pair.dead)
    assert sum(report.found for report in reports) >= 60
    assert len(world.alerts(pair.dead)) == 1
    assert len({record["message_id"] for record in world.archived(pair.dead)}) == 60
    assert world.bodies(pair.dead) == []


def test_a_throttled_alert_can_be_repeated(world: DeadLettersWorld) -> None:
    """The step says so itself, and messages of other groups are not touched by it."""
    pair = world.pair()
    world.die(pair, [AUTH, TIMEOUT])
    with world.at_work(world.request(pair.dead)) as work:
        batch = triaged(world, work, pair)
        settle.archive_messages(work, batch)
        sending.write_ahead(work, batch)
        sending.send_messages(work, batch)
        settle.record_cases(work, batch)
        fault(world, "sns", "Publish", code="Throttled", status=429)
        announcing.postpone(work, batch)
        [waiting] = work.postponed
        with pytest.raises(Transient):
            announcing.announce_groups(work)
        assert [item.failure for item in (*batch.items, *waiting.items)] == [None, None]
        announcing.announce_groups(work)
        settle.remove_messages(work, waiting)
        settle.remove_messages(work, batch)
    assert len(world.alerts(pair.dead)) == 1
    assert world.bodies(pair.dead) == []


# -- removing and leases -------------------------------------------------------------------------------------------


def test_a_part_of_a_delete_fails(world: DeadLettersWorld) -> None:
    """A message that is sent, recorded and still there is only removed by the next run: no second send."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    fault(world, "sqs", "DeleteMessageBatch", "partial", entries=[0, 2], code="InternalError", status=500)
    report = world.recover(pair.dead)
    assert report.unsettled == 2
    report = world.recover(pair.dead)
    assert (report.by_action, report.unsettled) == ({"finish": 2}, 0)
    assert len(world.bodies(pair.source)) == 3
    assert world.bodies(pair.dead) == []


def test_nothing_is_sent_when_the_lease_is_about_to_end(world: DeadLettersWorld) -> None:
    """A run that was held up between deciding and sending leaves its messages to the run that holds them now."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, INVALID])
    with world.at_work(world.request(pair.dead)) as work:
        batch = triaged(world, work, pair)
        sending.write_ahead(work, batch)
        world.aws.clock.advance(LEASE.total_seconds() - 20)
        work.ledger.read_cases("dead_letters", ["anything"])  # an answer shows the time
        sending.send_messages(work, batch)
        settle.archive_messages(work, batch)
        settle.record_cases(work, batch)
        settle.remove_messages(work, batch)
    assert world.bodies(pair.source) == []
    assert world.archived(pair.dead) == []
    assert len(world.bodies(pair.dead)) == 2
    assert world.open_intents(pair.dead) == 0
    assert all(item.failure is not None for item in batch.items)


def test_a_late_delete_is_not_believed(world: DeadLettersWorld) -> None:
    """SQS accepts an old receipt and removes nothing: the send intent stays open, so that nobody sends the message
    again."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    request = world.request(pair.dead)
    with world.at_work(request) as late, world.at_work(request) as other:
        batch = triaged(world, late, pair)
        sending.write_ahead(late, batch)
        sending.send_messages(late, batch)
        sending.confirm_sends(late, batch)
        settle.record_cases(late, batch)
        world.aws.clock.advance(LEASE.total_seconds() + 1)
        theirs = world.received(other)
        assert theirs.count == 1

        world.aws.clear_requests()
        settle.remove_messages(late, batch)
        staying.close_round(late, batch)
        staying.release(late)
        assert world.aws.request_counts() == {}, "the message is in the other run's hands"

        triage.look_up(other, theirs)
        triage.diagnose_messages(other, theirs)
        triage.decide_messages(other, theirs)
        assert [item.verdict.action for item in theirs.items] == ["finish"]
        settle.remove_messages(other, theirs)
    assert world.bodies(pair.dead) == []
    assert len(world.bodies(pair.source)) == 1


def test_two_runs_over_one_queue_send_no_message_twice(world: DeadLettersWorld) -> None:
    """Each message is in one run's hands at a time."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 120)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: world.recover(pair.dead, threads=3), range(3)))
    assert max(Counter(world.bodies(pair.source)).values()) == 1
    assert len(world.bodies(pair.source)) == 120
    assert world.bodies(pair.dead) == []


def test_a_queue_that_hands_out_nothing_ends_the_drain(world: DeadLettersWorld) -> None:
    """SQS counts messages and gives none (120,000 in flight): a bounded number of polls, and a warning."""
    pair = world.pair()
    client = world.clients[0]

    def count_seven(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Attributes"]["ApproximateNumberOfMessages"] = "7"

    client.meta.events.register("after-call.sqs.GetQueueAttributes", count_seven)
    world.aws.clear_requests()
    report = world.recover(pair.dead)
    client.meta.events.unregister("after-call.sqs.GetQueueAttributes", count_seven)
    assert world.aws.request_counts()["sqs:ReceiveMessage"] == receiving.EMPTY_POLLS
    assert "counts about 7 messages but hands out none" in report.warnings[0]
    assert not report.failed


@pytest.mark.parametrize(
    ("in_flight", "cause", "other"),
    [
        (119_990, "it hands out no more than 120,000 at a time", "another consumer"),
        (3, "another consumer may take them, or the count lags", "120,000"),
    ],
)
def test_the_warning_about_messages_in_flight_says_what_is_the_case(
    world: DeadLettersWorld, in_flight: int, cause: str, other: str
) -> None:
    """The bound of SQS is named only near it."""
    pair = world.pair()
    client = world.clients[0]

    def count(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Attributes"].update(
            ApproximateNumberOfMessages="7", ApproximateNumberOfMessagesNotVisible=str(in_flight)
        )

    client.meta.events.register("after-call.sqs.GetQueueAttributes", count)
    report = world.recover(pair.dead)
    client.meta.events.unregister("after-call.sqs.GetQueueAttributes", count)
    assert f"while {in_flight} are in flight" in report.warnings[0]
    assert cause in report.warnings[0]
    assert other not in report.warnings[0]


def test_the_warning_about_a_long_group_says_that_the_rest_comes_later(world: DeadLettersWorld) -> None:
    """SQS gives ten of a FIFO group while it hides them: a dry run shows those, and no other consumer is suspected."""
    pair = world.pair(fifo=True)
    world.die(pair, [TIMEOUT] * 25, MessageGroupId="g")
    report = world.recover(pair.dead, dry_run=True)
    assert report.found == 10
    [warning] = report.warnings
    assert "of one group of a FIFO queue it hands out ten while they are hidden" in warning
    assert "another consumer" not in warning


def test_a_queue_that_is_never_empty_keeps_no_other_waiting(
    world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages that are left are received in every run: the queues take turns, and none is always the last."""
    monkeypatch.setattr(receiving, "ROUND", 5)
    full, small = world.pair("full"), world.pair("small")
    world.die(full, [""] * 20)
    world.die(small, [TIMEOUT] * 3)
    report = world.recover(full.dead, small.dead, limit=10)
    assert report.by_action == {"leave": 7, "heal": 3}
    assert len(world.bodies(small.source)) == 3


def test_nothing_new_is_taken_up_when_the_time_is_up(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The round that has begun is completed; the rest stays visible for the next run."""
    monkeypatch.setattr(receiving, "ROUND", 5)
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 20)
    request = world.request(pair.dead, time_limit_seconds=60)
    with world.at_work(request) as work:
        # Every look at the clock, one before each round, finds it 25 seconds further on.
        ticks = itertools.count(0, 25)
        work._monotonic, work._began = (lambda: float(next(ticks))), 0.0
        report = play(recover_dead_letters, request, work)
    assert report.by_action == {"heal": 15}
    assert world.visible(pair.dead) == 5
    assert not report.failed


def test_a_business_id_that_is_sent_again_has_not_recovered(world: DeadLettersWorld) -> None:
    """Its case speaks of the later send: the earlier one counts only when the later has stayed away, and once."""
    orders, dead = world.queue("orders"), world.queue("dlq")
    policy = POLICY.model_copy(update={"destination": orders, "identity_body_path": "id"})
    message = {"MessageBody": '{"id": 7}', "MessageAttributes": {ERROR: text(TIMEOUT)}}
    world.send(dead, [message])
    world.recover(dead, policy=policy)
    world.aws.clock.advance(1700)
    world.send(dead, [message])
    world.recover(dead, policy=policy)
    world.aws.clock.advance(300)
    assert world.recover(dead, policy=policy).recovered == 0
    world.aws.clock.advance(3600)
    world.work_off(orders)
    assert world.recover(dead, policy=policy).recovered == 1
    assert world.recover(dead, policy=policy).recovered == 0


@pytest.mark.parametrize(
    ("known_by", "is_uncertain"),
    [({"identity_body_path": "id"}, False), ({"identity_body_path": "number"}, True), ({}, True)],
    ids=["a business id", "a business id that is not there", "content"],
)
def test_the_report_says_where_comebacks_are_known_by_content_only(
    world: DeadLettersWorld, known_by: dict[str, str], is_uncertain: bool
) -> None:
    """A message that its consumer writes anew, with a counter in it, is another message to anyone without its id."""
    orders, dead = world.queue("orders"), world.queue("dlq")
    policy = POLICY.model_copy(update={"destination": orders, **known_by})
    world.send(dead, [{"MessageBody": '{"id": 7, "retries": 0}', "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    lines = [line for line in world.recover(dead, policy=policy).warnings if "no business id" in line]
    assert len(lines) == is_uncertain
    assert all(dead in line and "identity_body_path" in line for line in lines)


def test_a_redrive_needs_no_business_id(world: DeadLettersWorld) -> None:
    """SQS keeps the message id when it gives a message up: its comeback is known by that."""
    pair = world.pair()
    world.die(pair, [TIMEOUT], MessageBody="message {n}")
    assert not [line for line in world.recover(pair.dead).warnings if "no business id" in line]


def test_the_first_queue_is_another_one_each_time(world: DeadLettersWorld) -> None:
    """Under a limit below a round, chance decides who comes first."""
    pairs = [world.pair() for _ in range(4)]
    request = world.request(*(pair.dead for pair in pairs))
    first = set()
    with world.at_work(request) as work:
        for share in (0.0, 0.3, 0.6, 0.99):
            work.jitter = lambda jitter=share: jitter  # type: ignore[misc]
            queues = find.find_queues(work)
            assert {queue.name for queue in queues} == {pair.dead for pair in pairs}
            first.add(queues[0].name)
    assert len(first) == 4


# -- other steps ---------------------------------------------------------------------------------------------------


def test_messages_of_other_targets_are_kept_and_reported_once(world: DeadLettersWorld) -> None:
    """Transient, but Lambda's, EventBridge's or the Scheduler's: archived as waiting, never sent to a queue."""
    pair = world.pair()
    messages = [
        {"RequestID": text("r"), "ErrorCode": text("200"), "ErrorMessage": text("Task timed out after 3.00 seconds")},
        {
            "RULE_ARN": text("r"),
            "TARGET_ARN": text("t"),
            "ERROR_CODE": text("THROTTLING"),
            "ERROR_MESSAGE": text("slow"),
        },
        {"SCHEDULE_ARN": text("s"), "TARGET_ARN": text("t"), "ERROR_CODE": text("TIMEOUT")},
    ]
    world.send(pair.dead, [{"MessageBody": "{}", "MessageAttributes": attributes} for attributes in messages])
    with_destination = POLICY.model_copy(update={"destination": pair.source})
    report = world.recover(pair.dead, policy=with_destination)
    assert report.by_action == {"alert": 3}
    assert world.bodies(pair.source) == world.bodies(pair.dead) == []
    assert world.states(pair.dead) == {"waiting": 3}
    assert 1 <= len(world.alerts(pair.dead)) <= 3


def test_a_queue_that_cannot_be_received_from_is_one_line(world: DeadLettersWorld) -> None:
    """Run after run, until it can be had again; its messages are visible for the next."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    for _ in range(3):
        fault(world, "sqs", "ReceiveMessage", code="RequestThrottled", status=403, times=None)
        report = world.recover(pair.dead)
        world.aws.lift_faults()
        assert report.problems == (
            f"queue {pair.dead}: could not be read now (RequestThrottled); the next run tries again",
        )
    assert world.visible(pair.dead) == 3
