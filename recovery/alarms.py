"""CloudWatch alarms that a person names: while one is in ALARM, nothing of its scope is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recovery.aws import calling

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

ACTIONS = {"is_alarmed": ("cloudwatch:DescribeAlarms",)}


class Watch:
    """Asks CloudWatch for the state of alarms.

    Args:
        client: a boto3 CloudWatch client.
    """

    def __init__(self, client: CloudWatchClient) -> None:
        self._client = client

    def is_alarmed(self, alarm: str) -> bool | None:
        """True when an alarm is in ALARM; None where there is no such alarm."""
        with calling("cloudwatch:DescribeAlarms"):
            answer: Any = self._client.describe_alarms(AlarmNames=[alarm], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
        return found[0]["StateValue"] == "ALARM" if found else None
