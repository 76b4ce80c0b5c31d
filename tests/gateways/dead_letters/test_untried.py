"""Messages of whose failure nothing is known: one tries, then ten, then the rest; what comes back is the evidence."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recovery.dead_letters.actions import WithoutEvidence
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.report import RecoveryReport
from tests.dead_letters_world import AUTH, DeadLettersWorld, Pair
from tests.gateways.dead_letters.test_circuits import QUICK, SETTLE, SWEEP, circuits

PROBES = QUICK.model_copy(update={"without_evidence": WithoutEvidence.PROBE})


def mute(world: DeadLettersWorld, pair: Pair, count: int, **message: Any) -> None:
    """Messages that failed without a word."""
    world.send(pair.source, [{"MessageBody": '{"order": 1}', **message}] * count)
    world.fail(pair.source)


def run(world: DeadLettersWorld, pair: Pair, policy: DeadLetterPolicy = PROBES) -> RecoveryReport:
    report = world.recover(pair.dead, policy=policy)
    world.aws.clock.advance(2)
    return report


def later(world: DeadLettersWorld, pair: Pair, policy: DeadLetterPolicy = PROBES) -> RecoveryReport:
    world.aws.clock.advance(SETTLE + SWEEP)
    return run(world, pair, policy)


def test_one_tries_then_ten_then_the_rest(world: DeadLettersWorld) -> None:
    """Each step once the one before is proven to have stayed away; nobody is alerted of it."""
    pair, steps = world.pair(), []
    mute(world, pair, 40)
    report = run(world, pair)
    assert report.by_action == {"heal": 1, "wait": 39}
    for _ in range(8):
        if came := world.work_off(pair.source):
            steps.append(came)
        later(world, pair)
    assert steps == [1, 10, 29]
    assert world.bodies(pair.dead) == []
    assert world.alerts(pair.dead) == []


def test_what_comes_back_holds_the_others(world: DeadLettersWorld) -> None:
    """The cause persists: one goes at a time, after a wait, and the others keep their attempts."""
    pair = world.pair()
    mute(world, pair, 30)
    run(world, pair)
    for _ in range(3):
        assert len(world.bodies(pair.source)) <= 1
        world.fail(pair.source)
        run(world, pair)
        later(world, pair)
    waiting = [case for case in world.cases(pair.dead).values() if case.state.value == "backoff"]
    assert sum(case.attempts == 0 for case in waiting) >= 26
    assert len(world.bodies(pair.dead)) + len(world.bodies(pair.source)) == 30
    assert world.archived(pair.dead) == []


def test_other_shapes_and_explained_messages_are_no_evidence(world: DeadLettersWorld) -> None:
    """Bodies of another shape have a ramp of their own, and a message that is explained goes its own way."""
    pair = world.pair()
    mute(world, pair, 5)
    mute(world, pair, 5, MessageBody="plain words")
    world.die(pair, [AUTH])
    report = run(world, pair)
    assert report.by_action == {"heal": 2, "wait": 8, "alert": 1}
    assert len(circuits(world, pair)) == 2


def test_nothing_tries_where_nothing_may_be_healed(world: DeadLettersWorld) -> None:
    """A queue that is not safe to heal is left alone, as without the policy."""
    pair = world.pair()
    mute(world, pair, 3)
    report = run(world, pair, PROBES.model_copy(update={"heal": False}))
    assert report.by_action == {"leave": 3}
    assert circuits(world, pair) == {}


def test_a_queue_in_which_nothing_can_wait_lets_one_try_and_leaves_the_others(world: DeadLettersWorld) -> None:
    """Its own redrive policy counts each receive; the others are left, never sent beside the probe."""
    pair = world.pair()
    last = world.queue("last")
    world.sqs.set_queue_attributes(
        QueueUrl=pair.dead,
        Attributes={"RedrivePolicy": f'{{"deadLetterTargetArn": "{world.arn(last)}", "maxReceiveCount": 50}}'},
    )
    mute(world, pair, 6)
    assert run(world, pair).by_action == {"heal": 1, "leave": 5}


def test_without_circuits_nothing_can_probe() -> None:
    """The policy is refused in a line that names the field."""
    with pytest.raises(ValidationError, match="circuit_opens_after of at least 1"):
        DeadLetterPolicy.model_validate({"without_evidence": "probe", "circuit_opens_after": 0})
