"""Attempts that fall due: a wait of a minute is a minute, and not the time until the next sweep.

The ledger has the time of the next attempt of each DMS task and AppFlow flow that waits. One small query for each path,
every few seconds, finds those that have come, and an event starts the path. The run decides by itself; an attempt that
it does not make (a flow out of scope, a deleted task) is not announced again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from recovery.errors import RepriseError
from recovery.events.hints import Hint, hint
from recovery.ledger import Ledger
from recovery.paths import PATHS, PathInfo

log = logging.getLogger("reprise.relay")

LAG = timedelta(minutes=2)
"""The index may show a case so much later than it was written; what was announced in this time is remembered."""
FIRST_LOOK = timedelta(minutes=15)
"""A relay that starts looks so far back: longer than the sweeps' interval finds nothing that they did not."""


class DueCases:
    """Announces the paths of which an attempt has fallen due.

    Args:
        ledger: of the estate.
        every: the time between two looks.
        paths: declarations of all paths; those without a `due_event` are not looked at.
    """

    def __init__(self, ledger: Ledger, every: timedelta, paths: Sequence[PathInfo] = tuple(PATHS.values())) -> None:
        self._ledger = ledger
        self._every = every
        self._paths = [path for path in paths if path.due_event]
        self._looked: datetime | None = None
        self._until: dict[str, datetime] = {}
        self._announced: dict[str, dict[tuple[str, datetime], datetime]] = {path.name: {} for path in self._paths}

    @property
    def problems(self) -> Sequence[str]:
        """None beyond what `listen` raises."""
        return ()

    def poll(self, now: datetime) -> Sequence[Hint]:
        """Return one event for each path of which an attempt has come due; nothing until it is time to look again.

        Raises:
            Transient, Refused: the ledger could not be read on any path.
        """
        if self._looked is not None and now - self._looked < self._every:
            return ()
        self._looked = now
        found: list[Hint] = []
        trouble: list[RepriseError] = []
        for path in self._paths:
            try:
                found += self._due(path, now)
            except RepriseError as error:
                log.warning("attempts of %s that fall due could not be looked for: %s", path.name, error)
                trouble.append(error)
        if trouble and len(trouble) == len(self._paths):
            raise trouble[0]
        return found

    def leave(self, now: datetime) -> None:
        """Hold nothing."""

    def _due(self, path: PathInfo, now: datetime) -> list[Hint]:
        announced = self._announced[path.name]
        until = self._until.get(path.name)
        after = until - LAG if until is not None else now - FIRST_LOOK
        due = self._ledger.due(path.name, after, now)
        self._until[path.name] = now
        new = [each for each in due if each not in announced]
        self._announced[path.name] = {each: at for each, at in announced.items() if at > after}
        self._announced[path.name].update({each: each[1] for each in due})
        if not new:
            return []
        key, moment = new[0]
        name = key.rpartition(":")[2]
        return [hint(path.due_event, name, f"{key}@{moment.isoformat()}", now, attempts=len(new))]
