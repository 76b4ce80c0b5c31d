"""What is done with a row, as a table of situations, and the laws that hold for all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.failures import Kind
from recovery.outbox_records.message import compose
from recovery.outbox_records.models import Fault, NotSent, Row, Status
from recovery.outbox_records.policy import OutboxPolicy, RowNames
from recovery.outbox_records.rules import (
    Action,
    Lost,
    Verdict,
    after_failure,
    blame_call,
    blame_entry,
    decide,
    judge_lost,
)
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
    ("budget", {"status": "Failure", "outbox_attempts": 10}, Action.EXHAUST),
    ("budget", {"status": "InFlight", "outbox_attempts": 10}, Action.EXHAUST),
    ("budget", {"outbox_attempts": 99, "message": None}, Action.EXHAUST),
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
        (failure(Fault.TOPIC, "Throttled", "Rate exceeded"), Action.WAIT),
    ],
)
def test_what_follows_from_a_failure(given_failure: NotSent, action: Action) -> None:
    """Permanent ones end at once, transient ones come back, the topic's do not count."""
    assert after_failure(row(), given_failure, POLICY, NOW, 0.5).action is action


@given(
    attempts=st.integers(0, 30),
    budget=st.integers(1, 20),
    draw=st.floats(0, 1),
    fault=st.sampled_from(list(Fault)),
    code=st.sampled_from(["InternalError", "InvalidParameter", "Throttled", "NotFound", "New", ""]),
)
def test_no_failure_exceeds_the_budget(attempts: int, budget: int, draw: float, fault: Fault, code: str) -> None:
    """After a failed attempt a row is due again only while attempts are left, later, and within the cap."""
    policy = OutboxPolicy(budget=budget)
    found = after_failure(row(outbox_attempts=attempts), failure(fault, code, "text"), policy, NOW, draw)
    if fault is Fault.TOPIC:
        assert (found.action, found.due) == (Action.WAIT, NOW)
    elif found.action is Action.RETRY:
        assert attempts + 1 < budget
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
        assert row(**attributes).attempts < POLICY.budget


@pytest.mark.parametrize(
    ("code", "text", "unread", "entries", "expected"),
    [
        ("NotFound", "Topic does not exist", False, 10, Fault.TOPIC),
        ("AuthorizationError", "no", False, 1, Fault.TOPIC),
        ("KMSDisabled", "no", False, 3, Fault.TOPIC),
        ("Throttled", "slow", False, 3, Fault.TOPIC),
        ("EndpointConnectionError", "no route", False, 3, Fault.TOPIC),
        ("InvalidParameter", "Invalid parameter: TopicArn Reason: no valid topic", False, 3, Fault.TOPIC),
        ("InvalidParameter", "Invalid parameter: Message too long", False, 1, Fault.ROW),
        ("InvalidParameter", "Invalid parameter: Message too long", False, 2, None),
        ("BatchRequestTooLong", "too long", False, 4, None),
        ("InternalError", "oops", True, 4, Fault.UNKNOWN),
        ("ReadTimeoutError", "late", True, 1, Fault.UNKNOWN),
    ],
)
def test_whose_fault_a_refused_batch_is(
    code: str, text: str, unread: bool, entries: int, expected: Fault | None
) -> None:
    """The topic's, one message's, or nobody knows; None means each must be tried by itself."""
    assert blame_call(code, text, unread=unread, entries=entries) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InternalError", Fault.ROW),
        ("InvalidParameter", Fault.ROW),
        ("KMSThrottling", Fault.TOPIC),
        ("NotFound", Fault.TOPIC),
        ("NotFoundException", Fault.TOPIC),
        ("AuthorizationError", Fault.TOPIC),
        ("Throttled", Fault.TOPIC),
        ("InvalidSecurity", Fault.TOPIC),
    ],
)
def test_whose_fault_a_failed_entry_is(code: str, expected: Fault) -> None:
    """Codes about the topic are the topic's even when only one entry reports them."""
    assert blame_entry(code, "text") is expected


OLD, YOUNG, FUTURE = NOW - timedelta(hours=1), NOW - timedelta(seconds=10), NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "written", "seen", "expected"),
    [
        (None, OLD, None, Lost.ENLIST),
        (None, YOUNG, None, Lost.YOUNG),
        (None, None, None, Lost.NOTICE),
        (None, FUTURE, None, Lost.NOTICE),
        (None, None, OLD, Lost.ENLIST),
        (None, FUTURE, OLD, Lost.ENLIST),
        (None, None, YOUNG, Lost.YOUNG),
        ("Failure", None, None, Lost.ENLIST),
        ("Failure", YOUNG, None, Lost.YOUNG),
        ("InFlight", None, None, Lost.ENLIST),
        ("Successful", OLD, None, Lost.LEAVE),
        ("Exhausted", OLD, None, Lost.LEAVE),
        ("theirs", OLD, None, Lost.LEAVE),
    ],
)
def test_which_rows_are_lost(status: str | None, written: Any, seen: Any, expected: Lost) -> None:
    """By age, or seen twice where a row has no usable time; a time in the future is none."""
    given_row = row(status=status, outbox_line=None, outbox_next_attempt=None)
    stamp = seen.timestamp() if seen else None
    assert judge_lost(given_row, written, stamp, POLICY, NOW) is expected
