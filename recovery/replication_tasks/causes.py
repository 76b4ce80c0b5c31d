"""Meaning of a replication's failure text for its restart. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from recovery.failures import TRANSIENT_KINDS, Diagnosis, Evidence, Kind, diagnose
from recovery.replication_tasks.models import Facts
from recovery.replication_tasks.texts import Nature, Text, table, without_data

__all__ = ["Cause", "Nature", "cause_of"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A failure, read.

    Attributes:
        nature: its meaning for a restart.
        kind: the diagnosis, for reports.
        rule: id of the entry of texts.yaml, or of the rule of `recovery.failures`, that decided.
        reason: half a sentence for a person, without values from the text.
        next_step: what a person does about it, "" where nothing needs doing.
    """

    nature: Nature
    kind: Kind
    rule: str
    reason: str
    next_step: str = ""


_UNREAD = Cause(
    Nature.UNSURE,
    Kind.UNKNOWN,
    "dms-no-text",
    "DMS gives no failure text",
    "read the task's log in CloudWatch Logs",
)


def cause_of(facts: Facts) -> Cause:
    """Read what made this replication fail; it must have failed or stopped in error."""
    text = facts.failure
    if facts.stop_reason != text and facts.stop_code:
        # Of a stop reason beside the failure only its own word: the rest may be the text of an earlier failure.
        text = f"{text} Stop Reason {facts.stop_code}".strip()
    if not text:
        return _UNREAD
    diagnosis = diagnose(Evidence(error=text, source="dms"))
    known, lost, rest = _looked_up(text)
    if lost is not None and (known is None or known.nature is not Nature.LASTING or known.weak):
        return _lost(lost, facts, rest)
    if known is not None and not (known.weak and diagnosis.kind in TRANSIENT_KINDS):
        return Cause(known.nature, known.kind, known.id, known.reason, known.step)
    return _diagnosed(facts, diagnosis)


@lru_cache(maxsize=512)  # one text is read for the decision, the report and the next look
def _looked_up(text: str) -> tuple[Text | None, Text | None, str]:
    """The entry that the text matches, the lost position that it reports, and the text without its words."""
    cleaned = without_data(text)
    known = next((one for one in table() if one.nature is not Nature.POSITION_LOST and one.find(cleaned)), None)
    lost, rest = None, cleaned
    for one in table():
        # All of them are taken out of the rest: "timeout" within the cause of a lost slot is no outage.
        while one.nature is Nature.POSITION_LOST and (found := one.find(rest)) is not None:
            lost, rest = lost or one, f"{rest[: found.start()]} ... {rest[found.end() :]}"
    return known, lost, rest if lost else ""


def _lost(text: Text, facts: Facts, rest: str) -> Cause:
    """A lost position, unless something speaks against it: then one resume shows, and a person is notified of it."""
    doubt, beside = "", diagnose(Evidence(error=rest, source="dms")).kind
    if facts.is_recoverable:
        doubt = "but DMS calls the failure recoverable"
    elif beside in TRANSIENT_KINDS:
        doubt = "but the text reports an outage too"
    elif beside is Kind.AUTH_FAILURE:
        doubt = "but the text reports missing rights too"
    elif not facts.has_position:
        doubt = "but it has no position that could be lost"
    if doubt:
        step = f"read the task's log: if {text.reason}, choose between the two ways; {text.step}"
        return Cause(Nature.UNSURE, text.kind, text.id, f"{text.reason}, as its text says, {doubt}", step)
    return Cause(Nature.POSITION_LOST, text.kind, text.id, text.reason, text.step)


def _diagnosed(facts: Facts, diagnosis: Diagnosis) -> Cause:
    reason = diagnosis.reason.rstrip(".") or "its failure text does not show the cause"
    if diagnosis.kind is Kind.UNKNOWN:
        if facts.is_recoverable:
            return Cause(
                Nature.PASSING, Kind.DEPENDENCY_FAILURE, "dms-recoverable", "DMS calls the failure recoverable"
            )
        step = "read the failure text and the task's log; a rule for it can be added"
        return Cause(Nature.UNSURE, Kind.UNKNOWN, diagnosis.rule, "its failure text does not show the cause", step)
    if diagnosis.kind in TRANSIENT_KINDS:
        # DMS has retried what it calls recoverable for a while already, so that rest has been given.
        nature = Nature.PASSING if facts.is_recoverable else Nature.RESTING
        return Cause(nature, diagnosis.kind, diagnosis.rule, reason)
    step = "correct what the text names (credentials, grants, mapping, data), then start the task again"
    return Cause(Nature.LASTING, diagnosis.kind, diagnosis.rule, reason, step)
