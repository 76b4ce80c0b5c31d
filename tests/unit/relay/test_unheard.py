"""Rings of which the server made nothing come again, a few times, each under an id of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recovery.events.hints import DEAD_LETTERS, OUTBOX_DUE, hint
from relay.unheard import LOOK_AFTER, Outcome, Unheard

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RING = hint(DEAD_LETTERS, "orders", "1", NOW)


def test_a_ring_is_looked_for_after_a_while() -> None:
    """Not at once: the server writes its own events down every few seconds."""
    unheard = Unheard()
    unheard.rang(RING, NOW)
    assert unheard.due(NOW + timedelta(seconds=7)) == {}
    assert unheard.due(NOW + timedelta(seconds=8)) == {DEAD_LETTERS: RING.id}


def test_only_the_latest_ring_of_a_name_counts() -> None:
    """A run takes care of its whole path: what it was made for last is enough. Another name has rings of its own."""
    unheard = Unheard()
    later = hint(DEAD_LETTERS, "mail", "2", NOW)
    other = hint(OUTBOX_DUE, "orders", "3", NOW)
    for ring in (RING, later, other):
        unheard.rang(ring, NOW)
    assert unheard.due(NOW + LOOK_AFTER[0]) == {DEAD_LETTERS: later.id, OUTBOX_DUE: other.id}


def test_rings_come_again_more_and_more_rarely_and_then_end() -> None:
    """Three rings in all, after 8 and 16 seconds, under three ids; 32 seconds later the name is given up."""
    unheard = Unheard()
    unheard.rang(RING, NOW)
    ids = {RING.id}
    rung, lost = [], []
    for second in range(120):
        now = NOW + timedelta(seconds=second)
        again, given_up = unheard.settle({}, {DEAD_LETTERS}, now)
        for telling in again:
            assert telling.rings
            assert telling.hint.resource == RING.resource
            ids.add(telling.hint.id)
            unheard.rang(telling.hint, now)
            rung.append(second)
        lost += [second for _ in given_up]
    assert (rung, lost, len(ids), unheard.count) == ([8, 24], [56], 3, 0)


def test_what_was_heard_is_forgotten() -> None:
    """A run was made, or could not be made: neither needs another ring."""
    for outcome in (Outcome.MADE, Outcome.FAILED):
        unheard = Unheard()
        unheard.rang(RING, NOW)
        assert unheard.settle({RING.id: outcome}, {DEAD_LETTERS}, NOW + LOOK_AFTER[0]) == ([], [])
        assert unheard.count == 0


def test_what_nothing_waits_for_is_forgotten() -> None:
    """No automation of the server expects the name."""
    unheard = Unheard()
    unheard.rang(RING, NOW)
    assert unheard.settle({}, {OUTBOX_DUE}, NOW + LOOK_AFTER[0]) == ([], [])
    assert unheard.count == 0


def looks(outcome: Outcome) -> tuple[list[int], list[int]]:
    """Seconds at which a ring of which the server always says the same is looked for, and rung again."""
    unheard = Unheard()
    unheard.rang(RING, NOW)
    looked, rung = [], []
    for second in range(600):
        now = NOW + timedelta(seconds=second)
        due = unheard.due(now)
        looked += [second for _ in due]
        again, lost = unheard.settle(dict.fromkeys(due.values(), outcome), {DEAD_LETTERS}, now)
        assert lost == []
        for telling in again:
            unheard.rang(telling.hint, now)
            rung.append(second)
    assert unheard.count == 0
    return looked, rung


def test_a_ring_behind_another_run_comes_again() -> None:
    """The run at work may have looked already: once it is over, another sees what it missed. For four minutes."""
    looked, rung = looks(Outcome.BEHIND)
    assert looked == [8, 24, 56, 120, 184, 248]
    assert rung == looked[:-1]


def test_a_run_that_waits_for_a_worker_is_waited_for() -> None:
    """It will look when it starts, or be cancelled behind another one: until then another ring would add nothing."""
    looked, rung = looks(Outcome.WAITS)
    assert looked == [8, 24, 56, 120, 184, 248]
    assert rung == []
