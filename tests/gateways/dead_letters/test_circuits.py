"""A cause that still fails is probed, not stormed: one message, ten, a hundred, then all; and the others wait."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest

from flows import dead_letters as flow
from proof.plain_prefect import play
from recovery.cases import State
from recovery.dead_letters.actions import Action
from recovery.errors import Refused, Transient
from recovery.failures import Kind
from recovery.ledger import Ledger
from recovery.records import Record
from recovery.report import RecoveryReport
from tasks import dead_letters as do
from tests.dead_letters_world import ERROR, POLICY, THROTTLED, TIMEOUT, UNAVAILABLE, DeadLettersWorld, Pair, text

SETTLE, SWEEP = 60, 30
QUICK = POLICY.model_copy(
    update={
        "backoff": POLICY.backoff.model_copy(update={"base_seconds": 1.0, "factor": 1.0, "cap_seconds": 1.0}),
        "circuit_opens_after": 5,
        "settle_seconds": SETTLE,
        "sweep_seconds": SWEEP,
    }
)


def run(world: DeadLettersWorld, *pairs: Pair, **more: Any) -> RecoveryReport:
    """One run, and the moment that its sends need to arrive."""
    report = world.recover(*(pair.dead for pair in pairs), **{"policy": QUICK, **more})
    world.aws.clock.advance(2)
    return report


def storm(world: DeadLettersWorld, pair: Pair, count: int, error: str = TIMEOUT) -> RecoveryReport:
    """Messages that failed, were sent back, and came back; return the report of the run that met them then."""
    world.die(pair, [error] * count)
    run(world, pair)
    world.fail(pair.source)
    return run(world, pair)


def circuits(world: DeadLettersWorld, pair: Pair) -> dict[str, dict[str, Any]]:
    """The circuits of a queue, as they stand in the ledger."""
    items = [item for item in world.items() if item["pk"]["S"] == f"intent#{world.arn(pair.dead)}"]
    return {
        item["sk"]["S"].removeprefix("circuit#"): json.loads(item["data"]["S"])
        for item in items
        if item["sk"]["S"].startswith("circuit#")
    }


def attempts(world: DeadLettersWorld, pair: Pair) -> list[int]:
    """Attempts of the messages that wait."""
    return sorted(case.attempts for case in world.cases(pair.dead).values() if case.state is State.BACKOFF)


def test_an_outage_uses_up_the_attempts_of_a_few(world: DeadLettersWorld) -> None:
    """Of thirty messages that came back one goes each time; the others keep all their attempts but the first."""
    pair = world.pair()
    report = storm(world, pair, 30)
    assert report.by_action == {"heal": 1, "wait": 29}
    for _ in range(4):
        world.fail(pair.source)
        world.aws.clock.advance(10)
        run(world, pair)
        assert len(world.bodies(pair.source)) <= 1
        world.aws.clock.advance(100)
    assert attempts(world, pair).count(1) >= 20
    assert len(world.bodies(pair.dead)) + len(world.bodies(pair.source)) == 30
    assert world.archived(pair.dead) == []


def test_probes_that_are_proven_let_the_others_follow(world: DeadLettersWorld) -> None:
    """One, ten, then the rest, each after the proof of the step before; people hear of both ends, once."""
    pair = world.pair()
    storm(world, pair, 150)
    assert [line for line in world.alerts(pair.dead) if "opened" in line]
    steps = []
    for _ in range(12):
        came = world.work_off(pair.source)
        if came:
            steps.append(came)
        world.aws.clock.advance(SETTLE + SWEEP)
        run(world, pair)
    assert steps == [1, 10, 100, 39]
    assert world.bodies(pair.dead) == []
    assert sum(("opened" in alert) + 10 * ("closed" in alert) for alert in world.alerts(pair.dead)) == 11
    [circuit] = circuits(world, pair).values()
    assert "opened" not in circuit


def test_other_groups_and_queues_are_not_held_up(world: DeadLettersWorld) -> None:
    """Only the group whose messages come back waits."""
    pair, other = world.pair(), world.pair("bills")
    storm(world, pair, 20)
    world.die(pair, [UNAVAILABLE] * 7)
    world.die(other, [TIMEOUT] * 7)
    report = run(world, pair, other)
    assert report.by_action == {"heal": 14, "wait": 1}, "the probe died with them"
    assert len(world.bodies(other.source)) == 7


def test_words_that_change_each_time_have_one_circuit(world: DeadLettersWorld) -> None:
    """Their groups are as many as they are, so that none would ever open."""
    orders, dead = world.queue("orders"), world.queue("dlq")
    policy = QUICK.model_copy(update={"destination": orders})
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]

    def fail(turn: int) -> None:
        world.work_off(orders)
        for n in range(10):
            error = f"HTTP 503 Service Unavailable: {words[(n + turn) % 12]} {words[(n * 5 + turn) % 12]}"
            world.send(dead, [{"MessageBody": f"order {n}", "MessageAttributes": {ERROR: text(error)}}])

    pair = Pair(orders, dead)
    fail(0)
    run(world, pair, policy=policy)
    fail(1)
    report = run(world, pair, policy=policy)
    assert report.by_action == {"heal": 1, "wait": 9}


@pytest.mark.parametrize("share", [6, 2], ids=["both open it", "one opens it"])
def test_of_two_workers_one_sends_the_probe(world: DeadLettersWorld, share: int) -> None:
    """The circuit's item is written before the send; who comes second finds no room."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 12)
    run(world, pair)
    world.fail(pair.source)
    request = world.request(pair.dead, policy=QUICK)
    with world.at_work(request) as one, world.at_work(request) as two:
        batches = []
        for work, most in ((one, 12 - share), (two, share)):
            [turn] = do.turns_of(work, do.find_queues.fn(work))
            batch = do.receive_messages.fn(work, turn, most)
            batches.append(batch)
            for step in (do.look_up_history, do.diagnose_messages, do.decide_messages):
                step.fn(work, batch)
        healing = [batch.healing for batch in batches]
        assert healing == [1, 1 if share >= QUICK.circuit_opens_after else share], "neither knows of the other"
        for work, batch in zip((one, two), batches, strict=True):
            do.write_circuits.fn(work, batch)
        assert [batch.healing for batch in batches] == [1, 0]
    [circuit] = circuits(world, pair).values()
    assert circuit["step"] == [0, 1, 0, 0]
    assert circuit["came"] == 12


def test_a_run_that_dies_with_its_probe_stops_nothing(world: DeadLettersWorld) -> None:
    """The circuit was written and nothing was sent: when the probe should be known, another one goes."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 8)
    run(world, pair)
    world.fail(pair.source)

    class Killed(BaseException):
        """The process is gone."""

    with (
        pytest.raises(Killed),
        mock.patch("recovery.dead_letters.send_intents.SendIntents.open", side_effect=Killed),
    ):
        run(world, pair)
    world.aws.clock.advance(300)
    assert len(world.bodies(pair.dead)) == 8
    assert run(world, pair).by_action == {"heal": 1, "wait": 7}
    assert len(world.bodies(pair.source)) == 1


def test_a_throttled_ledger_sends_no_probe(world: DeadLettersWorld) -> None:
    """While the circuit cannot be written, its group stays; other groups go, and what came back speaks later."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 9)
    run(world, pair)
    world.fail(pair.source)
    world.die(pair, [THROTTLED] * 3)
    request = world.request(pair.dead, policy=QUICK)
    throttled = Transient("dynamodb:PutItem: throttled", code="ThrottlingException", operation="dynamodb:PutItem")
    with world.at_work(request) as work, mock.patch.object(work.ledger, "write_record", side_effect=throttled):
        report = play(flow.recover_dead_letters, request, work)
    assert (report.by_action, report.unsettled) == ({"heal": 3}, 9)
    assert len(world.bodies(pair.source)) == 3
    world.aws.clock.advance(2)
    assert run(world, pair).by_action == {"heal": 1, "wait": 8}


def test_people_hear_of_it_in_the_next_run(world: DeadLettersWorld) -> None:
    """A topic that took no alert gets it from the run after; then nobody hears it again."""
    pair = world.pair()
    refused = Refused("sns:Publish: denied", code="AuthorizationError", operation="sns:Publish")
    with mock.patch("recovery.alerts.Alerts._publish", side_effect=refused):
        report = storm(world, pair, 8)
    assert any("the next run sends the alert" in line for line in report.warnings)
    assert world.alerts(pair.dead) == []
    for _ in range(3):
        world.aws.clock.advance(150)
        world.fail(pair.source)
        report = run(world, pair)
    assert len(world.alerts(pair.dead)) == 1


def test_each_run_that_meets_it_reports_it(world: DeadLettersWorld) -> None:
    """Not only the one that opened it."""
    pair = world.pair()
    storm(world, pair, 8)
    world.die(pair, [UNAVAILABLE])
    report = run(world, pair)
    assert any("is open since" in line for line in report.warnings), report.warnings


def test_messages_that_stay_count_once(world: DeadLettersWorld) -> None:
    """However often a sweep meets a message that came back and is left, it came back once."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    run(world, pair)
    world.fail(pair.source)
    left = QUICK.model_copy(update={"actions": dict.fromkeys(Kind, Action.LEAVE)})
    for _ in range(4):
        run(world, pair, policy=left)
        world.aws.clock.advance(60)
    [circuit] = circuits(world, pair).values()
    assert circuit["came"] == 3


def test_two_hundred_groups(world: DeadLettersWorld) -> None:
    """Each has a circuit of its own; people get one alert, and the report a few lines."""
    pair = world.pair()
    policy = QUICK.model_copy(update={"circuit_opens_after": 2})
    firsts = "abcdefghijklmnopqrst"
    texts = [f"HTTP 503 Service Unavailable: {one}{other}xy" for one in firsts for other in firsts[:10]]
    world.die(pair, texts * 3)
    run(world, pair, policy=policy)
    world.fail(pair.source)
    report = run(world, pair, policy=policy)
    assert report.by_action == {"heal": 200, "wait": 400}
    assert len(circuits(world, pair)) == 200
    assert len(world.alerts(pair.dead)) == 1
    assert sum("circuit" in line for line in report.warnings) <= 12


def test_while_the_alarm_is_on_nothing_is_sent(world: DeadLettersWorld) -> None:
    """An alarm that a person named holds its queues back, and no others; one that does not exist is a warning."""
    pair, other = world.pair(), world.pair("bills")
    world.die(pair, [TIMEOUT] * 3)
    world.die(other, [TIMEOUT] * 3)
    cloudwatch = world.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="orders-down",
        Namespace="x",
        MetricName="y",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",  # else the next minute's look would end a state that was set by hand
    )
    cloudwatch.set_alarm_state(AlarmName="orders-down", StateValue="ALARM", StateReason="test")
    policies = {pair.dead: QUICK.model_copy(update={"circuit_alarm": "orders-down"})}
    report = run(world, pair, other, queue_policies=policies)
    assert report.by_action == {"wait": 3, "heal": 3}
    assert any("orders-down is in ALARM" in line for line in report.warnings)
    cloudwatch.set_alarm_state(AlarmName="orders-down", StateValue="OK", StateReason="test")
    world.aws.clock.advance(900)
    assert run(world, pair, queue_policies=policies).by_action == {"heal": 3}
    missing = {pair.dead: QUICK.model_copy(update={"circuit_alarm": "nothing"})}
    world.work_off(pair.source)
    world.die(pair, [TIMEOUT])
    report = run(world, pair, queue_policies=missing)
    assert report.by_action == {"heal": 1}
    assert any("no CloudWatch alarm 'nothing'" in line for line in report.warnings)


@pytest.fixture
def damaged(world: DeadLettersWorld) -> Pair:
    pair = world.pair()
    storm(world, pair, 8)
    [item] = [item for item in world.items() if item["sk"]["S"].startswith("circuit#")]
    item["data"]["S"] = json.dumps({"step": "three"})
    world.aws.client("dynamodb").put_item(TableName=world.table, Item=item)
    return pair


def test_a_damaged_circuit_stops_nothing(world: DeadLettersWorld, damaged: Pair) -> None:
    """Its group goes on as if there were none, and the report names the item."""
    world.aws.clock.advance(SETTLE + 3 * SWEEP)
    report = run(world, damaged)
    assert report.by_action == {"heal": 7}
    assert any("circuit#" in line and "delete it" in line for line in report.warnings)


def test_a_damaged_circuit_stops_no_comeback(world: DeadLettersWorld, damaged: Pair) -> None:
    """Its item can be neither read nor replaced: what comes back goes on all the same."""
    world.aws.clock.advance(SETTLE + 3 * SWEEP)
    run(world, damaged)
    world.fail(damaged.source)
    report = run(world, damaged)
    assert report.unsettled == 0
    assert report.by_action["heal"] >= 1


def test_an_unwritable_circuit_keeps_nothing_from_the_archive(world: DeadLettersWorld) -> None:
    """A message at its last attempt is archived, whatever its circuit's item does."""
    pair = world.pair()
    policy = QUICK.model_copy(update={"max_attempts": 1})
    world.die(pair, [TIMEOUT] * 8)
    run(world, pair, policy=policy)
    world.fail(pair.source)
    real = Ledger.write_record

    def refused(ledger: Ledger, record: Record, *more: Any) -> Record:
        if record.sk.startswith("circuit#"):
            raise Refused("dynamodb:PutItem: denied", code="AccessDeniedException", operation="dynamodb:PutItem")
        return real(ledger, record, *more)

    with mock.patch.object(Ledger, "write_record", refused):
        run(world, pair, policy=policy)
    assert len(world.archived(pair.dead)) == 8
    assert world.bodies(pair.dead) == []
