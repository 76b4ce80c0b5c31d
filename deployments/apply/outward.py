"""The automations that bring what runs did to a person's channels: one message for a group and window, one at its end.

The events are `recovery.events.outward`'s. A group's own alert window and its snooze decide whether there is an event,
so that the SNS topic and the channels hear the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

from prefect.events.schemas.automations import AutomationCore

from deployments.apply.automations import PREFIX
from recovery.errors import BadInput
from recovery.events.outward import (
    BACKLOG_AT_RISK,
    CIRCUIT_CLOSED,
    CIRCUIT_OPENED,
    CONSUMER_SILENT,
    GROUP_EXHAUSTED,
    GROUP_GROWN,
    GROUP_OPENED,
    GROUP_RECOVERED,
    PLAN_FINISHED,
    PLAN_STOPPED,
)
from recovery.paths import PATHS

OPENED = (GROUP_OPENED, GROUP_GROWN, GROUP_EXHAUSTED, CIRCUIT_OPENED, BACKLOG_AT_RISK, CONSUMER_SILENT, PLAN_STOPPED)
ENDED = (GROUP_RECOVERED, CIRCUIT_CLOSED, PLAN_FINISHED)
_SUBJECT = f"{PREFIX}{{{{ event.payload.subject }}}}"
# Never a lone expression: Prefect would take its value for JSON.
_RESOURCE = "{{ event.resource['prefect.resource.id'] }} "
_TEXT = """{{ event.payload.text }}
{% if event.payload.act %}Act: {{ event.payload.act }}
{% endif %}{% if event.payload.run %}Run: {{ event.payload.run }}{% endif %}"""


def wanted(
    opened: Mapping[str, UUID], ended: Mapping[str, UUID], routes: Mapping[str, tuple[str, ...]]
) -> list[AutomationCore]:
    """All of them.

    Args:
        opened, ended: notification blocks by the names of their channels, for groups that open and that are over.
        routes: sources that a channel hears of, by its name; a channel without a route hears of all.
    """
    return [
        _automation(channel, block, events, what, routes.get(channel, ()))
        for what, events, blocks in (("opened", OPENED, opened), ("is over", ENDED, ended))
        for channel, block in blocks.items()
    ]


def _automation(
    channel: str, block: UUID, events: tuple[str, ...], what: str, sources: tuple[str, ...]
) -> AutomationCore:
    return AutomationCore.model_validate(
        {
            "name": f"{PREFIX}{channel} hears that a group {what}",
            "description": "One message for each failure group and window, by the events that runs emit.",
            "trigger": {
                "type": "event",
                "posture": "Reactive",
                "expect": list(events),
                "match": {"prefect.resource.id": ["reprise.*"]},
                # A group may be of several queues, so no route can be read from its own id.
                "match_related": {"prefect.resource.id": list(sources)} if sources else {},
                "for_each": ["prefect.resource.id"],
                "threshold": 1,
                "within": 0,
            },
            "actions": [
                {
                    "type": "send-notification",
                    "block_document_id": str(block),
                    "subject": _RESOURCE if channel == "pagerduty" else _SUBJECT,
                    "body": _SUBJECT if channel == "pagerduty" else _TEXT,
                }
            ],
        }
    )


def routes(given: str, channels: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Return the sources whose events each channel receives.

    Args:
        given: as "slack=dead_letters/orders-*,outbox_records/*; pagerduty=*/billing-*": a path or `*`, and the name of
            a queue, table, task or flow, which may end in `*`.
        channels: the names that may stand there.

    Raises:
        BadInput: it cannot be read.
    """
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, map(str.strip, given.split(";"))):
        channel, equals, patterns = part.partition("=")
        if not equals or channel.strip() not in channels:
            names = ", ".join(sorted(channels))
            raise BadInput(f"REPRISE_NOTIFY_ROUTES: {part!r}: expected one of {names}, and = behind it")
        found[channel.strip()] = tuple(
            dict.fromkeys(name for pattern in patterns.split(",") for name in _sources(pattern.strip()))
        )
    return found


def _sources(pattern: str) -> Iterator[str]:
    path, slash, source = pattern.partition("/")
    if not slash or not source or "*" in source[:-1] or (path != "*" and path not in PATHS):
        names = ", ".join(PATHS)
        raise BadInput(
            f"REPRISE_NOTIFY_ROUTES: {pattern!r}: expected a path ({names} or *), a slash, and a name that may end in *"
        )
    for each in PATHS if path == "*" else (path,):
        yield f"reprise.source.{each}.{source}"
