"""Triggers of which the server made nothing come again, a few times, each under an id of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recovery.events.hints import DEAD_LETTERS, OUTBOX_DUE, hint
from relay.unacknowledged import LOOK_AFTER, Outcome, Unacknowledged

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TRIGGER = hint(DEAD_LETTERS, "orders", "1", NOW)


def test_a_ring_is_looked_for_after_a_while() -> None:
    """Not at once: the server writes its own events down every few seconds."""
    unacknowledged = Unacknowledged()
    unacknowledged.triggered(TRIGGER, NOW)
    assert unacknowledged.due(NOW + timedelta(seconds=7)) == {}
    assert unacknowledged.due(NOW + timedelta(seconds=8)) == {DEAD_LETTERS: TRIGGER.id}


def test_only_the_latest_ring_of_a_name_counts() -> None:
    """A run takes care of its whole path: what it was made for last is enough. Another name has triggers of its own."""
    unacknowledged = Unacknowledged()
    later = hint(DEAD_LETTERS, "mail", "2", NOW)
    other = hint(OUTBOX_DUE, "orders", "3", NOW)
    for trigger in (TRIGGER, later, other):
        unacknowledged.triggered(trigger, NOW)
    assert unacknowledged.due(NOW + LOOK_AFTER[0]) == {DEAD_LETTERS: later.id, OUTBOX_DUE: other.id}


def test_rings_come_again_more_and_more_rarely_and_then_end() -> None:
    """Three triggers in all, after 8 and 16 seconds, under three ids; 32 seconds later the name is given up."""
    unacknowledged = Unacknowledged()
    unacknowledged.triggered(TRIGGER, NOW)
    ids = {TRIGGER.id}
    triggered, lost = [], []
    for second in range(120):
        now = NOW + timedelta(seconds=second)
        again, given_up = unacknowledged.settle({}, {DEAD_LETTERS}, now)
        for outgoing in again:
            assert outgoing.triggers
            assert outgoing.hint.resource == TRIGGER.resource
            ids.add(outgoing.hint.id)
            unacknowledged.triggered(outgoing.hint, now)
            triggered.append(second)
        lost += [second for _ in given_up]
    assert (triggered, lost, len(ids), unacknowledged.count) == ([8, 24], [56], 3, 0)


def test_what_was_heard_is_forgotten() -> None:
    """A run was made, or could not be made: neither needs another trigger."""
    for outcome in (Outcome.MADE, Outcome.FAILED):
        unacknowledged = Unacknowledged()
        unacknowledged.triggered(TRIGGER, NOW)
        assert unacknowledged.settle({TRIGGER.id: outcome}, {DEAD_LETTERS}, NOW + LOOK_AFTER[0]) == ([], [])
        assert unacknowledged.count == 0


def test_what_nothing_waits_for_is_forgotten() -> None:
    """No automation of the server expects the name."""
    unacknowledged = Unacknowledged()
    unacknowledged.triggered(TRIGGER, NOW)
    assert unacknowledged.settle({}, {OUTBOX_DUE}, NOW + LOOK_AFTER[0]) == ([], [])
    assert unacknowledged.count == 0


def looks(outcome: Outcome) -> tuple[list[int], list[int]]:
    """Seconds at which a trigger of which the server always says the same is looked for, and triggered again."""
    unacknowledged = Unacknowledged()
    unacknowledged.triggered(TRIGGER, NOW)
    looked, triggered = [], []
    for second in range(600):
        now = NOW + timedelta(seconds=second)
        due = unacknowledged.due(now)
        looked += [second for _ in due]
        again, lost = unacknowledged.settle(dict.fromkeys(due.values(), outcome), {DEAD_LETTERS}, now)
        assert lost == []
        for outgoing in again:
            unacknowledged.triggered(outgoing.hint, now)
            triggered.append(second)
    assert unacknowledged.count == 0
    return looked, triggered


def test_a_ring_behind_another_run_comes_again() -> None:
    """The run at work may have looked already: once it is over, another sees what it missed. For four minutes."""
    looked, triggered = looks(Outcome.BEHIND)
    assert looked == [8, 24, 56, 120, 184, 248]
    assert triggered == looked[:-1]


def test_a_run_that_waits_for_a_worker_is_waited_for() -> None:
    """It will look when it starts, or be cancelled behind another one: until then another trigger would add nothing."""
    looked, triggered = looks(Outcome.WAITS)
    assert looked == [8, 24, 56, 120, 184, 248]
    assert triggered == []
