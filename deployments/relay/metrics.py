"""The relay's own numbers in CloudWatch: what came in, what went out, what was parked, and how long events waited.

One `PutMetricData` a minute, whatever happens: about 44,000 a month, and one series per name. Zeros are published too,
so an alarm on missing data tells that no relay runs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.aws import calling
from recovery.errors import RepriseError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

log = logging.getLogger("reprise.relay")

EVERY = timedelta(minutes=1)
ACTIONS = {"publish": ("cloudwatch:PutMetricData",)}
DIMENSIONS = [{"Name": "Path", "Value": "relay"}]
"""The relay is a path of its own beside the four: the same dimension, and no other."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the relay has counted since it started, and what it holds.

    Attributes:
        received, posted, parked, unheard: events.
        lag: the longest that an event accepted since the last reading had waited in the queue, seconds.
        held: messages in hand now.
    """

    received: int = 0
    posted: int = 0
    parked: int = 0
    unheard: int = 0
    lag: float = 0.0
    held: int = 0


class RelayMetrics:
    """Publishes what changed since the last time.

    Args:
        client: a boto3 CloudWatch client.
        namespace: of the metrics; "" publishes none.
    """

    def __init__(self, client: CloudWatchClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._before = Reading()
        self._published: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether a minute has passed."""
        return bool(self._namespace) and (self._published is None or now - self._published >= EVERY)

    def publish(self, reading: Reading, now: datetime) -> None:
        """Publish; what cannot be published is counted into the next minute's numbers."""
        if not self._namespace:
            return
        self._published = now
        before = self._before
        data: list[Any] = [
            _datum("Received", reading.received - before.received, "Count", now),
            _datum("Posted", reading.posted - before.posted, "Count", now),
            _datum("Parked", reading.parked - before.parked, "Count", now),
            _datum("Unheard", reading.unheard - before.unheard, "Count", now),
            _datum("Lag", reading.lag, "Seconds", now),
            _datum("Held", reading.held, "Count", now),
        ]
        try:
            with calling("cloudwatch:PutMetricData"):
                self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
        except RepriseError as error:
            log.warning("metrics could not be published: %s", error)
            return
        self._before = reading


def _datum(name: str, value: float, unit: str, now: datetime) -> dict[str, Any]:
    return {"MetricName": name, "Dimensions": DIMENSIONS, "Timestamp": now, "Value": value, "Unit": unit}
