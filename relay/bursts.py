"""A thousand events at once should start a handful of runs, and the last of them must not be missed. Pure.

A run that an event starts takes care of its whole path. So of a burst of events of one name only two are triggers
(carry the label that deployments wait for): the first, and one more after the last, since the first run may have ended
before the last failure happened. Each further resource of a burst is posted once and is no trigger, so that the event
feed and anybody's own automations get it; a repetition is not posted again before the burst ends.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from recovery.events.hints import Hint

QUIET = timedelta(seconds=4)
"""A burst is over when nothing came for this long."""
LONGEST = timedelta(seconds=30)
"""A burst that never ends sends a trigger this often."""
_LAST = UUID("0b6dfc38-95f0-5a0e-9c43-6f4f0c2b7d55")
_REPORTED = UUID("5f0a4c1e-7d0b-5b5e-8f53-3c8e4f6d2a90")


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """One event to post now.

    Attributes:
        hint: the event.
        triggers: True when deployments trigger on it.
        receipts: receipts of queue messages to let go of once it was accepted.
        source: of the message that it was made from, None where it was made from none.
    """

    hint: Hint
    triggers: bool
    receipts: tuple[Hashable, ...] = ()
    source: Hashable | None = None


@dataclass
class _Burst:
    began: datetime
    latest: datetime
    first: Hint
    reported: set[str] = field(default_factory=set)
    last: Hint | None = None
    last_receipt: Hashable | None = None
    receipts: list[Hashable] = field(default_factory=list)


class Bursts:
    """Events that are held back at the moment, by name."""

    def __init__(self, quiet: timedelta = QUIET, longest: timedelta = LONGEST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._bursts: dict[str, _Burst] = {}

    @property
    def held(self) -> int:
        """Receipts that wait for the end of a burst."""
        return sum(len(burst.receipts) for burst in self._bursts.values())

    def receipts(self) -> list[Hashable]:
        """The receipts that wait."""
        return [receipt for burst in self._bursts.values() for receipt in burst.receipts]

    def add(self, hint: Hint, receipt: Hashable | None, now: datetime) -> OutgoingEvent | None:
        """Take a hint in; return the event to post at once, or None when the hint waits for the end of its burst."""
        mine = () if receipt is None else (receipt,)
        burst = self._bursts.get(hint.event)
        if burst is None:
            self._bursts[hint.event] = _Burst(now, now, hint, {hint.resource})
            return OutgoingEvent(hint, triggers=True, receipts=mine, source=receipt)
        burst.latest = now
        burst.last, burst.last_receipt = hint, receipt
        burst.receipts += mine
        if hint.resource not in burst.reported:
            burst.reported.add(hint.resource)
            # Its receipt waits for the last trigger, which a relay that is killed before it would lose. The message
            # then comes again, perhaps as the first of a burst: not under the id of an event that was no trigger.
            return OutgoingEvent(replace(hint, id=uuid5(_REPORTED, str(hint.id))), triggers=False, source=receipt)
        return None

    def drop(self, receipt: Hashable) -> None:
        """A message was parked: the last trigger of its burst is not about it, and does not let go of it."""
        for burst in self._bursts.values():
            burst.receipts = [other for other in burst.receipts if other != receipt]
            if burst.last is not None and burst.last_receipt == receipt:
                burst.last, burst.last_receipt = burst.first, None

    def ended(self, now: datetime) -> list[OutgoingEvent]:
        """The last triggers of bursts that are over, or have lasted long enough."""
        out = []
        for name, burst in list(self._bursts.items()):
            over = now - burst.latest >= self._quiet
            if not over and now - burst.began < self._longest:
                continue
            if burst.last is not None:
                # Posted once already, perhaps: an id of its own, or Prefect would drop it as a repetition.
                last = replace(burst.last, id=uuid5(_LAST, str(burst.last.id)))
                out.append(OutgoingEvent(last, triggers=True, receipts=tuple(burst.receipts)))
            if over:
                del self._bursts[name]
            else:
                self._bursts[name] = _Burst(now, burst.latest, burst.last or burst.first)
        return out
