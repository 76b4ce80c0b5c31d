"""One alert for each group of alike failures and window, whoever runs and however often.

The record of an alert is claimed (`pending`, with a lease) before the message is published and marked `sent` after
it. Two processes therefore send one message, and an alert whose sender died is sent by the next run once the lease
has ended. The one duplicate window: a publish whose answer was not read is sent again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from recovery.aws import calling
from recovery.closing.notes import NoteBook
from recovery.errors import Conflict, RepriseError
from recovery.events.outward import (
    CIRCUIT_CLOSED,
    CIRCUIT_OPENED,
    GROUP_GROWN,
    GROUP_OPENED,
    GROUP_RECOVERED,
    Outward,
)
from recovery.fields import Fields
from recovery.ledger import Ledger
from recovery.links import NO_LINKS, group_forms
from recovery.records import DamagedRecord, Record

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from recovery.outgoing import Outgoing

LEASE = timedelta(minutes=2)
_KEEP = timedelta(days=400)

ACTIONS = {"announce": ("sns:Publish",), "announce_recovery": ("sns:Publish",)}


class Announced(StrEnum):
    """Outcome of an alert. Only in the first two cases may what it speaks of be settled."""

    SENT = "sent"
    ALREADY = "already"  # within the window
    ELSEWHERE = "elsewhere"  # another worker is sending it right now


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to people.

    Attributes:
        path, source, group: what makes it one alert (with the window).
        subject: one line; cut and flattened to what SNS takes (under 100 characters, no line breaks).
        text: normalised text only: count, examples of ids, reason, what to do.
        count: items it speaks of.
        is_circuit: it is of a circuit that opened or closed, not of a group.
        is_end: it speaks of the end of what was announced, in a record of its own.
        kind: of the failure, for the user's runbook.
        pages: labels and addresses of pages in the AWS console.
    """

    path: str
    source: str
    group: str
    subject: str
    text: str
    count: int = 1
    is_circuit: bool = False
    is_end: bool = False
    scope: str = ""
    sources: tuple[str, ...] = ()
    is_group: bool = True
    kind: str = ""
    pages: tuple[tuple[str, str], ...] = ()


def plain_subject(text: str) -> str:
    """A subject that SNS accepts: printable ASCII, no line breaks, at most 99 characters."""
    flat = re.sub(r"\s+", " ", re.sub(r"[^\x20-\x7e]", " ", text)).strip() or "Reprise"
    return flat if len(flat) <= 99 else flat[:96] + "..."


class Alerts:
    """Sends alerts through one SNS topic.

    Args:
        client: a boto3 SNS client whose own retries are off, so that nobody repeats a publish unseen.
        topic_arn: the alert topic.
        ledger: keeps who sent what when.
        owner: names this run in claims.

    Attributes:
        links: addresses of the forms, for the end of each text.
        outgoing: way out of the event that goes with each alert; None where nobody listens.
    """

    def __init__(self, client: SNSClient, topic_arn: str, ledger: Ledger, owner: str) -> None:
        self._client = client
        self.topic_arn = topic_arn
        self._ledger = ledger
        self._owner = owner
        self.links = NO_LINKS
        self.outgoing: Outgoing | None = None

    def announce(self, alert: Alert, now: datetime, window: timedelta) -> Announced:
        """Send the alert unless its group was announced within the window.

        Raises:
            Transient, Refused: it was not sent; what it speaks of must stay where it is until a run has sent it.
        """
        record = self._record(alert)
        if record.data.get("state") == "sent" and now - _time(record, "at") < window:
            return Announced.ALREADY
        if self._is_snoozed(alert, now):
            return Announced.ALREADY  # a person knows of it, and has put it off
        return self._send(alert, record, done="sent", now=now)

    def announce_recovery(self, alert: Alert, now: datetime) -> Announced:
        """Announce once that a group which was announced has recovered; ALREADY when nobody was alarmed or it was done.

        Raises:
            Transient, Refused: it was not announced.
        """
        record = self._record(alert)
        if not _is_open(record):
            return Announced.ALREADY
        return self._send(alert, record, done="recovered", now=now)

    def is_announced(self, path: str, source: str, group: str) -> bool:
        """True when people were notified of this group and not yet that it recovered."""
        return _is_open(self._ledger.read_record(_pk(path, source), group))

    def _record(self, alert: Alert) -> Record:
        return self._ledger.read_record(_pk(alert.path, alert.scope or alert.source), alert.group)

    def _send(self, alert: Alert, record: Record, *, done: str, now: datetime) -> Announced:
        """Claim the record, publish, and mark it as done; an alert and its end go the same way."""
        state = record.data.get("state")
        if state == "pending" and _time(record, "lease") > now:
            return Announced.ELSEWHERE
        before = str(record.data.get("at") or record.data.get("before") or "")
        lease = (now + LEASE).isoformat()
        claim = {"state": "pending", "owner": self._owner, "lease": lease, "count": alert.count, "before": before}
        try:
            claimed = self._ledger.write_record(Record(record.pk, record.sk, claim, record.version), now + _KEEP)
        except Conflict:
            return Announced.ELSEWHERE
        self._publish(alert, claimed, dict(record.data), now)
        if done == "recovered" or alert.is_end:
            event = CIRCUIT_CLOSED if alert.is_circuit else GROUP_RECOVERED
        elif alert.is_circuit:
            event = CIRCUIT_OPENED
        else:
            event = GROUP_GROWN if state == "sent" else GROUP_OPENED
        self._emit(alert, event, before, now)
        finished = {"state": done, "at": now.isoformat(), "count": alert.count}
        self._ledger.write_record(Record(claimed.pk, claimed.sk, finished, claimed.version), now + _KEEP)
        return Announced.SENT

    def _is_snoozed(self, alert: Alert, now: datetime) -> bool:
        """True while a person has put the group off; notes that cannot be read keep nobody from being alerted."""
        try:
            return NoteBook(self._ledger).read(alert.path, alert.group).is_snoozed(now)
        except DamagedRecord:
            return False

    def _publish(self, alert: Alert, claimed: Record, before: dict[str, object], now: datetime) -> None:
        try:
            with calling("sns:Publish"):
                self._client.publish(
                    TopicArn=self.topic_arn, Subject=plain_subject(alert.subject), Message=self._text(alert)
                )
        except RepriseError:
            # The claim is given back at once, so that the next run need not wait for the lease to end.
            undone = before or {"state": "failed"}
            self._ledger.write_record(Record(claimed.pk, claimed.sk, undone, claimed.version), now + _KEEP)
            raise

    def _text(self, alert: Alert) -> str:
        """The alert's text, and below it where a person acts."""
        forms = group_forms(
            alert.path, alert.sources or (alert.source,), alert.group if alert.is_group else "", self.links.own
        )
        places = [
            ("your runbook", self._runbook(alert)),
            ("run", self.links.run),
            *((form.label, self.links.form(form)) for form in forms),
            *alert.pages,
        ]
        lines = [f"{label[0].upper()}{label[1:]}: {address}" for label, address in places if address]
        return "\n".join([alert.text, "", *lines]) if lines else alert.text

    def _runbook(self, alert: Alert) -> str:
        sources = alert.sources or (alert.source,)
        return next(filter(None, (self.links.runbook(alert.path, one, alert.kind, alert.group) for one in sources)), "")

    def _emit(self, alert: Alert, event: str, key: str, now: datetime) -> None:
        """Emit the event of an alert. It goes before the record that ends the alert, so that a kill repeats both."""
        if self.outgoing is None:
            return
        kind, *of_group = ("circuit",) if alert.is_circuit else ("group", alert.group)
        forms = group_forms(
            alert.path, alert.sources or (alert.source,), alert.group if alert.is_group else "", self.links.own
        )
        payload: dict[str, str | int] = {
            "path": alert.path,
            "source": alert.source,
            "group": alert.group,
            "count": alert.count,
            "subject": alert.subject,
            "text": alert.text,
            "run": self.links.run,
            "act": next(filter(None, map(self.links.form, forms)), ""),
            "runbook": self._runbook(alert),
        }
        self.outgoing.emit(
            [
                Outward(
                    event,
                    (kind, alert.path, alert.scope or alert.source, *of_group),
                    key,
                    now,
                    payload,
                    alert.sources or (alert.source,),
                )
            ]
        )


def _is_open(record: Record) -> bool:
    """True when people were notified and wait for the end of it, or may have been: a run may have died before it wrote
    that its alert, or its notice of the end, was out."""
    return record.data.get("state") in ("sent", "pending")


def _time(record: Record, name: str) -> datetime:
    """Return a time of a record that a person may have edited by hand: a damaged one is the trouble of its group."""
    try:
        return Fields(record.data).required_time(name)
    except ValueError:
        raise DamagedRecord(record.pk, record.sk) from None


def _pk(path: str, source: str) -> str:
    return f"alert#{path}#{source}"
