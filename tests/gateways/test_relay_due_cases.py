"""Attempts that fall due start their path within seconds, once, and not with the next sweep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.aws import client_config
from recovery.cases import Case, State
from recovery.errors import Transient
from recovery.events.hints import RUN_DUE, TASK_DUE
from recovery.ledger import Ledger
from recovery.paths import PATHS
from relay.due_cases import DueCases
from simulated_aws.server import SimulatedAws

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)  # nothing written at this time expires while a test runs
EVERY = timedelta(seconds=5)


def case(key: str, path: str = "appflow_runs", state: State = State.BACKOFF, due: float | None = 60) -> Case:
    """A case whose next attempt is so many seconds away."""
    moment = None if due is None else NOW + timedelta(seconds=due)
    times: dict[str, Any] = {"first_seen": NOW, "changed": NOW, "expires": NOW + timedelta(days=30)}
    return Case(path, key, "s", state, "TIMEOUT", "r", "g", due=moment, **times)


@pytest.fixture
def ledger(aws: SimulatedAws) -> Ledger:
    aws.create_estate()
    aws.clear_requests()
    return Ledger(aws.client("dynamodb", config=client_config()), aws.environment["REPRISE_LEDGER_TABLE"])


def looks(poller: DueCases, seconds: int) -> list[tuple[int, str, str]]:
    """Second, event and resource of all that is announced while somebody looks every second."""
    return [
        (second, hint.event, hint.resource)
        for second in range(seconds)
        for hint in poller.poll(NOW + timedelta(seconds=second))
    ]


def test_an_attempt_is_announced_within_seconds_after_it_fell_due(ledger: Ledger) -> None:
    """One event for each path, at the first look after the time has come, and no second one while it stands there."""
    ledger.write_cases(
        [
            case("orders"),
            case("customers", due=61),
            case("arn:aws:dms:eu-west-1:111122223333:task:ABC", "replication_tasks", due=120),
        ]
    )
    found = looks(DueCases(ledger, EVERY), 300)
    assert [(event, resource) for _, event, resource in found] == [
        (RUN_DUE, "reprise.appflow.orders"),
        (RUN_DUE, "reprise.appflow.customers"),
        (TASK_DUE, "reprise.dms.ABC"),
    ]
    assert [second - due for (second, _, _), due in zip(found, (60, 61, 120), strict=True)] == [0, 4, 0]
    assert all(0 <= second - due <= 5 for (second, _, _), due in zip(found, (60, 61, 120), strict=True))


def test_a_look_costs_one_query_for_each_path(ledger: Ledger, aws: SimulatedAws) -> None:
    """However many cases wait."""
    ledger.write_cases([case(f"flow-{n}", due=10_000 + n) for n in range(60)])
    aws.clear_requests()
    looks(DueCases(ledger, EVERY), 50)
    assert aws.request_counts() == {"dynamodb:Query": 2 * 10}


def test_an_attempt_whose_time_moved_is_announced_again(ledger: Ledger) -> None:
    """The run made the attempt, it failed, and the next one is due: that is another announcement."""
    ledger.write_cases([case("orders")])
    poller = DueCases(ledger, EVERY)
    assert len(looks(poller, 70)) == 1
    ledger.write_cases([case("orders", due=100)])
    assert [second for second, _, _ in looks(poller, 120)[:1]] == [100]


def test_what_nobody_takes_up_hides_nothing(ledger: Ledger) -> None:
    """A flow out of scope stays due for ever: later attempts of others are announced all the same."""
    ledger.write_cases([case("forgotten", due=10), case("orders", due=400)])
    found = looks(DueCases(ledger, EVERY), 600)
    assert [resource for _, _, resource in found] == ["reprise.appflow.forgotten", "reprise.appflow.orders"]


def test_many_at_once_are_all_passed(ledger: Ledger) -> None:
    """A storm is one event a look, and none of its attempts is announced twice."""
    ledger.write_cases([case(f"flow-{n:02}", due=10 + n / 10) for n in range(60)])
    ledger.write_cases([case("last", due=90)])
    found = looks(DueCases(ledger, EVERY), 120)
    assert len(found) <= 5
    assert found[-1][2] == "reprise.appflow.last"


@pytest.mark.parametrize("state", [State.ESCALATED, State.EXHAUSTED])
def test_what_waits_for_a_person_is_not_announced(ledger: Ledger, state: State) -> None:
    """It stands among the cases that wait, and nowhere else."""
    ledger.write_cases([case("orders", state=state), case("other", due=None)])
    assert looks(DueCases(ledger, EVERY), 100) == []
    assert [one.key for one in ledger.waiting("appflow_runs")] == ["orders"]


def test_messages_carry_no_time_in_the_index(ledger: Ledger) -> None:
    """Their queue keeps it: a write into the index for each would double the cost."""
    ledger.write_cases([case("m-1", "dead_letters")])
    assert ledger.due("dead_letters", NOW, NOW + timedelta(hours=1)) == []
    assert [name for name, path in PATHS.items() if path.due_event] == ["replication_tasks", "appflow_runs"]


def test_a_ledger_that_is_away_rests_the_poller(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """One path that cannot be asked does not keep the other silent; both together are an error for the relay."""
    due = ledger.due
    ledger.write_cases([case("orders", due=-1)])

    def partly(path: str, *rest: Any) -> Any:
        if path == "replication_tasks":
            raise Transient("dynamodb:Query: Throttled")
        return due(path, *rest)

    monkeypatch.setattr(ledger, "due", partly)
    assert len(DueCases(ledger, EVERY).poll(NOW)) == 1

    def away(*_: Any) -> Any:
        raise Transient("dynamodb:Query: Throttled")

    monkeypatch.setattr(ledger, "due", away)
    with pytest.raises(Transient):
        DueCases(ledger, EVERY).poll(NOW)
