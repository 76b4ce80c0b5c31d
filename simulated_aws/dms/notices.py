"""Everything that DMS publishes: EventBridge events, SNS notifications of event subscriptions, and DescribeEvents.

The shapes are those of real events: a failed task's EventBridge event has no `eventId`, a notification's `Event ID` is
an address with a blank at its end, and serverless replications speak only through EventBridge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from simulated_aws.dms.state import Account, PastEvent, Replicator, Subscription
from simulated_aws.requests import Host

_FLAGS = {"start-replication": "fresh start", "resume-processing": "resume", "reload-target": "reload"}


@dataclass(frozen=True)
class Kind:
    """Wording of one change: EventBridge's type, the id of the user guide, the category, SNS's sentence."""

    event_type: str
    event_id: str
    category: str
    sentence: str


TASK = {
    "created": Kind("REPLICATION_TASK_CREATED", "DMS-EVENT-0074", "Creation", "The replication task has been created."),
    "modified": Kind(
        "REPLICATION_TASK_MODIFIED", "DMS-EVENT-0080", "ConfigurationChange", "The replication task has been modified."
    ),
    "deleted": Kind("REPLICATION_TASK_DELETED", "DMS-EVENT-0073", "Deletion", "The replication task has been deleted."),
    "started": Kind("REPLICATION_TASK_STARTED", "DMS-EVENT-0069", "StateChange", "Replication task started"),
    "stopped": Kind("REPLICATION_TASK_STOPPED", "DMS-EVENT-0079", "StateChange", "Replication task has stopped."),
    "failed": Kind("REPLICATION_TASK_FAILED", "DMS-EVENT-0078", "Failure", "Replication task has failed."),
    "reloading": Kind(
        "REPLICATION_TASK_TABLES_RELOAD",
        "DMS-EVENT-0081",
        "StateChange",
        "A reload of table details has been requested.",
    ),
}
SERVERLESS = {
    "initializing": ("REPLICATION_INITIALIZING", "is initializing."),
    "preparing_metadata_resources": (
        "REPLICATION_PREPARING_METADATA_RESOURCES",
        "is preparing the resources for metadata collection.",
    ),
    "testing_connection": ("REPLICATION_TESTING_CONNECTION", "connections are being tested."),
    "fetching_metadata": ("REPLICATION_FETCHING_METADATA", "is fetching metadata."),
    "calculating_capacity": ("REPLICATION_CALCULATING_CAPACITY", "is calculating capacity."),
    "provisioning_capacity": ("REPLICATION_PROVISIONING_CAPACITY", "is provisioning its capacity."),
    "replication_starting": ("REPLICATION_STARTING", "is starting."),
    "started": ("REPLICATION_STARTED", "has started."),
    "stopped": ("REPLICATION_STOPPED", "has stopped."),
    "failed": ("REPLICATION_FAILED", "DMS replication has failed."),
    "deprovisioned": ("REPLICATION_DEPROVISIONED", "has been deprovisioned."),
}
# The names that event subscriptions use for the same categories.
_SNS_CATEGORIES = {
    "Creation": "creation",
    "Deletion": "deletion",
    "ConfigurationChange": "configuration change",
    "StateChange": "state change",
    "Failure": "failure",
}
CATEGORIES = tuple(_SNS_CATEGORIES.values())


class Herald:
    """Announces changes, unless the replication's script keeps it silent."""

    def __init__(self, host: Host, account: Account) -> None:
        self._host = host
        self._account = account

    def emit(self, change: str, thing: Replicator, text: str, at: datetime) -> None:
        """Announce one change; `text` is the failure text or the start type."""
        if thing.serverless:
            self._serverless(change, thing)
            return
        kind = TASK.get(change)
        if kind is None:
            return
        self._account.events.append(
            PastEvent(thing.identifier, "replication-task", kind.sentence, [_SNS_CATEGORIES[kind.category]], at)
        )
        if thing.future.silent:
            return
        self._task_event(change, kind, thing, text)
        self._notify(change, kind, thing, text, at)

    def _task_event(self, change: str, kind: Kind, thing: Replicator, text: str) -> None:
        detail = {"type": "REPLICATION_TASK", "category": kind.category, "eventType": kind.event_type}
        if change == "failed":
            detail["detailMessage"] = text
        else:
            detail["eventId"] = kind.event_id
            detail["resourceLink"] = self._link(thing)
            detail["detailMessage"] = _sentence(change, kind, text)
        self._host.put_event("aws.dms", "DMS Replication Task State Change", detail, [thing.arn])

    def _serverless(self, change: str, thing: Replicator) -> None:
        if thing.future.silent or change not in SERVERLESS:
            return
        event_type, words = SERVERLESS[change]
        failed = change == "failed"
        resource = thing.arn.rsplit(":", 1)[1]
        detail = {
            "type": "REPLICATION_CONFIG",
            "category": "Failure" if failed else "StateChange",
            "eventType": event_type,
            "detailMessage": words if failed else f"Replication with resource id, '{resource}', {words}",
        }
        self._host.put_event("aws.dms", "DMS Replication State Change", detail, [thing.arn])

    def _notify(self, change: str, kind: Kind, thing: Replicator, text: str, at: datetime) -> None:
        sentence = _sentence(change, kind, text)
        if change == "failed":
            sentence = f"{kind.sentence}\nReason: {text.replace(' Stop Reason', chr(10) + ' Stop Reason')}."
        message = json.dumps(
            {
                "Event Source": "replication-task",
                "Event Time": at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
                "Identifier Link": f"{self._link(thing)} ",
                "SourceId": thing.identifier,
                "Event ID": f"http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html#{kind.event_id} ",
                "Event Message": sentence,
                "Notification time": at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            }
        )
        for subscription in self._account.subscriptions.values():
            if _covers(subscription, thing, _SNS_CATEGORIES[kind.category]):
                self._send(subscription, message)

    def _send(self, subscription: Subscription, message: str) -> None:
        try:
            self._host.publish(subscription.topic, "DMS Notification Message", message)
        except Exception as error:  # noqa: BLE001 - whatever the estate answers, DMS notes it and goes on
            gone = "NotFound" in type(error).__name__ or "NotFound" in str(error)
            subscription.status = "topic-not-exist" if gone else "no-permission"
        else:
            subscription.status = "active"

    def _link(self, thing: Replicator) -> str:
        region = self._account.region
        return f"https://console.aws.amazon.com/dms/v2/home?region={region}#taskDetails/{thing.identifier}"


def _sentence(change: str, kind: Kind, text: str) -> str:
    if change == "started":
        return f"{kind.sentence}, with flag = {_FLAGS.get(text, text)}"
    return kind.sentence


def _covers(subscription: Subscription, thing: Replicator, category: str) -> bool:
    return (
        subscription.enabled
        and subscription.source_type in {"", "replication-task"}
        and (not subscription.source_ids or thing.identifier in subscription.source_ids)
        and (not subscription.categories or category in subscription.categories)
    )
