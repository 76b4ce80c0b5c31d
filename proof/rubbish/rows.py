"""Outbox rows with any typed value anywhere: each is delivered, exhausted or left, with a reason.

Strings hold no lone surrogates: DynamoDB stores UTF-8 and gives nothing else back. Keys are strings, numbers or binary.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from proof.rubbish.mutation import Rubbish
from proof.rubbish.reasons import check_reason
from proof.rubbish.texts import PLANTED, REAL, SECRET, is_marked
from recovery.outbox_records import changes
from recovery.outbox_records.message import Unsendable, compose
from recovery.outbox_records.models import Fault, NotSent, Row, line_of, read_row, written_at
from recovery.outbox_records.policy import OutboxPolicy, RowNames
from recovery.outbox_records.rules import after_failure, decide
from recovery.outbox_records.rules import lost as decide_lost
from recovery.outbox_records.verdicts import Action, Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = RowNames(
    group="group", sequence="sequence", deduplication="deduplication", subject="subject", attributes=("kind", "more")
)
POLICY = OutboxPolicy()
DUE = int(NOW.timestamp()) - 60
UTF8 = True
REAL_ROW: dict[str, Any] = {
    "id": {"S": "r1"},
    "message": {"S": '{"order": 1}'},
    NAMES.status: {"S": "Pending"},
    NAMES.line: {"S": "Unfinished#3"},
    NAMES.next_attempt: {"N": str(DUE)},
    NAMES.attempts: {"N": "1"},
    NAMES.created: {"S": "2026-03-01T11:00:00Z"},
    NAMES.claim: {"S": "c"},
    NAMES.error: {"S": "boom"},
    NAMES.kind: {"S": "TIMEOUT"},
    "group": {"S": "g1"},
    "sequence": {"N": "7"},
    "deduplication": {"S": "d1"},
    "subject": {"S": "An order"},
    "kind": {"S": "order"},
    "more": {"M": {"shop": {"S": "s"}, "count": {"N": "3"}}},
}
DIGITS = ("0", "-0", "1E+125", "-9.9999999999999999999999999999999999999E+125", "1E-130", ".5", "00012.50", "9" * 38)
STATUSES = ("Pending", "InFlight", "Successful", "Failure", "Exhausted", "pending", "")
LIMIT = 262_144


def typed(rubbish: Rubbish, depth: int = 0) -> dict[str, Any]:
    """Any typed value that DynamoDB can hold."""
    match rubbish.random.randrange(12 if depth < 4 else 7):
        case 0 | 1 | 2:
            return {"S": rubbish.text()}
        case 3:
            return {"N": rubbish.pick(DIGITS)}
        case 4:
            return {"B": rubbish.random.randbytes(rubbish.random.randint(0, 40))}
        case 5:
            return {"BOOL": rubbish.chance(0.5)}
        case 6:
            return {"NULL": True}
        case 7:
            return {"SS": list({rubbish.text() for _ in range(3)})}
        case 8:
            return {"NS": ["1", "-2.5", "1E+125"]} if rubbish.chance(0.5) else {"BS": [b"", b"\x00\xff"]}
        case 9 | 10:
            return {"L": [typed(rubbish, depth + 1) for _ in range(rubbish.random.randint(0, 4))]}
        case _:
            return {"M": {rubbish.text()[:60]: typed(rubbish, depth + 1) for _ in range(rubbish.random.randint(0, 12))}}


def made(rubbish: Rubbish) -> dict[str, Any]:
    """A row in which a few attributes are missing or hold something else."""
    item = dict(REAL_ROW)
    for name in sorted(item):
        if name == "id":
            continue
        if rubbish.chance(0.12):
            item[name] = typed(rubbish)
        elif rubbish.chance(0.08):
            del item[name]
    if rubbish.chance(0.4):
        item[NAMES.status] = {"S": rubbish.pick(STATUSES)}
    if rubbish.chance(0.1):
        item[NAMES.line] = {"S": f"{rubbish.pick(('Unfinished', 'Exhausted', ''))}#{rubbish.text()}"}
    if rubbish.chance(0.4):
        item["id"] = rubbish.pick(({"S": rubbish.text() or "r"}, {"N": rubbish.pick(DIGITS)}, {"B": b"\x00\xff"}))
    if rubbish.chance(0.01):
        item["message"] = {"S": "ü" * LIMIT}
    if rubbish.chance(0.3):
        item[rubbish.text()[:60] or "x"] = typed(rubbish)
    text = rubbish.broken(rubbish.pick(REAL))
    code = rubbish.pick(("InvalidParameter", "KMSDisabled", "Throttled", "", rubbish.text()[:40]))
    return {
        "item": item,
        "fifo": rubbish.chance(0.4),
        "fault": rubbish.pick(sorted(Fault)).value,
        "code": code,
        "text": text + rubbish.pick(PLANTED),
    }


def outcome(case: dict[str, Any]) -> str:
    """The action and its rule; raises for a row that stops its batch, or that is settled without a reason."""
    row = read_row(case["item"], NAMES, ("id",))
    message = compose(row, NAMES, "orders", fifo=case["fifo"], most_bytes=LIMIT)
    if isinstance(message, Unsendable):
        check_reason(message.reason)
    else:
        entry = message.entry("0")
        assert entry["Message"]
        assert message.size <= LIMIT
        assert len(message.subject) < 100
        assert "\n" not in message.subject
        json.dumps({key: value for key, value in entry.items() if key != "MessageAttributes"}).encode("utf-8")
        if "S" not in case["item"]["message"]:
            json.loads(message.body)
    verdict = decide(row, message, POLICY, NOW)
    check_reason(verdict.reason)
    lost = decide_lost(row, written_at(case["item"].get(NAMES.created)), row.due, POLICY, NOW)
    for change in _changes(row, verdict.action, lost):
        assert changes.statement("orders", change)
        changes.is_done(change, case["item"])
    assert 0 <= int(line_of(row.row_id, 16).rpartition("#")[2]) < 16
    after = after_failure(row, NotSent(Fault(case["fault"]), case["code"], case["text"]), POLICY, NOW, 0.5)
    check_reason(after.reason)
    if is_marked(case["text"]):
        assert SECRET not in json.dumps([after.reason, after.error, after.next_step]), "a secret stands on the row"
    return f"{verdict.action} ({verdict.rule}), lost: {lost.rule if lost else None}"


def _changes(row: Row, action: Action, lost: Verdict | None) -> list[changes.Change]:
    """Return the changes of a row that may follow these decisions."""
    if lost is not None and lost.action is not Action.LEAVE and action is not Action.DELIVER:
        return [changes.realigned(row, NAMES, 16, NOW), changes.noticed(row, NAMES, NOW)]
    if action is Action.TIDY:
        return [changes.tidied(row, NAMES, NOW, None)]
    if action is Action.LIST:
        return [changes.listed(row, NAMES), changes.revived(row, NAMES, NOW)]
    if action is not Action.DELIVER:
        return []
    return [
        changes.claim(row, NAMES, "t", NOW),
        changes.delivered(row, NAMES, "t", "m-1", NOW, None),
        changes.failed(row, NAMES, "t", error="e", kind="TIMEOUT", due=NOW, attempts=row.attempts + 1),
        changes.released(row, NAMES, "t"),
    ]
