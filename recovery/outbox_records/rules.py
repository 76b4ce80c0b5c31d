"""What is done with a row, and what follows from a publish. Pure: time and jitter are arguments.

The order of the rules is the order of the sentences in docs/paths/outbox_records.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.failures import Diagnosis, Evidence, Kind, diagnose, fingerprint, normalise
from recovery.outbox_records.message import Message, Unsendable
from recovery.outbox_records.models import OPEN_LINE, Fault, NotSent, Row, Status
from recovery.outbox_records.policy import OutboxPolicy


class Action(StrEnum):
    """What is done with a row."""

    DELIVER = "deliver"
    RETRY = "retry"  # it did not go out and is due again later
    EXHAUST = "exhaust"
    WAIT = "wait"  # for its topic, or for the row before it
    TIDY = "tidy"  # finished by somebody else: out of the line
    LIST = "list"  # exhausted by hand: listed among the exhausted
    GROUP = "group"  # into its FIFO group's index
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
        group: fingerprint of alike failures, "" where there is none.
        error: normalised error text.
        due: when it is due again.
        next_step: what a person can do.
    """

    action: Action
    rule: str
    reason: str
    kind: str = ""
    group: str = ""
    error: str = ""
    due: datetime | None = None
    next_step: str = ""


def decide(row: Row, message: Message | Unsendable, policy: OutboxPolicy, now: datetime) -> Verdict:
    """What is done with a row that the index called due.

    Args:
        row: as a consistent read gave it.
        message: what would be published.
        policy: the budget.
        now: aware, UTC.
    """
    if not row.known:
        return Verdict(
            Action.LEAVE,
            "unknown-status",
            "its status is none of Pending, InFlight, Successful, Failure and Exhausted, so it is somebody else's",
            next_step="set a status that this path knows, or remove the row's index keys",
        )
    if row.status is Status.SUCCESSFUL:
        if not row.line:
            return Verdict(Action.PASS, "gone", "it is finished; the index lagged behind")
        return Verdict(Action.TIDY, "finished-elsewhere", "somebody else finished it while it stood in line")
    if row.status is Status.EXHAUSTED:
        if row.line.startswith(OPEN_LINE):
            return Verdict(Action.LIST, "exhausted-by-hand", "somebody set it to Exhausted: listed among those")
        return Verdict(Action.PASS, "gone", "it is exhausted; the index lagged behind")
    if row.due is None or row.due > now.timestamp():
        return Verdict(Action.PASS, "not-due", "it is not due yet, or in flight elsewhere; the index lagged behind")
    if row.attempts >= policy.budget:
        kind = row.kind if row.kind in set(Kind) else Kind.UNKNOWN
        return Verdict(
            Action.EXHAUST,
            "budget",
            f"all {policy.budget} attempts are used up",
            kind=kind,
            group=fingerprint(kind, row.error or "in flight when its workers ended"),
            error=row.error,
            next_step=f"mend the cause, then {_REVIVE}",
        )
    if isinstance(message, Unsendable):
        return Verdict(
            Action.EXHAUST,
            message.rule,
            message.reason,
            kind=message.kind,
            group=fingerprint(message.kind, message.rule),
            error=message.rule,
            next_step=f"mend the row, then {_REVIVE}",
        )
    return Verdict(Action.DELIVER, "due", f"it is due: attempt {row.attempts + 1} of {policy.budget}")


_REVIVE = "run the path with mode=revive, which gives it a fresh budget"


# -- after a publish ---------------------------------------------------------------------------------------------

_ROW_CODES = frozenset(
    {
        "InvalidParameter",
        "InvalidParameterException",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "ParameterValueInvalid",
        "ValidationException",
        "ValidationError",
        "InvalidMessageContents",
        "BatchRequestTooLong",
        "InvalidBatchEntryId",
        "UserError",
        "OptedOut",
    }
)
_ENTRY_TOPIC_CODES = re.compile(
    r"(?i)not ?found|authorization|accessdenied|invalidsecurity|^kms|throttl|disabled|expiredtoken|requestexpired"
    r"|clienttokenid"
)
# "Invalid parameter: TopicArn Reason: ..." is the topic, whatever the message.
_NAMES_THE_TOPIC = re.compile(r"(?i)topic ?arn|invalid parameter: topic\b|topic does not exist")


def blame_call(code: str, text: str, *, unread: bool, entries: int) -> Fault | None:
    """Whose fault it is that a whole PublishBatch was refused.

    Args:
        code: the error code as AWS or the SDK spelled it.
        text: the error's message.
        unread: whether the answer was not read, so that the messages may have been published.
        entries: messages in the batch.

    Returns:
        The fault; None: one of several messages, so each must be tried by itself.
    """
    if unread:
        return Fault.UNKNOWN
    if code in _ROW_CODES and not _NAMES_THE_TOPIC.search(text):
        return Fault.ROW if entries == 1 else None
    return Fault.TOPIC


def blame_entry(code: str, text: str) -> Fault:
    """Whose fault one entry of `Failed[]` is."""
    if code in _ROW_CODES and not _NAMES_THE_TOPIC.search(text):
        return Fault.ROW
    return Fault.TOPIC if _ENTRY_TOPIC_CODES.search(code) else Fault.ROW


def diagnosis_of(code: str, text: str) -> Diagnosis:
    """Why a publish failed."""
    return diagnose(Evidence(error=text, attributes={"ERROR_CODE": code} if code else {}, source="sns"))


def after_failure(row: Row, failure: NotSent, policy: OutboxPolicy, now: datetime, draw: float) -> Verdict:
    """What follows from a publish that did not go through.

    Args:
        row: as it was read before the attempt.
        failure: what SNS answered, or that it did not.
        policy: budget and backoff.
        now: aware, UTC.
        draw: jitter, from 0 to 1.
    """
    diagnosis = diagnosis_of(failure.code, failure.text)
    error = normalise(failure.text)
    attempt = row.attempts + 1
    if failure.fault is Fault.TOPIC:
        return Verdict(
            Action.WAIT,
            "topic",
            "its topic takes nothing; the attempt does not count",
            kind=diagnosis.kind,
            group=fingerprint(diagnosis.kind, failure.text),
            error=error,
            due=now.replace(microsecond=0),
            next_step="mend the topic; a later run probes it and lets everything go",
        )
    group = fingerprint(diagnosis.kind, failure.text)
    permanent = failure.fault is Fault.ROW and not diagnosis.transient
    if permanent and (diagnosis.kind is not Kind.UNKNOWN or failure.code in _ROW_CODES):
        kind = diagnosis.kind if diagnosis.kind is not Kind.UNKNOWN else Kind.VALIDATION_ERROR
        return Verdict(
            Action.EXHAUST,
            diagnosis.rule,
            f"SNS refuses this message for good: {diagnosis.reason}",
            kind=kind,
            group=fingerprint(kind, failure.text),
            error=error,
            next_step=f"mend the row, then {_REVIVE}",
        )
    if attempt >= policy.budget:
        return Verdict(
            Action.EXHAUST,
            "budget",
            f"attempt {attempt} of {policy.budget} failed, and it was the last",
            kind=diagnosis.kind,
            group=group,
            error=error,
            next_step=f"mend the cause, then {_REVIVE}",
        )
    unread = ", and it may have been published" if failure.fault is Fault.UNKNOWN else ""
    return Verdict(
        Action.RETRY,
        diagnosis.rule,
        f"attempt {attempt} of {policy.budget} failed{unread}; the next follows with backoff",
        kind=diagnosis.kind,
        group=group,
        error=error,
        due=now + policy.backoff.delay(attempt, draw),
    )


# -- lost rows ---------------------------------------------------------------------------------------------------


class Lost(StrEnum):
    """What a search does with a row that stands in no line."""

    ENLIST = "enlist"
    NOTICE = "notice"  # it has no usable time: mark it as seen once
    YOUNG = "young"
    LEAVE = "leave"


def judge_lost(row: Row, written: datetime | None, seen: float | None, policy: OutboxPolicy, now: datetime) -> Lost:
    """Whether a row without index keys is lost.

    Args:
        row: it stands in none of the lines that we read.
        written: when it was written, if it says so.
        seen: when an earlier search noticed it, in seconds since 1970.
        policy: how old it must be.
        now: aware, UTC.
    """
    if not row.known or row.status in (Status.SUCCESSFUL, Status.EXHAUSTED):
        return Lost.LEAVE
    age = timedelta(seconds=max(policy.lost_after_seconds, policy.grace_seconds))
    if written is not None and written <= now:  # a time in the future is no time
        return Lost.ENLIST if now - written >= age else Lost.YOUNG
    if row.status is not None:
        return Lost.ENLIST  # it was worked on before: it cannot be younger than its first attempt
    if seen is None:
        return Lost.NOTICE
    return Lost.ENLIST if now.timestamp() - seen >= age.total_seconds() else Lost.YOUNG
