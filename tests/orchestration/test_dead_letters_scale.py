"""A task run is milliseconds and rows in a database: there are a dozen for two thousand messages, not one for each."""

from __future__ import annotations

from collections import Counter

from recovery.dead_letters.receiving import ROUND
from tests.dead_letters_world import AUTH, TIMEOUT, DeadLettersWorld
from tests.orchestration.dead_letters_runs import artifacts, run, task_runs

MESSAGES = 2 * ROUND
MOST_A_ROUND = 12
BEFORE_AND_AFTER = 8


def test_task_runs_are_counted_by_rounds(world: DeadLettersWorld) -> None:
    """4,000 messages are two rounds; so 10,000 make some 60 task runs, where a few hundred are allowed."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * (MESSAGES - 10) + [AUTH] * 10)
    state = run(world, pair.dead)
    assert state.is_completed()
    names = Counter(task_run.name.split(" ")[0] for task_run in task_runs(state))
    rounds = MESSAGES // ROUND
    assert names["sent"] == rounds
    assert names["received"] == rounds + 1
    assert sum(names.values()) <= rounds * MOST_A_ROUND + BEFORE_AND_AFTER
    assert len(world.bodies(pair.source)) == MESSAGES - 10
    assert world.bodies(pair.dead) == []
    [progress] = [artifact for artifact in artifacts(state) if artifact.type == "progress"]
    assert progress.data == 100.0
