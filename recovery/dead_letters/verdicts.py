"""The verdict on one message: a value, with its rule and the reason for a person. Pure.

The rule of each verdict stands on docs/paths/dead_letters.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recovery.cases import State


@dataclass(frozen=True, slots=True)
class Heal:
    """Send it back.

    Attributes:
        destination: URL of the queue, or address of its own target.
        delay: how long SQS keeps it from the consumer, at most 15 minutes.
        attempt: attempt n, counted from 1.
        tries: how often this attempt was begun; more than 1 after a send whose answer was not read.
        reason: why.
        probe: the round of its circuit for which it goes, or "".
    """

    destination: str
    delay: timedelta
    attempt: int
    tries: int
    reason: str
    probe: str = ""
    rule: str = field(kw_only=True)

    action = "heal"


@dataclass(frozen=True, slots=True)
class Hide:
    """Heal later: it stays hidden in the dead-letter queue, and the due time stands in the ledger.

    Attributes:
        until: when the message shows up again, at the latest when the attempt is due.
        due: when the attempt may be made.
        attempt: the attempt that is waited for.
        reason: why.
        hidden: False where the queue cannot hide it; then only the ledger keeps it waiting.
        gated: it waits for a circuit or an alarm, which is asked again each time that it is met.
    """

    until: datetime
    due: datetime
    attempt: int
    reason: str
    hidden: bool = True
    gated: bool = False
    rule: str = field(kw_only=True)

    action = "wait"


@dataclass(frozen=True, slots=True)
class ArchiveVerdict:
    """Keep it in the archive.

    Attributes:
        state: the state of its case.
        reason: why.
        next_step: what a person can do.
    """

    state: State
    reason: str
    next_step: str = ""
    rule: str = field(kw_only=True)

    action = "archive"


@dataclass(frozen=True, slots=True)
class AlertVerdict:
    """Keep it in the archive and notify a person, once for the group and window."""

    state: State
    reason: str
    next_step: str
    rule: str = field(kw_only=True)

    action = "alert"


@dataclass(frozen=True, slots=True)
class Leave:
    """Do not touch it; it stays in its queue."""

    reason: str
    next_step: str = ""
    rule: str = field(kw_only=True)

    action = "leave"


@dataclass(frozen=True, slots=True)
class Finish:
    """Only complete what an interrupted run began: the copy is safe, and the original is still there.

    Attributes:
        archived: the copy is in the archive (True), or was sent (False).
        reason: why.
    """

    archived: bool
    reason: str
    rule: str = field(kw_only=True)

    action = "finish"


Verdict = Heal | Hide | ArchiveVerdict | AlertVerdict | Leave | Finish
