"""Of a burst the first triggers and one more after the last; nothing is let go of before that last trigger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recovery.events.hints import DEAD_LETTERS, OUTBOX_DUE, Hint, hint
from relay.bursts import Bursts

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def trigger(queue: str, key: str = "1", event: str = DEAD_LETTERS) -> Hint:
    return hint(event, queue, key, NOW)


def test_a_single_event_rings_once() -> None:
    """One event is reported at once and lets go of its message; its burst ends without another trigger."""
    bursts = Bursts()
    reported = bursts.add(trigger("orders"), "r1", NOW)
    assert reported is not None
    assert (reported.hint, reported.triggers, reported.receipts) == (trigger("orders"), True, ("r1",))
    assert bursts.ended(at(60)) == []


def test_the_rest_of_a_burst_is_let_go_of_with_its_last_trigger() -> None:
    """Each further resource is reported once without triggering; every receipt waits for the trigger after the last."""
    bursts = Bursts()
    bursts.add(trigger("orders"), "r1", NOW)
    other = bursts.add(trigger("mail"), "r2", at(1))
    assert other is not None
    assert (other.triggers, other.receipts) == (False, ())
    assert bursts.add(trigger("mail", "2"), "r3", at(2)) is None
    assert bursts.held == 2
    assert bursts.ended(at(5)) == []
    (last,) = bursts.ended(at(6))
    assert (last.hint.resource, last.triggers, last.receipts) == ("reprise.queue.mail", True, ("r2", "r3"))
    assert bursts.held == 0


def test_ids_that_rang_and_ids_that_did_not_differ() -> None:
    """An event that a killed relay left may be a trigger later: the server must not drop it as a repetition."""
    bursts = Bursts()
    bursts.add(trigger("orders"), "r1", NOW)
    quiet = bursts.add(trigger("mail"), "r2", NOW)
    (last,) = bursts.ended(at(10))
    again = Bursts().add(trigger("mail"), "r2", at(60))
    assert quiet is not None
    assert again is not None
    assert len({quiet.hint.id, last.hint.id, again.hint.id}) == 3


def test_a_burst_that_never_ends_rings_now_and_then() -> None:
    """Every 30 seconds at least, and what is held is let go of."""
    bursts = Bursts()
    triggered = []
    for second in range(100):
        bursts.add(trigger("orders", str(second)), second, at(second))
        triggered += [second for _ in bursts.ended(at(second))]
    assert triggered == [30, 60, 90]


def test_names_have_bursts_of_their_own() -> None:
    """An event of another name triggers at once."""
    bursts = Bursts()
    bursts.add(trigger("orders"), None, NOW)
    reported = bursts.add(trigger("orders", event=OUTBOX_DUE), None, NOW)
    assert reported is not None
    assert reported.triggers
