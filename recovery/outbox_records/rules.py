"""Every verdict about a row: before it is sent, in its group, after its publish, in a search. Pure: time and jitter are
arguments.

The order of the rules is the order of the sentences in docs/paths/outbox_records.md, where every id stands.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.failures import Diagnosis, Evidence, Kind, diagnose, fingerprint, normalise
from recovery.outbox_records.faults import ROW_CODES
from recovery.outbox_records.message import Message, Unsendable
from recovery.outbox_records.models import OPEN_LINE, Fault, Held, NotSent, Row, Status, number
from recovery.outbox_records.policy import ExhaustedHead, OutboxPolicy, RowNames
from recovery.outbox_records.verdicts import Action, Verdict


def decide(row: Row, message: Message | Unsendable, policy: OutboxPolicy, now: datetime) -> Verdict:
    """Return the verdict on a row that the index called due.

    Args:
        row: as a consistent read gave it.
        message: what would be published.
        policy: max_attempts.
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
    if row.attempts >= policy.max_attempts:
        kind = row.kind if row.kind in set(Kind) else Kind.UNKNOWN
        return Verdict(
            Action.EXHAUST,
            "max-attempts",
            f"all {policy.max_attempts} attempts are used up",
            kind=kind,
            group=fingerprint(kind, row.error or "in flight when its workers ended"),
            error=row.error,
            next_step=f"fix the cause, then {_REVIVE}",
        )
    if isinstance(message, Unsendable):
        return Verdict(
            Action.EXHAUST,
            message.rule,
            message.reason,
            kind=message.kind,
            group=fingerprint(message.kind, message.rule),
            error=message.rule,
            next_step=f"fix the row, then {_REVIVE}",
        )
    return Verdict(Action.DELIVER, "due", f"it is due: attempt {row.attempts + 1} of {policy.max_attempts}")


_REVIVE = "run the path with mode=revive, which gives it fresh attempts"


# -- after a publish ---------------------------------------------------------------------------------------------


def diagnosis_of(code: str, text: str) -> Diagnosis:
    """Return the diagnosis of a failed publish."""
    return diagnose(Evidence(error=text, attributes={"ERROR_CODE": code} if code else {}, source="sns"))


def after_failure(row: Row, failure: NotSent, policy: OutboxPolicy, now: datetime, jitter: float) -> Verdict:
    """Return the verdict after a publish that did not go through.

    Args:
        row: as it was read before the attempt.
        failure: what SNS answered, or that it did not.
        policy: max_attempts and backoff.
        now: aware, UTC.
        jitter: from 0 to 1.
    """
    diagnosis = diagnosis_of(failure.code, failure.text)
    error = normalise(failure.text)
    attempt = row.attempts + 1
    if failure.fault is Fault.THROTTLE:
        return Verdict(
            Action.WAIT,
            "throttled",
            "SNS took less than was sent; the row stays due, and the attempt does not count",
            kind=Kind.THROTTLED,
            diagnosis=diagnosis.rule,
            group=fingerprint(Kind.THROTTLED, failure.text),
            error=error,
        )
    if failure.fault in (Fault.TOPIC, Fault.INCIDENT):
        incident = failure.fault is Fault.INCIDENT
        return Verdict(
            Action.WAIT,
            "incident" if incident else "topic",
            "SNS has trouble of its own; the attempt does not count"
            if incident
            else "its topic takes nothing; the attempt does not count",
            kind=diagnosis.kind,
            diagnosis=diagnosis.rule,
            group=fingerprint(diagnosis.kind, failure.text),
            error=error,
            due=now.replace(microsecond=0),
            next_step="fix the topic; a later run probes it and lets everything go",
        )
    group = fingerprint(diagnosis.kind, failure.text)
    permanent = failure.fault is Fault.ROW and not diagnosis.transient
    if permanent and (diagnosis.kind is not Kind.UNKNOWN or failure.code in ROW_CODES):
        kind = diagnosis.kind if diagnosis.kind is not Kind.UNKNOWN else Kind.VALIDATION_ERROR
        return Verdict(
            Action.EXHAUST,
            "refused",
            f"SNS refuses this message for good: {diagnosis.reason}",
            kind=kind,
            diagnosis=diagnosis.rule,
            group=fingerprint(kind, failure.text),
            error=error,
            next_step=f"fix the row, then {_REVIVE}",
        )
    if attempt >= policy.max_attempts:
        return Verdict(
            Action.EXHAUST,
            "max-attempts",
            f"attempt {attempt} of {policy.max_attempts} failed, and it was the last",
            kind=diagnosis.kind,
            diagnosis=diagnosis.rule,
            group=group,
            error=error,
            next_step=f"fix the cause, then {_REVIVE}",
        )
    unread = ", and it may have been published" if failure.fault is Fault.UNKNOWN else ""
    return Verdict(
        Action.RETRY,
        "unread" if unread else "failed",
        f"attempt {attempt} of {policy.max_attempts} failed{unread}; the next follows with backoff",
        kind=diagnosis.kind,
        diagnosis=diagnosis.rule,
        group=group,
        error=error,
        due=now + policy.backoff.delay(attempt, jitter),
    )


def held(outcome: Held) -> Verdict:
    """A claimed row that was not tried."""
    return Verdict(Action.WAIT, outcome.rule, outcome.reason)


LEASE_ENDS = Held("lease-ends", "the lease was about to end before it was its turn")
TOPIC_CLOSED = Held("topic", "its topic takes nothing")
HELD_BACK = Held("throttled", "SNS takes less than is sent; the row stays due")
BEHIND = Held("behind-its-group", "an earlier row of its group did not go out")


def not_claimed(problem: str = "") -> Verdict:
    """The call that should have claimed it failed: it may carry our claim, which is taken back."""
    because = f": {problem}" if problem else ""
    return Verdict(Action.WAIT, "not-claimed", f"it could not be claimed{because}; it falls due again by itself")


def not_ours(*, gone: bool) -> Verdict:
    """The condition of our claim was refused."""
    return Verdict(Action.PASS, "not-ours", "it is gone" if gone else "another worker has it")


def overtaken(verdict: Verdict, *, sent: bool, gone: bool) -> Verdict:
    """The condition of our mark was refused: somebody changed or deleted the row meanwhile."""
    if gone:
        reason = "it was published, and deleted while in flight" if sent else "it was deleted while in flight"
        return Verdict(verdict.action if sent else Action.PASS, "deleted", reason)
    if verdict.rule == "not-claimed":
        return verdict  # our claim never got there
    if sent:
        return Verdict(
            Action.DELIVER,
            "changed-in-flight",
            "it was published, but changed while in flight, so its status was not written",
            next_step="do not write a row that is InFlight; what it holds now goes out as a row of its own",
        )
    return Verdict(Action.PASS, "changed", "somebody changed it meanwhile; the next pass decides again")


def nobody_notified(verdict: Verdict, why: str, due: datetime) -> Verdict:
    """It would be exhausted, but people could not be notified: it stays due, so that no run forgets them."""
    return replace(
        verdict,
        action=Action.RETRY,
        rule="nobody-notified",
        reason=f"it would be exhausted ({verdict.reason}), but {why}; it stays due until people are notified",
        due=due,
    )


# -- groups of a FIFO topic --------------------------------------------------------------------------------------


def placed(row: Row, verdict: Verdict, names: RowNames) -> Verdict:
    """The verdict on a due row of a FIFO topic, where it has no place in the order of its group."""
    group = row.text(names.group)
    if verdict.action not in (Action.DELIVER, Action.EXHAUST) or not group:
        return verdict  # a row without a group was refused when its message was composed
    sequence = row.item.get(names.sequence, {})
    if "S" not in sequence and number(sequence) is None:
        return Verdict(
            Action.EXHAUST,
            "no-sequence",
            f"a FIFO topic needs an order, and the row's {names.sequence!r} is missing or not of the index's type",
            kind=Kind.VALIDATION_ERROR,
            group=fingerprint(Kind.VALIDATION_ERROR, "no-sequence"),
            error="no-sequence",
            next_step=f"fix the row, then {_REVIVE}",
        )
    if row.text(names.group_line) != group:
        return Verdict(Action.GROUP, "not-in-its-group", "it is put into its group's index first")
    return verdict


class Step(StrEnum):
    """Return a row's meaning for the rows behind it in its group."""

    TAKE = "take"  # it goes on, and so may they
    SKIP = "skip"  # it is out of their way
    STOP = "stop"  # they wait for it, and it moves by itself
    LAST = "last"  # it goes on, and they wait
    HOLD = "hold"  # they wait until a person has decided about it


def step(row: Row, verdict: Verdict, policy: OutboxPolicy) -> Step:
    """The meaning of a row for those behind it."""
    holds = policy.exhausted_head is ExhaustedHead.HOLD
    if not row.known or row.status is Status.EXHAUSTED:
        return Step.HOLD if holds else Step.SKIP
    if row.status is Status.SUCCESSFUL:
        return Step.TAKE if verdict.action is Action.TIDY else Step.SKIP
    if verdict.action is Action.DELIVER:
        return Step.TAKE
    if verdict.action is Action.EXHAUST:
        return Step.LAST if holds else Step.TAKE
    return Step.STOP


def behind(head: Row | None, rows: int) -> Verdict:
    """The verdict on rows that wait for an earlier one of their group.

    Args:
        head: the row that a person must decide about; None: it moves by itself.
        rows: due rows behind it that this run met.
    """
    count = f"{rows} due row{'s' if rows != 1 else ''} of its group wait{'s' if rows == 1 else ''} for it"
    if head is None:
        return Verdict(Action.WAIT, "behind-its-group", "an earlier row of its group has not gone out")
    if not head.known:
        return Verdict(
            Action.WAIT,
            "held-by-a-foreign-status",
            f"its status is none that this path knows, and {count}",
            next_step="set Successful to let them pass, or Pending to send it (or exhausted_head=skip)",
        )
    return Verdict(
        Action.WAIT,
        "held-by-an-exhausted-row",
        f"it is exhausted, and {count}",
        kind=head.kind,
        error=head.error,
        next_step=f"fix its cause, then {_REVIVE}; or exhausted_head=skip passes over it",
    )


def taken_elsewhere() -> Verdict:
    """A row that we claimed behind one of its group that we did not get."""
    return Verdict(Action.WAIT, "behind-its-group", "another worker has an earlier row of its group, or nobody could")


# -- searches ----------------------------------------------------------------------------------------------------


def lost(row: Row, written: datetime | None, seen: float | None, policy: OutboxPolicy, now: datetime) -> Verdict | None:
    """The verdict on a row that stands in none of the lines that are read; None: nothing to do with it (yet).

    Args:
        written: when it was written, if it says so.
        seen: when an earlier search noticed it, in seconds since 1970.
        policy: how old it must be.
        now: aware, UTC.
    """
    enlist = Verdict(Action.ENLIST, "lost", "it stood in no line that is read")
    if not row.known:
        return Verdict(Action.LEAVE, "unknown-status", "its status is none of ours, so it is left alone")
    if row.status in (Status.SUCCESSFUL, Status.EXHAUSTED):
        return None
    age = timedelta(seconds=max(policy.lost_after_seconds, policy.grace_seconds))
    if written is not None and written <= now:  # a time in the future is no time
        return enlist if now - written >= age else None
    if row.status is not None:
        return enlist  # it was worked on before: it cannot be younger than its first attempt
    if seen is None:
        reason = "it has no status and no usable time: the next search that still finds it so puts it in line"
        return Verdict(Action.NOTICE, "seen-once", reason)
    return enlist if now.timestamp() - seen >= age.total_seconds() else None


def far_ahead() -> Verdict:
    """A next attempt that lies beyond any backoff."""
    reason = "its next attempt was further away than any backoff: a clock was wrong, and it is due now"
    return Verdict(Action.ENLIST, "far-ahead", reason)


def kept() -> Verdict:
    """An unfinished row that TTL would delete."""
    return Verdict(Action.KEEP, "expiring", "TTL would have deleted it before it went out: its TTL was removed")


def revived(row: Row) -> Verdict:
    """An exhausted row gets fresh attempts."""
    return Verdict(Action.REVIVE, "revive", "it was exhausted, and gets fresh attempts", kind=row.kind, error=row.error)
