"""What the ledger keeps of one replication, between runs. Plain values and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from recovery.replication_tasks.models import FLAPPED, Facts, History, Progress, Restart, Verb

KEPT_RESTARTS = 60
"""More than any budget allows within its window."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one replication.

    Attributes:
        restarts: its restarts, the oldest first, across incidents.
        incident: when the present (or last) failure was first seen.
        failed: when it failed, as DMS says; the first sight where DMS does not.
        mark: what every run calls this incident, even those that know nothing of each other: a moment that DMS tells.
        draw: the jitter of the next wait, from 0 to 1.
        start_was_refused: DMS said that it ran before.
        gave_up: the failure (by its moment) at which restarting was given up; "" while it was not.
        told: the mark of the incident that people were told of, until they are told that it recovered; "" for none.
        missed: no event had told of it when a sweep found it.
        checkpoint: the last one seen; it is lost when the task is deleted.
        seconds_to_recover: of the last incident, once it recovered.
    """

    restarts: tuple[Restart, ...] = ()
    incident: datetime | None = None
    failed: datetime | None = None
    mark: str = ""
    draw: float = 1.0
    start_was_refused: bool = False
    gave_up: str = ""
    told: str = ""
    missed: bool = False
    checkpoint: str = ""
    seconds_to_recover: float | None = None

    @property
    def last(self) -> Restart | None:
        """The last restart."""
        return self.restarts[-1] if self.restarts else None

    @property
    def tried(self) -> tuple[Restart, ...]:
        """The restarts of the present incident."""
        return tuple(one for one in self.restarts if self.incident is not None and one.at >= self.incident)

    def history(self, *, cause_is_mended: bool = False) -> History:
        """What decides. A mended cause made everything count anew (`mended`); what was done since counts."""
        came_back = 0
        for restart in reversed(self.restarts):
            if restart.outcome != FLAPPED:
                break
            came_back += 1
        return History(
            restarts=self.restarts,
            came_back=came_back,
            incident=self.incident,
            tried=len(self.tried),
            draw=self.draw,
            start_was_refused=self.start_was_refused,
            cause_is_mended=cause_is_mended,
        )

    def begun(self, facts: Facts, now: datetime, draw: float, *, missed: bool = False) -> Memory:
        """A new incident. What was done before still counts against the budget."""
        return replace(
            self,
            incident=now,
            failed=facts.stopped if facts.failure and facts.stopped else now,
            mark=mark_of(facts) or now.isoformat(timespec="seconds"),
            draw=draw,
            missed=missed,
            seconds_to_recover=None,
            gave_up="",
        )

    def mended(self, facts: Facts, now: datetime, draw: float) -> Memory:
        """A person has mended the cause: a new incident even if DMS tells the same failure, and nothing counts."""
        begun = self.begun(facts, now, draw)
        return replace(begun, restarts=(), mark=now.isoformat(timespec="seconds"), failed=self.failed or begun.failed)

    def restarted(self, restart: Restart, draw: float) -> Memory:
        """One more restart."""
        return replace(self, restarts=(*self.restarts, restart)[-KEPT_RESTARTS:], draw=draw)

    def judged(self, outcome: str) -> Memory:
        """The last restart was judged."""
        assert self.last is not None
        return replace(self, restarts=(*self.restarts[:-1], replace(self.last, outcome=outcome)))

    def without_last(self) -> Memory:
        """The last restart was certainly not carried out, and does not count."""
        return replace(self, restarts=self.restarts[:-1])

    def forgetting(self, now: datetime, window: timedelta) -> Memory:
        """Without the restarts that no budget looks at any more; those of the present incident are told to people."""
        tried = len(self.tried)
        old = [one for one in self.restarts[: len(self.restarts) - tried] if now - one.at < window]
        return replace(self, restarts=(*old, *self.restarts[len(self.restarts) - tried :]))

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "restarts": [_restart_json(restart) for restart in self.restarts],
            "incident": self.incident.isoformat() if self.incident else None,
            "failed": self.failed.isoformat() if self.failed else None,
            "mark": self.mark,
            "draw": self.draw,
            "start_was_refused": self.start_was_refused,
            "gave_up": self.gave_up,
            "told": self.told,
            "missed": self.missed,
            "checkpoint": self.checkpoint,
            "seconds_to_recover": self.seconds_to_recover,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Memory:
        """What `as_json` wrote."""
        return cls(
            restarts=tuple(_restart(one) for one in raw.get("restarts", ())),
            incident=_time(raw.get("incident")),
            failed=_time(raw.get("failed")),
            mark=raw.get("mark", ""),
            draw=raw.get("draw", 1.0),
            start_was_refused=raw.get("start_was_refused", False),
            gave_up=raw.get("gave_up", ""),
            told=raw.get("told", ""),
            missed=raw.get("missed", False),
            checkpoint=raw.get("checkpoint", ""),
            seconds_to_recover=raw.get("seconds_to_recover"),
        )


def mark_of(facts: Facts) -> str:
    """What tells one failure from the next: the moment that DMS gives for it, "" where it gives none."""
    moment = facts.stopped if facts.failure else facts.started
    return moment.isoformat(timespec="seconds") if moment else ""


def _restart_json(one: Restart) -> dict[str, Any]:
    told: dict[str, Any] = {
        "at": one.at.isoformat(),
        "verb": one.verb.value,
        "before": [one.before.rows, one.before.changes, one.before.completed, one.before.checkpoint],
    }
    if one.tables:
        told["tables"] = list(one.tables)
    if one.outcome:
        told["outcome"] = one.outcome
    return told


def _restart(raw: Mapping[str, Any]) -> Restart:
    rows, changes, completed, checkpoint = raw["before"]
    return Restart(
        at=datetime.fromisoformat(raw["at"]),
        verb=Verb(raw["verb"]),
        before=Progress(rows, changes, completed, checkpoint),
        tables=tuple(raw.get("tables", ())),
        outcome=raw.get("outcome", ""),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
