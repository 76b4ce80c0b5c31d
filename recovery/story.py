"""The history of one item, as a value. Pure: normalised text only, no body, no value of an error.

Each path makes the stories of its own items (`recovery.<path>.story`), since it alone knows what it keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recovery.cases import Case, State
from recovery.fields import EPOCH

IN_WORDS: Mapping[State, str] = {
    State.SENT: "brought back; it counts as recovered when it stays away for the settle time",
    State.BACK: "came back, and was not acted upon yet",
    State.BACKOFF: "waits for its next attempt",
    State.PARKED: "in the archive, until a person has fixed the cause",
    State.ARCHIVED: "in the archive, for review: unchanged it cannot succeed",
    State.EXHAUSTED: "given up: its attempts are used up",
    State.WAITING: "in the archive, until its own target is asked again",
    State.STALE: "in the archive: it was too old, or about to expire",
    State.ESCALATED: "escalated: a person was notified",
    State.REPLAYING: "being sent back from the archive",
    State.REPLAYED: "sent back from the archive",
    State.SUPERSEDED: "went on under another id, or by itself",
    State.RECOVERED: "recovered",
}


class Moment(BaseModel):
    """One thing that happened, and when (aware, UTC; None where it was not kept)."""

    model_config = ConfigDict(frozen=True)

    at: datetime | None
    what: str


class Story(BaseModel):
    """All that is known of one item."""

    model_config = ConfigDict(frozen=True)

    key: str = Field(description="The key under which it was asked for.")
    path: str
    source: str
    state: str = Field(description="Its state in the ledger or on the row.")
    meaning: str = Field(description="That state in words.")
    waits_for_a_person: bool
    kind: str = ""
    rule: str = ""
    group: str = ""
    attempts: int = 0
    reason: str = ""
    error: str = ""
    next_step: str = ""
    due: datetime | None = None
    ids: tuple[str, ...] = Field((), description="All ids under which it is known, the oldest first.")
    moments: tuple[Moment, ...] = ()
    archive: tuple[str, ...] = Field((), description="Addresses of its copies: s3:// address and line.")
    log: str = Field("", description="Address of its log lines.")


def story_of(key: str, case: Case, moments: Iterable[Moment], **more: Any) -> Story:
    """Return the story of a case; `more` are further fields that its path knows."""
    return Story(
        key=key,
        path=case.path,
        source=case.source,
        state=_state(case),
        meaning=_meaning(case),
        waits_for_a_person=case.waits,
        kind=case.kind,
        rule=case.rule,
        group=case.group,
        attempts=case.attempts,
        reason=case.reason,
        next_step=str(case.detail.get("step", "")),
        due=case.due,
        moments=tuple(_in_order(moments)),
        **more,
    )


def _state(case: Case) -> str:
    return str(case.closing["how"]) if case.is_closed else case.state.value


def _meaning(case: Case) -> str:
    mark = case.closing
    if not mark:
        return IN_WORDS[case.state]
    until = f" until {mark['until'][:16]}" if mark.get("until") else ""
    return f"{mark.get('how')}{until} by {mark.get('operator')}: {mark.get('reason')} (it was {case.state.value})"


def end_of(case: Case, seconds: float | None) -> Moment:
    """Return the state of a case, with the time to recovery once it recovered."""
    state = f"{case.state.value}: {case.reason}"
    return Moment(
        at=case.changed,
        what=state if seconds is None else f"{state}; {seconds:.0f} s from failure to recovery",
    )


def of_line(path: str, line: Mapping[str, Any], address: str) -> Story:
    """The story of an item known only from one line in the full list of a run."""
    action, settled = str(line.get("action", "")), bool(line.get("settled", True))
    became = f" as {line['became']}" if line.get("became") else ""
    return Story(
        key=str(line.get("key", "")),
        path=path,
        source=str(line.get("source", "")),
        state=action,
        meaning=f"{action}{became}, by the list of a run; the ledger has nothing more of it"
        + ("" if settled else "; it did not go through"),
        waits_for_a_person=False,
        kind=str(line.get("kind", "")),
        rule=str(line.get("diagnosis") or line.get("rule", "")),
        group=str(line.get("group", "")),
        attempts=int(line.get("attempt", 0)),
        reason=str(line.get("reason", "")),
        error=str(line.get("error", "")),
        next_step=str(line.get("next_step", "")),
        ids=(str(line.get("key", "")),),
        moments=(Moment(at=None, what=f"{action}{became}: {line.get('reason', '')}"),),
        archive=(address,),
    )


def _in_order(moments: Iterable[Moment]) -> Iterator[Moment]:
    """By time; what has none at the end."""
    distinct = list(dict.fromkeys(moments))
    yield from sorted((one for one in distinct if one.at), key=lambda one: one.at or EPOCH)
    yield from (one for one in distinct if not one.at)
