"""Slack, PagerDuty, Teams, Opsgenie, e-mail or a webhook, called by the Prefect server through Prefect's own blocks.

A variable that is set saves the block; one that is not leaves what is saved. To end the notices, delete the block on
the Blocks page and apply again. Prefect keeps the addresses and keys encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

from prefect.blocks.core import Block
from prefect.blocks.notifications import (
    CustomWebhookNotificationBlock,
    MicrosoftTeamsWebhook,
    OpsgenieWebhook,
    PagerDutyWebHook,
    SendgridEmail,
    SlackWebhook,
)
from pydantic import SecretStr

from deployments.apply.differences import Change, Difference
from recovery import settings
from recovery.errors import BadInput


class Use(Enum):
    """Occasions on which a channel is used."""

    OPERATIONS = auto()  # Reprise itself is in trouble
    OPENED = auto()  # a failure group or a circuit opened, or lasts
    ENDED = auto()  # it is over


@dataclass(frozen=True)
class Channel:
    """One way to be notified.

    Attributes:
        name: of the saved block.
        kind: the block's class.
        setting: the variable that holds its address or key.
        fill: the block's fields from the variable's value.
        route: its name in REPRISE_NOTIFY_ROUTES.
        uses: occasions on which it is used.
    """

    name: str
    kind: type[Block]
    setting: str
    fill: Callable[[str], dict[str, Any]]
    route: str
    uses: frozenset[Use] = frozenset(Use)

    def wanted(self, environment: Mapping[str, str]) -> Block | None:
        """The block that the environment asks for, or None.

        Raises:
            BadInput: the variable's value cannot be used.
        """
        value = settings.read(self.setting, environment)
        if not value:
            return None
        try:
            return self.kind(**self.fill(value))
        except ValueError:
            # Not the error's own words: they repeat the value, which is a secret.
            raise BadInput(f"{self.setting} cannot be used: expected {settings.meaning(self.setting)}") from None

    def saved(self) -> Block | None:
        """The saved block, or None."""
        try:
            return self.kind.load(self.name)  # type: ignore[return-value]
        except ValueError:
            return None

    def id(self) -> UUID | None:
        """The id of the saved block, or None."""
        saved = self.saved()
        return saved._block_document_id if saved else None


def _pager(key: str) -> dict[str, Any]:
    if len(key) != 32:
        raise ValueError("an integration key has 32 characters")
    # Apprise insists on an API key as well; PagerDuty takes events by the integration key alone.
    return {"integration_key": SecretStr(key), "api_key": SecretStr(key), "source": "Reprise", "component": "recovery"}


def _slack(url: str) -> dict[str, Any]:
    # Apprise, which Prefect leaves this to, takes no other address, and complains of one only in a log.
    if not url.startswith("https://hooks.slack.com/services/"):
        raise ValueError("no address of an incoming webhook")
    return {"url": SecretStr(url)}


def _address(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("an address begins with https://")
    return url


def _teams(url: str) -> dict[str, Any]:
    return {"url": SecretStr(_address(url))}


def _email(given: str) -> dict[str, Any]:
    key, sender, *people = given.split()
    if not people or "@" not in sender or any("@" not in person for person in people):
        raise ValueError("an API key, a sender and at least one address")
    return {"api_key": SecretStr(key), "sender_email": sender, "to_emails": people}


def _incident(action: str) -> Callable[[str], dict[str, Any]]:
    """Return what fills the block that opens or resolves the one incident of a group, by PagerDuty's Events API v2.

    The subject is the resource of the event: the same for the whole life of a group, so it is the incident's key.
    """

    def fill(key: str) -> dict[str, Any]:
        _pager(key)
        about = {"summary": "{{body}}", "source": "Reprise", "severity": "error"}
        return {
            "name": "reprise",
            "url": settings.read("REPRISE_NOTIFY_PAGERDUTY_URL"),
            "secrets": {"key": key},
            "json_data": {
                "routing_key": "{{key}}",
                "event_action": action,
                "dedup_key": "{{subject}}",
                **({"payload": about} if action == "trigger" else {}),
            },
        }

    return fill


_PAGER = "REPRISE_NOTIFY_PAGERDUTY_KEY"
CHANNELS = (
    Channel("reprise-slack", SlackWebhook, "REPRISE_NOTIFY_SLACK_URL", _slack, "slack"),
    Channel("reprise-pagerduty", PagerDutyWebHook, _PAGER, _pager, "pagerduty", frozenset({Use.OPERATIONS})),
    Channel(
        "reprise-pagerduty-trigger",
        CustomWebhookNotificationBlock,
        _PAGER,
        _incident("trigger"),
        "pagerduty",
        frozenset({Use.OPENED}),
    ),
    Channel(
        "reprise-pagerduty-resolve",
        CustomWebhookNotificationBlock,
        _PAGER,
        _incident("resolve"),
        "pagerduty",
        frozenset({Use.ENDED}),
    ),
    Channel("reprise-teams", MicrosoftTeamsWebhook, "REPRISE_NOTIFY_TEAMS_URL", _teams, "teams"),
    Channel(
        "reprise-opsgenie",
        OpsgenieWebhook,
        "REPRISE_NOTIFY_OPSGENIE_KEY",
        lambda key: {"apikey": SecretStr(key)},
        "opsgenie",
    ),
    Channel("reprise-email", SendgridEmail, "REPRISE_NOTIFY_SENDGRID", _email, "email"),
    Channel(
        "reprise-webhook",
        CustomWebhookNotificationBlock,
        "REPRISE_NOTIFY_WEBHOOK_URL",
        lambda url: {
            "name": "reprise",
            # By reference, since Prefect keeps only the secrets of this block encrypted.
            "url": "{{address}}",
            "secrets": {"address": _address(url)},
            "json_data": {"subject": "{{subject}}", "text": "{{body}}"},
        },
        "webhook",
    ),
)


ROUTED = frozenset(channel.route for channel in CHANNELS)
"""Names of channels in REPRISE_NOTIFY_ROUTES."""


def changes(environment: Mapping[str, str]) -> list[Change]:
    """Return the blocks that are missing or differ from the environment; values are not shown."""
    found = []
    for channel in CHANNELS:
        wanted = channel.wanted(environment)
        if wanted is None:
            continue
        saved = channel.saved()
        if saved is None:
            found.append(Change("notification block", channel.name))
        elif _content(saved) != _content(wanted):
            hidden = Difference("address or key", "(as saved)", f"(as {channel.setting} says)")
            found.append(Change("notification block", channel.name, (hidden,)))
    return found


def make(environment: Mapping[str, str]) -> None:
    """Save the blocks that the environment asks for."""
    for channel in CHANNELS:
        wanted = channel.wanted(environment)
        if wanted is None:
            continue
        saved = channel.saved()
        if saved is None or _content(saved) != _content(wanted):
            wanted.save(channel.name, overwrite=True)


def saved(use: Use) -> dict[str, UUID]:
    """Return all saved blocks of an occasion, by the names of their channels in routes."""
    return {channel.route: found for channel in CHANNELS if use in channel.uses and (found := channel.id())}


def _content(block: Block) -> dict[str, Any]:
    return {name: _revealed(getattr(block, name)) for name in type(block).model_fields}


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value
