"""The relay's loop. One thread: receive, translate, ring, post, and only then delete.

Nothing is let go of before the Prefect server accepted it. While the server is away nothing more is received, what was
received is kept hidden, and everything goes on by itself when it is back. A relay that is killed leaves its events in
the queue; they come again with the same ids, which Prefect drops as repetitions.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from deployments.relay.bursts import Bursts, Telling
from deployments.relay.prefect_events import BATCH, PrefectEvents, ServerAway
from deployments.relay.queue import VISIBILITY, Arrival, EventsQueue
from recovery.errors import BadInput, RepriseError
from recovery.events.hints import Hint, translate

log = logging.getLogger("reprise.relay")

MOST_HELD = 1_000
"""Events in hand beyond which nothing more is received: memory is bounded, the rest waits safely in SQS."""
_LONGEST_WAIT = 15.0
_BELL_RESTS = timedelta(seconds=30)
_STALE = timedelta(seconds=90)


class Doorbell(Protocol):
    """Something that AWS does not announce and the relay looks at by itself."""

    def listen(self, now: datetime) -> Sequence[Hint]:
        """What to tell now; looks only as often as it should."""
        ...


@dataclass
class Counts:
    """What the relay has done since it started.

    Attributes:
        received, posted, parked, rung: events.
        lag: seconds that the last posted event had waited in the queue.
        away: how often the server did not accept.
    """

    received: int = 0
    posted: int = 0
    parked: int = 0
    rung: int = 0
    away: int = 0
    lag: float = 0.0


class Relay:
    """The loop and its state.

    Args:
        queue: the events queue.
        events: where events are posted.
        doorbells: what is looked at beside the queue.
        now: the time by AWS's clock.
        stop: set to end the loop; also what waits are made of.
    """

    def __init__(
        self,
        queue: EventsQueue,
        events: PrefectEvents,
        doorbells: Sequence[Doorbell],
        now: Callable[[], datetime],
        stop: threading.Event,
    ) -> None:
        self.counts = Counts()
        self._queue = queue
        self._events = events
        self._doorbells = doorbells
        self._now = now
        self._stop = stop
        self._bursts = Bursts()
        self._pending: list[Telling] = []
        self._sent: dict[str, float] = {}  # receipt -> when its event was sent
        self._kept = now()
        self._wait = 1.0  # seconds until the server is tried again
        self._resting: dict[int, datetime] = {}  # doorbells that failed, by place
        self._lived = now()

    @property
    def is_healthy(self) -> bool:
        """Whether the loop has gone round lately: it does so even while AWS or the server is away."""
        return self._now() - self._lived < _STALE

    def run(self) -> None:
        """Go round until told to stop; then post what is in hand once more, and give the rest back."""
        while not self._stop.is_set():
            self.round(wait=1)
        self._pending += self._bursts.ended(self._now() + timedelta(days=1))
        self.tell()
        self._queue.keep(list(self._sent), 0)

    def round(self, wait: int) -> None:
        """One round: receive (long-polling so many seconds), listen at the doors, post."""
        self._lived = self._now()
        if not self.is_away:
            try:
                if len(self._sent) < MOST_HELD:
                    for arrival in self._queue.receive(wait):
                        self.take(arrival)
                else:
                    self._stop.wait(wait)
            except RepriseError as error:
                log.warning("the events queue could not be used: %s", error)
                self._stop.wait(1)
            self._listen()
        self._pending += self._bursts.ended(self._now())
        self.tell()

    def _listen(self) -> None:
        for place, bell in enumerate(self._doorbells):
            now = self._now()
            if now < self._resting.get(place, now):
                continue
            try:
                for hint in bell.listen(now):
                    self.counts.rung += 1
                    self._add(hint, None)
            except RepriseError as error:
                # The other bells and the events queue go on.
                log.warning("a doorbell rests for %d s: %s", _BELL_RESTS.total_seconds(), error)
                self._resting[place] = now + _BELL_RESTS

    @property
    def is_away(self) -> bool:
        """The last post was not accepted: nothing more is received until one is."""
        return self._wait > 1.0

    def take(self, arrival: Arrival) -> None:
        """Translate one event; park it with its reason when it cannot be read."""
        self.counts.received += 1
        try:
            hints = translate(arrival.body, arrival.message_id, self._now())
        except BadInput as error:
            self._queue.park(arrival, str(error))
            self.counts.parked += 1
            log.warning("parked %s: %s", arrival.message_id, error)
            return
        if not hints:
            self._queue.delete([arrival.receipt])
            return
        self._sent[arrival.receipt] = arrival.sent
        for index, hint in enumerate(hints):
            # A message with several events is let go of with the last of them.
            self._add(hint, arrival.receipt if index == len(hints) - 1 else None)

    def tell(self) -> None:
        """Post what is in hand; what was accepted is deleted from the queue."""
        while self._pending:
            batch = self._pending[:BATCH]
            try:
                self._events.post(batch)
            except ServerAway as away:
                self.counts.away += 1
                wait = self._longer()
                log.warning("%s; %d events wait, next try in %.0f s", away, len(self._pending), wait)
                self._keep()
                self._stop.wait(wait)
                return
            self._wait = 1.0
            accepted = [str(ticket) for telling in batch for ticket in telling.tickets]
            self.counts.posted += len(batch)
            self._pending = self._pending[BATCH:]
            self._let_go(accepted)
            self._lived = self._now()
        self._keep()

    def _add(self, hint: Hint, ticket: str | None) -> None:
        telling = self._bursts.add(hint, ticket, self._now())
        if telling is not None:
            self._pending.append(telling)

    def _let_go(self, receipts: Sequence[str]) -> None:
        if not receipts:
            return
        now = self._now().timestamp()
        self.counts.lag = max(now - self._sent.get(receipt, now) for receipt in receipts)
        for receipt in receipts:
            self._sent.pop(receipt, None)
        try:
            self._queue.delete(receipts)
        except RepriseError as error:
            log.warning("accepted events could not be deleted and will come again: %s", error)

    def _keep(self) -> None:
        """Keep what is in hand hidden from other relays for longer, well before its time is up."""
        if self._sent and self._now() - self._kept > timedelta(seconds=VISIBILITY / 3):
            self._queue.keep(list(self._sent))
            self._kept = self._now()
        elif not self._sent:
            self._kept = self._now()

    def _longer(self) -> float:
        self._wait = min(_LONGEST_WAIT, self._wait * 2)
        return self._wait
