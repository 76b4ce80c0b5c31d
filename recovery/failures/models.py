"""What is known about one failure, and what is concluded from it. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """The eight kinds of failure. The first three pass by themselves; the others need a change first."""

    TIMEOUT = "TIMEOUT"
    DEPENDENCY_FAILURE = "DEPENDENCY_FAILURE"
    THROTTLED = "THROTTLED"
    AUTH_FAILURE = "AUTH_FAILURE"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    BAD_PAYLOAD = "BAD_PAYLOAD"
    CODE_BUG = "CODE_BUG"
    UNKNOWN = "UNKNOWN"


TRANSIENT_KINDS = frozenset({Kind.TIMEOUT, Kind.DEPENDENCY_FAILURE, Kind.THROTTLED})


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one failure.

    Attributes:
        error: the failure's own text ("" when there is none). It decides.
        body: the payload that was being worked on. Weak evidence: it only tells whether a payload can be read at all.
        attributes: structured facts beside the text, by name (`ErrorCode`, `ERROR_CODE`, `errorType` ...), as strings.
        source: where the text was found ("message attributes", "lambda destination", "logs", "dms" ...), for people.
    """

    error: str = field(default="", repr=False)
    body: str | None = field(default=None, repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    source: str = ""

    @property
    def is_empty(self) -> bool:
        """True when nothing speaks of the failure: such a letter is not judged."""
        return not self.error.strip() and not self.attributes


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was concluded, and from which words.

    Attributes:
        kind: one of the eight kinds.
        transient: whether the same work may succeed later without anybody changing anything.
        rule: id of the rule that decided ("none" for UNKNOWN without a matching rule).
        reason: one sentence for a person, without values from the text.
        quote: the words that decided, cut and masked; for the caller and the archive only.
        action: the action that a user's own rule names for what it matches, else "".
    """

    kind: Kind
    transient: bool
    rule: str
    reason: str
    quote: str = field(default="", repr=False)
    action: str = ""
