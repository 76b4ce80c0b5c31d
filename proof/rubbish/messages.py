"""Dead letters of every origin: each gets a verdict with a reason, and what is kept or sent of it can be written."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from proof.rubbish.mutation import Rubbish
from proof.rubbish.reasons import check_reason
from proof.rubbish.texts import PLANTED, REAL, SECRET, is_marked
from recovery.dead_letters import records
from recovery.dead_letters.actions import Action, WithoutEvidence
from recovery.dead_letters.archived import from_record, to_record
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.messages import Message, Queue, content_hash, entry, identity, size
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.triage import decide_messages, diagnose_messages
from recovery.dead_letters.verdicts import Heal
from recovery.dead_letters.work import Work
from recovery.errors import Transient
from recovery.failures import Kind, body_shape, recognise
from tests.unit.failures.test_origins import ORIGINALS, SHAPES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"
REDRIVEN = {
    "DeadLetterQueueSourceArn": ARN,
    "SentTimestamp": str(int((NOW - timedelta(hours=1)).timestamp() * 1000)),
    "ApproximateFirstReceiveTimestamp": str(int((NOW - timedelta(minutes=50)).timestamp() * 1000)),
    "ApproximateReceiveCount": "4",
    "MessageGroupId": "g",
    "SequenceNumber": "18849496460467696128",
    "AWSTraceHeader": "Root=1-5e-1",
}
SCHEMA = {"type": "object", "required": ["order"], "properties": {"order": {"type": "integer"}}}
POLICIES = (
    DeadLetterPolicy(error_attributes=("error",)),
    DeadLetterPolicy(body_schema=SCHEMA, without_evidence=WithoutEvidence.ARCHIVE, destination="orders"),
    DeadLetterPolicy(identity_attribute="order", identity_body_path="order.id", actions={Kind.UNKNOWN: Action.HEAL}),
    DeadLetterPolicy(heal=False, max_age_seconds=60, error_attributes=("error", "order")),
)


class Desk:
    """As much of a run as triage needs: no AWS."""

    consumers = None
    seconds = 0.0

    @property
    def sqs(self) -> Any:
        raise Transient("there is no AWS here")

    def __init__(self) -> None:
        self.sent_to: Counter[str] = Counter()
        self.hidden: Counter[str] = Counter()
        self.going: set[tuple[str, str]] = set()
        self.problems: list[str] = []
        self.places: dict[tuple[str, str], Any] = {}
        self.removed: Counter[str] = Counter()

    def now(self) -> datetime:
        return NOW

    def jitter(self) -> float:
        return 0.5

    def complain(self, problem: str) -> None:
        self.problems.append(problem)

    def url_of(self, name: str, *_: str) -> str:
        return f"https://sqs.eu-west-1.amazonaws.com/123456789012/{name}" if name == "orders" else ""


def made(rubbish: Rubbish) -> dict[str, Any]:
    """A message of a known shape, mutated in body, attributes and system attributes."""
    body: Any
    if rubbish.chance(0.7):
        body, attributes, system, _ = ORIGINALS[rubbish.pick(sorted(ORIGINALS))]
    else:
        body, attributes, system = rubbish.pick(list(SHAPES)), {}, {}
    if not isinstance(body, str):
        body = json.dumps(rubbish.mutated(body), ensure_ascii=rubbish.chance(0.5))
    if rubbish.chance(0.3):
        body = rubbish.broken(body)
    if rubbish.chance(0.05):
        body = rubbish.text()
    given = {name: _attribute(rubbish, value) for name, value in attributes.items() if rubbish.chance(0.9)}
    if rubbish.chance(0.3):
        given[rubbish.pick(("error", "order", "x", rubbish.text()[:60]))] = _attribute(rubbish, {})
    facts = {**REDRIVEN, **system} if rubbish.chance(0.7) else dict(system)
    if not system and "DeadLetterQueueSourceArn" in facts and rubbish.chance(0.8):
        del facts["DeadLetterQueueSourceArn"]
    for name in sorted(facts):
        if rubbish.chance(0.05):
            facts[name] = rubbish.text()
        elif rubbish.chance(0.05):
            del facts[name]
    return {
        "body": body,
        "attributes": given,
        "system": facts,
        "policy": rubbish.random.randrange(len(POLICIES)),
        "fifo": rubbish.chance(0.3),
    }


def _attribute(rubbish: Rubbish, real: dict[str, Any]) -> dict[str, Any]:
    kind = rubbish.pick(("String", "Number", "Binary", "String.custom", rubbish.text()[:40]))
    if rubbish.chance(0.15):
        return {"DataType": kind, "BinaryValue": rubbish.random.randbytes(rubbish.random.randint(0, 60))}
    text = rubbish.pick((real.get("StringValue", "boom"), rubbish.pick(REAL), rubbish.text()))
    if rubbish.chance(0.2):
        text += rubbish.pick(PLANTED)
    if rubbish.chance(0.05):
        return {"DataType": kind} if rubbish.chance(0.5) else {"DataType": kind, "StringValue": rubbish.value()}
    return {"DataType": kind, "StringValue": text}


def _is_of_sqs(attributes: dict[str, Any], system: dict[str, Any]) -> bool:
    """True when SQS could have given these: every value is a text, and every attribute has a type."""
    texts = [*system.values(), *(value for each in attributes.values() for value in each.values())]
    return all("DataType" in each for each in attributes.values()) and all(
        isinstance(text, str | bytes) for text in texts
    )


def outcome(case: dict[str, Any]) -> str:
    """The action and its origin; raises for a message that stops its batch, or that is settled without a reason."""
    policy = POLICIES[case["policy"]]
    name = "orders-dlq.fifo" if case["fifo"] else "orders-dlq"
    queue = Queue(name, f"https://sqs/{name}", f"{ARN}-dlq", case["fifo"], timedelta(days=14), sources={ARN: "url"})
    body, attributes, system = case["body"], case["attributes"], case["system"]
    origin = recognise(body, attributes, system, policy.error_attributes)
    lease = NOW + timedelta(minutes=6)
    message = Message(name, "m-1", "r-1", body, attributes, system, lease, origin, body_shape(body))
    batch = Batch(queue, policy, [message])
    [item] = batch.items
    assert identity(message, policy.identity_attribute, policy.identity_body_path)
    assert len(content_hash(message)) == 32
    assert size(message) >= len(body)
    desk = cast(Work, Desk())
    diagnose_messages(desk, batch)
    decide_messages(desk, batch)
    check_reason(item.verdict.reason)
    shown = records.entry(item, batch)
    text = json.dumps([shown.reason, shown.error, shown.next_step, shown.group])
    if is_marked(item.evidence.error):
        assert SECRET not in text, "a secret stands in the report"
    kept = json.loads(json.dumps(records.archive_record(item, batch, NOW), ensure_ascii=True).encode("ascii"))
    assert (kept["body"], kept["system"]) == (body, system), "the archive does not hold the message unchanged"
    try:
        again = from_record(kept, lease)
    except ValueError:
        assert not _is_of_sqs(attributes, system), "a message of SQS is not read back from the archive"
    else:
        assert (again.body, again.system) == (body, system), "the message that is read back has changed"
        assert repr(to_record(again)) == repr(to_record(message)), "the archive does not hold the attributes unchanged"
    if isinstance(item.verdict, Heal):
        assert entry(message, 0, item.verdict.delay, fifo=case["fifo"], attempt=1)["MessageBody"] == body
    for case_ in records.cases(item, batch, NOW, timedelta(days=30)):
        records.write(case_)
    return f"{item.verdict.action} ({origin.value})"
