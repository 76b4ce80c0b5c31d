"""Next steps for a person, by the kind of a failure. Pure."""

from __future__ import annotations

from recovery.failures import Kind


def review(kind: Kind) -> str:
    """Return the step for a message that cannot succeed as it is."""
    if kind is Kind.UNKNOWN:
        return "look at the error; a rule of your own in rules_file lets the next ones be triaged"
    return "correct the sender or the payload; the same message cannot succeed unchanged"


def fix(kind: Kind) -> str:
    """Return the step that lets the messages of a group succeed."""
    if kind is Kind.AUTH_FAILURE:
        return "renew the credentials or grant the permission, then replay the group"
    if kind is Kind.CODE_BUG:
        return "deploy a fix of the consumer, then replay the group"
    return "fix the cause, then replay the group"
