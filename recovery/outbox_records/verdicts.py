"""Verdicts on a row. Pure values; `rules` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """Actions on a row."""

    DELIVER = "deliver"
    RETRY = "retry"  # it did not go out and is due again later
    EXHAUST = "exhaust"
    WAIT = "wait"  # for its topic, or for the row before it
    TIDY = "tidy"  # finished by somebody else: out of the line
    LIST = "list"  # exhausted by hand: listed among the exhausted
    GROUP = "group"  # into its FIFO group's index
    ENLIST = "enlist"  # it stood in no line: into one
    NOTICE = "notice"  # it has no usable time: seen once
    KEEP = "keep"  # TTL would delete it before it went out: its TTL is removed
    REVIVE = "revive"  # exhausted, and a person says that the cause is fixed
    LEAVE = "leave"  # not ours to touch
    PASS = "pass"  # noqa: S105 - nothing to do: not due, or already gone; the index lagged behind


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision about a row.

    Attributes:
        action: what is done.
        rule: id of the rule that decided.
        reason: a sentence for a person.
        kind: kind of failure, "" where there is none.
        diagnosis: id of the rule that diagnosed it, "" where nothing was diagnosed.
        group: fingerprint of alike failures, "" where there is none.
        error: normalised error text.
        due: when it is due again.
        next_step: what a person can do.
    """

    action: Action
    rule: str
    reason: str
    kind: str = ""
    diagnosis: str = ""
    group: str = ""
    error: str = ""
    due: datetime | None = None
    next_step: str = ""
