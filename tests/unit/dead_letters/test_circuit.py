"""A circuit opens on what comes back, lets probes go, and closes on what is proven."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.backoff import Backoff
from recovery.dead_letters.circuit import LONGEST_WAIT, Circuit, Comeback
from recovery.dead_letters.circuit_item import from_json
from recovery.ramp import Step
from tests.unit.dead_letters.samples import NOW

OPENS_AFTER = 5
SENT = NOW - timedelta(minutes=10)
HALF_AN_HOUR = timedelta(minutes=30)


def back(*works: str, probe: str = "", sent: Any = SENT) -> list[Comeback]:
    return [Comeback(work, sent, probe) for work in works]


def after(circuit: Circuit, comebacks: list[Comeback], now: Any = NOW) -> Circuit:
    return circuit.after_comebacks(comebacks, now, OPENS_AFTER, Backoff())


def opened() -> Circuit:
    return after(Circuit("g"), back(*"abcde"))


def sending(circuit: Circuit) -> Circuit:
    """Return it after all probes for which it has room went."""
    room = circuit.room(NOW)
    assert room
    return circuit.claimed(room, NOW + HALF_AN_HOUR)


def test_different_messages_open_it() -> None:
    """One message that comes back again and again says nothing of the others."""
    assert not after(Circuit("g"), back(*"abcd")).is_open
    assert not after(Circuit("g"), back(*"aaaaaaaa")).is_open
    assert after(after(Circuit("g"), back(*"ab")), back(*"cde")).is_open
    assert opened().room(NOW) == 1


def test_few_comebacks_among_many_that_stay_away_open_nothing() -> None:
    """A group of which nearly everything recovers does not fail."""
    most = replace(Circuit("g"), stayed=200, since=SENT)
    assert not after(most, back(*"abcdefgh")).is_open
    assert after(most, back(*map(str, range(30)))).is_open


def test_sends_before_it_closed_say_nothing() -> None:
    """Messages that were on their way when it closed do not open it again."""
    closed = Circuit("g", closed=NOW)
    assert after(closed, back(*"abcdef")) == closed
    assert after(closed, back(*"abcdef", sent=NOW + timedelta(seconds=1))).is_open


def test_steps_follow_their_proof_and_the_last_closes_it() -> None:
    """One, ten, a hundred, all."""
    circuit = opened()
    for size in (1, 10, 100):
        assert circuit.room(NOW) == size
        circuit = sending(circuit)
        assert circuit.room(NOW) == 0
        circuit = circuit.after_proofs(size, 0, NOW)
    assert (circuit.is_open, circuit.room(NOW), circuit.closed) == (False, None, NOW)


def test_a_probe_that_comes_back_ends_the_round() -> None:
    """The next round waits longer each time, at most an hour; late comebacks of earlier rounds do not count."""
    circuit, now, waits = opened(), NOW, []
    for _ in range(6):
        circuit = circuit.claimed(1, now + HALF_AN_HOUR)
        mark = circuit.mark
        circuit = after(circuit, back("x", probe=mark), now)
        assert circuit.room(now) == 0
        assert circuit.due is not None
        waits.append(circuit.due - now)
        now = circuit.due
        assert circuit.room(now) == 1
        assert after(circuit, back("y", probe=mark), now).room(now) == 1
    assert waits == sorted(waits)
    assert waits[0] == timedelta(minutes=1)
    assert waits[-1] == LONGEST_WAIT


def test_a_probe_that_fails_for_a_cause_of_its_own_says_nothing() -> None:
    """A message that could never succeed is no sign that the outage goes on: another one probes."""
    circuit = opened().claimed(1, NOW + HALF_AN_HOUR)
    assert circuit.room(NOW) == 0
    other = after(circuit, [Comeback("x", SENT, circuit.mark, elsewhere=True)])
    assert (other.room(NOW), other.mark, other.failed) == (1, circuit.mark, 0)


def test_probes_of_which_nothing_is_heard_begin_anew() -> None:
    """A run that died with them delays the next one, and stops nothing for ever."""
    circuit = sending(opened())
    assert circuit.renewed(NOW + HALF_AN_HOUR - timedelta(seconds=1)) == circuit
    later = circuit.renewed(NOW + HALF_AN_HOUR)
    assert (later.room(NOW + HALF_AN_HOUR), later.step, later.mark != circuit.mark) == (1, Step(), True)


def test_its_own_sends_close_it_too() -> None:
    """Of a wave of which one in a hundred failed the others are proven later: the cause does not persist."""
    circuit = opened()
    assert circuit.after_proofs(0, 9, NOW).is_open
    assert circuit.after_proofs(0, 44, NOW).is_open
    assert not circuit.after_proofs(0, 500, NOW).is_open


def test_others_are_looked_at_when_their_step_may_come() -> None:
    """Messages behind the next steps are not received in between."""
    circuit = sending(opened())
    looks = [circuit.again(NOW, ahead, HALF_AN_HOUR) - NOW for ahead in (0, 19, 20, 219, 220, 100_000)]
    assert looks == [n * HALF_AN_HOUR for n in (1, 1, 2, 2, 3, 3)]
    assert opened().again(NOW, 0, HALF_AN_HOUR) > NOW


@given(st.lists(st.sampled_from(["proof", "comeback", "nothing"]), max_size=30), st.integers(0, 3))
def test_probes_under_way_are_never_more_than_a_step(events: list[str], other: int) -> None:
    """Whatever happens, an open circuit lets at most a hundred go at once; and what is read is what was written."""
    circuit, now = opened(), NOW
    for event in events:
        room = circuit.room(now)
        if room is None:
            break
        assert 0 <= room <= 100
        circuit = circuit.claimed(room, now + HALF_AN_HOUR)
        assert circuit.step.awaited <= 100
        if event == "proof":
            circuit = circuit.after_proofs(circuit.step.awaited, other, now)
        elif event == "comeback":
            circuit = after(circuit, back(*map(str, range(circuit.step.awaited)), probe=circuit.mark), now)
        now += HALF_AN_HOUR
        circuit = circuit.renewed(now)
        assert from_json("g", json.loads(json.dumps(circuit.as_json())), circuit.version) == circuit
        assert circuit.why(now)


@pytest.mark.parametrize(
    "damage", [{"step": [1, 2]}, {"step": [0, -1, 0, 0]}, {"opened": "yesterday"}, {"came": "many"}, {"seen": [1]}]
)
def test_a_damaged_one_is_not_guessed(damage: dict[str, Any]) -> None:
    """The field is named."""
    with pytest.raises(ValueError, match=next(iter(damage))):
        from_json("g", {**opened().as_json(), **damage}, 1)
