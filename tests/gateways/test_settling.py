"""Sends that are not proven yet, in the ledger: when each is due, whose consumer got ahead, and who counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.aws import client_config
from recovery.dead_letters.settling import PROOFS, Taken, Unproven
from recovery.ledger import Ledger
from recovery.ledger_writes import put
from recovery.records import DamagedRecord, Record, record_item
from simulated_aws.server import SimulatedAws

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)
SETTLE = timedelta(minutes=30)
QUEUE, URL = "arn:dlq", "https://sqs/orders"


@pytest.fixture
def ledger(aws: SimulatedAws) -> Ledger:
    aws.create_estate()
    return Ledger(aws.client("dynamodb", config=client_config()), aws.environment["REPRISE_LEDGER_TABLE"])


@pytest.fixture
def unproven(ledger: Ledger) -> Unproven:
    return Unproven(ledger)


def send(ledger: Ledger, unproven: Unproven, name: str, arrived: datetime) -> None:
    ledger.write_items(unproven.writes(name, QUEUE, URL, [f"n-{name}"], arrived, SETTLE))


def test_sends_are_due_after_their_time_the_oldest_first(ledger: Ledger, unproven: Unproven) -> None:
    """One query finds the pair, and one its sends that are due; what was counted is forgotten."""
    for n in (3, 1, 2):
        send(ledger, unproven, str(n), NOW + timedelta(hours=n))
    [pair], _ = unproven.awaited([])
    assert (pair.queue, pair.destination) == (QUEUE, URL)
    assert list(unproven.settled(pair, NOW + timedelta(hours=1), [])) == []
    due = list(unproven.settled(pair, NOW + timedelta(hours=2) + SETTLE, []))
    assert [sends.keys for sends in due] == [("n-1",), ("n-2",)]
    unproven.forget(pair, due)
    assert [sends.keys for sends in unproven.settled(pair, NOW + timedelta(days=1), [])] == [("n-3",)]


def test_of_several_runs_one_takes_sends(ledger: Ledger, unproven: Unproven) -> None:
    """Each is counted once."""
    send(ledger, unproven, "1", NOW)
    [pair], _ = unproven.awaited([])
    [sends] = unproven.settled(pair, NOW + SETTLE, [])
    assert [unproven.take(pair, sends, owner, NOW) for owner in ("a", "b")] == [True, False]
    [again] = unproven.settled(pair, NOW + SETTLE, [])
    assert again.taken


def test_a_pair_is_open_again_after_a_later_send(ledger: Ledger, unproven: Unproven) -> None:
    """A run that is done with a pair does not close it over a send that came in between."""
    send(ledger, unproven, "1", NOW)
    [pair], _ = unproven.awaited([])
    send(ledger, unproven, "2", NOW + timedelta(minutes=1))
    unproven.close(pair, NOW)
    [later], _ = unproven.awaited([])
    unproven.close(later, NOW)
    assert unproven.awaited([])[0] == []


def test_an_age_proves_little_where_a_message_has_many_receives() -> None:
    """Received three times, a message leaves the age; each receive more needs a look past what arrived since."""
    minute = timedelta(minutes=1)
    taken = Taken(receives=4, visibility=5 * minute)
    for seen, until in ((10, 8), (20, 14), (30, 24)):
        assert taken.proven_at(NOW) is None
        taken = taken.with_proof(NOW + seen * minute, NOW + until * minute)
    assert taken.proven_at(NOW) is None, "the second look was not past what came after the first"
    taken = taken.with_proof(NOW + 40 * minute, NOW + 36 * minute)
    assert taken.proven_at(NOW) == NOW + 40 * minute
    assert taken.seen_at(NOW) == NOW + 10 * minute


@pytest.mark.parametrize("receives", [0, 3, 10])
def test_an_empty_queue_proves_all(receives: int) -> None:
    """However often a message is received there; without a limit of receives nothing else does."""
    taken = Taken(receives=receives).with_proof(NOW + timedelta(minutes=3), NOW + timedelta(minutes=2))
    assert taken.proven_at(NOW) is None
    empty = NOW + timedelta(minutes=9)
    assert taken.with_proof(empty, empty).proven_at(NOW) == empty


def test_the_first_proof_of_an_arrival_counts(unproven: Unproven) -> None:
    """Time to recover is the time to the fact, not to the run that counts; old proofs are let go of."""
    minute = timedelta(minutes=1)
    taken = (
        Taken(receives=2).with_proof(NOW + 5 * minute, NOW + 5 * minute).with_proof(NOW + 9 * minute, NOW + 8 * minute)
    )
    assert taken.proven_at(NOW) == NOW + 5 * minute
    assert taken.proven_at(NOW + 6 * minute) == NOW + 9 * minute
    assert taken.proven_at(NOW + 9 * minute) is None
    assert taken.with_proof(NOW + 10 * minute, NOW) == taken, "it says nothing new"
    unproven.prove(URL, taken, NOW)
    kept = unproven.awaited([])[1][URL]
    assert kept.proofs == taken.proofs
    for n in range(PROOFS + 5):
        taken = taken.with_proof(NOW + (20 + n) * minute, NOW + (20 + n) * minute)
    assert len(taken.proofs) == PROOFS


@pytest.mark.parametrize(
    ("pk", "sk", "data"),
    [
        (f"settle#{QUEUE}|{URL}", f"{NOW.isoformat()}#f", {}),
        (f"settle#{QUEUE}|{URL}", f"{NOW.isoformat()}#f", {"keys": ["m", 2], "arrived": NOW.isoformat()}),
        (f"settle#{QUEUE}|{URL}", f"{NOW.isoformat()}#f", {"keys": [], "arrived": None}),
        ("awaited#dead_letters", "arn:other|url", {"arrived": 1, "due": NOW.isoformat()}),
        ("awaited#dead_letters", "taken|url", {"proofs": [["x", "y"]]}),
        ("awaited#dead_letters", "taken|url", {"proofs": 5}),
    ],
)
def test_what_cannot_be_understood_is_set_aside(
    ledger: Ledger, unproven: Unproven, pk: str, sk: str, data: dict[str, Any]
) -> None:
    """The number of those that recovered is not guessed, and the others are counted."""
    send(ledger, unproven, "1", NOW)
    ledger.write_items([put(record_item(Record(pk, sk, data, 0), NOW + timedelta(days=9)))])
    damaged: list[DamagedRecord] = []
    [pair], _ = unproven.awaited(damaged)
    [sends] = unproven.settled(pair, NOW + SETTLE, damaged)
    assert sends.keys == ("n-1",)
    assert [error.place for error in damaged] == [f"the ledger's item with pk {pk!r} and sk {sk!r}"]
