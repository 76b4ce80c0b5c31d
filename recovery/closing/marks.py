"""Marks that people set on cases. Pure: a mark is an overlay, and the state below it stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from recovery.cases import CLOSING, Case, State


class How(StrEnum):
    """Ways to end a case."""

    DISMISS = "dismiss"
    RESOLVE = "resolve"
    SNOOZE = "snooze"


_WORDS = {How.DISMISS: "dismissed", How.RESOLVE: "resolved", How.SNOOZE: "snoozed"}


def mark(how: How, operator: str, reason: str, at: datetime, until: datetime | None = None) -> dict[str, Any]:
    """Return the mark of a person on a case.

    Args:
        how: the way to end it.
        operator, reason: who did it, and the grounds.
        at: the time, aware.
        until: end of a snooze, aware.
    """
    made = {"how": _WORDS[how], "operator": operator, "reason": reason, "at": at.isoformat(timespec="seconds")}
    return made | ({"until": until.isoformat(timespec="seconds")} if until else {})


def by_policy(at: datetime) -> dict[str, Any]:
    """Return the mark of a policy that closes what cannot succeed without asking a person."""
    return mark(How.DISMISS, "policy", "it cannot succeed unchanged, and the policy asks nobody about it", at)


def marked(case: Case, made: Mapping[str, Any]) -> Case:
    """Return the case with a mark in place of any other."""
    return replace(case, detail={**case.detail, CLOSING: dict(made)}, stored="")


def unmarked(case: Case) -> Case:
    """Return the case without a mark, exactly as it was before."""
    return replace(case, detail={name: value for name, value in case.detail.items() if name != CLOSING}, stored="")


def snoozed_until(case: Case) -> datetime | None:
    """Return the end of a case's snooze; None where it has none, or a damaged one: that case waits."""
    return _moment(case.closing.get("until")) if case.closing.get("how") == _WORDS[How.SNOOZE] else None


def is_snoozed(case: Case, now: datetime) -> bool:
    """True while a person has put the case off."""
    until = snoozed_until(case)
    return until is not None and now < until


def may_be_closed(case: Case, now: datetime) -> str:
    """Return the reason why a case may not be closed now, or "" when it may."""
    if case.is_closed:
        return f"it is {case.closing['how']} already"
    if not case.waits:
        return f"it does not wait for a person: it is {case.state.value}"
    if case.state is State.REPLAYING:
        lease = _moment(case.detail.get("lease"))
        if lease is not None and now < lease:
            return "a run is sending it right now"
    return ""


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
