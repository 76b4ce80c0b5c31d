"""Events of DMS: what is read from them, for people and for triggers. Pure.

Three kinds of shapes, from recorded events and the user guide:

- SNS notifications of an event subscription, as the message itself, in SNS's envelope, or in the `Records` of a Lambda
  event (in an `Sns` envelope whose `Message` may be text or an object, in the `body` of an SQS record, or bare, as
  tutorials print them). `Event ID` is an address with a blank at its end; `SourceId` is the task's name, not its ARN,
  and older ones have no such key: there it stands at the end of `Identifier Link`.
- EventBridge `DMS Replication Task State Change`. The recorded failed event has no `eventId` and only `eventType`
  reports; rules of others match on `eventId` alone. Either is enough, and so is the documented text.
- EventBridge `DMS Replication State Change`, of serverless replications. An event of a serverless replication's inner
  task (`serv-res-id-...`) says nothing that the replication does not say itself, unless it is a failure.

Events are hints (DMS delivers them best-effort): they name a place to inspect, and nothing is decided from them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recovery.errors import BadInput
from recovery.times import from_event

SOURCE = "aws.dms"
TASK = "DMS Replication Task State Change"
SERVERLESS = "DMS Replication State Change"

_EVENT_ID = re.compile(r"DMS-EVENT-\d{4}")
_IN_LINK = re.compile(r"SourceId:\s*(\S+)")
_LINK_NAME = re.compile(r"#(?:tasks:ids=|taskDetails/)([A-Za-z0-9_-]+)")
_FAILED_IDS = frozenset({"DMS-EVENT-0078"})
# A move that failed leaves a task that does not run; a copy, an assessment or a target that failed does not.
_FAILED_TYPES = frozenset(
    {
        "REPLICATION_TASK_FAILED",
        "REPLICATION_FAILED",
        "REPLICATION_TASK_MOVE_FAILED",
        "REPLICATION_TASK_FAILED_MOVE",
        "REPLICATION_TASK_FAILED_TO_MOVE",
    }
)
_FAILED_TEXT = re.compile(
    r"\breplication (?:task )?(?:'[^']{0,255}' |\"[^\"]{0,255}\" )?has failed\b|\btask(?:'s)? (?:[\w'-]{1,64} )?move"
    r"(?: of [^.]{0,80})? (?:has )?failed\b|\bfailed to move\b",
    re.IGNORECASE,
)
_STOPPED_IDS = frozenset({"DMS-EVENT-0079"})
# Started, deleted, created, changed, reloaded, not cleaned up, reading paused or resumed: whatever their text is.
_OTHER_IDS = frozenset(f"DMS-EVENT-{number:04}" for number in (69, 73, 74, 75, 80, 81, 82, 91, 92, 93)) | _STOPPED_IDS
_STOPPED_TYPES = frozenset({"REPLICATION_TASK_STOPPED", "REPLICATION_STOPPED"})
_INNER_TASK = ":task:serv-res-id-"


@dataclass(frozen=True, slots=True)
class DmsEvent:
    """One event.

    Attributes:
        id: AWS's id of the event or notification, "" where the shape has none.
        source: "sns" or "eventbridge".
        name: the task's name; "" where the event names only an ARN.
        arn: ARN of the task or replication config; "" where the event names only a name.
        serverless: True for an event of a serverless replication.
        type: EventBridge's `eventType`, or the id of the user guide ("DMS-EVENT-0078").
        event_id: the id of the user guide, "" where the event names none.
        category: as the event spells it, "" for SNS.
        message: its text. It may quote a failure: normalise it before it goes out.
        time: of the event, aware, or None.
        account, region: "" where the shape has none.
        instance: it is of a replication instance, not of a task.
    """

    id: str
    source: str
    name: str
    arn: str
    type: str
    message: str = ""
    serverless: bool = False
    category: str = ""
    time: datetime | None = None
    account: str = ""
    region: str = ""
    instance: bool = False
    event_id: str = ""

    @property
    def is_failure(self) -> bool:
        """True when it reports that a replication failed."""
        if self.instance:
            return False
        if self.event_id in _FAILED_IDS or self.type in _FAILED_TYPES or self.category.lower() == "failure":
            return True
        if self.type != self.event_id or self.event_id in _OTHER_IDS:
            return False
        # Some have nothing but their text, or an id that is documented nowhere, such as that of a failed move.
        return _FAILED_TEXT.search(self.message) is not None

    @property
    def is_stop(self) -> bool:
        """True when it reports that a replication stopped; in error or on purpose, only DMS knows."""
        if self.instance or self.is_failure:
            return False
        return self.type in _STOPPED_TYPES or self.event_id in _STOPPED_IDS

    @property
    def resource(self) -> str:
        """Key that finds the replication: its ARN, else its name."""
        return self.arn or self.name


def read(body: Mapping[str, Any]) -> tuple[DmsEvent, ...]:
    """Read the DMS events of a body; empty when it is of something else.

    Args:
        body: an EventBridge event, an SNS envelope, a DMS notification, or a Lambda event with SNS records.

    Raises:
        BadInput: it is of DMS, but does not say what it is about, or its message cannot be read.
    """
    records = body.get("Records")
    if isinstance(records, list):
        return tuple(found for record in records if isinstance(record, Mapping) for found in _record(record))
    if body.get("source") == SOURCE:
        found = _eventbridge(body)
        return (found,) if found else ()
    if "Message" in body and ("TopicArn" in body or "MessageId" in body):
        return _envelope(body)
    if _is_notification(body):
        return (_notification(body, ""),)
    return ()


def _record(record: Mapping[str, Any]) -> tuple[DmsEvent, ...]:
    """One of a Lambda event's records: of SNS, of SQS, or the notification itself."""
    envelope = record.get("Sns")
    if isinstance(envelope, Mapping):
        return read(envelope)
    if isinstance(record.get("body"), str):
        try:
            inside = json.loads(record["body"])
        except ValueError:
            return ()
        return read(inside) if isinstance(inside, Mapping) else ()
    return read(record)


def _is_notification(body: Mapping[str, Any]) -> bool:
    if "Event Message" not in body:
        return False
    source = _text(body, "Event Source")
    # RDS speaks in the same form, but for `Source ID`.
    return source.startswith("replication-") or (not source and ("SourceId" in body or "dms" in str(body).lower()))


def _envelope(body: Mapping[str, Any]) -> tuple[DmsEvent, ...]:
    message = body.get("Message")
    if not isinstance(message, Mapping):
        try:
            message = json.loads(_text(body, "Message"))
        except ValueError:
            if _text(body, "Subject") == "DMS Notification Message":
                raise BadInput("Message: expected JSON in a notification of DMS") from None
            return ()
    if not isinstance(message, Mapping):
        return ()
    if _is_notification(message):
        return (_notification(message, _text(body, "MessageId")),)
    return read(message) if message.get("source") == SOURCE else ()


def _notification(message: Mapping[str, Any], id: str) -> DmsEvent:
    link = _text(message, "Identifier Link")
    older = _IN_LINK.search(link) or _LINK_NAME.search(link)
    name = _text(message, "SourceId").strip() or (older.group(1) if older else "")
    if not name:
        raise BadInput("SourceId: expected the name of a task, there or in Identifier Link, in a notification of DMS")
    found = _EVENT_ID.search(_text(message, "Event ID"))
    region = re.search(r"[?&]region=([a-z0-9-]+)", link)
    return DmsEvent(
        id=id,
        source="sns",
        name=name,
        arn="",
        type=found.group(0) if found else "",
        event_id=found.group(0) if found else "",
        message=_text(message, "Event Message"),
        time=from_event(_text(message, "Event Time").replace(" ", "T") + "Z"),
        region=region.group(1) if region else "",
        instance=_text(message, "Event Source") == "replication-instance",
    )


def _eventbridge(event: Mapping[str, Any]) -> DmsEvent | None:
    detail_type = _text(event, "detail-type")
    if detail_type not in {TASK, SERVERLESS}:
        return None
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadInput(f"detail: expected an object in an event of type {detail_type}")
    resources = event.get("resources")
    arn = resources[0] if isinstance(resources, list) and resources and isinstance(resources[0], str) else ""
    if not arn:
        raise BadInput(f"resources: expected the ARN of a replication in an event of type {detail_type}")
    named = _LINK_NAME.search(_text(detail, "resourceLink"))
    number = _EVENT_ID.search(_text(detail, "eventId"))
    found = DmsEvent(
        id=_text(event, "id"),
        source="eventbridge",
        name=named.group(1) if named else "",
        arn=arn,
        type=_text(detail, "eventType") or (number.group(0) if number else ""),
        event_id=number.group(0) if number else "",
        message=_text(detail, "detailMessage"),
        serverless=detail_type == SERVERLESS or _INNER_TASK in arn,
        category=_text(detail, "category"),
        time=from_event(_text(event, "time")),
        account=_text(event, "account"),
        region=_text(event, "region"),
    )
    return None if _INNER_TASK in arn and not found.is_failure else found


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""
