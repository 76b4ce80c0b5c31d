"""Killed at any request, the path loses nothing: the next runs complete what was begun, within the declared windows.

A run is killed at each of its requests in turn, after the request was carried out and before its answer is read, which
for AWS is the same as before the next one is sent (`proof.crash` plays both with SIGKILL). Nothing of the run goes on
after that, not even tidying up.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from recovery.cases import State
from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import AUTH, INVALID, POLICY, TIMEOUT, DeadLettersWorld, Pair

MINUTE = 60
"""The time limit of a run."""
LEASE = 250
"""Seconds after which all that a killed run held is free again: messages (240), alerts (120). Within the five minutes
for which a FIFO queue remembers a deduplication id."""
AT_ONCE = POLICY.model_copy(update={"backoff": POLICY.backoff.model_copy(update={"base_seconds": 1.0, "factor": 1.0})})
"""A wait of less than a second: FIFO messages are sent in the first run, and comebacks in the next."""


HEALED = ('{"order": 0}', '{"order": 3}')


class Killed(BaseException):
    """The process is gone. Not an `Exception`: nothing may handle it."""


class Killer:
    """Kills a run at its nth request.

    Args:
        nth: number of the request, from 1.
        answered: kill after the request was carried out, instead of before it is sent.
    """

    def __init__(self, nth: int, *, answered: bool) -> None:
        self.nth = nth
        self.answered = answered
        self.operations: list[str] = []
        self.dead = False

    def before(self, event_name: str, **_: Any) -> None:
        if self.dead:
            raise Killed
        self.operations.append(event_name.rsplit(".", 1)[1])
        if len(self.operations) == self.nth and not self.answered:
            self.dead = True
            raise Killed

    def after(self, **_: Any) -> None:
        if len(self.operations) == self.nth and self.answered:
            self.dead = True
            raise Killed

    @contextlib.contextmanager
    def watching(self, world: DeadLettersWorld) -> Iterator[None]:
        for client in world.clients:
            client.meta.events.register_first("before-send", self.before)
            client.meta.events.register_first("needs-retry", self.after)
        try:
            yield
        finally:
            for client in world.clients:
                client.meta.events.unregister("before-send", self.before)
                client.meta.events.unregister("needs-retry", self.after)


def one_run(world: DeadLettersWorld, pair: Pair, killer: Killer) -> None:
    with killer.watching(world), contextlib.suppress(Killed):
        world.recover(pair.dead, policy=AT_ONCE, threads=1, time_limit_seconds=MINUTE)


def messages(world: DeadLettersWorld, *, fifo: bool) -> Pair:
    """Two that are healed, two that a person must fix, two for review; on FIFO also a group of two."""
    pair = world.pair(fifo=fifo)
    world.die(pair, [TIMEOUT, AUTH, INVALID, TIMEOUT, AUTH, INVALID])
    if fifo:
        world.die(pair, [TIMEOUT, TIMEOUT], MessageBody="pair {n}", MessageGroupId="pair")
    return pair


def is_open(killer: Killer, opens: str, closes: str, writes: int = 1) -> bool:
    """True when the killed run had carried `opens` out, and not yet recorded it by so many requests `closes`."""
    done = killer.operations if killer.answered else killer.operations[:-1]
    return opens in done and done[done.index(opens) :].count(closes) < writes


@pytest.fixture
def world(simulated_aws: SimulatedAws) -> DeadLettersWorld:
    return DeadLettersWorld(simulated_aws)


@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_killed_at_any_request(world: DeadLettersWorld, fifo: bool) -> None:
    """Two runs after the kill, every message is where it belongs; copies, alerts and attempts are as declared."""
    for nth in itertools.count(1):
        pair = messages(world, fifo=fifo)
        originals = set(world.bodies(pair.dead))
        healing = {body for body in originals if body in HEALED or body.startswith("pair")}
        killer = Killer(nth, answered=True)
        one_run(world, pair, killer)
        if not killer.dead:
            break
        where = f"killed at request {nth} ({killer.operations[-1]})"

        kept = {record["body"] for record in world.archived(pair.dead)}
        assert kept | set(world.bodies(pair.dead)) | set(world.bodies(pair.source)) == originals, (
            f"{where}: lost at once"
        )

        for _ in range(2):
            world.aws.clock.advance(LEASE)
            report = world.recover(pair.dead, policy=AT_ONCE, threads=1, time_limit_seconds=MINUTE)
            assert not report.failed, (where, report.problems, [row.reason for row in report.groups])

        # Nothing is lost, and nothing is left behind.
        assert world.bodies(pair.dead) == [], where
        sent, archived = Counter(world.bodies(pair.source)), {r["body"] for r in world.archived(pair.dead)}
        assert set(sent) == healing, where
        assert archived == originals - healing, where

        # A copy more only where the answer to a send was not read, or not yet written down; on FIFO never.
        open_send = is_open(killer, "SendMessageBatch", "BatchWriteItem")
        assert max(sent.values()) <= (2 if open_send and not fifo else 1), f"{where}: {sent}"

        # The ledger points at one copy of each archived message.
        parked = [case for case in world.cases(pair.dead).values() if case.state in (State.PARKED, State.ARCHIVED)]
        assert len(parked) == 4, where
        assert all(case.detail["archive"] for case in parked), where

        # One alert for the group; a second only where the answer to the publish was not read or not written down.
        open_alert = is_open(killer, "Publish", "PutItem")
        assert 1 <= len(world.alerts(pair.dead)) <= (2 if open_alert else 1), where

        # No crash resets the count of attempts: whatever comes back has used one attempt.
        world.fail(pair.source)
        world.recover(pair.dead, policy=AT_ONCE, threads=1, time_limit_seconds=MINUTE)
        attempts = {case.attempts for case in world.cases(pair.dead).values() if case.state is State.SENT}
        assert attempts == {2}, f"{where}: {attempts}"
    assert nth > 15
    assert world.bodies(pair.dead) == []


def test_what_the_next_run_finishes_is_counted_as_recovered(world: DeadLettersWorld) -> None:
    """Killed before the originals are removed: the copies were sent and stay away, whoever removes what is left."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, TIMEOUT])
    counting = Killer(0, answered=False)
    with counting.watching(world):
        world.recover(pair.dead, policy=AT_ONCE, threads=1)
    deletes = counting.operations.index("DeleteMessageBatch") + 1
    pair = world.pair()
    world.die(pair, [TIMEOUT, TIMEOUT])
    one_run(world, pair, Killer(deletes, answered=False))
    assert len(world.bodies(pair.source)) == len(world.bodies(pair.dead)) == 2
    world.aws.clock.advance(LEASE)
    finishing = world.recover(pair.dead, policy=AT_ONCE, threads=1)
    assert (finishing.by_action, finishing.recovered) == ({"finish": 2}, 0)
    world.aws.clock.advance(AT_ONCE.settle_seconds)
    world.work_off(pair.source)
    counts = [world.recover(pair.dead, policy=AT_ONCE, threads=1).recovered for _ in range(2)]
    assert counts == [2, 0], "each once"


def test_killed_while_hiding(world: DeadLettersWorld) -> None:
    """A message that is to wait stays in its queue, and waits for its first attempt, whenever the run was killed."""
    patient = POLICY.model_copy(update={"backoff": POLICY.backoff.model_copy(update={"base_seconds": 3600.0})})
    for nth in itertools.count(1):
        pair = world.pair()
        ids = world.die(pair, [TIMEOUT, TIMEOUT])
        killer = Killer(nth, answered=True)
        with killer.watching(world), contextlib.suppress(Killed):
            world.recover(pair.dead, policy=patient, threads=1, time_limit_seconds=MINUTE)
        if not killer.dead:
            break
        before = {key: case.due for key, case in world.cases(pair.dead).items()}
        world.aws.clock.advance(LEASE)
        world.recover(pair.dead, policy=patient, threads=1)
        where = f"killed at request {nth} ({killer.operations[-1]})"
        assert world.ids(pair.dead) == ids, where
        assert world.visible(pair.dead) == 0, where
        assert world.bodies(pair.source) == [], where
        cases = world.cases(pair.dead)
        assert {(case.state, case.attempts) for case in cases.values()} == {(State.BACKOFF, 0)}, where
        assert before.items() <= {key: case.due for key, case in cases.items()}.items(), f"{where}: drawn anew"
    assert nth > 8


def test_killed_in_a_replay(world: DeadLettersWorld) -> None:
    """The next replay sends what was not sent; a copy more only where a send was not answered or not written down."""

    def parked() -> Pair:
        pair = world.pair()
        world.die(pair, [AUTH, AUTH, AUTH])
        world.recover(pair.dead, threads=1)
        return pair

    for nth in itertools.count(1):
        pair = parked()
        bodies = {record["body"] for record in world.archived(pair.dead)}
        killer = Killer(nth, answered=True)
        with killer.watching(world), contextlib.suppress(Killed):
            world.replay(queues=[pair.dead], threads=1)
        if not killer.dead:
            break
        world.aws.clock.advance(601)
        world.replay(queues=[pair.dead])
        where = f"killed at request {nth} ({killer.operations[-1]})"
        sent = Counter(world.bodies(pair.source))
        assert set(sent) == bodies, where
        open_send = is_open(killer, "SendMessageBatch", "BatchWriteItem")
        assert max(sent.values()) == (2 if open_send else 1), f"{where}: {sent}"
        assert world.states(pair.dead)["replayed"] == 3, where
        assert world.replay(queues=[pair.dead]).found == 0, f"{where}: sent again"
    assert nth > 12
