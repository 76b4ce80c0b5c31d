"""The history of one item, told from what was kept of it. Pure: normalised text only, no body, no value of an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recovery.cases import WAITS_FOR_A_PERSON, Case, State
from recovery.fields import EPOCH

IN_WORDS: Mapping[State, str] = {
    State.SENT: "brought back; whether it stays away is seen after the settle time",
    State.BACK: "came back, and was not acted upon yet",
    State.BACKOFF: "waits for its next attempt",
    State.PARKED: "in the archive, until a person has fixed the cause",
    State.ARCHIVED: "in the archive, for review: unchanged it cannot succeed",
    State.EXHAUSTED: "given up: its attempts are used up",
    State.WAITING: "in the archive, until its own target is asked again",
    State.STALE: "in the archive: it was too old, or about to expire",
    State.ESCALATED: "escalated: a person was told",
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

    key: str = Field(description="What it was asked for by.")
    path: str
    source: str
    state: str = Field(description="Where it stands, as the ledger or the row says.")
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
    archive: tuple[str, ...] = Field((), description="Where copies of it lie, as s3:// address and line.")
    log: str = Field("", description="Where its log lines are.")


def of_message(key: str, cases: Sequence[Case], records: Sequence[tuple[str, Mapping[str, Any]]]) -> Story:
    """The story of a message under all its ids.

    Args:
        key: the key asked for.
        cases: its cases; the one that was written last gives its state.
        records: address and content of its copies in the archive.
    """
    told = sorted(cases, key=lambda case: (case.first_seen, case.changed, case.attempts))
    now = next((case for case in reversed(told) if case.state is not State.SUPERSEDED), told[-1])
    moments = [Moment(at=min(case.first_seen for case in told), what=f"first found in {told[0].source}")]
    moments += [Moment(at=case.changed, what=_step(case)) for case in told]
    for address, record in records:
        diagnosis = record.get("diagnosis") or {}
        why = f" as {diagnosis['kind']} ({diagnosis['rule']})" if diagnosis else ""
        moments.append(Moment(at=_iso(record.get("archived_at")), what=f"copied to {address}{why}"))
    latest = records[-1][1] if records else {}
    diagnosis = latest.get("diagnosis") or {}
    return _story(
        key,
        now,
        moments,
        error=str(now.detail.get("error") or diagnosis.get("normalised") or ""),
        ids=tuple(dict.fromkeys(known for case in told for known in (*case.detail.get("earlier", ()), case.key))),
        archive=tuple(address for address, _ in records),
        log=str(latest.get("log", "")),
    )


def of_replication(key: str, case: Case) -> Story:
    """The story of a DMS task or serverless replication."""
    detail = case.detail
    moments = [Moment(at=_iso(detail.get("failed")), what="it failed")] if detail.get("failed") else []
    if detail.get("incident"):
        event = "no event had told of it" if detail.get("missed") else "Reprise noticed"
        moments.append(Moment(at=_iso(detail["incident"]), what=event))
    for restart in detail.get("restarts", ()):
        became = restart.get("outcome") or "not triaged yet"
        moments.append(Moment(at=_iso(restart.get("at")), what=f"{restart.get('verb', 'restart')}: {became}"))
    if detail.get("told"):
        moments.append(Moment(at=None, what="people were told"))
    moments.append(Moment(at=case.changed, what=_state_with_seconds(case, detail.get("seconds_to_recover"))))
    return _story(key, case, moments, ids=tuple(dict.fromkeys([str(detail.get("name") or case.key), case.key])))


def of_flow(key: str, case: Case) -> Story:
    """The story of an AppFlow flow."""
    detail = case.detail
    moments = [Moment(at=case.first_seen, what="first seen")]
    if detail.get("began") is not None:
        event = "its runs began to fail" + (", and no event had told of it" if detail.get("missed") else "")
        moments.append(Moment(at=_stamp(detail["began"]), what=event))
    error = ""
    for attempt in detail.get("attempts", ()):
        what = f"attempt {attempt.get('n')} ({attempt.get('means')}) at run {attempt.get('failed')}"
        moments.append(Moment(at=_stamp(attempt.get("claimed")), what=what))
        if attempt.get("outcome"):
            error = str(attempt.get("error") or "")
            ended = f"attempt {attempt.get('n')} ended: {attempt['outcome']}" + (f", {error}" if error else "")
            moments.append(Moment(at=_stamp(attempt.get("ended")), what=ended))
    if detail.get("told"):
        moments.append(Moment(at=None, what="people were told"))
    if detail.get("recovered") is not None:
        moments.append(Moment(at=_stamp(detail["recovered"]), what="a run succeeded again"))
    moments.append(Moment(at=case.changed, what=_state_with_seconds(case, detail.get("seconds"))))
    return _story(key, case, moments, error=error, ids=(case.key,))


def of_line(path: str, line: Mapping[str, Any], address: str) -> Story:
    """The story of an item of which only one line in the full list of a run tells."""
    action, settled = str(line.get("action", "")), bool(line.get("settled", True))
    became = f" as {line['became']}" if line.get("became") else ""
    return Story(
        key=str(line.get("key", "")),
        path=path,
        source=str(line.get("source", "")),
        state=action,
        meaning=f"{action}{became}, as the list of a run says; the ledger knows nothing more of it"
        + ("" if settled else "; it did not go through"),
        waits_for_a_person=False,
        kind=str(line.get("kind", "")),
        rule=str(line.get("rule", "")),
        group=str(line.get("group", "")),
        attempts=int(line.get("attempt", 0)),
        reason=str(line.get("reason", "")),
        error=str(line.get("error", "")),
        next_step=str(line.get("next_step", "")),
        ids=(str(line.get("key", "")),),
        moments=(Moment(at=None, what=f"{action}{became}: {line.get('reason', '')}"),),
        archive=(address,),
    )


def _story(key: str, case: Case, moments: Iterable[Moment], **more: Any) -> Story:
    return Story(
        key=key,
        path=case.path,
        source=case.source,
        state=case.state.value,
        meaning=IN_WORDS[case.state],
        waits_for_a_person=case.state in WAITS_FOR_A_PERSON,
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


def _in_order(moments: Iterable[Moment]) -> Iterator[Moment]:
    """By time; what has none at the end."""
    told = list(dict.fromkeys(moments))
    yield from sorted((one for one in told if one.at), key=lambda one: one.at or EPOCH)
    yield from (one for one in told if not one.at)


def _step(case: Case) -> str:
    attempt = f", attempt {case.attempts}" if case.attempts else ""
    if case.state is State.SUPERSEDED:
        return f"came back as {case.detail.get('next', 'another message')}{attempt}"
    if case.state is State.REPLAYED:
        return f"sent back from the archive as {case.detail.get('next', 'another message')}"
    if case.state is State.BACKOFF:
        due = f", due {case.due:%Y-%m-%d %H:%M:%S} UTC" if case.due else ""
        return f"{IN_WORDS[case.state]}{due}: {case.reason}"
    told = " (a person was told)" if case.detail.get("alert") else ""
    return f"{case.state.value}{attempt}{told}: {case.reason}"


def _state_with_seconds(case: Case, seconds: Any) -> str:
    told = f"{case.state.value}: {case.reason}"
    return f"{told}; {float(seconds):.0f} s from failure to recovery" if seconds is not None else told


def _iso(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def _stamp(milliseconds: Any) -> datetime | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(float(milliseconds) / 1000, EPOCH.tzinfo)
