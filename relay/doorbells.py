"""What AWS does not announce: dead-letter queues that are not empty."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from recovery.dead_letters.gateway import Sqs, queue_problem
from recovery.dead_letters.messages import Queue
from recovery.errors import RepriseError
from recovery.events.hints import DEAD_LETTERS, Hint, hint
from relay.bells import DepthBell

log = logging.getLogger("reprise.relay")

FIND_EVERY = timedelta(minutes=5)
"""Between two looks for queues that a glob finds."""


class QueueDoorbells:
    """Rings for dead-letter queues that are not empty.

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
        self._bells: dict[str, DepthBell] = {}
        self._queues: list[Queue] = []
        self._looked: datetime | None = None
        self._found: datetime | None = None
        self.problems: list[str] = []

    def listen(self, now: datetime) -> Sequence[Hint]:
        """The queues that ring now; nothing until it is time to look again."""
        if not self._wanted or (self._looked is not None and now - self._looked < self._every):
            return ()
        self._looked = now
        if self._found is None or now - self._found >= FIND_EVERY:
            self._find(now)
        rung = []
        for queue in self._queues:
            try:
                depth = self._sqs.visible(queue)
            except RepriseError as error:
                log.warning("%s", queue_problem(queue.name, error))
                continue
            if self._bells.setdefault(queue.name, DepthBell(self._sweep)).rings(depth, now):
                # Two relays that look at the same moment make the same id, and Prefect drops one of the events.
                key = f"{int(now.timestamp() / self._every.total_seconds())}"
                rung.append(hint(DEAD_LETTERS, queue.name, key, now, queue=queue.name, about=depth))
        return rung

    def leave(self, now: datetime) -> None:
        """Nothing is held."""

    def _find(self, now: datetime) -> None:
        urls, problems = self._sqs.find(self._wanted)
        self.problems = [queue_problem(name, error) for name, error in problems.items()]
        queues = []
        for url in urls:
            try:
                queues.append(self._sqs.describe(url))
            except RepriseError as error:
                self.problems.append(queue_problem(url.rsplit("/", 1)[1], error))
        for problem in self.problems:
            log.warning("%s", problem)
        self._queues, self._found = queues, now
