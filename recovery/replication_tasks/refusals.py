"""Calls that DMS refuses for good (a missing permission, a request that it never takes). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.errors import Refused
from recovery.failures import normalise
from recovery.replication_tasks.models import Verb

STANDS = timedelta(hours=1)
"""For so long a call that DMS refused is not made again: a permission takes minutes to arrive, and people longer."""

_DENIED = ("AccessDenied", "AuthorizationError", "NotAuthorized", "Unauthorized", "UnrecognizedClient")


@dataclass(frozen=True, slots=True)
class Refusal:
    """DMS refused the call of a restart, so nothing was restarted and it does not count.

    Attributes:
        at: when.
        operation: "dms:StartReplicationTask", which is also the name of the permission.
        code: the error code, as AWS spells it.
        words: what DMS answered, normalised.
        verb: what was asked for.
    """

    at: datetime
    operation: str
    code: str
    words: str
    verb: Verb

    def stands(self, wanted: Verb, last: datetime | None, now: datetime) -> bool:
        """True when what is wanted now would be the call that was refused a short while ago.

        Args:
            wanted: the verb of what would be done.
            last: when the last restart was claimed; one that was made since has outdated the refusal.
            now: aware, UTC.
        """
        # A permission is one for all start types; what else is refused may be refused for its start type only.
        same = wanted is self.verb or (self.is_denial and Verb.RELOAD_TABLES not in {wanted, self.verb})
        return same and (last is None or last <= self.at) and self.at <= now < self.at + STANDS

    @property
    def is_denial(self) -> bool:
        """True when a permission is missing."""
        return self.code.startswith(_DENIED)


def refusal_of(error: Refused, wanted: Verb, at: datetime) -> Refusal:
    """Return what is kept and reported of a call that DMS refused: its words without their values."""
    words = normalise(str(error).removeprefix(f"{error.operation}: {error.code}: "))
    return Refusal(at, error.operation, error.code, words, wanted)
