"""Actions on a message, by kind of failure, and the targets that it may go back to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import WithJsonSchema

from recovery.failures import Kind
from recovery.failures.models import OWN_KIND


class Action(StrEnum):
    """Actions on a message."""

    HEAL = "heal"  # send it back, with backoff
    ALERT = "alert"  # notify a person once, and keep it in the archive until the cause is fixed
    ARCHIVE = "archive"  # keep it in the archive for review
    LEAVE = "leave"  # do not touch it


KindName = Annotated[
    Kind,
    WithJsonSchema(
        {"anyOf": [{"type": "string", "enum": [*Kind]}, {"type": "string", "pattern": f"^{OWN_KIND.pattern}$"}]}
    ),
]
"""A kind of failure in a form: one of the eight, or one that a rules file adds."""
DEFAULT_ACTIONS: Mapping[Kind, Action] = {
    Kind.TIMEOUT: Action.HEAL,
    Kind.DEPENDENCY_FAILURE: Action.HEAL,
    Kind.THROTTLED: Action.HEAL,
    Kind.AUTH_FAILURE: Action.ALERT,
    Kind.CODE_BUG: Action.ALERT,
    Kind.VALIDATION_ERROR: Action.ARCHIVE,
    Kind.BAD_PAYLOAD: Action.ARCHIVE,
    Kind.UNKNOWN: Action.ARCHIVE,
}


class WithoutEvidence(StrEnum):
    """Actions on a message whose failure nothing explains."""

    LEAVE = "leave"
    ARCHIVE = "archive"
    HEAL = "heal"


class Target(StrEnum):
    """Targets other than queues to which messages go back."""

    LAMBDA = "lambda"  # of a function's dead-letter queue or on-failure destination: an asynchronous invocation
