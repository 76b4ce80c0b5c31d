"""Verdicts on a row, as a table of situations, and the laws that hold for all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.failures import Kind
from recovery.outbox_records.message import compose
from recovery.outbox_records.models import Fault, NotSent, Row, Status
from recovery.outbox_records.policy import ExhaustedHead, OutboxPolicy, RowNames
from recovery.outbox_records.rules import Step, after_failure, behind, decide, lost, overtaken, placed, step
from recovery.outbox_records.verdicts import Action, Verdict
from tests.unit.outbox_records.rows import NAMES, NOW, ORDERED, row

POLICY = OutboxPolicy()
SOON = int(NOW.timestamp()) + 60


def verdict(given_row: Row, names: RowNames = NAMES, *, fifo: bool = False, policy: OutboxPolicy = POLICY) -> Verdict:
    message = compose(given_row, names, "t", fifo=fifo, most_bytes=policy.max_message_bytes)
    return decide(given_row, message, policy, NOW)


SITUATIONS: list[tuple[str, dict[str, Any], Action]] = [
    ("unknown-status", {"status": "Done"}, Action.LEAVE),
    ("unknown-status", {"status": 7}, Action.LEAVE),
    ("unknown-status", {"status": "pending"}, Action.LEAVE),
    ("finished-elsewhere", {"status": "Successful"}, Action.TIDY),
    ("gone", {"status": "Successful", "outbox_line": None}, Action.PASS),
    ("exhausted-by-hand", {"status": "Exhausted"}, Action.LIST),
    ("gone", {"status": "Exhausted", "outbox_line": "Exhausted#3"}, Action.PASS),
    ("not-due", {"outbox_next_attempt": SOON}, Action.PASS),
    ("not-due", {"status": "InFlight", "outbox_next_attempt": SOON}, Action.PASS),
    ("not-due", {"outbox_next_attempt": None}, Action.PASS),
    ("max-attempts", {"status": "Failure", "outbox_attempts": 10}, Action.EXHAUST),
    ("max-attempts", {"status": "InFlight", "outbox_attempts": 10}, Action.EXHAUST),
    ("max-attempts", {"outbox_attempts": 99, "message": None}, Action.EXHAUST),
    ("no-message", {"message": None}, Action.EXHAUST),
    ("empty-message", {"message": ""}, Action.EXHAUST),
    ("too-large", {"message": "x" * 262_145}, Action.EXHAUST),
    ("due", {}, Action.DELIVER),
    ("due", {"status": None}, Action.DELIVER),
    ("due", {"status": "Failure", "outbox_attempts": 9}, Action.DELIVER),
    ("due", {"status": "InFlight", "outbox_attempts": 3}, Action.DELIVER),
    ("due", {"outbox_attempts": "many"}, Action.DELIVER),
    ("due", {"message": 12}, Action.DELIVER),
]


@pytest.mark.parametrize(("rule", "attributes", "action"), SITUATIONS)
def test_each_situation_has_its_rule(rule: str, attributes: dict[str, Any], action: Action) -> None:
    """The rule's id and its action, for rows of a standard topic."""
    found = verdict(row(**attributes))
    assert (found.rule, found.action) == (rule, action)
    assert found.reason


@pytest.mark.parametrize(
    ("rule", "attributes"),
    [
        ("no-group", {}),
        ("no-group", {"group": ""}),
        ("no-group", {"group": "two words"}),
        ("no-group", {"group": 7}),
        ("bad-deduplication-id", {"group": "g", "deduplication": "x" * 129}),
    ],
)
def test_a_fifo_topic_asks_for_more(rule: str, attributes: dict[str, Any]) -> None:
    """Without a usable group or deduplication id a row is exhausted with its reason; a standard topic does not mind."""
    given_row = row(ORDERED, **attributes)
    found = verdict(given_row, ORDERED, fifo=True)
    assert (found.rule, found.action, found.kind) == (rule, Action.EXHAUST, Kind.VALIDATION_ERROR)
    assert verdict(given_row, ORDERED).action is Action.DELIVER


def test_every_exhausted_row_says_what_to_do() -> None:
    """Each verdict that ends a row's attempts carries a kind, a group and a next step."""
    for _, attributes, action in SITUATIONS:
        if action is Action.EXHAUST:
            found = verdict(row(**attributes))
            assert found.kind
            assert found.group
            assert "revive" in found.next_step


def failure(fault: Fault, code: str, text: str) -> NotSent:
    return NotSent(fault, code, f"{code}: {text}")


@pytest.mark.parametrize(
    ("given_failure", "action"),
    [
        (failure(Fault.ROW, "InvalidParameter", "Invalid parameter: Message too long"), Action.EXHAUST),
        (failure(Fault.ROW, "ParameterValueInvalid", "something new"), Action.EXHAUST),
        (failure(Fault.ROW, "InternalError", "Internal error"), Action.RETRY),
        (failure(Fault.ROW, "SomethingNew", "nobody knows"), Action.RETRY),
        (failure(Fault.UNKNOWN, "ReadTimeoutError", "Read timeout on endpoint"), Action.RETRY),
        (failure(Fault.UNKNOWN, "InvalidParameter", "Invalid parameter: x"), Action.RETRY),
        (failure(Fault.TOPIC, "NotFound", "Topic does not exist"), Action.WAIT),
        (failure(Fault.TOPIC, "AuthorizationError", "not authorized to perform: SNS:Publish"), Action.WAIT),
        (failure(Fault.THROTTLE, "Throttled", "Rate exceeded"), Action.WAIT),
        (failure(Fault.INCIDENT, "InternalError", "Internal error"), Action.WAIT),
    ],
)
def test_what_follows_from_a_failure(given_failure: NotSent, action: Action) -> None:
    """Permanent ones end at once, transient ones come back, the topic's do not count."""
    assert after_failure(row(), given_failure, POLICY, NOW, 0.5).action is action


@given(
    attempts=st.integers(0, 30),
    max_attempts=st.integers(1, 20),
    jitter=st.floats(0, 1),
    fault=st.sampled_from(list(Fault)),
    code=st.sampled_from(["InternalError", "InvalidParameter", "Throttled", "NotFound", "New", ""]),
)
def test_no_failure_exceeds_the_bound(attempts: int, max_attempts: int, jitter: float, fault: Fault, code: str) -> None:
    """After a failed attempt a row is due again only while attempts are left, later, and within the cap."""
    policy = OutboxPolicy(max_attempts=max_attempts)
    found = after_failure(row(outbox_attempts=attempts), failure(fault, code, "text"), policy, NOW, jitter)
    if fault is Fault.THROTTLE:
        assert (found.action, found.due) == (Action.WAIT, None)
    elif fault in (Fault.TOPIC, Fault.INCIDENT):
        assert (found.action, found.due) == (Action.WAIT, NOW)
    elif found.action is Action.RETRY:
        assert attempts + 1 < max_attempts
        assert found.due is not None
        ceiling = policy.backoff.ceiling(attempts + 1)
        assert ceiling / 2 <= found.due - NOW <= ceiling <= timedelta(hours=1)
    else:
        assert found.action is Action.EXHAUST


@given(
    st.dictionaries(
        st.sampled_from(["status", "message", "outbox_line", "outbox_next_attempt", "outbox_attempts", "outbox_claim"]),
        st.one_of(
            st.sampled_from([*Status, "x", "", 0, -5, SOON, 10**12, None, True]),
            st.text(max_size=20),
            st.binary(max_size=5),
            st.lists(st.integers(), max_size=3),
        ),
    )
)
def test_nothing_in_a_row_makes_a_decision_fail(attributes: dict[str, Any]) -> None:
    """Whatever types and values stand in a row, there is one verdict with a reason, the same each time."""
    found = verdict(row(**attributes))
    assert found.reason
    assert found == verdict(row(**attributes))
    if found.action is Action.DELIVER:
        assert row(**attributes).attempts < POLICY.max_attempts


OLD, YOUNG, FUTURE = NOW - timedelta(hours=1), NOW - timedelta(seconds=10), NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "written", "seen", "expected"),
    [
        (None, OLD, None, Action.ENLIST),
        (None, YOUNG, None, None),
        (None, None, None, Action.NOTICE),
        (None, FUTURE, None, Action.NOTICE),
        (None, None, OLD, Action.ENLIST),
        (None, FUTURE, OLD, Action.ENLIST),
        (None, None, YOUNG, None),
        ("Failure", None, None, Action.ENLIST),
        ("Failure", YOUNG, None, None),
        ("InFlight", None, None, Action.ENLIST),
        ("Successful", OLD, None, None),
        ("Exhausted", OLD, None, None),
        ("theirs", OLD, None, Action.LEAVE),
    ],
)
def test_which_rows_are_lost(status: str | None, written: Any, seen: Any, expected: Action | None) -> None:
    """By age, or seen twice where a row has no usable time; a time in the future is none."""
    given_row = row(status=status, outbox_line=None, outbox_next_attempt=None)
    found = lost(given_row, written, seen.timestamp() if seen else None, POLICY, NOW)
    assert (found.action if found else None) is expected


# -- groups of a FIFO topic --------------------------------------------------------------------------------------

HOLD, SKIP = OutboxPolicy(), OutboxPolicy(exhausted_head=ExhaustedHead.SKIP)


@pytest.mark.parametrize(
    ("attributes", "held", "skipped"),
    [
        ({}, Step.TAKE, Step.TAKE),
        ({"status": "Cancelled"}, Step.HOLD, Step.SKIP),
        ({"status": "Exhausted", "outbox_line": "Exhausted#0"}, Step.HOLD, Step.SKIP),
        ({"status": "Successful"}, Step.TAKE, Step.TAKE),
        ({"status": "Successful", "outbox_line": None}, Step.SKIP, Step.SKIP),
        ({"outbox_attempts": 10}, Step.LAST, Step.TAKE),
        ({"message": ""}, Step.LAST, Step.TAKE),
        ({"outbox_next_attempt": SOON}, Step.STOP, Step.STOP),
    ],
)
def test_what_a_row_means_for_those_behind_it(attributes: dict[str, Any], held: Step, skipped: Step) -> None:
    """A row that only a person can move holds its group, or is passed over; one that moves by itself is waited for."""
    given_row = row(**attributes)
    assert step(given_row, verdict(given_row), HOLD) is held
    assert step(given_row, verdict(given_row), SKIP) is skipped


def test_the_one_entry_of_a_held_group_says_why_and_how_many() -> None:
    """A foreign status and an exhausted row have a rule each, a count and a next step; others move by themselves."""
    foreign, exhausted = behind(row(status="Cancelled"), 4), behind(row(status="Exhausted"), 1)
    assert (foreign.rule, exhausted.rule) == ("held-by-a-foreign-status", "held-by-an-exhausted-row")
    assert "4 due rows of its group wait for it" in foreign.reason
    assert "1 due row of its group waits for it" in exhausted.reason
    assert foreign.next_step
    assert exhausted.next_step
    assert behind(None, 3).next_step == ""


def test_a_row_without_a_place_in_its_group_is_distinguished() -> None:
    """Without a sequence it is exhausted; outside its group's index it is put there; else its verdict stays."""
    bare = row(ORDERED, group="g")
    assert placed(bare, verdict(bare, ORDERED, fifo=True), ORDERED).rule == "no-sequence"
    outside = row(ORDERED, group="g", sequence=1)
    assert placed(outside, verdict(outside, ORDERED, fifo=True), ORDERED).rule == "not-in-its-group"
    inside = row(ORDERED, group="g", sequence=1, outbox_group="g")
    assert placed(inside, verdict(inside, ORDERED, fifo=True), ORDERED).rule == "due"


def test_a_mark_that_was_refused_says_what_is_true() -> None:
    """Published or not, deleted or changed: the verdict shows which; a claim that never got there stays what it was."""
    due = verdict(row())
    assert overtaken(due, sent=True, gone=True).reason.startswith("it was published, and deleted")
    assert overtaken(due, sent=True, gone=False).rule == "changed-in-flight"
    assert overtaken(due, sent=False, gone=True).action is Action.PASS
    assert overtaken(due, sent=False, gone=False).rule == "changed"
