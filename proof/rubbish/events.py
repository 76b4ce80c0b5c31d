"""Messages of the events queue: each becomes small hints, or is refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from proof.rubbish.mutation import Rubbish
from proof.rubbish.reasons import check_reason
from proof.rubbish.texts import PLANTED, SECRET, is_marked
from recovery.errors import BadInput
from recovery.events.hints import translate
from tests.unit.events import test_alarms, test_appflow, test_dms, test_hints

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STREAM: dict[str, Any] = {
    "Records": [
        {
            "eventID": "1",
            "eventName": "INSERT",
            "eventSource": "aws:dynamodb",
            "dynamodb": {"Keys": {"id": {"S": "r1"}}, "NewImage": {"id": {"S": "r1"}, "message": {"S": "hello"}}},
        }
    ]
}
REAL: tuple[dict[str, Any], ...] = (
    test_hints.FAILED,
    test_hints.NOTIFICATION,
    test_dms.FAILED_NOTIFICATION,
    test_dms.STOPPED_NOTIFICATION,
    test_dms.OLDER_NOTIFICATION,
    test_dms.FAILED_EVENT,
    test_dms.STOPPED_EVENT,
    test_dms.SERVERLESS_EVENT,
    test_appflow.REPORT,
    {**test_appflow.REPORT, "detail": {**test_appflow.REPORT["detail"], "status": "Execution Failed"}},
    test_alarms.EVENT,
    test_alarms.MESSAGE,
    test_hints.envelope(test_hints.NOTIFICATION),
    test_hints.records(test_hints.NOTIFICATION, test_alarms.MESSAGE),
    STREAM,
)
SAYS = ("detailMessage", "Event Message", "deactivation-reason", "NewStateReason", "message")
"""Keys under which the text of a failure stands: there a secret is planted."""
BYTES = 6_000
"""Of one hint, whatever the event."""


def made(rubbish: Rubbish) -> dict[str, Any]:
    """A mutated event as the body of an SQS message, in SNS's envelope now and then."""
    document = rubbish.mutated(rubbish.pick(REAL))
    for name in SAYS:
        detail = document.get("detail", document) if isinstance(document, dict) else None
        if isinstance(detail, dict) and isinstance(detail.get(name), str):
            detail[name] += rubbish.pick(PLANTED)
    if rubbish.chance(0.2) and isinstance(document, dict):
        document = rubbish.mutated(test_hints.envelope(document), 2)
    body = json.dumps(document, ensure_ascii=rubbish.chance(0.5))
    if rubbish.chance(0.15):
        body = rubbish.broken(body)
    return {"body": body, "message_id": rubbish.pick(("sqs-1", "", rubbish.text()[:80]))}


def outcome(case: dict[str, Any]) -> str:
    """Return the number of hints that it gave, or "refused"."""
    try:
        hints = translate(case["body"], case["message_id"], NOW)
    except BadInput as refusal:
        check_reason(str(refusal))
        return "refused"
    for hint in hints:
        text = json.dumps(hint.as_event(), ensure_ascii=False, allow_nan=False)
        assert len(text.encode()) <= BYTES, f"a hint of {len(text.encode())} bytes"
        assert "\\u0000" not in text, "a NUL, which no database stores"
        assert hint.event.startswith("reprise.")
        assert hint.occurred.tzinfo is not None
        payload = json.dumps(hint.as_event()["payload"])
        assert "{{" not in payload, "a template"
        if is_marked(case["body"]):
            assert SECRET not in str(hint.payload.get("message", "")), "a secret stands in a hint"
        assert not {"body", "NewImage", "Records", "Message", "detail"} & hint.payload.keys(), "a body in a payload"
    return "hints" if hints else "no hint"
