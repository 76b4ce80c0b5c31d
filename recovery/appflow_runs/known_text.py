"""A row of the table of known texts: what it matches, and what that means. Pure data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from recovery.failures.models import Kind


class Nature(StrEnum):
    """The course of a cause when nobody does anything."""

    PASSES = "passes"  # within minutes
    DAILY = "daily"  # within a day: tried again hours apart
    LASTS = "lasts"


@dataclass(frozen=True, slots=True)
class Text:
    """One row.

    Attributes:
        id: after `appflow.`, the rule of the diagnosis.
        connector: whose words these are; "any" for all, "AppFlow" for its own.
        pattern: what must stand in the text.
        kind, nature: what it means.
        cause: a sentence for a person.
        step: what a person does when it does not pass by itself.
        source: the document that has the text or the code.
        example: a text that it fits, in our words.
    """

    id: str
    connector: str
    pattern: re.Pattern[str]
    kind: Kind
    nature: Nature
    cause: str
    step: str
    source: str
    example: str


def row(id_: str, connector: str, pattern: str, meaning: tuple[Kind, Nature], *words: str) -> Text:
    """Return a row of the table; `words` are cause, step, source and example."""
    cause, step, source, example = words
    return Text(id_, connector, re.compile(pattern, re.IGNORECASE), *meaning, cause, step, source, example)


RATE = (Kind.THROTTLED, Nature.PASSES)
DAY = (Kind.THROTTLED, Nature.DAILY)
DOWN = (Kind.DEPENDENCY_FAILURE, Nature.PASSES)
SLOW = (Kind.TIMEOUT, Nature.PASSES)
LIMIT = (Kind.VALIDATION_ERROR, Nature.LASTS)
RIGHTS = (Kind.AUTH_FAILURE, Nature.LASTS)

LESS = "run the flow less often, or ask the application for a higher limit"
SPREAD = "spread the schedules of the flows that use this application"
SPLIT = "split the flow by filters, so that a run moves less"
RENEW = "connect its connector profile again"
