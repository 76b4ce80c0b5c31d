"""Of a burst the first rings and one more after the last; nothing is let go of before that last ring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recovery.events.hints import DEAD_LETTERS, OUTBOX_DUE, Hint, hint
from relay.bursts import Bursts

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def ring(queue: str, key: str = "1", event: str = DEAD_LETTERS) -> Hint:
    return hint(event, queue, key, NOW)


def test_a_single_event_rings_once() -> None:
    """One event is told at once and lets go of its message; its burst ends without another ring."""
    bursts = Bursts()
    told = bursts.add(ring("orders"), "r1", NOW)
    assert told is not None
    assert (told.hint, told.rings, told.tickets) == (ring("orders"), True, ("r1",))
    assert bursts.ended(at(60)) == []


def test_the_rest_of_a_burst_is_let_go_of_with_its_last_ring() -> None:
    """Each further resource is told once without ringing; every ticket waits for the ring after the last."""
    bursts = Bursts()
    bursts.add(ring("orders"), "r1", NOW)
    other = bursts.add(ring("mail"), "r2", at(1))
    assert other is not None
    assert (other.rings, other.tickets) == (False, ())
    assert bursts.add(ring("mail", "2"), "r3", at(2)) is None
    assert bursts.held == 2
    assert bursts.ended(at(5)) == []
    (last,) = bursts.ended(at(6))
    assert (last.hint.resource, last.rings, last.tickets) == ("reprise.queue.mail", True, ("r2", "r3"))
    assert bursts.held == 0


def test_ids_that_rang_and_ids_that_did_not_differ() -> None:
    """A message that a killed relay leaves rings as a first one later: the server must not drop it as a repetition."""
    bursts = Bursts()
    bursts.add(ring("orders"), "r1", NOW)
    quiet = bursts.add(ring("mail"), "r2", NOW)
    (last,) = bursts.ended(at(10))
    again = Bursts().add(ring("mail"), "r2", at(60))
    assert quiet is not None
    assert again is not None
    assert len({quiet.hint.id, last.hint.id, again.hint.id}) == 3


def test_a_burst_that_never_ends_rings_now_and_then() -> None:
    """Every 30 seconds at least, and what is held is let go of."""
    bursts = Bursts()
    rung = []
    for second in range(100):
        bursts.add(ring("orders", str(second)), second, at(second))
        rung += [second for _ in bursts.ended(at(second))]
    assert rung == [30, 60, 90]


def test_names_have_bursts_of_their_own() -> None:
    """An event of another name rings at once."""
    bursts = Bursts()
    bursts.add(ring("orders"), None, NOW)
    told = bursts.add(ring("orders", event=OUTBOX_DUE), None, NOW)
    assert told is not None
    assert told.rings
