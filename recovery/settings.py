"""The settings that the project reads from the environment, in one place.

The README's table is tested against `SETTINGS`. Everything of AWS itself (region, credentials, endpoints) is boto3's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from recovery.errors import BadInput


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable.

    Attributes:
        name: the variable.
        meaning: one line for the README.
        default: its value when unset; None when it must be set (or come from a saved estate block).
        may_be_empty: set to nothing means nothing, not the default.
    """

    name: str
    meaning: str
    default: str | None = None
    may_be_empty: bool = False


SETTINGS = (
    Setting("REPRISE_LEDGER_TABLE", "name of the DynamoDB ledger table"),
    Setting("REPRISE_ARCHIVE_BUCKET", "name of the S3 archive bucket"),
    Setting("REPRISE_ALERT_TOPIC_ARN", "ARN of the SNS topic that notifies people"),
    Setting(
        "REPRISE_METRICS_NAMESPACE",
        "CloudWatch namespace of the metrics; empty: none are published",
        "Reprise",
        may_be_empty=True,
    ),
    Setting(
        "REPRISE_ARCHIVE_DAYS", "days that the bucket keeps an archived item (the template's RetentionDays)", "400"
    ),
    Setting("REPRISE_LOG_LEVEL", "level of the line logged for each action and group", "INFO"),
    Setting("REPRISE_ALLOWED_HOSTS", "names under which people and workers reach the server, for `reprise server`", ""),
    Setting("REPRISE_EVENTS_QUEUE_URL", "URL of the events queue, for the relay (only it needs one)"),
    Setting("REPRISE_EVENTS_PARKED_QUEUE_URL", "URL of its dead-letter queue, for the relay (only it needs one)"),
    Setting("REPRISE_NOTIFY_SLACK_URL", "Slack webhook that is notified of failed runs, for `reprise apply`", ""),
    Setting("REPRISE_NOTIFY_PAGERDUTY_KEY", "PagerDuty integration key (32 characters), as above", ""),
    Setting(
        "REPRISE_NOTIFY_PAGERDUTY_URL",
        "PagerDuty's Events API, which opens and resolves one incident for each group",
        "https://events.pagerduty.com/v2/enqueue",
    ),
    Setting("REPRISE_NOTIFY_TEAMS_URL", "Microsoft Teams webhook, as above", ""),
    Setting("REPRISE_NOTIFY_OPSGENIE_KEY", "Opsgenie API key, as above", ""),
    Setting("REPRISE_NOTIFY_SENDGRID", "SendGrid API key, sender and recipients of e-mail, apart by spaces", ""),
    Setting(
        "REPRISE_NOTIFY_ROUTES",
        "groups that a channel hears of, as `slack=dead_letters/orders-*; pagerduty=*/billing-*`",
        "",
    ),
    Setting("REPRISE_NOTIFY_WEBHOOK_URL", "address that gets a JSON object with `subject` and `text`, as above", ""),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def read(name: str, environment: Mapping[str, str] | None = None) -> str:
    """The value of a setting, or its default.

    Raises:
        BadInput: it is not set and has no default.
    """
    setting = _BY_NAME[name]
    given = (os.environ if environment is None else environment).get(name)
    value = (given or "").strip()
    if value or (setting.may_be_empty and given is not None):
        return value
    if setting.default is None:
        raise BadInput(f"{name} is not set: it must hold the {setting.meaning}")
    return setting.default


def meaning(name: str) -> str:
    """Return the purpose of a setting, in one line."""
    return _BY_NAME[name].meaning


def log_level(environment: Mapping[str, str] | None = None) -> str:
    """The level of the line that each action and group gets.

    Raises:
        BadInput: the variable holds something else than a level.
    """
    level = read("REPRISE_LOG_LEVEL", environment).upper()
    if level not in _LEVELS:
        raise BadInput(f"REPRISE_LOG_LEVEL is {level!r}: expected one of {', '.join(_LEVELS)}")
    return level


def archive_days(environment: Mapping[str, str] | None = None) -> int:
    """Return the number of days for which the archive bucket keeps an object.

    Raises:
        BadInput: the variable does not hold a whole number of at least 1.
    """
    text = read("REPRISE_ARCHIVE_DAYS", environment)
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise BadInput(f"REPRISE_ARCHIVE_DAYS is {text!r}: expected a whole number of days, at least 1")
    return int(text)
