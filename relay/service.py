"""The relay's loop. One thread: receive, translate, poll, post, and only then delete.

Nothing is let go of before the Prefect server accepted it. While the server is away nothing more is received, what was
received is kept hidden, and everything goes on by itself when it is back. A relay that is killed leaves its events in
the queue; they come again with the same ids, which Prefect drops as repetitions. A trigger
of which the server made nothing is sent again (unacknowledged.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from recovery.errors import BadInput, RepriseError
from recovery.events.hints import Hint, translate
from relay.bursts import Bursts, OutgoingEvent
from relay.counts import Counts
from relay.in_flight import InFlight
from relay.metrics import Reading, RelayMetrics
from relay.pollers import Poller, Pollers
from relay.prefect_events import BATCH, Misconfigured, PrefectEvents, Rejected, ServerAway
from relay.queue import VISIBILITY, Arrival, EventsQueue
from relay.unacknowledged import Outcome, Unacknowledged

log = logging.getLogger("reprise.relay")

_LONGEST_WAIT = 15.0
_STALE = timedelta(seconds=90)


class Relay:
    """The loop and its state.

    Args:
        queue: the events queue.
        events: takes the posts.
        pollers: sources beside the queue.
        now: the time by AWS's clock.
        stop: set to end the loop; waits are made of it.
        metrics: publishes the counts.
        in_flight: most messages in hand.
    """

    def __init__(
        self,
        queue: EventsQueue,
        events: PrefectEvents,
        pollers: Sequence[Poller],
        now: Callable[[], datetime],
        stop: threading.Event,
        metrics: RelayMetrics | None = None,
        in_flight: InFlight | None = None,
    ) -> None:
        self.counts = Counts()
        self._queue = queue
        self._events = events
        self._pollers = Pollers(pollers, now, self.counts)
        self._now = now
        self._stop = stop
        self._metrics = metrics
        self._held = InFlight() if in_flight is None else in_flight
        self._bursts = Bursts()
        self._unacknowledged = Unacknowledged()
        self._pending: list[OutgoingEvent] = []
        self._kept = now()
        self._wait = 1.0  # seconds until the server is tried again
        self._queue_wait = 1.0  # seconds until the events queue is tried again
        self._longest_lag = 0.0  # since the last publishing of metrics
        self._lived = now()

    @property
    def is_healthy(self) -> bool:
        """True when the loop has gone round lately: it does so even while AWS or the server is away."""
        return self._now() - self._lived < _STALE

    @property
    def is_away(self) -> bool:
        """The last post was not accepted: nothing more is received until one is."""
        return self._wait > 1.0

    def run(self) -> None:
        """Go round until `stop` is set; then post what is in hand once more, and give the rest back."""
        try:
            while not self._stop.is_set():
                self.round(wait=1)
        except BaseException:
            # Nothing is known of what broke: what is held goes back at once, for the relay that is started next.
            self._queue.keep(self._held.receipts, 0)
            raise
        self._pending += self._bursts.ended(self._now() + timedelta(days=1))
        self.post_pending()
        self._queue.keep(self._held.receipts, 0)
        self._pollers.leave()
        self._publish(at_once=True)

    def round(self, wait: int) -> None:
        """One round: receive (long-polling so many seconds), poll the other sources, post."""
        self._lived = self._now()
        if not self.is_away:
            if self._held.is_full:
                self._stop.wait(wait)
            else:
                self._receive(wait)
            self._pollers.poll(lambda hint: self._add(hint, None), self._after_poller)
            self._listen_after()
        self._pending += self._bursts.ended(self._now())
        self.post_pending()
        self._publish()

    def _receive(self, wait: int) -> None:
        try:
            arrivals = self._queue.receive(wait)
        except RepriseError as error:
            self.counts.queue_errors += 1
            self.counts.wrong("events queue", f"the events queue could not be read: {error}")
            log.warning("the events queue could not be used, next try in %.0f s: %s", self._queue_wait, error)
            self._stop.wait(self._queue_wait)
            self._queue_wait = min(_LONGEST_WAIT, self._queue_wait * 2)
            return
        self._queue_wait = 1.0
        self.counts.wrong("events queue", "")
        for arrival in arrivals:
            try:
                self.take(arrival)
            except RepriseError as error:
                log.warning("%s comes again: %s", arrival.message_id, error)
            except Exception as error:  # noqa: BLE001 - one event that breaks our code stops no other
                # SQS parks it after its last receipt. Its error's own words may quote it, so they are not logged.
                log.error("%s could not be taken (%s), and comes again", arrival.message_id, type(error).__name__)

    def _after_poller(self) -> None:
        self._lived = self._now()  # a slow answer of AWS is no standstill of ours
        self._keep()

    def _listen_after(self) -> None:
        """Send a trigger again of which the server made nothing, or only a run that was cancelled behind another."""
        now = self._now()
        due = self._unacknowledged.due(now)
        if not due:
            return
        try:
            acted_on = self._events.acted_on(due.values())
            missing = [identity for identity in due.values() if identity not in acted_on]
            awaited = self._events.awaited() if missing else set(due)
        except (ServerAway, Rejected) as away:
            log.warning("the server could not be asked what became of triggers: %s", away)
            self._unacknowledged.later(now)
            return
        for name, identity in due.items():
            if acted_on.get(identity) is Outcome.FAILED:
                log.error("%s was sent, and no run could be made: see the server's event feed", name)
        again, lost = self._unacknowledged.settle(acted_on, awaited, now)
        self._pending += again
        for name in lost:
            log.error(
                "%s was sent %s, and no run was made; the next sweep finds what it was about", name, "several times"
            )
        self.counts.unacknowledged += len(lost)

    def take(self, arrival: Arrival) -> None:
        """Translate one event; park it with its reason when it cannot be read.

        Raises:
            Transient, Refused: it could neither be parked nor removed; it stays in the queue.
        """
        self.counts.received += 1
        try:
            hints = translate(arrival.body, arrival.message_id, self._now())
        except BadInput as error:
            self._park(arrival, str(error))
            return
        if not hints:
            self._queue.delete([arrival.receipt])
            return
        self._held.take(arrival, len(hints))
        for hint in hints:
            self._add(hint, arrival.receipt)

    def post_pending(self) -> None:
        """Post what is in hand; what was accepted is deleted from the queue."""
        while self._pending:
            batch = self._pending[:BATCH]
            try:
                self._post(batch)
            except ServerAway as away:
                self.counts.away += 1
                self.counts.wrong("server", str(away))
                self._wait = min(_LONGEST_WAIT, self._wait * 2)
                log.log(
                    logging.ERROR if isinstance(away, Misconfigured) else logging.WARNING,
                    "%s; %d events wait, next try in %.0f s",
                    away,
                    len(self._pending),
                    self._wait,
                )
                self._keep()
                self._stop.wait(self._wait)
                return
            self._wait = 1.0
            self.counts.wrong("server", "")
            self._lived = self._now()
            self._keep()
        self._keep()

    def _post(self, batch: Sequence[OutgoingEvent]) -> None:
        """Post some, and take them from what is pending; one by one where the server rejects any of them."""
        try:
            self._events.post(batch)
        except Rejected as rejected:
            if len(batch) == 1:
                self._pending = self._pending[1:]
                self._give_up(batch[0], str(rejected))
                return
            for outgoing in batch:
                self._post([outgoing])
            return
        self._pending = self._pending[len(batch) :]
        self.counts.posted += len(batch)
        now = self._now()
        for outgoing in batch:
            if outgoing.triggers:
                self._unacknowledged.triggered(outgoing.hint, now)
        self._let_go(self._held.accepted(receipt for outgoing in batch for receipt in outgoing.receipts))

    def _give_up(self, outgoing: OutgoingEvent, reason: str) -> None:
        """Park what an event was made of; nothing of it is lost, and the rest goes on."""
        log.error("%s of %s: %s", outgoing.hint.event, outgoing.hint.resource, reason)
        for receipt in {*outgoing.receipts, outgoing.source} - {None}:
            self._bursts.drop(receipt)
            arrival = self._held.drop(receipt)
            if arrival is None:
                continue
            try:
                self._park(arrival, reason)
            except RepriseError as error:
                log.warning("it could not be parked, and comes again: %s", error)

    def _park(self, arrival: Arrival, reason: str) -> None:
        self._queue.park(arrival, reason)
        self.counts.parked += 1
        log.warning("parked %s: %s", arrival.message_id, reason)

    def _add(self, hint: Hint, receipt: str | None) -> None:
        outgoing = self._bursts.add(hint, receipt, self._now())
        if outgoing is not None:
            self._pending.append(outgoing)

    def _let_go(self, done: Sequence[Arrival]) -> None:
        if not done:
            return
        now = self._now().timestamp()
        self.counts.lag = max(0.0, max(now - arrival.sent for arrival in done))
        self._longest_lag = max(self._longest_lag, self.counts.lag)
        try:
            self._queue.delete([arrival.receipt for arrival in done])
        except RepriseError as error:
            log.warning("accepted events could not be deleted and will come again: %s", error)

    def _keep(self) -> None:
        """Keep what is in hand hidden from other relays for longer, well before its time is up."""
        self.counts.held = len(self._held)
        if not len(self._held):
            self._kept = self._now()
        elif self._now() - self._kept > timedelta(seconds=VISIBILITY / 3):
            self._queue.keep(self._held.receipts)
            self._kept = self._now()

    def _publish(self, *, at_once: bool = False) -> None:
        now = self._now()
        if self._metrics is None or not (at_once or self._metrics.is_due(now)):
            return
        counts = self.counts
        self._metrics.publish(
            Reading(
                received=counts.received,
                posted=counts.posted,
                parked=counts.parked,
                unacknowledged=counts.unacknowledged,
                away=counts.away,
                queue_errors=counts.queue_errors,
                resting=counts.resting,
                lag=self._longest_lag,
                held=len(self._held),
            ),
            now,
        )
        self._longest_lag = 0.0
