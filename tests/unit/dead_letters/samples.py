"""Messages, queues, cases and diagnoses to decide on; each test changes only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.cases import Case, State
from recovery.dead_letters.messages import Message, Queue
from recovery.dead_letters.situation import Known
from recovery.failures import TRANSIENT_KINDS, Diagnosis, Kind, Origin

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOURCE_ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"
SOURCE_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
GROUP = "0123456789abcdef"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def queue(**changes: Any) -> Queue:
    """A standard dead-letter queue that keeps its messages for 14 days."""
    given: dict[str, Any] = {
        "name": "orders-dlq",
        "url": SOURCE_URL + "-dlq",
        "arn": SOURCE_ARN + "-dlq",
        "fifo": False,
        "retention": timedelta(days=14),
    }
    return Queue(**{**given, **changes})


def fifo_queue(**changes: Any) -> Queue:
    return queue(**{"name": "orders-dlq.fifo", "url": SOURCE_URL + "-dlq.fifo", "fifo": True, **changes})


def message(*, age: timedelta = timedelta(hours=1), system: dict[str, str] | None = None, **changes: Any) -> Message:
    """A message that SQS moved an hour after it was sent, held for six more minutes."""
    sent = str(int((NOW - age).timestamp() * 1000))
    given: dict[str, Any] = {
        "queue": "orders-dlq",
        "message_id": "m-1",
        "receipt": "r-1",
        "body": '{"order": 1}',
        "attributes": {},
        "system": {"DeadLetterQueueSourceArn": SOURCE_ARN, "SentTimestamp": sent, **(system or {})},
        "lease_until": NOW + seconds(360),
        "origin": Origin.SQS_REDRIVE,
    }
    return Message(**{**given, **changes})


def diagnosis(kind: Kind = Kind.TIMEOUT, rule: str = "http.504", action: str = "") -> Diagnosis:
    return Diagnosis(kind, kind in TRANSIENT_KINDS, rule, f"it failed as {kind}", "quote", action)


def case(state: State = State.SENT, **changes: Any) -> Case:
    """Return the ledger's case of a message that was sent back once."""
    given: dict[str, Any] = {
        "path": "dead_letters",
        "key": "m-1",
        "source": "orders-dlq",
        "state": state,
        "kind": "TIMEOUT",
        "rule": "http.504",
        "group": GROUP,
        "first_seen": NOW - timedelta(hours=2),
        "changed": NOW - timedelta(hours=1),
        "expires": NOW + timedelta(days=30),
        "attempts": 1,
    }
    return Case(**{**given, **changes})


def known(**changes: Any) -> Known:
    """A transient failure of a message that nobody has seen before."""
    given: dict[str, Any] = {
        "message": message(),
        "queue": queue(),
        "diagnosis": diagnosis(),
        "group": GROUP,
        "history": None,
        "unconfirmed": None,
        "destination": SOURCE_URL,
    }
    return Known(**{**given, **changes})
