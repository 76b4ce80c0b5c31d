"""Backlogs, outages and comebacks: nothing is healed for ever, expires unseen, or counts as recovered before it is."""

from __future__ import annotations

import json
from unittest import mock

import pytest

from flows.dead_letters import recover_dead_letters
from proof.plain_prefect import play
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.errors import OutcomeUnknown
from recovery.events.outward import BACKLOG_AT_RISK, CONSUMER_SILENT
from tests.dead_letters_world import AUTH, ERROR, INVALID, POLICY, TIMEOUT, DeadLettersWorld, text

QUICK = POLICY.model_copy(
    update={"backoff": POLICY.backoff.model_copy(update={"base_seconds": 1.0, "factor": 1.0, "cap_seconds": 1.0})}
)


def test_words_that_change_each_time_use_up_the_attempts(world: DeadLettersWorld) -> None:
    """A consumer that sends to its dead-letter queue writes another request id each time: the work is the same."""
    orders, dead = world.queue("orders"), world.queue("dlq")
    policy = QUICK.model_copy(update={"destination": orders, "max_attempts": 3})
    actions = []
    for n in range(5):
        words = f"HTTP 503 Service Unavailable (request {n:08x}, after {3000 + n} ms)"
        world.send(dead, [{"MessageBody": '{"order": 7}', "MessageAttributes": {ERROR: text(words)}}])
        actions += list(world.recover(dead, policy=policy).by_action)
        world.aws.clock.advance(2)
        world.work_off(orders)
    assert actions[:4] == ["heal", "heal", "heal", "alert"]
    assert "exhausted" in world.states(dead)


def test_a_stopped_consumer_recovers_nothing(world: DeadLettersWorld) -> None:
    """Messages that still lie in their own queue were not brought back, and a person hears of it."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 20)
    world.recover(pair.dead)
    world.aws.clock.advance(2000)
    with world.at_work(world.request(pair.dead)) as work:
        report = play(recover_dead_letters, work.request, work)
        assert [(event.event, event.resource) for event in work.events] == [(CONSUMER_SILENT, ("queue", pair.source))]
    assert report.recovered == 0
    assert any("its consumer has not taken" in line for line in report.warnings)
    world.work_off(pair.source)
    assert world.recover(pair.dead).recovered == 20


def test_comebacks_that_nobody_received_recover_nothing(world: DeadLettersWorld) -> None:
    """Three came back and lie behind five others; a run that takes up five cannot know it, and does not guess."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    assert world.recover(pair.dead).by_action == {"heal": 3}
    world.send(pair.dead, [{"MessageBody": f"other {n}"} for n in range(5)])
    world.aws.clock.advance(90)
    assert world.fail(pair.source) == 3
    world.aws.clock.advance(2000)
    behind = world.recover(pair.dead, limit=5)
    assert behind.recovered == 0
    assert any("about 3 message(s) were not reached" in line for line in behind.warnings)
    assert world.recover(pair.dead).recovered == 0, "they are received now, and have come back"


def test_a_message_may_still_come_back_while_its_receives_last(world: DeadLettersWorld) -> None:
    """Fifteen minutes times five receives: half an hour proves nothing, though the queue looks empty."""
    pair = world.pair()
    policy = {"deadLetterTargetArn": world.arn(pair.dead), "maxReceiveCount": 5}
    world.sqs.set_queue_attributes(
        QueueUrl=world.url(pair.source),
        Attributes={"VisibilityTimeout": "900", "RedrivePolicy": json.dumps(policy)},
    )
    dead = world.send(pair.dead, [{"MessageBody": "{}", "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    back = POLICY.model_copy(update={"destination": pair.source})
    world.recover(pair.dead, policy=back)
    world.aws.clock.advance(120)
    world.work_off(pair.source)
    world.aws.clock.advance(1800)
    assert world.recover(pair.dead, policy=back).recovered == 0
    world.aws.clock.advance(75 * 60)
    assert world.recover(pair.dead, policy=back).recovered == 1
    assert dead


def test_a_backlog_above_the_limit_does_not_expire(world: DeadLettersWorld) -> None:
    """Of a hundred messages about which nothing is known, ten a run: what later runs reach too late is archived."""
    pair = world.pair(MessageRetentionPeriod="3600")
    world.die(pair, [""] * 40)
    for _ in range(12):
        world.recover(pair.dead, limit=4)
        world.aws.clock.advance(300)
    assert len({record["message_id"] for record in world.archived(pair.dead)}) == 40


def test_a_backlog_that_no_run_can_reach_fails_the_run(world: DeadLettersWorld) -> None:
    """The line says how many expire and when, and what to raise."""
    pair = world.pair(MessageRetentionPeriod="3600")
    world.die(pair, [""] * 40)
    with world.at_work(world.request(pair.dead, limit=2)) as work:
        report = play(recover_dead_letters, work.request, work)
        assert [(event.event, event.resource) for event in work.events] == [(BACKLOG_AT_RISK, ("queue", pair.dead))]
    assert report.failed
    assert any("will expire from" in line and "raise the run's limit" in line for line in report.problems)


def test_messages_that_are_left_do_not_stand_in_the_way(world: DeadLettersWorld) -> None:
    """More than a run takes up lie before those that heal, and nobody can triage them: the next run reaches behind."""
    pair = world.pair()
    world.die(pair, [""] * 12)
    world.die(pair, [TIMEOUT] * 5, MessageBody="heals {n}")
    healed = 0
    for _ in range(3):
        healed += world.recover(pair.dead, policy=QUICK, limit=10).by_action.get("heal", 0)
        world.aws.clock.advance(300)
    assert healed == 5
    world.aws.clock.advance(900)
    assert world.visible(pair.dead) == 12, "and nothing is hidden for long"


def test_messages_that_are_left_are_free_where_a_run_reaches_all(world: DeadLettersWorld) -> None:
    """Nothing lies behind them, so that a person's next run finds them at once; a dry run hides nothing either."""
    pair = world.pair()
    world.die(pair, [""] * 12)
    world.recover(pair.dead, policy=QUICK)
    assert world.visible(pair.dead) == 12
    world.recover(pair.dead, policy=QUICK, limit=5, dry_run=True)
    assert world.visible(pair.dead) == 12


def test_each_queue_gets_its_share(world: DeadLettersWorld) -> None:
    """A limit below what lies in the first queue keeps no other waiting."""
    pairs = [world.pair() for _ in range(5)]
    for pair in pairs:
        world.die(pair, [TIMEOUT] * 10)
    world.recover(*(pair.dead for pair in pairs), limit=25)
    assert [len(world.bodies(pair.source)) for pair in pairs] == [5] * 5


def test_what_a_consumer_sent_itself_is_archived_once(world: DeadLettersWorld) -> None:
    """While SNS refuses, the original stays; each sweep finds what was done with this very message."""
    dead = world.queue("dlq")
    world.send(dead, [{"MessageBody": '{"order": 1}', "MessageAttributes": {ERROR: text(AUTH)}}])
    world.aws.fault("error", service="sns", operation="Publish", code="AuthorizationError", status=403, times=None)
    for _ in range(3):
        world.recover(dead)
    world.aws.lift_faults()
    world.recover(dead)
    assert len(world.archived(dead)) == 1
    assert world.bodies(dead) == []


def test_an_archive_that_does_not_answer_stops_no_healing(world: DeadLettersWorld) -> None:
    """Messages that heal go first; S3 is asked once, and the others that need it are left with one line."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 5 + [INVALID] * 3)
    silent = OutcomeUnknown("s3:PutObject: ReadTimeoutError", code="ReadTimeoutError", operation="s3:PutObject")
    request = world.request(pair.dead)
    with (
        world.at_work(request) as work,
        mock.patch.object(work.archive, "put_bundle", side_effect=silent) as asked,
    ):
        report = play(recover_dead_letters, request, work)
    assert (report.by_action, report.unsettled, asked.call_count) == ({"heal": 5}, 3, 1)
    assert [line for line in report.problems if "s3 does not answer" in line]


def test_a_fifo_comeback_waits_for_itself(world: DeadLettersWorld) -> None:
    """Its attempts are not used up in one run, though an earlier message of its group was just sent."""
    pair = world.pair(fifo=True)
    world.die(pair, [TIMEOUT] * 3, MessageBody="{n}", MessageGroupId="g")
    world.recover(pair.dead)
    world.aws.clock.advance(61)
    assert world.recover(pair.dead).by_action == {"heal": 3}
    world.fail(pair.source)
    report = world.recover(pair.dead)
    assert report.by_action == {"wait": 1, "leave": 2}


def test_a_fifo_group_behind_a_hidden_message_recovers_nothing(world: DeadLettersWorld) -> None:
    """A comeback lies there, out of reach; other groups of the queue count all the same."""
    pair = world.pair(fifo=True)

    def bring_back(group: str) -> None:
        world.die(pair, [TIMEOUT], MessageBody=f"of {group}", MessageGroupId=group)
        world.recover(pair.dead)
        world.aws.clock.advance(61)
        assert world.recover(pair.dead).by_action == {"heal": 1}

    bring_back("g")
    slow = {"destination": pair.source, "backoff": POLICY.backoff.model_copy(update={"base_seconds": 20_000.0})}
    first = {"MessageBody": "first", "MessageGroupId": "g", "MessageAttributes": {ERROR: text(TIMEOUT)}}
    world.send(pair.dead, [first])
    assert world.recover(pair.dead, policy=POLICY.model_copy(update=slow)).by_action == {"wait": 1}
    assert world.fail(pair.source) == 1
    bring_back("h")
    world.work_off(pair.source)
    world.aws.clock.advance(2000)
    report = world.recover(pair.dead)
    assert report.recovered == 1
    assert any("its FIFO group behind the hidden first message" in line for line in report.warnings)
    assert sorted(world.bodies(pair.dead)) == ["first", "of g"]


def test_a_message_of_many_receives_may_hide_from_cloudwatch(world: DeadLettersWorld) -> None:
    """Received three times it has left the age of the oldest: a consumer that stops then has done nothing."""
    pair = world.pair()
    policy = {"deadLetterTargetArn": world.arn(pair.dead), "maxReceiveCount": 5}
    attributes = {"VisibilityTimeout": "60", "RedrivePolicy": json.dumps(policy)}
    world.sqs.set_queue_attributes(QueueUrl=world.url(pair.source), Attributes=attributes)
    world.send(pair.dead, [{"MessageBody": "{}", "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    world.recover(pair.dead, policy=POLICY.model_copy(update={"destination": pair.source}))
    world.aws.clock.advance(90)
    for _ in range(3):
        world.sqs.receive_message(QueueUrl=world.url(pair.source))
        world.aws.clock.advance(61)
    world.aws.clock.advance(2000)
    assert world.recover(pair.dead).recovered == 0
    world.work_off(pair.source)
    assert world.recover(pair.dead).recovered == 1


def test_a_queue_of_another_region_is_refused(world: DeadLettersWorld) -> None:
    """Its name says nothing: a queue of ours may be called the same."""
    dead, ours = world.queue("dlq"), world.queue("orders")
    arn = world.arn(ours).split(":")
    arn[3] = "ap-south-1"
    policy = DeadLetterPolicy(error_attributes=(ERROR,), destination=":".join(arn))
    world.send(dead, [{"MessageBody": "{}", "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    report = world.recover(dead, policy=policy)
    assert report.unsettled == 1
    assert any("another region" in line for line in report.problems)
    assert world.bodies(ours) == []


@pytest.mark.parametrize("broad_first", [True, False])
def test_the_most_specific_policy_counts(world: DeadLettersWorld, broad_first: bool) -> None:
    """In whatever order a database gives them back."""
    policies = [("*", POLICY), ("payments-*", POLICY.model_copy(update={"heal": False}))]
    request = world.request("x", queue_policies=dict(policies if broad_first else reversed(policies)))
    assert request.policy_for("payments-dlq").heal is False
    assert request.policy_for("orders-dlq").heal is True


def test_a_damaged_alert_stops_its_group_only(world: DeadLettersWorld) -> None:
    """A record that somebody edited is named; messages of other groups and queues go on."""
    pair, other = world.pair(), world.pair("bills")
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    [item] = [item for item in world.items() if item["pk"]["S"].startswith("alert#")]
    data = json.loads(item["data"]["S"])
    del data["at"]
    item["data"]["S"] = json.dumps(data)
    world.aws.client("dynamodb").put_item(TableName=world.table, Item=item)
    world.die(pair, [AUTH, TIMEOUT])
    world.die(other, [TIMEOUT])
    report = world.recover(pair.dead, other.dead)
    assert (report.by_action, report.unsettled) == ({"heal": 2}, 1)
    assert report.failed


def test_messages_that_are_left_do_not_keep_a_run_from_those_behind_them(world: DeadLettersWorld) -> None:
    """Twelve that say nothing lie before five that can be healed, and a run takes up ten: the next reaches the five."""
    pair = world.pair()
    world.die(pair, [""] * 12)
    world.die(pair, [TIMEOUT] * 5)
    first = world.recover(pair.dead, limit=10)
    second = world.recover(pair.dead, limit=10)
    assert first.by_action["leave"] + second.by_action["leave"] == 12
    assert first.by_action.get("heal", 0) + second.by_action.get("heal", 0) == 5
    world.aws.clock.advance(3600)
    assert world.recover(pair.dead, limit=20).by_action == {"leave": 12}, "what is left shows up again"


def test_messages_that_are_left_show_at_once_when_nothing_lies_behind_them(world: DeadLettersWorld) -> None:
    """A run that reached its whole queue puts nothing aside."""
    pair = world.pair()
    world.die(pair, [""] * 3)
    world.recover(pair.dead)
    assert world.recover(pair.dead).by_action == {"leave": 3}
