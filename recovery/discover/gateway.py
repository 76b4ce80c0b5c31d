"""SQS, CloudWatch and CloudWatch Logs, as far as they describe a set-up. Thin: reads only, and no message."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.aws import calling, require_field
from recovery.discover.faults import AGE, METRICS
from recovery.discover.models import Alarm, LogGroup, QueueFacts

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

ACTIONS = {
    "queues": ("sqs:ListQueues",),
    "queue": ("sqs:GetQueueAttributes",),
    "alarms": ("cloudwatch:DescribeAlarmsForMetric",),
    "ages": ("cloudwatch:GetMetricData",),
    "log_group": ("logs:DescribeLogGroups",),
}
_QUERIES = 500
"""Metrics in one request. Source: GetMetricData, `MetricDataQueries`."""
_RECENT = timedelta(minutes=15)


class Surveyor:
    """Asks AWS about queues.

    Args:
        sqs, cloudwatch, logs: boto3 clients.
    """

    def __init__(self, sqs: SQSClient, cloudwatch: CloudWatchClient, logs: CloudWatchLogsClient) -> None:
        self._sqs = sqs
        self._cloudwatch = cloudwatch
        self._logs = logs

    def queues(self) -> list[str]:
        """URLs of all queues of the account and region.

        Raises:
            Refused, Transient: they could not be listed.
        """
        with calling("sqs:ListQueues"):
            pages = self._sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1000})
            return [url for page in pages for url in page.get("QueueUrls", [])]

    def queue(self, url: str) -> QueueFacts:
        """A queue.

        Raises:
            Refused, Transient: it could not be read.
        """
        with calling("sqs:GetQueueAttributes"):
            answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found: Mapping[str, str] = require_field(answer, "Attributes", "sqs:GetQueueAttributes")
        arn = require_field(found, "QueueArn", "sqs:GetQueueAttributes")
        redrive, allow = _document(found.get("RedrivePolicy")), _document(found.get("RedriveAllowPolicy"))
        return QueueFacts(
            name=arn.rpartition(":")[2],
            arn=arn,
            visible=int(found.get("ApproximateNumberOfMessages", "0")),
            hidden=int(found.get("ApproximateNumberOfMessagesNotVisible", "0")),
            retention_seconds=int(found.get("MessageRetentionPeriod", "345600")),
            visibility_seconds=int(found.get("VisibilityTimeout", "30")),
            dead_arn=str(redrive.get("deadLetterTargetArn") or ""),
            max_receives=_count(redrive.get("maxReceiveCount")),
            admits=str(allow.get("redrivePermission") or "allowAll"),
            admitted=tuple(str(each) for each in allow.get("sourceQueueArns") or ()),
        )

    def alarms(self, queue: str) -> list[Alarm]:
        """The alarms on a queue's depth, age and sends.

        Raises:
            Refused, Transient: CloudWatch could not be asked.
        """
        found = []
        for metric in METRICS:
            with calling("cloudwatch:DescribeAlarmsForMetric"):
                answer = self._cloudwatch.describe_alarms_for_metric(
                    MetricName=metric, Namespace="AWS/SQS", Dimensions=[{"Name": "QueueName", "Value": queue}]
                )
            for alarm in require_field(answer, "MetricAlarms", "cloudwatch:DescribeAlarmsForMetric"):
                if alarm.get("MetricName") != metric or not _is_about(alarm.get("Dimensions", []), queue):
                    continue  # some emulators answer with all alarms
                notifies = bool(alarm.get("ActionsEnabled", True) and alarm.get("AlarmActions"))
                found.append(Alarm(str(alarm.get("AlarmName", "")), metric, notifies))
        return found

    def ages(self, queues: Sequence[str], now: datetime) -> dict[str, int]:
        """Age of the oldest message in seconds, by queue; one that CloudWatch has no number of is left out.

        Raises:
            Refused, Transient: CloudWatch could not be asked.
        """
        found: dict[str, int] = {}
        for start in range(0, len(queues), _QUERIES):
            some = queues[start : start + _QUERIES]
            with calling("cloudwatch:GetMetricData"):
                pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
                    MetricDataQueries=[_age_of(name, f"q{number}") for number, name in enumerate(some)],
                    StartTime=now - _RECENT,
                    EndTime=now + timedelta(minutes=1),
                )
                for page in pages:
                    for result in require_field(page, "MetricDataResults", "cloudwatch:GetMetricData"):
                        if result.get("Values"):  # the newest comes first
                            found[some[int(result["Id"][1:])]] = int(result["Values"][0])
        return found

    def log_group(self, name: str) -> LogGroup:
        """A log group.

        Raises:
            Refused, Transient: it could not be asked for.
        """
        with calling("logs:DescribeLogGroups"):
            pages = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
            for page in pages:
                for group in require_field(page, "logGroups", "logs:DescribeLogGroups"):
                    if group.get("logGroupName") == name:
                        days = group.get("retentionInDays")
                        kind = str(group.get("logGroupClass") or "STANDARD")
                        return LogGroup(name, retention_days=int(days) if days else None, log_class=kind)
        return LogGroup(name, exists=False)


def _age_of(queue: str, name: str) -> Any:
    metric = {"Namespace": "AWS/SQS", "MetricName": AGE, "Dimensions": [{"Name": "QueueName", "Value": queue}]}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}


def _is_about(dimensions: Any, queue: str) -> bool:
    return any(each.get("Name") == "QueueName" and each.get("Value") == queue for each in dimensions)


def _document(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0
