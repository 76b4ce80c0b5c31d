"""The ledger table: batches that DynamoDB leaves over, versions that meet, pages, and answers that got lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.aws import client_config
from recovery.cases import Case, DamagedCase, State, case_item
from recovery.errors import BadInput, Conflict, OutcomeUnknown, Refused, Transient
from recovery.ledger import Ledger
from recovery.ledger_writes import delete, put
from recovery.records import Record, record_item
from simulated_aws.server import SimulatedAws

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)  # nothing written at this time expires while a test runs
LATER = NOW + timedelta(days=30)


def case(key: str, state: State = State.SENT, **changes: Any) -> Case:
    given: dict[str, Any] = {"group": "g", "first_seen": NOW, "changed": NOW, "expires": LATER}
    return Case("dead_letters", key, "orders-dlq", state, "TIMEOUT", "http.504", **{**given, **changes})


pytestmark = pytest.mark.usefixtures("sdk_does_not_wait")


@pytest.fixture
def sleeps() -> list[float]:
    return []


@pytest.fixture
def ledger(aws: SimulatedAws, sleeps: list[float]) -> Ledger:
    aws.create_estate()
    aws.clear_requests()
    return Ledger(
        aws.client("dynamodb", config=client_config()), aws.environment["REPRISE_LEDGER_TABLE"], sleep=sleeps.append
    )


def fault(aws: SimulatedAws, kind: str, operation: str, **rule: Any) -> None:
    aws.fault(kind, service="dynamodb", operation=operation, **rule)


# -- cases ---------------------------------------------------------------------------------------------------------


def test_cases_are_written_25_and_read_100_at_a_time(aws: SimulatedAws, ledger: Ledger) -> None:
    """Cases are read as written, whatever their number; an unknown key has no case, and keys are asked once."""
    cases = [case(f"m-{n}", State.PARKED if n % 2 else State.SENT, reason="naïve 🙂") for n in range(230)]
    ledger.write_cases(cases)
    keys = [found.key for found in cases]
    assert ledger.read_cases("dead_letters", [*keys, *keys, "unknown"]) == {found.key: found for found in cases}
    assert ledger.read_cases("outbox_records", keys) == {}
    assert ledger.read_cases("dead_letters", []) == {}
    counts = aws.request_counts()
    assert counts["dynamodb:BatchWriteItem"] == 10
    assert counts["dynamodb:BatchGetItem"] == 3 + 3


def test_what_dynamodb_leaves_over_is_submitted_again(aws: SimulatedAws, ledger: Ledger, sleeps: list[float]) -> None:
    """Unprocessed items and keys come with HTTP 200: they are repeated, with longer and longer pauses."""
    fault(aws, "partial", "BatchWriteItem", entries=[0, 3, 24], times=2)
    ledger.write_cases([case(f"m-{n}") for n in range(25)])
    assert len(ledger.read_cases("dead_letters", [f"m-{n}" for n in range(25)])) == 25
    assert sleeps == [0.05, 0.1]
    fault(aws, "partial", "BatchGetItem", entries=[0, 1], times=1)
    assert len(ledger.read_cases("dead_letters", [f"m-{n}" for n in range(25)])) == 25


@pytest.mark.parametrize("operation", ["BatchWriteItem", "BatchGetItem"])
def test_leftovers_without_end_are_an_error(
    aws: SimulatedAws, ledger: Ledger, sleeps: list[float], operation: str
) -> None:
    """After six rounds the caller is reported that it may try later; it never believes that all is written."""
    fault(aws, "partial", operation, entries=[0], times=None)
    calls: dict[str, Callable[[], object]] = {
        "BatchWriteItem": lambda: ledger.write_cases([case("m-1")]),
        "BatchGetItem": lambda: ledger.read_cases("dead_letters", ["m-1"]),
    }
    with pytest.raises(Transient, match=operation):
        calls[operation]()
    assert len(sleeps) == 6
    assert sum(sleeps) < 5


def test_the_last_write_of_a_key_counts(aws: SimulatedAws, ledger: Ledger) -> None:
    """DynamoDB refuses a batch that names a key twice."""
    ledger.write_cases([case("m-1", attempts=1), case("m-2"), case("m-1", attempts=2)])
    assert ledger.read_cases("dead_letters", ["m-1"])["m-1"].attempts == 2
    ledger.write_items([])
    assert aws.request_counts()["dynamodb:BatchWriteItem"] == 1


def test_throttling_gets_through_and_a_missing_permission_is_named(aws: SimulatedAws, ledger: Ledger) -> None:
    """The SDK repeats a throttled batch; a refusal says operation and code; an answer that is lost leaves it open."""
    fault(aws, "error", "BatchWriteItem", code="ProvisionedThroughputExceededException", status=400, times=2)
    ledger.write_cases([case("m-1")])
    assert "m-1" in ledger.read_cases("dead_letters", ["m-1"])
    fault(aws, "error", "BatchWriteItem", code="AccessDeniedException", status=400)
    with pytest.raises(Refused, match="dynamodb:BatchWriteItem: AccessDeniedException"):
        ledger.write_cases([case("m-2")])
    fault(aws, "lose_ack", "BatchGetItem", times=None)
    with pytest.raises(OutcomeUnknown):
        ledger.read_cases("dead_letters", ["m-1"])


# -- changing one case ---------------------------------------------------------------------------------------------


def test_a_case_is_changed_only_from_what_was_read(ledger: Ledger) -> None:
    """Of two that change the same case one gets Conflict, and the other's word stands."""
    parked = case("m-1", State.PARKED)
    ledger.change_case(parked, expected=None)
    ledger.change_case(case("m-1", State.REPLAYING, detail={"owner": "a"}), expected=parked)
    with pytest.raises(Conflict):
        ledger.change_case(case("m-1", State.REPLAYING, detail={"owner": "b"}), expected=parked)
    with pytest.raises(Conflict):
        ledger.change_case(parked, expected=None)
    assert ledger.read_cases("dead_letters", ["m-1"])["m-1"].detail == {"owner": "a"}


def test_a_change_whose_answer_got_lost_is_a_success(aws: SimulatedAws, ledger: Ledger) -> None:
    """The SDK repeats it, the condition fails because it was carried out, and that is what was wanted."""
    fault(aws, "lose_ack", "PutItem")
    ledger.change_case(case("m-1", State.PARKED), expected=None)
    fault(aws, "lose_ack", "PutItem")
    ledger.change_case(case("m-1", State.REPLAYED), expected=case("m-1", State.PARKED))
    assert ledger.read_cases("dead_letters", ["m-1"])["m-1"].state is State.REPLAYED


# -- what waits for a person ---------------------------------------------------------------------------------------


def test_only_what_waits_for_a_person_is_in_the_index(ledger: Ledger) -> None:
    """By path and group; a case that is settled leaves the index by being written again."""
    ledger.write_cases([case(f"m-{state.value}", state) for state in State])
    waiting = {found.state for found in ledger.waiting("dead_letters")}
    assert waiting == {
        State.PARKED, State.ARCHIVED, State.EXHAUSTED, State.WAITING, State.STALE, State.ESCALATED, State.REPLAYING
    }  # fmt: skip
    assert list(ledger.waiting("outbox_records")) == []
    ledger.write_cases([case("m-parked", State.REPLAYED)])
    assert State.PARKED not in {found.state for found in ledger.waiting("dead_letters")}


def test_waiting_cases_come_by_group_and_in_pages(aws: SimulatedAws, ledger: Ledger) -> None:
    """All of them whatever their number; a group only with its own; a limit is kept to the case."""
    ledger.write_cases([case(f"m-{n}", State.PARKED, group="ab" if n % 3 else "a") for n in range(90)])
    assert len(list(ledger.waiting("dead_letters"))) == 90
    assert {found.group for found in ledger.waiting("dead_letters", "a")} == {"a"}
    assert len(list(ledger.waiting("dead_letters", "a"))) == 30
    for limit in (1, 7, 30, 31):
        assert len(list(ledger.waiting("dead_letters", "a", limit=limit))) == min(limit, 30)
    aws.clear_requests()
    assert len(list(ledger.waiting("dead_letters", limit=1))) == 1
    assert aws.request_counts()["dynamodb:Query"] <= 8


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"S": '{"path":'}},
        {"data": {"N": "1"}},
        {"data": None},
        {"state": {"S": "lost"}},
        {"state": None},
        {"expires": {"N": "1.5"}},
        {"expires": {"S": "soon"}},
        {"expires": None},
    ],
    ids=str,
)
def test_a_damaged_case_hides_no_other(aws: SimulatedAws, ledger: Ledger, change: dict[str, Any]) -> None:
    """Whoever takes damaged cases gets their keys and all others; whoever does not gets an error that names the key."""
    ledger.write_cases([case(f"m-{n}", State.PARKED) for n in range(120)])
    item = {**case_item(case("m-7", State.PARKED)), **change}
    ledger.write_items([put({name: value for name, value in item.items() if value is not None})])
    keys = [f"m-{n}" for n in range(120)]
    for group in ("", "g"):
        damaged: list[DamagedCase] = []
        assert len(ledger.read_cases("dead_letters", keys, damaged=damaged)) == 119
        assert len(list(ledger.waiting("dead_letters", group, limit=119, damaged=damaged))) == 119
        assert [(one.path, one.key) for one in damaged] == [("dead_letters", "m-7")] * 2
        assert "'case#dead_letters#m-7'" in damaged[0].place(ledger.table)
    for ask in (lambda: ledger.read_cases("dead_letters", keys), lambda: list(ledger.waiting("dead_letters"))):
        with pytest.raises(DamagedCase, match="case of m-7 is damaged"):
            ask()


def test_a_case_under_the_key_of_another_is_damaged(ledger: Ledger) -> None:
    """A case of another item may not decide about this one."""
    ledger.write_items([put({**case_item(case("m-1")), "data": case_item(case("m-2"))["data"]})])
    damaged: list[DamagedCase] = []
    assert ledger.read_cases("dead_letters", ["m-1", "m-2"], damaged=damaged) == {}
    assert [one.key for one in damaged] == ["m-1"]


@pytest.mark.parametrize(
    "damage", [{"data": {"S": '{"a":'}}, {"data": {"S": "[]"}}, {"data": {"N": "1"}}, {"v": {"S": "x"}}], ids=str
)
def test_a_damaged_record_is_an_error_that_names_it(ledger: Ledger, damage: dict[str, Any]) -> None:
    """Its reader knows that kind of error, and a person finds the item."""
    ledger.write_items([put({**record_item(Record("p", "s", {"a": 1}, 0), LATER), **damage})])
    with pytest.raises(BadInput, match="pk 'p' and sk 's' is damaged"):
        ledger.read_record("p", "s")
    with pytest.raises(BadInput, match="pk 'p' and sk 's' is damaged"):
        list(ledger.query("p"))


# -- records -------------------------------------------------------------------------------------------------------


def test_of_two_that_write_a_record_one_gets_conflict(ledger: Ledger) -> None:
    """A write names the version that it replaces."""
    fresh = ledger.read_record("alert#x", "g")
    assert (fresh.version, dict(fresh.data)) == (0, {})
    first = ledger.write_record(Record("alert#x", "g", {"by": "a"}, fresh.version), LATER)
    with pytest.raises(Conflict):
        ledger.write_record(Record("alert#x", "g", {"by": "b"}, fresh.version), LATER)
    second = ledger.write_record(Record("alert#x", "g", {"by": "c"}, first.version), LATER)
    with pytest.raises(Conflict):
        ledger.write_record(Record("alert#x", "g", {"by": "d"}, first.version), LATER)
    assert ledger.read_record("alert#x", "g") == second


def test_a_record_whose_answer_got_lost_is_written(aws: SimulatedAws, ledger: Ledger) -> None:
    """The repetition finds its own words; another worker's words are a Conflict even then."""
    fault(aws, "lose_ack", "PutItem")
    written = ledger.write_record(Record("alert#x", "g", {"by": "a"}, 0), LATER)
    assert ledger.read_record("alert#x", "g") == written
    with pytest.raises(Conflict):
        ledger.write_record(Record("alert#x", "g", {"by": "b"}, 0), LATER)


def test_a_partition_is_read_in_order_and_in_pages(ledger: Ledger) -> None:
    """All records of a partition up to a key, beyond one page of 1 MB."""
    data = {"S": json.dumps({"big": "x" * 100_000})}
    days = [f"2030-01-{n:02d}" for n in range(1, 25)]
    ledger.write_items(
        [put({"pk": {"S": "settle#q"}, "sk": {"S": day}, "v": {"N": "1"}, "data": data}) for day in days]
    )
    found = [record.sk for record in ledger.query("settle#q")]
    assert found == sorted(found)
    assert len(found) == 24
    assert [record.sk for record in ledger.query("settle#q", up_to="2030-01-03")] == found[:3]
    ledger.write_items([delete("settle#q", sk) for sk in found])
    assert list(ledger.query("settle#q")) == []


def test_a_table_that_does_not_exist_is_refused(aws: SimulatedAws) -> None:
    """The message says what AWS answered; nothing is repeated."""
    missing = Ledger(aws.client("dynamodb"), "nowhere")
    aws.clear_requests()
    with pytest.raises(Refused, match="ResourceNotFoundException"):
        missing.read_record("a", "b")
    assert aws.request_counts() == {"dynamodb:GetItem": 1}
