"""What DMS refuses for good (a missing permission, a request that it never takes), and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.errors import Refused
from recovery.failures import normalise
from recovery.replication_tasks.commands import by_hand
from recovery.replication_tasks.models import Facts, Verb
from recovery.replication_tasks.verdicts import Action, Escalate

CALL_REFUSED = "call-refused"
"""The rule of its decision."""
STANDS = timedelta(hours=1)
"""For so long a call that DMS refused is not made again: a permission takes minutes to arrive, and people longer."""

_DENIED = ("AccessDenied", "AuthorizationError", "NotAuthorized", "Unauthorized", "UnrecognizedClient")


@dataclass(frozen=True, slots=True)
class Refusal:
    """DMS said no to the call of a restart, so nothing was restarted and it does not count.

    Attributes:
        at: when.
        operation: "dms:StartReplicationTask", which is also the name of the permission.
        code: the error code, as AWS spells it.
        words: what DMS said, normalised.
        verb: what was asked for.
    """

    at: datetime
    operation: str
    code: str
    words: str
    verb: Verb

    def stands(self, wanted: Action, last: datetime | None, now: datetime) -> bool:
        """Whether what is wanted now would be the call that was refused a short while ago.

        Args:
            wanted: what would be done.
            last: when the last restart was claimed; one that was made since has outdated the refusal.
            now: aware, UTC.
        """
        # A permission is one for all start types; what else is refused may be refused for its start type only.
        same = wanted.verb is self.verb or (self.is_denial and Verb.RELOAD_TABLES not in {wanted.verb, self.verb})
        return same and (last is None or last <= self.at) and self.at <= now < self.at + STANDS

    @property
    def is_denial(self) -> bool:
        """Whether a permission is missing."""
        return self.code.startswith(_DENIED)


def refusal_of(error: Refused, wanted: Action, at: datetime) -> Refusal:
    """What is kept and told of a call that DMS refused: its words without their values."""
    words = normalise(str(error).removeprefix(f"{error.operation}: {error.code}: "))
    return Refusal(at, error.operation, error.code, words, wanted.verb)


def escalated(refusal: Refusal, facts: Facts, wanted: Action) -> Escalate:
    """What a person is told about it."""
    said = f": {refusal.words}" if refusal.words else ""
    step = (
        f"allow {refusal.operation} on it to the role that this path works with (and look for a boundary or an"
        " organisation's policy that denies it)"
        if refusal.is_denial
        else f"remove what DMS names ({refusal.code})"
    )
    return Escalate(
        rule=CALL_REFUSED,
        reason=f"DMS refuses {wanted.verb.value} ({refusal.operation}, {refusal.code}){said}",
        next_step=f"{step}; it is tried again hourly, and at once by replication-tasks/by-hand with `cause_is_mended`;"
        f" by hand it is: {by_hand(facts, wanted)}",
    )
