"""Ages of the oldest message of queues, as CloudWatch knows them: a busy queue is never seen empty."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from recovery.aws import calling, require_field

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef, MetricDataQueryTypeDef, MetricTypeDef

ACTIONS = {"taken_until": ("cloudwatch:GetMetricData",)}

LOOK_BACK = timedelta(minutes=15)
"""SQS publishes the metric once a minute, some minutes late."""
UNSURE = timedelta(minutes=1)
"""Ages are whole seconds, a value may be of its minute's beginning or end, and the clocks of a run and of SQS differ:
else the oldest message itself could be taken for one that arrived before it."""


class QueueAges:
    """Asks CloudWatch.

    Args:
        client: a boto3 CloudWatch client.
    """

    def __init__(self, client: CloudWatchClient) -> None:
        self._client = client

    def taken_until(self, queue: str, now: datetime, *, deleting: bool) -> datetime | None:
        """Return a time before which all that had arrived at a queue was taken; None when CloudWatch does not know.

        Taken is what was deleted, has died, or was received three times: such a message leaves the metric (SQS
        developer guide, available metrics). See `settling.Taken`.

        Args:
            queue: name of the queue.
            now: the time.
            deleting: only minutes count in which its consumer deleted something.
        """

        def metric(name: str, stat: Literal["Maximum", "Sum"]) -> MetricDataQueryTypeDef:
            dimensions: list[DimensionTypeDef] = [{"Name": "QueueName", "Value": queue}]
            found: MetricTypeDef = {"Namespace": "AWS/SQS", "MetricName": name, "Dimensions": dimensions}
            return {"Id": stat.lower(), "MetricStat": {"Metric": found, "Period": 60, "Stat": stat}}

        with calling("cloudwatch:GetMetricData"):
            answer = self._client.get_metric_data(
                MetricDataQueries=[
                    metric("ApproximateAgeOfOldestMessage", "Maximum"),
                    *([metric("NumberOfMessagesDeleted", "Sum")] if deleting else []),
                ],
                StartTime=now - LOOK_BACK,
                EndTime=now,
            )
        values = {
            found["Id"]: dict(zip(found.get("Timestamps", []), found.get("Values", []), strict=True))
            for found in require_field(answer, "MetricDataResults", "cloudwatch:GetMetricData")
        }
        taken = [
            moment - timedelta(seconds=age) - UNSURE
            for moment, age in values.get("maximum", {}).items()
            if not deleting or values.get("sum", {}).get(moment)
        ]
        return max(taken, default=None)
