"""Ages of the oldest message of queues, as CloudWatch knows them: a busy queue is never seen empty."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from recovery.aws import calling, require_field

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

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

    def taken_until(self, queue: str, now: datetime) -> datetime | None:
        """Return a time before which all that had arrived at a queue was taken; None when CloudWatch does not know.

        A message that was received three times leaves the metric (SQS developer guide, available metrics); what it does
        then is seen by its comeback, not here.

        Args:
            queue: name of the queue.
            now: the time.
        """
        with calling("cloudwatch:GetMetricData"):
            answer = self._client.get_metric_data(
                MetricDataQueries=[
                    {
                        "Id": "age",
                        "MetricStat": {
                            "Metric": {
                                "Namespace": "AWS/SQS",
                                "MetricName": "ApproximateAgeOfOldestMessage",
                                "Dimensions": [{"Name": "QueueName", "Value": queue}],
                            },
                            "Period": 60,
                            "Stat": "Maximum",
                        },
                    }
                ],
                StartTime=now - LOOK_BACK,
                EndTime=now,
            )
        taken = [
            moment - timedelta(seconds=age) - UNSURE
            for found in require_field(answer, "MetricDataResults", "cloudwatch:GetMetricData")
            for moment, age in zip(found.get("Timestamps", []), found.get("Values", []), strict=True)
        ]
        return max(taken, default=None)
