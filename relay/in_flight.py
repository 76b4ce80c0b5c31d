"""Messages that were received and not let go of yet: bounded in number and bytes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from relay.queue import Arrival

MOST = 1_000
"""Messages in hand beyond which nothing more is received: the rest waits safely in SQS."""
MOST_BYTES = 32 * 1024 * 1024


class InFlight:
    """Messages in hand, by receipt. A message is let go of when each of its events was accepted."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._held: dict[Hashable, tuple[Arrival, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_full(self) -> bool:
        """True when nothing more should be received now."""
        return len(self._held) >= self._most or self._bytes >= self._most_bytes

    @property
    def receipts(self) -> list[str]:
        """Of all messages in hand."""
        return [arrival.receipt for arrival, _ in self._held.values()]

    def take(self, arrival: Arrival, events: int) -> None:
        """Hold a message from which so many events were made."""
        self._held[arrival.receipt] = (arrival, events)
        self._bytes += len(arrival.body)

    def accepted(self, receipts: Iterable[Hashable]) -> list[Arrival]:
        """Some of their events were accepted, one for each receipt; the messages of which none is left open."""
        done = []
        for receipt in receipts:
            if receipt not in self._held:
                continue
            arrival, events = self._held[receipt]
            if events <= 1:
                done.append(arrival)
                self.drop(receipt)
            else:
                self._held[receipt] = (arrival, events - 1)
        return done

    def drop(self, receipt: Hashable) -> Arrival | None:
        """Let go of a message, whatever became of its events; None when it is not in hand."""
        arrival, _ = self._held.pop(receipt, (None, 0))
        if arrival is not None:
            self._bytes -= len(arrival.body)
        return arrival
