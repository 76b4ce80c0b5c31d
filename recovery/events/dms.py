"""Events of DMS: what is read from them, for people and for triggers. Pure.

Three kinds of shapes, from recorded events and the user guide:

- SNS notifications of an event subscription, as the message itself, in SNS's envelope, or as the `Records` of a Lambda
  event. `Event ID` is an address with a blank at its end; `SourceId` is the task's name, not its ARN, and older ones
  have no such key: there it stands at the end of `Identifier Link`.
- EventBridge `DMS Replication Task State Change`. The failed event has no `eventId`: only `eventType` marks it.
- EventBridge `DMS Replication State Change`, of serverless replications. An event of a serverless replication's inner
  task (`serv-res-id-...`) adds nothing to the replication's own events.

Events are hints (DMS delivers them best-effort): they name a place to inspect, and nothing is decided from them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recovery.errors import BadInput

SOURCE = "aws.dms"
TASK = "DMS Replication Task State Change"
SERVERLESS = "DMS Replication State Change"

_EVENT_ID = re.compile(r"DMS-EVENT-\d{4}")
_IN_LINK = re.compile(r"SourceId:\s*(\S+)")
_LINK_NAME = re.compile(r"#(?:tasks:ids=|taskDetails/)([A-Za-z0-9_-]+)")
_FAILED_IDS = frozenset({"DMS-EVENT-0078"})
_FAILED_TYPES = frozenset({"REPLICATION_TASK_FAILED", "REPLICATION_FAILED"})
_STOPPED_IDS = frozenset({"DMS-EVENT-0079"})
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

    @property
    def is_failure(self) -> bool:
        """True when it reports that a replication failed."""
        if self.instance:
            return False
        return self.type in _FAILED_TYPES | _FAILED_IDS or self.category.lower() == "failure"

    @property
    def is_stop(self) -> bool:
        """True when it reports that a replication stopped; in error or on purpose, only DMS knows."""
        return not self.instance and self.type in _STOPPED_TYPES | _STOPPED_IDS

    @property
    def resource(self) -> str:
        """Key that finds the replication: its ARN, else its name."""
        return self.arn or self.name


def read(body: Mapping[str, Any]) -> tuple[DmsEvent, ...]:
    """Read the DMS events of a body; empty when it is of something else.

    Args:
        body: an EventBridge event, an SNS envelope, a DMS notification, or a Lambda event with SNS records.

    Raises:
        BadInput: it is of DMS, but names no resource, or its message cannot be read.
    """
    records = body.get("Records")
    if isinstance(records, list):
        inside = [record["Sns"] for record in records if isinstance(record, Mapping) and _is_object(record.get("Sns"))]
        return tuple(found for envelope in inside for found in read(envelope))
    if body.get("source") == SOURCE:
        found = _eventbridge(body)
        return (found,) if found else ()
    if "Message" in body and ("TopicArn" in body or "MessageId" in body):
        return _envelope(body)
    if "Event Message" in body and "Event Source" in body:
        return (_notification(body, ""),)
    return ()


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _envelope(body: Mapping[str, Any]) -> tuple[DmsEvent, ...]:
    try:
        message = json.loads(_text(body, "Message"))
    except ValueError:
        if _text(body, "Subject") == "DMS Notification Message":
            raise BadInput("Message: expected JSON in a notification of DMS") from None
        return ()
    if not isinstance(message, Mapping):
        return ()
    if "Event Message" in message and "Event Source" in message:
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
        message=_text(message, "Event Message"),
        time=_time(_text(message, "Event Time").replace(" ", "T") + "Z"),
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
    if _INNER_TASK in arn:
        return None
    named = _LINK_NAME.search(_text(detail, "resourceLink"))
    return DmsEvent(
        id=_text(event, "id"),
        source="eventbridge",
        name=named.group(1) if named else "",
        arn=arn,
        type=_text(detail, "eventType"),
        message=_text(detail, "detailMessage"),
        serverless=detail_type == SERVERLESS,
        category=_text(detail, "category"),
        time=_time(_text(event, "time")),
        account=_text(event, "account"),
        region=_text(event, "region"),
    )


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
