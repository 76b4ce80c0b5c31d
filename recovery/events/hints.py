"""Translation of the events queue's messages into Prefect's events, one for every shape that arrives. Pure.

A hint names a place where something may have failed. It carries what helps a person, and nothing that a run needs:
the run asks AWS. Names and resource ids are stable; deployments trigger on them:

    reprise.dms.task.failed       reprise.dms.<task or replication>
    reprise.dms.task.stopped      reprise.dms.<task or replication>
    reprise.appflow.run.failed    reprise.appflow.<flow>
    reprise.alarm.changed         reprise.alarm.<alarm>
    reprise.queue.dead-letters    reprise.queue.<queue>
    reprise.outbox.inserted       reprise.outbox.<table>
    reprise.outbox.due            reprise.outbox.<table>
    reprise.dms.task.due          reprise.dms.<task or replication>
    reprise.appflow.run.due       reprise.appflow.<flow>
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from recovery.errors import BadInput
from recovery.events import alarms, appflow, dms
from recovery.failures import normalise

TASK_FAILED = "reprise.dms.task.failed"
TASK_STOPPED = "reprise.dms.task.stopped"
RUN_FAILED = "reprise.appflow.run.failed"
ALARM_CHANGED = "reprise.alarm.changed"
DEAD_LETTERS = "reprise.queue.dead-letters"
OUTBOX_INSERTED = "reprise.outbox.inserted"
OUTBOX_DUE = "reprise.outbox.due"
TASK_DUE = "reprise.dms.task.due"
RUN_DUE = "reprise.appflow.run.due"

_IDS = UUID("6d2f7c0e-5f5e-5d0a-9d3a-2f1f6f0c7b11")
"""Namespace of the ids: the same AWS event always makes the same Prefect event, so that a repeated post is dropped."""
_VALUE = 500
_NAME = 300


@dataclass(frozen=True, slots=True)
class Hint:
    """One Prefect event.

    Attributes:
        id: derived from AWS's own id.
        event: its name.
        resource: its subject.
        occurred: its time, aware, UTC.
        payload: short strings and numbers for people.
    """

    id: UUID
    event: str
    resource: str
    occurred: datetime
    payload: Mapping[str, str | int] = field(default_factory=dict)

    def as_event(self) -> dict[str, Any]:
        """The body of one event for Prefect's `POST /events`."""
        return {
            "id": str(self.id),
            "occurred": self.occurred.isoformat(),
            "event": self.event,
            "resource": {"prefect.resource.id": self.resource, "prefect.resource.name": self.resource.split(".", 2)[2]},
            "payload": {name: _plain(value) for name, value in self.payload.items()},
        }


def translate(body: str, message_id: str, now: datetime) -> list[Hint]:
    """The hints in one message of the events queue; none when it speaks of nothing that failed.

    Args:
        body: of the SQS message: an EventBridge event, an SNS envelope around one of the shapes below, the shapes
            themselves, or the `Records` of a Lambda event.
        message_id: SQS's, from which an id is made where the event has none of its own.
        now: the time of the hint where the event names none.

    Raises:
        BadInput: it cannot be read; the message names what was expected. Such a message is parked, not dropped.
    """
    try:
        hints = _translated(_document(body), message_id, now)
        # Text that JSON can spell but no HTTP body can carry (half a surrogate pair) must be found here.
        json.dumps([hint.as_event() for hint in hints], ensure_ascii=False).encode()
    except (OverflowError, RecursionError, TypeError, UnicodeError) as error:
        raise BadInput(f"body: expected an event's values ({type(error).__name__})") from None
    return hints


def _translated(document: Mapping[str, Any], message_id: str, now: datetime) -> list[Hint]:
    records = document.get("Records")
    if isinstance(records, list):
        inside = [record.get("Sns", record) for record in records if isinstance(record, Mapping)]
        return [
            hint
            for index, envelope in enumerate(inside)
            if isinstance(envelope, Mapping)
            for hint in _translated(envelope, f"{message_id}:{index}", now)
        ]
    envelope = _unwrapped(document)
    if envelope is not None:
        inner, own_id = envelope
        return _hints(inner, own_id or message_id, now)
    return _hints(document, message_id, now)


def hint(event: str, name: str, key: str, now: datetime, **payload: str | int) -> Hint:
    """A hint of the relay's own making; `key` makes its id."""
    kind = {
        DEAD_LETTERS: "queue",
        OUTBOX_INSERTED: "outbox",
        OUTBOX_DUE: "outbox",
        TASK_DUE: "dms",
        RUN_DUE: "appflow",
    }[event]
    return Hint(uuid5(_IDS, f"{event}:{name}:{key}"), event, _resource(kind, name), now, payload)


def _hints(document: Mapping[str, Any], message_id: str, now: datetime) -> list[Hint]:
    events = dms.read(document)
    if events:
        return [_of_dms(event, message_id, index, now) for index, event in enumerate(events) if _matters(event)]
    flow = appflow.read(document)
    if flow is not None:
        return [_of_appflow(flow, message_id, now)] if flow.is_failure and not flow.is_twin else []
    alarm = alarms.read(document)
    if alarm is not None:
        return _of_alarm(alarm, message_id, now) if alarm.triggers and not alarm.muted else []
    if "detail-type" in document or "eventSource" in document or "Records" in document:
        return []  # an event of something else: a rule may be wider than it need be
    raise BadInput("body: expected an EventBridge event, or an SNS notification of DMS or of a CloudWatch alarm")


def _matters(event: dms.DmsEvent) -> bool:
    return event.is_failure or event.is_stop


def _of_dms(event: dms.DmsEvent, message_id: str, index: int, now: datetime) -> Hint:
    name = event.name or event.arn.rsplit(":", 1)[-1]
    return Hint(
        id=_id(event.id, f"{message_id}:{index}"),
        event=TASK_FAILED if event.is_failure else TASK_STOPPED,
        resource=_resource("dms", name),
        occurred=_utc(event.time, now),
        payload={
            "task": name,
            "arn": event.arn,
            "type": event.type,
            "serverless": int(event.serverless),
            "message": normalise(event.message),
        },
    )


def _of_appflow(event: appflow.AppFlowEvent, message_id: str, now: datetime) -> Hint:
    return Hint(
        id=_id(event.id, message_id),
        event=RUN_FAILED,
        resource=_resource("appflow", event.flow),
        occurred=_utc(event.time, now),
        payload={
            "flow": event.flow,
            "run": event.run,
            # Of its texts only that of a success is documented: one of a failure may quote anything.
            "status": normalise(event.status),
            "trigger": event.trigger,
            "what": event.detail_type,
        },
    )


def _of_alarm(event: alarms.AlarmEvent, message_id: str, now: datetime) -> list[Hint]:
    """The alarm itself; and one of a queue's depth also reports, as the poller does, that messages lie in it."""
    identity = _id(event.id, f"{event.arn or event.name}:{event.time.isoformat()}" if event.time else message_id)
    occurred = _utc(event.time, now)
    payload = {"alarm": event.name, "state": event.state, "before": event.before}
    queue = event.dimensions.get("QueueName", "")
    hints = [Hint(identity, ALARM_CHANGED, _resource("alarm", event.name), occurred, {**payload, "queue": queue})]
    if event.full_queue:
        key = uuid5(_IDS, f"{identity}:queue")
        depth = {"queue": event.full_queue, "alarm": event.name}
        hints.append(Hint(key, DEAD_LETTERS, _resource("queue", event.full_queue), occurred, depth))
    return hints


def _resource(kind: str, name: str) -> str:
    # Names of AWS are at most 255 characters; a forged one must not make an event that no server accepts.
    return f"reprise.{kind}.{_storable(name[:_NAME])}"


def _document(body: str) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("body: expected JSON") from None
    if not isinstance(document, Mapping):
        raise BadInput("body: expected a JSON object")
    return document


def _unwrapped(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], str] | None:
    """Return the message of an SNS envelope, and the envelope's own id."""
    if document.get("Type") != "Notification" or not isinstance(document.get("Message"), str):
        return None
    return _document(document["Message"]), str(document.get("MessageId", ""))


def _id(own: str, otherwise: str) -> UUID:
    try:
        return UUID(own)
    except ValueError:
        return uuid5(_IDS, own or otherwise)


def _utc(moment: datetime | None, now: datetime) -> datetime:
    return (moment or now).astimezone(UTC)


def _plain(value: str | int) -> str | int:
    # A payload may be shown through templates: nothing of it may be one.
    if isinstance(value, int):
        return value
    plain = _storable(value[:_VALUE]).replace("__prefect_kind", "__kind")
    for mark, apart in (("{{", "{ {"), ("}}", "} }"), ("{%", "{ %"), ("%}", "% }"), ("{#", "{ #"), ("#}", "# }")):
        while mark in plain:  # three in a row are two marks
            plain = plain.replace(mark, apart)
    return plain


def _storable(text: str) -> str:
    # PostgreSQL stores no NUL, and would lose the event after it was accepted.
    return text.replace("\0", "")
