"""Evidence of one failure, and the diagnosis drawn from it. Pure values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

OWN_KIND = re.compile(r"[A-Z][A-Z0-9_]{2,39}")
"""Names that a rule file may give to kinds of its own."""


class Kind(StrEnum):
    """The eight kinds of failure, and those that rule files add.

    The first three pass by themselves; the others need a change first. `Kind("CARRIER_STRIKE")` is a kind too, equal to
    its name, though it is no member: rule files are read at run time.
    """

    TIMEOUT = "TIMEOUT"
    DEPENDENCY_FAILURE = "DEPENDENCY_FAILURE"
    THROTTLED = "THROTTLED"
    AUTH_FAILURE = "AUTH_FAILURE"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    BAD_PAYLOAD = "BAD_PAYLOAD"
    CODE_BUG = "CODE_BUG"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> Kind | None:
        if not isinstance(value, str) or not OWN_KIND.fullmatch(value):
            return None
        own = str.__new__(cls, value)
        own._name_ = own._value_ = value
        return own


def is_kind(text: str) -> bool:
    """True for the name of a kind, one of the eight or a rule file's own."""
    return OWN_KIND.fullmatch(text) is not None


TRANSIENT_KINDS = frozenset({Kind.TIMEOUT, Kind.DEPENDENCY_FAILURE, Kind.THROTTLED})


@dataclass(frozen=True, slots=True)
class Evidence:
    """The facts of one failure.

    Attributes:
        error: the failure's own text ("" when there is none). It decides.
        body: the payload that was being worked on. Weak evidence: it only shows whether a payload can be read at all.
        attributes: structured facts beside the text, by name (`ErrorCode`, `ERROR_CODE`, `errorType` ...), as strings.
        source: where the text was found ("message attributes", "lambda destination", "logs", "dms" ...), for people.
    """

    error: str = field(default="", repr=False)
    body: str | None = field(default=None, repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    source: str = ""

    @property
    def is_empty(self) -> bool:
        """True when nothing speaks of the failure: such a message is not diagnosed."""
        return not self.error.strip() and not self.attributes


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The conclusion, and the words that led to it.

    Attributes:
        kind: one of the eight kinds, or one that a rule file adds.
        transient: true when the same work may succeed later without anybody changing anything.
        rule: id of the rule that decided ("none" for UNKNOWN without a matching rule).
        reason: one sentence for a person, without values from the text.
        quote: the words that decided, cut and masked; for the caller and the archive only.
        action: the action that a user's own rule names for its matches, else "".
        kind_action: the default action of a kind that a rule file adds, else "".
    """

    kind: Kind
    transient: bool
    rule: str
    reason: str
    quote: str = field(default="", repr=False)
    action: str = ""
    kind_action: str = ""
