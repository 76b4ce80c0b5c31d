"""CloudWatch: publishes numbers in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recovery.aws import calling
from recovery.metrics.series import Datum

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

MOST_METRICS = 1_000
"""In one PutMetricData."""
MOST_BYTES = 900_000
"""In one PutMetricData, before compression; AWS takes 1 MB."""

ACTIONS = {"put": ("cloudwatch:PutMetricData",)}
"""IAM actions of each method; the shipped policy is exactly the sum of these tables."""


class MetricsGateway:
    """Publishes into one namespace.

    Args:
        client: a boto3 CloudWatch client whose own retries are off: PutMetricData knows no idempotency, and what is
            sent twice is counted twice.
        namespace: of the metrics.
    """

    def __init__(self, client: CloudWatchClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    def put(self, batch: Sequence[Datum], now: datetime) -> None:
        """Publish one batch.

        Raises:
            Transient: it was certainly not carried out, and may be tried again.
            OutcomeUnknown: it may have been counted; repeating it would count twice.
            Refused: no permission, or something that CloudWatch does not take.
        """
        data: list[Any] = [_spelled(datum, now) for datum in batch]
        with calling("cloudwatch:PutMetricData"):
            self._client.put_metric_data(Namespace=self.namespace, MetricData=data)


def batches(data: Sequence[Datum], metrics: int = MOST_METRICS, size: int = MOST_BYTES) -> Iterator[list[Datum]]:
    """The data in as few requests as CloudWatch's limits allow."""
    batch: list[Datum] = []
    room = size
    for datum in data:
        needed = _bytes(datum)
        if batch and (len(batch) >= metrics or needed > room):
            yield batch
            batch, room = [], size
        batch.append(datum)
        room -= needed
    if batch:
        yield batch


def _spelled(datum: Datum, now: datetime) -> dict[str, Any]:
    spelled: dict[str, Any] = {
        "MetricName": datum.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.dimensions()],
        "Timestamp": now,
        "Unit": datum.unit,
    }
    if datum.samples == 1:
        return {**spelled, "Value": float(datum.value)}
    return {**spelled, "Values": [float(datum.value)], "Counts": [float(datum.samples)]}


def _bytes(datum: Datum) -> int:
    # An upper bound of its form on the wire: names, values and about forty bytes for each member around them.
    return 300 + len(datum.name) + sum(len(name) + len(value) + 80 for name, value in datum.dimensions())
