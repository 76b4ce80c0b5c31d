"""Events about what Reprise did, for anybody's own automations. Pure.

Names and resources are stable; `docs/events.md` lists them. An id is made from the fact, so that a repeated post is one
event. Payloads are short: counts, kinds, normalised words, addresses; never bodies.

    reprise.group.opened       reprise.group.<path>.<source>.<group>   people were alerted of a failure group
    reprise.group.grown        reprise.group.<path>.<source>.<group>   it still fails, a window later
    reprise.group.recovered    reprise.group.<path>.<source>.<group>   what was alerted of is proven back
    reprise.group.exhausted    reprise.group.<path>.<source>.<group>   attempts of some of its items are used up
    reprise.circuit.opened     reprise.circuit.<path>.<source>         nothing is sent but probes
    reprise.circuit.closed     reprise.circuit.<path>.<source>         all is sent again
    reprise.backlog.at-risk    reprise.queue.<queue>                   messages will expire before a run reaches them
    reprise.consumer.silent    reprise.queue.<queue>                   a consumer takes nothing of what was sent back
    reprise.plan.created       reprise.plan.<plan>                     a person froze a set of messages
    reprise.plan.stepped       reprise.plan.<plan>                     its next step began
    reprise.plan.stopped       reprise.plan.<plan>                     it stopped itself: too much came back
    reprise.plan.finished      reprise.plan.<plan>                     all of it was sent, and its last step is proven
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from recovery.errors import BadInput
from recovery.markdown import cut
from recovery.report import RecoveryReport

GROUP_OPENED = "reprise.group.opened"
GROUP_GROWN = "reprise.group.grown"
GROUP_RECOVERED = "reprise.group.recovered"
GROUP_EXHAUSTED = "reprise.group.exhausted"
CIRCUIT_OPENED = "reprise.circuit.opened"
CIRCUIT_CLOSED = "reprise.circuit.closed"
BACKLOG_AT_RISK = "reprise.backlog.at-risk"
CONSUMER_SILENT = "reprise.consumer.silent"
PLAN_CREATED = "reprise.plan.created"
PLAN_STEPPED = "reprise.plan.stepped"
PLAN_STOPPED = "reprise.plan.stopped"
PLAN_FINISHED = "reprise.plan.finished"

_IDS = UUID("2c1c9a44-9b3d-5c36-8f0e-5f9a3c6f7a10")
_LONGEST = 500
_LONGEST_ADDRESS = 2_000
_MOST_RELATED = 50
_ADDRESSES = frozenset({"run", "act", "runbook"})
_LONGEST_RESOURCE = 250
"""Characters of a resource's id: PagerDuty refuses a deduplication key of more than 255."""


@dataclass(frozen=True, slots=True)
class Outward:
    """One event for Prefect.

    Attributes:
        event: its name.
        resource: its subject, of a few parts.
        key: the fact behind it, unique among events of that name and resource; the id is made from it.
        occurred: its time, aware, UTC.
        payload: short strings and numbers.
        sources: queues, tables, instances or flows that it speaks of, where its resource does not name the one.
    """

    event: str
    resource: tuple[str, ...]
    key: str
    occurred: datetime
    payload: Mapping[str, str | int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    @property
    def id(self) -> UUID:
        """The same fact, the same id."""
        return uuid5(_IDS, "\n".join((self.event, *self.resource, self.key)))

    def as_event(self) -> dict[str, Any]:
        """The body of one event for Prefect's `POST /events`."""
        return {
            "id": str(self.id),
            "occurred": self.occurred.isoformat(),
            "event": self.event,
            "resource": {
                "prefect.resource.id": _bounded(".".join(("reprise", *self.resource))),
                "prefect.resource.name": " ".join(self.resource[1:]),
            },
            "related": [
                {"prefect.resource.id": _bounded(f"reprise.source.{each}"), "prefect.resource.role": "source"}
                for each in self._places()[:_MOST_RELATED]
            ],
            "payload": {name: _short(name, value) for name, value in self.payload.items()},
        }

    def _places(self) -> list[str]:
        """Return its sources with their paths, by which routes choose."""
        kind, *rest = self.resource
        if kind == "queue":
            return [f"dead_letters.{rest[0]}"]
        return [f"{rest[0]}.{each}" for each in self.sources or rest[1:2]] if kind in ("group", "circuit") else []

    def as_json(self) -> dict[str, Any]:
        """Its form in the ledger, while the server has not taken it."""
        return {
            "event": self.event,
            "resource": list(self.resource),
            "key": self.key,
            "occurred": self.occurred.isoformat(),
            "payload": dict(self.payload),
            "sources": list(self.sources),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Outward:
        """Return an event that was kept.

        Raises:
            BadInput: it is damaged.
        """
        try:
            occurred = datetime.fromisoformat(kept["occurred"])
            payload = {str(name): v if isinstance(v, int) else str(v) for name, v in kept["payload"].items()}
            sources = tuple(map(str, kept.get("sources", ())))
            return cls(
                str(kept["event"]), tuple(map(str, kept["resource"])), str(kept["key"]), occurred, payload, sources
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"a kept event cannot be read: {type(error).__name__}") from None


def _bounded(resource: str) -> str:
    """The id of a resource; of a long one, its beginning, by which routes choose, and a mark of the whole."""
    if len(resource) <= _LONGEST_RESOURCE:
        return resource
    return f"{resource[: _LONGEST_RESOURCE - 17]}~{sha256(resource.encode()).hexdigest()[:16]}"


def _short(name: str, value: str | int) -> str | int:
    """A value of a payload; half an address leads nowhere, so one that is too long is left out."""
    if isinstance(value, int):
        return value
    if name in _ADDRESSES:
        return value if len(value) <= _LONGEST_ADDRESS else ""
    return cut(value)[:_LONGEST]


def of_queue(event: str, queue: str, at: datetime, text: str, **payload: str | int) -> Outward:
    """Return an event of a queue that is in trouble: once an hour while it lasts, whoever runs."""
    subject = f"{queue}: {event.removeprefix('reprise.').replace('.', ' ').replace('-', ' ')}"
    return Outward(event, ("queue", queue), f"{at:%Y-%m-%dT%H}", at, {**payload, "subject": subject, "text": text})


def of_report(report: RecoveryReport) -> list[Outward]:
    """Return the events that the report alone knows of: exhausted groups."""
    if report.dry_run:
        return []
    at = report.started
    return [
        Outward(
            GROUP_EXHAUSTED,
            ("group", report.path, row.source, row.group),
            row.samples[0] if row.samples else f"{at:%Y-%m-%d}",
            at,
            {
                "count": row.count,
                "kind": row.kind,
                "subject": f"{row.count} of {row.source} used up their attempts ({row.kind or 'not diagnosed'})",
                "text": f"{row.reason}. Next step: {row.next_step}",
            },
        )
        for row in report.groups
        if row.exhausted and row.settled
    ]
