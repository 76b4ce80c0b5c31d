"""Lambda, as far as it says who consumes a queue. Thin: reads only, and nothing of a function's code or variables."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.aws import calling, require_field
from recovery.consumers.models import Consumer, Function, Load
from recovery.errors import Refused, RepriseError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

ACTIONS = {
    "of_queue": (
        "lambda:ListEventSourceMappings",
        "lambda:GetFunctionConfiguration",
        "lambda:GetFunctionConcurrency",
    ),
    "load": ("cloudwatch:GetMetricData",),
}
_PERIOD = 60
_LONGEST = timedelta(days=14)
"""CloudWatch keeps minutes for 15 days."""


class Consumers:
    """Asks Lambda once for each queue and function.

    Args:
        client: a boto3 Lambda client.
        cloudwatch: a boto3 CloudWatch client.
    """

    def __init__(self, client: Any, cloudwatch: CloudWatchClient) -> None:
        self._client = client  # boto3's stubs of Lambda are not among this project's
        self._cloudwatch = cloudwatch
        self._queues: dict[str, list[Consumer]] = {}
        self._functions: dict[str, Function] = {}

    def of_queue(self, arn: str) -> list[Consumer]:
        """The event source mappings of a queue, with their functions.

        Raises:
            Refused: this role may not ask.
            Transient: it could not be asked now.
        """
        if arn not in self._queues:
            with calling("lambda:ListEventSourceMappings"):
                pages = self._client.get_paginator("list_event_source_mappings").paginate(EventSourceArn=arn)
                found = [
                    each
                    for page in pages
                    for each in require_field(page, "EventSourceMappings", "lambda:ListEventSourceMappings")
                ]
            self._queues[arn] = [self._consumer(mapping) for mapping in found]
        return self._queues[arn]

    def load(self, function: str, since: datetime, until: datetime) -> Load:
        """Throttles and invocations of a function, by minute.

        Raises:
            Refused, Transient: CloudWatch could not be asked.
        """
        since = max(since, until - _LONGEST)
        wanted = {"throttles": "Throttles", "invocations": "Invocations"}
        found: dict[str, dict[int, float]] = {name: {} for name in wanted}
        with calling("cloudwatch:GetMetricData"):
            pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
                MetricDataQueries=[
                    {
                        "Id": name,
                        "MetricStat": {
                            "Metric": {
                                "Namespace": "AWS/Lambda",
                                "MetricName": metric,
                                "Dimensions": [{"Name": "FunctionName", "Value": function}],
                            },
                            "Period": _PERIOD,
                            "Stat": "Sum",
                        },
                    }
                    for name, metric in wanted.items()
                ],
                StartTime=since.replace(second=0, microsecond=0),
                EndTime=until + timedelta(seconds=_PERIOD),
            )
            for page in pages:
                for result in require_field(page, "MetricDataResults", "cloudwatch:GetMetricData"):
                    values = zip(result.get("Timestamps", []), result.get("Values", []), strict=True)
                    found[result["Id"]].update({int(moment.timestamp()) // 60: value for moment, value in values})
        return Load(found["throttles"], found["invocations"])

    def _consumer(self, mapping: dict[str, Any]) -> Consumer:
        arn = str(mapping.get("FunctionArn", ""))
        consumer = Consumer(
            function_arn=arn,
            state=str(mapping.get("State", "Enabled")),
            batching_seconds=int(mapping.get("MaximumBatchingWindowInSeconds") or 0),
            batch_size=int(mapping.get("BatchSize") or 1),
            reports_items="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
            most_at_once=int((mapping.get("ScalingConfig") or {}).get("MaximumConcurrency") or 0),
        )
        try:
            return replace(consumer, function=self._function(arn))
        except RepriseError as error:
            return replace(consumer, problem=f"function {consumer.name}: {error}")

    def _function(self, arn: str) -> Function:
        if arn not in self._functions:
            with calling("lambda:GetFunctionConfiguration"):
                found = self._client.get_function_configuration(FunctionName=arn)
            name = str(require_field(found, "FunctionName", "lambda:GetFunctionConfiguration"))
            logging = found.get("LoggingConfig") or {}
            self._functions[arn] = Function(
                name=name,
                log_group=str(logging.get("LogGroup") or f"/aws/lambda/{name}"),
                log_format=str(logging.get("LogFormat") or "Text"),
                timeout_seconds=int(found.get("Timeout") or 900),
                reserved=self._reserved(arn),
                log_level=str(logging.get("ApplicationLogLevel") or ""),
            )
        return self._functions[arn]

    def _reserved(self, arn: str) -> int | None:
        """The reserved concurrency; unknown where this role may not ask, which takes nothing from the rest."""
        head, _, name = arn.partition(":function:")
        try:
            with calling("lambda:GetFunctionConcurrency"):
                found = self._client.get_function_concurrency(FunctionName=f"{head}:function:{name.split(':')[0]}")
        except Refused:
            return None
        reserved = found.get("ReservedConcurrentExecutions")
        return None if reserved is None else int(reserved)
