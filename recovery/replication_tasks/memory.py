"""The ledger's memory of one replication, between runs. Plain values and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from recovery.failures import Kind, fingerprint
from recovery.fields import Fields
from recovery.replication_tasks.models import FLAPPED, NOT_MADE, RUNNING, Facts, History, Progress, Restart, Verb
from recovery.replication_tasks.refusals import Refusal

_UNDATED = "undated "
KEPT_RESTARTS = 60
"""More than any limit on restarts allows within its window."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one replication.

    Attributes:
        restarts: its restarts, the oldest first, across incidents.
        incident: when the present (or last) failure was first seen.
        failed: when it failed, as DMS says; the first sight where DMS does not.
        mark: what every run calls this incident, even those that know nothing of each other: a moment that DMS reports,
            where it shows one.
        jitter: of the next wait, from 0 to 1.
        start_was_refused: DMS answered that it ran before.
        gave_up: the failure (by `mark_of`) at which restarting was given up; "" while it was not.
        asked: the failure (by `mark_of`) for which a person was asked last; "" while nobody need act.
        notified: the mark of the incident that people know of, until its recovery is announced; "" for none.
        notified_with: group of the alert that named many replications, this one among them; "" for one of its own.
        refusal: of the last call of this incident, if DMS refused it for good.
        refusal_notified: mark, operation and code of the refusal that people know of, until the recovery is announced.
        missed: no event had announced it when a sweep found it.
        checkpoint: the last one seen; it is lost when the task is deleted.
        finding: rule of the finding that people were last notified of while it ran, or "".
        seconds_to_recover: of the last incident, once it recovered.
    """

    restarts: tuple[Restart, ...] = ()
    incident: datetime | None = None
    failed: datetime | None = None
    mark: str = ""
    jitter: float = 1.0
    start_was_refused: bool = False
    gave_up: str = ""
    asked: str = ""
    notified: str = ""
    notified_with: str = ""
    refusal: Refusal | None = None
    refusal_notified: str = ""
    missed: bool = False
    checkpoint: str = ""
    finding: str = ""
    seconds_to_recover: float | None = None

    @property
    def last(self) -> Restart | None:
        """The last restart."""
        return self.restarts[-1] if self.restarts else None

    @property
    def tried(self) -> tuple[Restart, ...]:
        """The restarts of the present incident, with those that were written down and never carried out."""
        return tuple(one for one in self.restarts if self.incident is not None and one.at >= self.incident)

    def history(self, *, cause_fixed: bool = False) -> History:
        """Return the history that decides. A fixed cause made everything count anew; attempts since then count."""
        came_back = 0
        for restart in reversed(self.restarts):
            if restart.outcome == NOT_MADE:
                continue
            if restart.outcome != FLAPPED:
                break
            came_back += 1
        return History(
            restarts=self.restarts,
            came_back=came_back,
            incident=self.incident,
            tried=sum(one.outcome != NOT_MADE for one in self.tried),
            jitter=self.jitter,
            start_was_refused=self.start_was_refused,
            cause_fixed=cause_fixed,
        )

    def begun(self, facts: Facts, now: datetime, jitter: float, *, missed: bool = False) -> Memory:
        """A new incident. Restarts of earlier incidents still count against the limit."""
        return replace(
            self,
            incident=now,
            failed=facts.stopped if facts.status != RUNNING and facts.stopped else now,
            mark=mark_of(facts) if _moment_of(facts) else now.isoformat(timespec="seconds"),
            jitter=jitter,
            missed=missed,
            seconds_to_recover=None,
            gave_up="",
            asked="",
            refusal=None,
        )

    def fixed(self, facts: Facts, now: datetime, jitter: float) -> Memory:
        """A person has fixed the cause: a new incident even if DMS reports the same failure, and nothing counts."""
        begun = self.begun(facts, now, jitter)
        return replace(begun, restarts=(), mark=now.isoformat(timespec="seconds"), failed=self.failed or begun.failed)

    def restarted(self, restart: Restart, jitter: float) -> Memory:
        """One more restart."""
        return replace(self, restarts=(*self.restarts, restart)[-KEPT_RESTARTS:], jitter=jitter)

    def with_outcome(self, outcome: str) -> Memory:
        """The same, with the outcome of the last restart."""
        assert self.last is not None
        return replace(self, restarts=(*self.restarts[:-1], replace(self.last, outcome=outcome)))

    def without_last(self) -> Memory:
        """The last restart was certainly not carried out, and does not count."""
        return replace(self, restarts=self.restarts[:-1])

    def forgetting(self, now: datetime, window: timedelta) -> Memory:
        """Without the restarts that count no more; those of the present incident stay, because alerts list them."""
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
            "jitter": self.jitter,
            "start_was_refused": self.start_was_refused,
            "gave_up": self.gave_up,
            "asked": self.asked,
            "notified": self.notified,
            "notified_with": self.notified_with,
            "refusal": _refusal_json(self.refusal),
            "refusal_notified": self.refusal_notified,
            "missed": self.missed,
            "checkpoint": self.checkpoint,
            "finding": self.finding,
            "seconds_to_recover": self.seconds_to_recover,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Memory:
        """Read the form that `as_json` wrote.

        Raises:
            ValueError: it is not; the message names the field, and no value.
        """
        read = Fields(raw)
        return cls(
            restarts=tuple(_restart(one) for one in read.many("restarts")),
            incident=read.time("incident"),
            failed=read.time("failed"),
            mark=read.text("mark"),
            jitter=read.number("jitter", 1.0),
            start_was_refused=read.flag("start_was_refused"),
            gave_up=read.text("gave_up"),
            asked=read.text("asked"),
            notified=read.text("notified"),
            notified_with=read.text("notified_with"),
            refusal=_refusal(raw.get("refusal")),
            refusal_notified=read.text("refusal_notified"),
            missed=read.flag("missed"),
            checkpoint=read.text("checkpoint"),
            finding=read.text("finding"),
            seconds_to_recover=None if raw.get("seconds_to_recover") is None else read.number("seconds_to_recover"),
        )


def mark_of(facts: Facts) -> str:
    """Mark that distinguishes one failure from the next; never "".

    The moment that DMS gives for it; where it gives none, the words of the failure text.
    """
    moment = _moment_of(facts)
    return moment.isoformat(timespec="seconds") if moment else _UNDATED + fingerprint(Kind.UNKNOWN, facts.failure)


def is_newer(mark: str, known: str) -> bool:
    """True when a failure came after a known one, by their marks. An earlier moment is older news: DMS lags."""
    if mark.startswith(_UNDATED) or known.startswith(_UNDATED):
        return mark != known
    return mark > known


def _moment_of(facts: Facts) -> datetime | None:
    # While it runs, `stopped` is of an earlier life. A failure without a date of its own belongs to the last start.
    last = (facts.started,) if facts.status == RUNNING else (facts.stopped, facts.accepted, facts.started)
    return next((moment for moment in last if moment is not None), None)


def _restart_json(one: Restart) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "at": one.at.isoformat(),
        "verb": one.verb.value,
        "before": [one.before.rows, one.before.changes, one.before.completed, one.before.checkpoint],
    }
    if one.tables:
        stored["tables"] = list(one.tables)
    if one.outcome:
        stored["outcome"] = one.outcome
    if one.by:
        stored["by"] = one.by
    return stored


def _restart(raw: Mapping[str, Any]) -> Restart:
    read = Fields(raw)
    before = read.many("before")
    at, verb = read.time("at"), read.text("verb")
    if at is None or verb not in set(Verb) or [type(each) for each in before] != [int, int, int, str]:
        raise ValueError("restarts: at, verb or before")
    rows, changes, completed, checkpoint = before
    return Restart(
        at=at,
        verb=Verb(verb),
        before=Progress(rows, changes, completed, checkpoint),
        tables=tuple(str(label) for label in read.many("tables")),
        outcome=read.text("outcome"),
        by=read.text("by"),
    )


def _refusal_json(one: Refusal | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "at": one.at.isoformat(),
        "operation": one.operation,
        "code": one.code,
        "words": one.words,
        "verb": one.verb.value,
    }


def _refusal(raw: Mapping[str, Any] | None) -> Refusal | None:
    if raw is None:
        return None
    read = Fields(raw)
    at, verb = read.time("at"), read.text("verb")
    if at is None or verb not in set(Verb):
        raise ValueError("refusal: at or verb")
    return Refusal(at, read.text("operation"), read.text("code"), read.text("words"), Verb(verb))
