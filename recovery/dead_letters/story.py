"""The story of a message, under all ids that it had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from recovery.cases import Case, State
from recovery.story import IN_WORDS, Moment, Story, story_of


def story(key: str, cases: Sequence[Case], records: Sequence[tuple[str, Mapping[str, Any]]] = ()) -> Story:
    """Return the story of a message.

    Args:
        key: its id, as it was asked for.
        cases: its cases; the one that was written last is where it stands.
        records: address and content of its copies in the archive.
    """
    by_time = sorted(cases, key=lambda case: (case.first_seen, case.changed, case.attempts))
    now = next((case for case in reversed(by_time) if case.state is not State.SUPERSEDED), by_time[-1])
    moments = [Moment(at=min(case.first_seen for case in by_time), what=f"first found in {by_time[0].source}")]
    moments += [Moment(at=case.changed, what=_step(case)) for case in by_time]
    for address, record in records:
        diagnosis = record.get("diagnosis") or {}
        why = f" as {diagnosis['kind']} ({diagnosis['rule']})" if diagnosis else ""
        archived = record.get("archived_at")
        at = datetime.fromisoformat(str(archived)) if archived else None
        moments.append(Moment(at=at, what=f"copied to {address}{why}"))
    latest = records[-1][1] if records else {}
    diagnosis = latest.get("diagnosis") or {}
    return story_of(
        key,
        now,
        moments,
        error=str(now.detail.get("error") or diagnosis.get("normalised") or ""),
        ids=tuple(dict.fromkeys(known for case in by_time for known in (*case.detail.get("earlier", ()), case.key))),
        archive=tuple(address for address, _ in records),
        log=str(latest.get("log", "")),
    )


def linked(case: Case) -> list[str]:
    """Return the ids that lead to this case or away from it."""
    detail = case.detail
    return [known for known in (*detail.get("earlier", ()), detail.get("next"), detail.get("identity")) if known]


def _step(case: Case) -> str:
    attempt = f", attempt {case.attempts}" if case.attempts else ""
    if case.state is State.SUPERSEDED:
        return f"came back as {case.detail.get('next', 'another message')}{attempt}"
    if case.state is State.REPLAYED:
        return f"sent back from the archive as {case.detail.get('next', 'another message')}"
    if case.state is State.BACKOFF:
        due = f", due {case.due:%Y-%m-%d %H:%M:%S} UTC" if case.due else ""
        return f"{IN_WORDS[case.state]}{due}: {case.reason}"
    notified = " (a person was notified)" if case.detail.get("alert") else ""
    return f"{case.state.value}{attempt}{notified}: {case.reason}"
