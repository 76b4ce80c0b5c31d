"""The relay's own numbers in CloudWatch: what came in, what went out, what was parked, and how long events waited.

One `PutMetricData` a minute, whatever happens: about 44,000 a month, and one series per name. Zeros are published too,
so an alarm on missing data means that no relay runs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.errors import OutcomeUnknown, RepriseError
from recovery.metrics.gateway import MetricsGateway
from recovery.metrics.series import Datum

log = logging.getLogger("reprise.relay")

EVERY = timedelta(minutes=1)
PATH = "relay"
"""The relay is a path of its own beside the four: the same dimension, and no other."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counts of the relay since it started, and of the messages in hand.

    Attributes:
        received, posted, parked, unacknowledged: events.
        away: posts that the server did not accept.
        queue_errors: times that the events queue could not be read.
        resting: pollers that rest now because they failed.
        lag: the longest that an event accepted since the last reading had waited in the queue, seconds.
        held: messages in hand now.
    """

    received: int = 0
    posted: int = 0
    parked: int = 0
    unacknowledged: int = 0
    away: int = 0
    queue_errors: int = 0
    resting: int = 0
    lag: float = 0.0
    held: int = 0


class RelayMetrics:
    """Publishes what changed since the last time.

    Args:
        gateway: publishes; one without a namespace is never asked.
    """

    def __init__(self, gateway: MetricsGateway) -> None:
        self._gateway = gateway
        self._before = Reading()
        self._published: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """True when a minute has passed."""
        return bool(self._gateway.namespace) and (self._published is None or now - self._published >= EVERY)

    def publish(self, reading: Reading, now: datetime) -> None:
        """Publish; what cannot be published is counted into the next minute's numbers."""
        if not self._gateway.namespace:
            return
        self._published = now
        before = self._before
        counts = {
            "Received": reading.received - before.received,
            "Posted": reading.posted - before.posted,
            "Parked": reading.parked - before.parked,
            "Unacknowledged": reading.unacknowledged - before.unacknowledged,
            "Away": reading.away - before.away,
            "QueueErrors": reading.queue_errors - before.queue_errors,
            "Resting": reading.resting,
            "Held": reading.held,
        }
        data = [Datum(name, PATH, value) for name, value in counts.items()]
        try:
            self._gateway.put([*data, Datum("Lag", PATH, reading.lag, "Seconds")], now)
        except OutcomeUnknown as error:
            log.warning("metrics may not have been published: %s", error)  # twice would be worse
        except RepriseError as error:
            log.warning("metrics could not be published: %s", error)
            return
        self._before = reading
