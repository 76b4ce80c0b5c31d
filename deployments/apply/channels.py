"""Slack, PagerDuty or a webhook of one's own, notified by the Prefect server itself through Prefect's own blocks.

A variable that is set saves the block; one that is not leaves what is saved. To end the notices, delete the block on
the Blocks page and apply again. Prefect keeps the addresses and keys encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, PagerDutyWebHook, SlackWebhook
from pydantic import SecretStr

from deployments.apply.differences import Change, Difference
from recovery import settings
from recovery.errors import BadInput


@dataclass(frozen=True)
class Channel:
    """One way to be notified.

    Attributes:
        name: of the saved block.
        kind: the block's class.
        setting: the variable that holds its address or key.
        fill: the block's fields from the variable's value.
    """

    name: str
    kind: type[Block]
    setting: str
    fill: Callable[[str], dict[str, Any]]

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


CHANNELS = (
    Channel("reprise-slack", SlackWebhook, "REPRISE_NOTIFY_SLACK_URL", _slack),
    Channel("reprise-pagerduty", PagerDutyWebHook, "REPRISE_NOTIFY_PAGERDUTY_KEY", _pager),
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
    ),
)


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


def ids() -> list[UUID]:
    """The saved blocks, whoever saved them."""
    return [found for channel in CHANNELS if (found := channel.id())]


def _content(block: Block) -> dict[str, Any]:
    return {name: _revealed(getattr(block, name)) for name in type(block).model_fields}


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value
