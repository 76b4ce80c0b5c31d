"""Dead letters come back, as Prefect runs it: every kind, every action, and every way to wait and to return."""

from __future__ import annotations

import logging
from datetime import timedelta
from itertools import pairwise

import pytest

from recovery.cases import State
from recovery.dead_letters.actions import Action
from recovery.dead_letters.messages import deduplication_id
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.failures import Kind
from tests.dead_letters_world import (
    AUTH,
    BUG,
    ERROR,
    INVALID,
    PAYLOAD,
    POLICY,
    STRANGE,
    THROTTLED,
    TIMEOUT,
    UNAVAILABLE,
    DeadLettersWorld,
    text,
)
from tests.orchestration.dead_letters_runs import artifacts, flow_run, recover, run, states, task_runs

HOUR = 3600


def with_policy(**fields: object) -> DeadLetterPolicy:
    return DeadLetterPolicy.model_validate({"error_attributes": [ERROR], **fields})


def waits(seconds: float) -> DeadLetterPolicy:
    """A backoff of about so many seconds, always."""
    return with_policy(backoff={"base_seconds": seconds, "factor": 1, "cap_seconds": seconds})


# -- every kind and every action -----------------------------------------------------------------------------------


def test_every_kind_goes_where_it_belongs(world: DeadLettersWorld) -> None:
    """A passing failure goes back; one that a person must fix is parked and reported; the rest is kept."""
    pair = world.pair()
    errors = [TIMEOUT, UNAVAILABLE, THROTTLED, AUTH, BUG, INVALID, PAYLOAD, STRANGE, ""]
    ids = world.die(pair, errors)

    report = recover(world, pair.dead)

    assert report.by_kind == {kind.value: 1 for kind in Kind}
    assert report.by_action == {"heal": 3, "alert": 2, "archive": 3, "leave": 1}
    assert sorted(world.bodies(pair.source)) == ['{"order": 0}', '{"order": 1}', '{"order": 2}']
    assert world.ids(pair.dead) == [ids[8]]
    assert world.visible(pair.dead) == 1
    assert world.states(pair.dead) == {"sent": 3, "parked": 2, "archived": 3}
    assert {record["message_id"] for record in world.archived(pair.dead)} == set(ids[3:8])
    assert len(world.alerts(pair.dead)) == 2
    [left] = [row for row in report.groups if row.action == "leave"]
    assert "log_group" in left.next_step
    assert "error_attributes" in left.next_step
    assert world.open_intents(pair.dead) == 0


@pytest.mark.parametrize("action", Action)
def test_a_policy_may_choose_any_action_for_any_kind(world: DeadLettersWorld, action: Action) -> None:
    """Heal, alert, archive or leave, whatever the default is."""
    pair = world.pair()
    world.die(pair, [INVALID, TIMEOUT])
    report = recover(world, pair.dead, policy=with_policy(actions=dict.fromkeys(Kind, action)))
    assert report.by_action == {action.value: 2}
    found = (len(world.bodies(pair.source)), len(world.archived(pair.dead)), len(world.bodies(pair.dead)))
    assert found == {"heal": (2, 0, 0), "alert": (0, 2, 0), "archive": (0, 2, 0), "leave": (0, 0, 2)}[action.value]
    assert len(world.alerts(pair.dead)) == (2 if action is Action.ALERT else 0)


def test_a_queue_that_is_not_safe_to_heal(world: DeadLettersWorld) -> None:
    """`heal: false` parks with an alert what would be sent back; a policy of its own for one queue says so."""
    safe, unsafe = world.pair("safe"), world.pair("payments")
    world.die(safe, [TIMEOUT])
    world.die(unsafe, [TIMEOUT])
    recover(world, safe.dead, unsafe.dead, queue_policies={"payments-*": with_policy(heal=False)})
    assert len(world.bodies(safe.source)) == 1
    assert world.bodies(unsafe.source) == []
    assert world.states(unsafe.dead) == {"parked": 1}
    assert len(world.alerts(unsafe.dead)) == 1


def test_old_messages_are_archived_as_stale(world: DeadLettersWorld) -> None:
    """`max_age` counts from the first send; a younger message beside it is healed."""
    pair = world.pair()
    world.die(pair, [TIMEOUT], MessageBody="old")
    world.aws.clock.advance(2 * HOUR)
    world.die(pair, [TIMEOUT], MessageBody="young")
    recover(world, pair.dead, policy=with_policy(max_age_seconds=HOUR))
    assert world.bodies(pair.source) == ["young"]
    assert [record["body"] for record in world.archived(pair.dead)] == ["old"]
    assert world.states(pair.dead) == {"sent": 1, "stale": 1}


def test_messages_that_would_expire_are_rescued(world: DeadLettersWorld) -> None:
    """Whatever their kind, with or without evidence: archived before the queue drops them."""
    pair = world.pair(MessageRetentionPeriod="7200")
    world.die(pair, [TIMEOUT, AUTH, ""])
    world.aws.clock.advance(7200 - 600)
    recover(world, pair.dead)
    assert world.bodies(pair.dead) == world.bodies(pair.source) == []
    assert world.states(pair.dead) == {"stale": 3}
    assert len(world.archived(pair.dead)) == 3
    world.aws.clock.advance(2 * HOUR)
    assert len(world.archived(pair.dead)) == 3


def test_a_message_without_evidence_waits_until_it_would_expire(world: DeadLettersWorld) -> None:
    """It is left with advice, run after run, and then kept in the archive instead of being lost."""
    pair = world.pair(MessageRetentionPeriod="7200")
    world.die(pair, [""])
    for _ in range(2):
        report = recover(world, pair.dead)
        assert report.by_action == {"leave": 1}
        assert world.visible(pair.dead) == 1
    world.aws.clock.advance(7200 - 300)
    assert recover(world, pair.dead).by_action == {"archive": 1}
    assert len(world.archived(pair.dead)) == 1


# -- where messages go ----------------------------------------------------------------------------------------------


def test_a_shared_dead_letter_queue(world: DeadLettersWorld) -> None:
    """Each message goes back to the queue that it came from."""
    invoices = world.pair("invoices")
    shipments = world.pair("shipments", dead=invoices.dead)
    world.die(invoices, [TIMEOUT, TIMEOUT], MessageBody="invoice {n}")
    world.die(shipments, [TIMEOUT, TIMEOUT], MessageBody="shipment {n}")
    recover(world, invoices.dead)
    assert sorted(world.bodies(invoices.source)) == ["invoice 0", "invoice 1"]
    assert sorted(world.bodies(shipments.source)) == ["shipment 0", "shipment 1"]


def test_a_message_that_names_no_queue_goes_nowhere_by_itself(world: DeadLettersWorld) -> None:
    """Even where one queue feeds this one: it is parked, until the policy names the destination."""
    pair = world.pair()
    world.send(pair.dead, [{"MessageBody": "sent by hand", "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    recover(world, pair.dead)
    assert world.bodies(pair.source) == []
    assert world.states(pair.dead) == {"parked": 1}
    assert "destination" in world.alerts(pair.dead)[0]

    world.send(pair.dead, [{"MessageBody": "again by hand", "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    recover(world, pair.dead, policy=with_policy(destination=pair.source))
    assert world.bodies(pair.source) == ["again by hand"]


def test_a_source_that_is_gone(world: DeadLettersWorld) -> None:
    """Parked as having none; with a destination in the policy it goes there."""
    pair, other = world.pair(), world.queue("other")
    world.die(pair, [TIMEOUT, TIMEOUT], MessageBody="message {n}")
    world.sqs.delete_queue(QueueUrl=world.url(pair.source))
    recover(world, pair.dead, policy=with_policy(destination=other), limit=1)
    assert len(world.bodies(other)) == 1
    recover(world, pair.dead)
    assert world.states(pair.dead) == {"sent": 1, "parked": 1}
    assert world.bodies(pair.dead) == []


def test_a_source_that_no_longer_names_this_queue(world: DeadLettersWorld) -> None:
    """A redrive policy that was changed since does not make the source unknown."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    world.sqs.set_queue_attributes(QueueUrl=world.url(pair.source), Attributes={"RedrivePolicy": ""})
    recover(world, pair.dead)
    assert len(world.bodies(pair.source)) == 1


# -- waiting -------------------------------------------------------------------------------------------------------


def test_a_short_wait_is_sqs_own_delay(world: DeadLettersWorld) -> None:
    """Up to 15 minutes the message is back in its queue, and the consumer gets it when the wait is over."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    recover(world, pair.dead)
    [message] = world.aws.messages(pair.source)
    assert 25 < message["visible_in"] <= 60
    assert world.bodies(pair.dead) == []


def test_a_long_wait_is_spent_hidden(world: DeadLettersWorld) -> None:
    """Hidden in its own queue; when its wait is over it goes, without new jitter."""
    pair, policy = world.pair(), waits(HOUR)
    [died] = world.die(pair, [TIMEOUT])
    assert recover(world, pair.dead, policy=policy).by_action == {"wait": 1}
    [message] = world.aws.messages(pair.dead)
    assert HOUR / 2 - 5 <= message["visible_in"] <= HOUR
    waiting = world.cases(pair.dead)[died]
    assert (waiting.state, waiting.attempts) == (State.BACKOFF, 0)
    assert waiting.due is not None

    world.aws.clock.advance(message["visible_in"] + 1)
    assert recover(world, pair.dead, policy=policy).by_action == {"heal": 1}
    [sent] = world.aws.messages(pair.source)
    assert sent["visible_in"] <= 1
    assert world.bodies(pair.dead) == []


def test_a_message_that_shows_up_early_is_hidden_again(world: DeadLettersWorld) -> None:
    """SQS hides for 12 hours at most, so a longer wait shows up before its time: neither sent nor drawn anew."""
    pair, policy = world.pair(), waits(24 * HOUR)
    [message] = world.die(pair, [TIMEOUT])
    world.recover(pair.dead, policy=policy)
    due = world.cases(pair.dead)[message].due
    world.aws.clock.advance(11 * HOUR + 1)
    assert world.visible(pair.dead) == 1
    assert recover(world, pair.dead, policy=policy).by_action == {"wait": 1}
    assert world.cases(pair.dead)[message].due == due
    assert world.visible(pair.dead) == 0
    assert world.bodies(pair.source) == []
    world.aws.clock.advance(11 * HOUR + 1)
    world.recover(pair.dead, policy=policy)
    world.aws.clock.advance(2 * HOUR)
    assert world.recover(pair.dead, policy=policy).by_action in ({"heal": 1}, {})
    assert len(world.bodies(pair.source)) == 1


def test_a_queue_that_counts_every_receive_hides_nothing(world: DeadLettersWorld) -> None:
    """Its messages take SQS's longest delay instead; even a dry run warns that looking counts."""
    last = world.queue("last")
    redrive = f'{{"deadLetterTargetArn": "{world.arn(last)}", "maxReceiveCount": 5}}'
    pair = world.pair(RedrivePolicy=redrive)
    world.die(pair, [TIMEOUT])
    report = recover(world, pair.dead, policy=waits(6 * HOUR), dry_run=True)
    assert "counts as a receive" in report.warnings[0]
    recover(world, pair.dead, policy=waits(6 * HOUR))
    [message] = world.aws.messages(pair.source)
    assert 890 < message["visible_in"] <= 900


# -- coming back ---------------------------------------------------------------------------------------------------


def test_comebacks_up_to_max_attempts(world: DeadLettersWorld) -> None:
    """Each comeback is the next attempt, under whatever id; after the last a person is notified."""
    pair, policy = world.pair(), with_policy(max_attempts=3, backoff={"base_seconds": 1, "factor": 1, "cap_seconds": 1})
    world.die(pair, [TIMEOUT])
    for attempt in (1, 2, 3):
        report = world.recover(pair.dead, policy=policy)
        assert report.by_action == {"heal": 1}, attempt
        [message] = world.aws.messages(pair.source)
        assert world.cases(pair.dead)[message["id"]].attempts == attempt
        world.aws.clock.advance(2)
        world.fail(pair.source)
    assert recover(world, pair.dead, policy=policy).by_action == {"alert": 1}
    assert world.bodies(pair.source) == world.bodies(pair.dead) == []
    assert world.states(pair.dead) == {"superseded": 2, "exhausted": 1}
    [record] = world.archived(pair.dead)
    assert (record["attempts"], record["body"]) == (3, '{"order": 0}')
    assert len(world.alerts(pair.dead)) == 1
    [exhausted] = [case for case in world.cases(pair.dead).values() if case.state is State.EXHAUSTED]
    assert len(exhausted.detail["earlier"]) == 3


@pytest.mark.parametrize(
    "known_by",
    [{"identity_attribute": "order-id"}, {"identity_body_path": "order.id"}, {}],
    ids=["attribute", "body", "content"],
)
def test_comebacks_of_messages_that_the_consumer_sends_itself(
    world: DeadLettersWorld, known_by: dict[str, str]
) -> None:
    """A new message each time: counted by a named attribute or place in the body, else by the content."""
    orders, dead = world.queue("orders"), world.queue("orders-dlq")
    policy = with_policy(max_attempts=2, destination=orders, backoff={"base_seconds": 1, "cap_seconds": 1}, **known_by)
    attributes = {ERROR: text(TIMEOUT), "order-id": text("7")}
    for expected in ({"heal": 1}, {"heal": 1}, {"alert": 1}):
        world.send(dead, [{"MessageBody": '{"order": {"id": 7}}', "MessageAttributes": attributes}])
        assert world.recover(dead, policy=policy).by_action == expected
    assert len(world.bodies(orders)) == 2
    assert world.states(dead) == {"superseded": 1, "exhausted": 1}

    # A replay starts anew: the next comeback is the first attempt again.
    assert world.replay(queues=[dead], destination=orders).by_action == {"replay": 1}
    world.send(dead, [{"MessageBody": '{"order": {"id": 7}}', "MessageAttributes": attributes}])
    assert world.recover(dead, policy=policy).by_action == {"heal": 1}


def test_recovered_is_having_stayed_away(world: DeadLettersWorld) -> None:
    """A healed message counts when its settle time is over, once; one that came back does not."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, TIMEOUT], MessageBody="message {n}")
    assert world.recover(pair.dead).recovered == 0
    world.aws.clock.advance(190)
    # One is consumed for good, the other comes back.
    url = world.url(pair.source)
    [good] = world.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, VisibilityTimeout=600)["Messages"]
    world.sqs.delete_message(QueueUrl=url, ReceiptHandle=good["ReceiptHandle"])
    world.fail(pair.source)
    assert world.recover(pair.dead).by_action == {"heal": 1}
    world.aws.clock.advance(1900)
    report = recover(world, pair.dead)
    assert report.recovered == 1
    assert report.seconds_to_recover is not None
    world.work_off(pair.source)
    world.aws.clock.advance(1200)
    assert world.recover(pair.dead).recovered == 1, "the second one, after its own settle time"
    world.aws.clock.advance(1900)
    assert world.recover(pair.dead).recovered == 0


def test_people_are_notified_once_that_a_group_has_recovered(world: DeadLettersWorld) -> None:
    """After an alert, when its messages were replayed and stayed away."""
    pair = world.pair()
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    world.replay(queues=[pair.dead])
    world.work_off(pair.source)
    world.aws.clock.advance(1801)
    for _ in range(2):
        recover(world, pair.dead)
    assert ["has recovered" in message for message in world.alerts(pair.dead)] == [False, True]


# -- FIFO ----------------------------------------------------------------------------------------------------------


def test_fifo_keeps_group_order_and_a_stable_deduplication_id(world: DeadLettersWorld) -> None:
    """A wait is spent hidden; then the whole group goes, in order, each with the id of its attempt."""
    pair = world.pair(fifo=True)
    ids = world.die(pair, [TIMEOUT] * 12, MessageBody="{n}", MessageGroupId="customer-7")
    other = world.die(pair, [TIMEOUT], MessageBody="other", MessageGroupId="customer-8")
    first = recover(world, pair.dead)
    assert first.by_action["wait"] == 2, "the first of each group"
    assert world.bodies(pair.source) == []
    world.aws.clock.advance(61)
    assert recover(world, pair.dead).by_action == {"heal": 13}
    sent = world.aws.messages(pair.source)
    assert [message["body"] for message in sent if message["group"] == "customer-7"] == [str(n) for n in range(12)]
    expected = {_attempt(message, 1) for message in [*ids, *other]}
    assert {message["deduplication_id"] for message in sent} == expected
    assert world.bodies(pair.dead) == []


def _attempt(message_id: str, attempt: int) -> str:
    from tests.unit.dead_letters.samples import message

    return deduplication_id(message(message_id=message_id), attempt)


def test_fifo_a_message_that_stays_holds_its_group_back(world: DeadLettersWorld) -> None:
    """Nobody overtakes it; other groups go on; what is archived makes way."""
    pair = world.pair(fifo=True)
    world.die(pair, ["", TIMEOUT], MessageBody="blocked {n}", MessageGroupId="blocked")
    world.die(pair, [INVALID, TIMEOUT], MessageBody="free {n}", MessageGroupId="free")
    world.aws.clock.advance(1)
    recover(world, pair.dead, policy=with_policy(backoff={"base_seconds": 1, "cap_seconds": 1}))
    assert world.bodies(pair.source) == ["free 1"]
    assert [record["body"] for record in world.archived(pair.dead)] == ["free 0"]
    assert world.bodies(pair.dead) == ["blocked 0", "blocked 1"]


# -- what Prefect shows --------------------------------------------------------------------------------------------


def test_what_a_run_shows(world: DeadLettersWorld) -> None:
    """Steps are task runs with counts in their names; the run's name says queue and result; one report, one table."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, AUTH, INVALID])
    state = run(world, pair.dead)
    assert state.is_completed()
    names = [task_run.name for task_run in task_runs(state)]
    for expected in (
        f"received from {pair.dead}",
        f"looked up 3 of {pair.dead}",
        f"diagnosed 3 of {pair.dead}",
        f"decided on 3 of {pair.dead}",
        f"archived 2 of {pair.dead}",
        f"wrote ahead 1 of {pair.dead}",
        f"sent 1 of {pair.dead}",
        f"confirmed 1 of {pair.dead}",
        f"recorded 1 of {pair.dead}",
        f"removed 1 of {pair.dead}",
        f"recorded 2 of {pair.dead}",
        "alerted people",
    ):
        assert expected in names
    assert names.count(f"removed 1 of {pair.dead}") == 3, "sent, archived, and archived with an alert"
    assert flow_run(state).name == f"{pair.dead}: 1 parked, 1 archived, 1 healed"
    shown = {artifact.type: artifact for artifact in artifacts(state)}
    assert {kind: artifact.key for kind, artifact in shown.items()} == {
        "markdown": "dead-letters",
        "table": "dead-letters-groups",
    }
    assert "data:image/svg+xml" in str(shown["markdown"].data)


def test_the_graph_of_a_run_is_the_order_of_its_steps(world: DeadLettersWorld) -> None:
    """Each step waits for the one before and for nothing else, though all are handed the same run."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, AUTH, INVALID])
    first, *others = task_runs(run(world, pair.dead))
    assert not any(first.task_inputs.values())
    for before, step in pairwise([first, *others]):
        inputs = {name: [each.id for each in given] for name, given in step.task_inputs.items() if given}  # type: ignore[union-attr]
        assert inputs == {"wait_for": [before.id]}, step.name


def test_the_log_of_a_run_is_its_story(world: DeadLettersWorld, caplog: pytest.LogCaptureFixture) -> None:
    """One line for the queue, one for each group that waits for a person; no line for the end of each task."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, TIMEOUT, AUTH])
    with caplog.at_level(logging.INFO, logger="prefect"):
        run(world, pair.dead)
    lines = [(record.levelno, record.message) for record in caplog.records if record.name == "prefect.task_runs"]
    assert lines[0] == (logging.INFO, f"{pair.dead}: 1 parked (AUTH_FAILURE 1), 2 healed (TIMEOUT 2)") or lines[0] == (
        logging.INFO,
        f"{pair.dead}: 2 healed (TIMEOUT 2), 1 parked (AUTH_FAILURE 1)",
    )
    [(level, line)] = lines[1:]
    assert level == logging.WARNING
    assert line.startswith(f"1 of {pair.dead} parked for AUTH_FAILURE: ")


def test_a_quiet_run_shows_nothing(world: DeadLettersWorld) -> None:
    """An empty queue every five minutes is no news; no queue named touches nothing at all."""
    state = run(world, world.pair().dead)
    assert artifacts(state) == []
    world.aws.clear_requests()
    assert recover(world).found == 0
    assert world.aws.request_counts() == {}


def test_throttling_shows_as_a_retry(world: DeadLettersWorld) -> None:
    """Beyond the SDK's own repetitions a step waits for its retry and then completes; nothing is sent twice."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, TIMEOUT])
    for operation in ("ReceiveMessage", "DeleteMessageBatch"):
        world.aws.fault("error", service="sqs", operation=operation, code="RequestThrottled", status=403, times=4)
    world.aws.fault("error", service="sqs", operation="SendMessageBatch", code="RequestThrottled", status=403, times=1)
    world.aws.fault(
        "error",
        service="dynamodb",
        operation="BatchGetItem",
        code="ProvisionedThroughputExceededException",
        status=400,
        times=4,
    )
    state = run(world, pair.dead)
    assert state.is_completed()
    retried = {task_run.name.split()[0]: states(task_run) for task_run in task_runs(state) if task_run.run_count > 1}
    assert set(retried) == {"received", "looked", "sent", "removed"}
    for seen in retried.values():
        assert "AwaitingRetry" in seen
        assert seen[-1] == "Completed"
    assert len(world.bodies(pair.source)) == 2
    assert world.bodies(pair.dead) == []


def test_a_dry_run_changes_nothing(world: DeadLettersWorld) -> None:
    """It reports what would be done; the ledger stays empty, nothing is sent, kept or published, all stay visible."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, AUTH, INVALID, ""])
    state = run(world, pair.dead, dry_run=True)
    report = state.result()
    assert report.by_action == {"heal": 1, "alert": 1, "archive": 1, "leave": 1}
    assert world.items() == []
    assert world.bodies(pair.source) == []
    assert world.archived(pair.dead) == []
    assert world.alerts() == []
    assert world.visible(pair.dead) == 4
    assert not report.full_list
    assert flow_run(state).name.endswith("(dry run)")


def test_a_dry_run_is_bounded_by_its_limit(world: DeadLettersWorld) -> None:
    """No more messages are received than the limit says, and each shows up again."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 15)
    assert recover(world, pair.dead, dry_run=True, limit=3).found == 3
    assert world.visible(pair.dead) == 15
    assert sum(message["receives"] for message in world.aws.messages(pair.dead)) == 15 + 3


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 25])
def test_a_limit_is_kept_to_the_message(world: DeadLettersWorld, limit: int) -> None:
    """The rest stays for the next run."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 25)
    assert world.recover(pair.dead, limit=limit).by_action == {"heal": limit}
    assert len(world.bodies(pair.dead)) == 25 - limit
    assert world.visible(pair.dead) == 25 - limit


def test_age_and_policy_by_queue(world: DeadLettersWorld) -> None:
    """A default policy is used where no pattern matches."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    strict = POLICY.model_copy(update={"max_age_seconds": 60})
    world.aws.clock.advance(timedelta(minutes=2).total_seconds())
    recover(world, pair.dead, queue_policies={"nothing-*": strict})
    assert len(world.bodies(pair.source)) == 1
