"""Latency and movement of many replications, asked of CloudWatch in few requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.aws import calling, require_field
from recovery.replication_tasks.lag import HABIT, HOUR, STEP, WINDOW, Lag, Series
from recovery.replication_tasks.models import Facts

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef

ACTIONS = {"read": ("cloudwatch:GetMetricData", "cloudwatch:ListMetrics")}
"""IAM actions of each method."""

NAMESPACE = "AWS/DMS"
SOURCE, TARGET, MOVED = "CDCLatencySource", "CDCLatencyTarget", "CDCThroughputRowsTarget"
QUERIES = 500
"""Queries that one GetMetricData takes. (Of its 100,800 values, 500 weeks in hours take 84,000.)"""

Dimensions = Sequence["DimensionTypeDef"]
Wanted = tuple[str, str, Dimensions]
"""A key, the metric's name, and its dimensions."""


class Latencies:
    """Asks CloudWatch. For 500 replications that is one or two pages of ListMetrics and three GetMetricData.

    Args:
        client: a boto3 CloudWatch client.
    """

    def __init__(self, client: CloudWatchClient) -> None:
        self._client = client

    def read(self, replications: Iterable[Facts], now: datetime) -> dict[str, Lag]:
        """Return what CloudWatch counted, by ARN; one of which it counts nothing is missing.

        A task's metrics have its resource id (the end of its ARN) and the identifier of its instance, which no ARN
        holds. The dimensions are those that CloudWatch lists, so none is put together from guesses.

        Raises:
            Refused, Transient: CloudWatch could not be asked.
        """
        named = self._dimensions({_resource(facts.arn): facts for facts in replications})
        if not named:
            return {}
        now = now.replace(second=0, microsecond=0)
        lags = [(arn, name, found) for arn, found in named.items() for name in (SOURCE, TARGET)]
        recent = self._values(lags, STEP, now - WINDOW, now)
        # Whole hours: the one that has just begun would stand still at its beginning.
        hour = now.replace(minute=0)
        habits = self._values([(arn, MOVED, found) for arn, found in named.items()], HOUR, hour - HABIT, hour)
        return {arn: Lag(recent[arn, SOURCE], recent[arn, TARGET], habits[arn, MOVED]) for arn in named}

    def _dimensions(self, wanted: Mapping[str, Facts]) -> dict[str, Dimensions]:
        found: dict[str, Dimensions] = {}
        if not wanted:
            return found
        names = {facts.name.casefold(): facts for facts in wanted.values() if facts.serverless}
        with calling("cloudwatch:ListMetrics"):
            pages = self._client.get_paginator("list_metrics").paginate(
                Namespace=NAMESPACE, MetricName=SOURCE, RecentlyActive="PT3H"
            )
            for page in pages:
                for metric in require_field(page, "Metrics", "cloudwatch:ListMetrics"):
                    dimensions = metric.get("Dimensions", [])
                    for each in dimensions:
                        value = each["Value"].casefold()
                        of_task = each["Name"] == "ReplicationTaskIdentifier"
                        facts = wanted.get(value) or (None if of_task else names.get(value))
                        if facts is not None and facts.serverless != of_task:
                            found.setdefault(facts.arn, dimensions)
        return found

    def _values(
        self, wanted: Sequence[Wanted], period: timedelta, since: datetime, until: datetime
    ) -> dict[tuple[str, str], Series]:
        moments = [since + period * step for step in range(int((until - since) / period))]
        values: dict[tuple[str, str], dict[datetime, float]] = {(key, name): {} for key, name, _ in wanted}
        for start in range(0, len(wanted), QUERIES):
            some = wanted[start : start + QUERIES]
            queries: list[Any] = [
                {
                    "Id": f"q{number}",
                    "MetricStat": {
                        "Metric": {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": list(dimensions)},
                        "Period": int(period.total_seconds()),
                        "Stat": "Maximum",
                    },
                }
                for number, (_, name, dimensions) in enumerate(some)
            ]
            with calling("cloudwatch:GetMetricData"):
                pages = self._client.get_paginator("get_metric_data").paginate(
                    MetricDataQueries=queries, StartTime=since, EndTime=until
                )
                for page in pages:
                    for result in require_field(page, "MetricDataResults", "cloudwatch:GetMetricData"):
                        key, name, _ = some[int(result["Id"][1:])]
                        counted = zip(result.get("Timestamps", []), result.get("Values", []), strict=True)
                        for moment, value in counted:
                            # CloudWatch may begin its periods elsewhere than we do.
                            at = since + period * int((moment - since) / period)
                            values[key, name][at] = max(value, values[key, name].get(at, 0.0))
        return {key: tuple(found.get(moment) for moment in moments) for key, found in values.items()}


def _resource(arn: str) -> str:
    return arn.rsplit(":", 1)[-1].casefold()
