"""A source that AWS does not announce: dead-letter queues that are not empty."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.outcomes import queue_problem
from recovery.errors import RepriseError
from recovery.events.hints import DEAD_LETTERS, Hint, hint
from relay.depth_trigger import DepthTrigger

log = logging.getLogger("reprise.relay")

AT_ONCE = 20
"""Queues that are looked at in one round: SQS may take its time for each, and events wait meanwhile."""
FIND_EVERY = timedelta(minutes=5)
"""Between two looks for queues that a glob finds."""


class QueuePoller:
    """Sends triggers for dead-letter queues that are not empty.

    Args:
        sqs: the gateway.
        wanted: names, URLs or globs, as in a request.
        every: the time between two looks at the depth of each, one GetQueueAttributes a look.
        sweep: the sweep's interval.
    """

    def __init__(
        self, sqs: Sqs, wanted: Sequence[str], every: timedelta, sweep: timedelta = timedelta(minutes=5)
    ) -> None:
        self._sqs = sqs
        self._wanted = wanted
        self._sweep = sweep
        self._every = every
        self._triggers: dict[str, DepthTrigger] = {}
        self._queues: list[Queue] = []
        self._next: list[Queue] = []
        self._unread: dict[str, str] = {}
        self._looked: datetime | None = None
        self._found: datetime | None = None
        self._unfound: list[str] = []

    @property
    def problems(self) -> Sequence[str]:
        """Queues that cannot be found or read, each with its reason."""
        return [*self._unfound, *self._unread.values()]

    def poll(self, now: datetime) -> Sequence[Hint]:
        """Triggers of queues that are not empty; none until the next look is due. Many queues take several calls."""
        if not self._next:
            if not self._wanted or (self._looked is not None and now - self._looked < self._every):
                return ()
            self._looked = now
            if self._found is None or now - self._found >= FIND_EVERY:
                self._find(now)
            self._next = list(self._queues)
        part, self._next = self._next[:AT_ONCE], self._next[AT_ONCE:]
        triggered = []
        for queue in part:
            try:
                depth = self._sqs.visible(queue)
            except RepriseError as error:
                self._unread[queue.name] = queue_problem(queue.name, error)
                log.warning("%s", self._unread[queue.name])
                continue
            self._unread.pop(queue.name, None)
            if self._triggers.setdefault(queue.name, DepthTrigger(self._sweep)).triggers(depth, now):
                # Two relays that look at the same moment make the same id, and Prefect drops one of the events.
                key = f"{int(now.timestamp() / self._every.total_seconds())}"
                triggered.append(hint(DEAD_LETTERS, queue.name, key, now, queue=queue.name, about=depth))
        return triggered

    def leave(self, now: datetime) -> None:
        """Nothing is held."""

    def _find(self, now: datetime) -> None:
        found = self._sqs.find(self._wanted)
        self._unfound = [queue_problem(name, error) for name, error in found.failed.items()]
        queues = []
        for url in found.urls:
            try:
                queues.append(self._sqs.describe(url))
            except RepriseError as error:
                self._unfound.append(queue_problem(url.rsplit("/", 1)[1], error))
        for problem in self._unfound:
            log.warning("%s", problem)
        known = {queue.name for queue in queues}
        self._unread = {name: problem for name, problem in self._unread.items() if name in known}
        self._queues, self._found = queues, now
