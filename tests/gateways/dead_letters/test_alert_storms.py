"""A storm of failures disturbs people a few times: one alert for a cause, and one summary for what has no room."""

from __future__ import annotations

from recovery.dead_letters.actions import Action
from recovery.dead_letters.announcing import MOST_OF_QUEUE, MOST_OF_RUN
from recovery.failures import Kind
from tests.dead_letters_world import AUTH, POLICY, TIMEOUT, DeadLettersWorld

ASKS = POLICY.model_copy(update={"actions": {Kind.UNKNOWN: Action.ALERT}})
PARTS = ("engine", "wheel", "brake", "mirror", "window", "mast", "sail", "anchor", "keel", "rudder")
STATES = ("is on fire", "sings", "has left the harbour", "dreams of spring")
WAYS = [f"the {part} {state}" for state in STATES for part in PARTS]


def test_one_cause_in_several_queues_is_one_alert_that_names_them(world: DeadLettersWorld) -> None:
    """The same cause in three queues makes one alert, which counts the messages and names every queue."""
    pairs = [world.pair(name) for name in ("orders", "bills", "parcels")]
    for pair in pairs:
        world.die(pair, [AUTH, AUTH])
    world.recover(*(pair.dead for pair in pairs))
    [alert] = world.alerts()
    assert all(pair.dead in alert for pair in pairs)
    assert "6 message(s) of 3 queues" in alert
    assert [world.bodies(pair.dead) for pair in pairs] == [[], [], []]


def test_the_same_cause_in_another_queue_soon_after_disturbs_nobody_again(world: DeadLettersWorld) -> None:
    """A cause already reported sends no second alert when it appears in another queue."""
    pair, other = world.pair(), world.pair("bills")
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    world.die(other, [AUTH])
    report = world.recover(other.dead)
    assert report.by_action == {"alert": 1}
    assert len(world.alerts()) == 1
    assert world.bodies(other.dead) == []


def test_a_queue_that_fails_in_many_ways_has_a_few_alerts_and_one_summary(world: DeadLettersWorld) -> None:
    """The largest groups of a queue have alerts of their own; the others share one summary."""
    pair = world.pair()
    world.die(pair, [WAYS[0], *WAYS])
    report = world.recover(pair.dead, policy=ASKS)
    alerts = world.alerts()
    assert report.by_action == {"alert": len(WAYS) + 1}
    assert len(alerts) == MOST_OF_QUEUE + 1
    assert "failed in 35 different ways" in alerts[-1]
    assert "2 message(s)" in alerts[0], "the largest groups have alerts of their own"
    assert world.bodies(pair.dead) == []
    assert len(world.archived(pair.dead)) == len(WAYS) + 1


def test_a_run_over_many_queues_has_a_bound_of_its_own(world: DeadLettersWorld) -> None:
    """The alerts of one run are limited too, however many queues it covers."""
    pairs = [world.pair(f"q{n}") for n in range(8)]
    for n, pair in enumerate(pairs):
        world.die(pair, WAYS[n * 5 : n * 5 + 5])
    world.recover(*(pair.dead for pair in pairs), policy=ASKS)
    assert len(world.alerts()) == MOST_OF_RUN + 1
    assert all(world.bodies(pair.dead) == [] for pair in pairs)


def test_what_heals_does_not_wait_for_alerts(world: DeadLettersWorld) -> None:
    """A topic that refuses keeps what people must know of, and nothing else."""
    pair = world.pair()
    world.die(pair, [AUTH, TIMEOUT])
    world.aws.fault("error", service="sns", operation="Publish", code="AuthorizationError", status=403, times=1)
    report = world.recover(pair.dead)
    assert (report.unsettled, report.failed) == (1, True)
    assert len(world.bodies(pair.dead)) == 1
    world.aws.lift_faults()
    world.aws.clock.advance(400)
    world.recover(pair.dead)
    assert len(world.alerts()) == 1
    assert world.bodies(pair.dead) == []
    assert len({record["message_id"] for record in world.archived(pair.dead)}) == 1
