"""The verdict on a message: a pure table from facts to verdicts.

The order of the rules below is the order of the sentences in docs/paths/dead_letters.md, and each rule's id stands in
both. The first rule that applies decides.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from recovery.cases import Case, State
from recovery.dead_letters.actions import Action, WithoutEvidence
from recovery.dead_letters.deliveries import CALLED
from recovery.dead_letters.next_steps import fix, review
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.situation import Gate, Known
from recovery.dead_letters.verdicts import AlertVerdict, ArchiveVerdict, Finish, Heal, Hide, Leave, Verdict
from recovery.failures import TRANSIENT_KINDS, Diagnosis, Kind, Origin

TRIES = 3
"""Most times that one attempt is begun while its sends stay unconfirmed."""
LONGEST_DELAY = timedelta(seconds=900)  # SQS: DelaySeconds
LONGEST_HIDE = timedelta(hours=11)  # SQS hides at most 12 hours from the receive; an hour is kept for the run itself
MOST_HIDDEN = 80_000  # of the 120,000 messages in flight, beyond which a long poll comes back empty without an error
LEASE_MARGIN = timedelta(seconds=30)
"""Nothing is done on a message whose lease ends within this time."""

_NOT_FAILURES = {
    Origin.S3_TEST_EVENT: "S3 sends this test event when a notification is set up; it is no failed work",
    Origin.SUCCESS_RECORD: "a record of a success, not of a failure: an OnSuccess destination points at this queue",
}


def _doubt(known: Known) -> str:
    if known.unreadable or known.damaged:
        return ", and was not sent already, which is not known"
    unconfirmed = known.unconfirmed
    return ", and did not arrive: it may have been sent" if unconfirmed is not None and not unconfirmed.sent else ""


def _decide(known: Known, policy: DeadLetterPolicy, now: datetime, jitter: float, spread: timedelta) -> Verdict:
    message, history = known.message, known.history
    if message.lease_until - now < LEASE_MARGIN:  # lease
        return Leave(
            "the time for which this run holds the message is about to end; a later run takes it up", rule="lease"
        )
    finished = _finish(known)
    if finished is not None:  # finish
        return finished
    is_late = message.expires_at(known.queue) - now < 2 * timedelta(seconds=policy.sweep_seconds) + LEASE_MARGIN
    if known.damaged and not is_late:  # damaged-case
        return Leave(
            "what was done about it before is not known, so nothing is done",
            f"put right {known.damaged}, or delete it: the message then begins anew, with all its attempts",
            rule="damaged-case",
        )
    if known.unreadable and not is_late:  # damaged-intent
        return Leave(
            "what was being sent of its queue is not known, so nothing is done",
            f"restore {known.unreadable} (the table has point-in-time recovery); once it is deleted, messages that were"
            " sent already may be sent a second time",
            rule="damaged-intent",
        )
    if message.origin in _NOT_FAILURES:  # no-failure
        return ArchiveVerdict(State.ARCHIVED, _NOT_FAILURES[message.origin], rule="no-failure")
    if is_late:  # rescue
        return ArchiveVerdict(
            State.STALE,
            "its queue would have dropped it before the next runs",
            "replay it from the archive if the work is still wanted" + _doubt(known),
            rule="rescue",
        )
    age = (now - message.sent_at).total_seconds()
    if policy.max_age_seconds is not None and age > policy.max_age_seconds:  # stale
        return ArchiveVerdict(
            State.STALE,
            f"older than the policy's max_age of {policy.max_age_seconds} s",
            "replay it from the archive if the work is still wanted",
            rule="stale",
        )
    waits = history if history is not None and history.state is State.BACKOFF and history.due is not None else None
    gated = waits is not None and waits.detail.get("circuit")  # its circuit is asked, whatever was foreseen
    if waits is not None and waits.due is not None and waits.due > now and not gated:  # early
        return _hide(known, waits.due, waits.attempts + 1, policy, now, "its next attempt is not due yet", rule="early")
    diagnosis = known.diagnosis or _remembered(waits)
    if diagnosis is None:  # no-evidence
        return _without_evidence(known, policy, now, jitter, spread, waited=waits is not None)
    return _act(known, diagnosis, policy, now, jitter, spread, waited=waits is not None)


def _finish(known: Known) -> Finish | None:
    own, unconfirmed = known.own, known.unconfirmed
    if known.removed:
        return Finish(archived=True, reason="removed by this run already; SQS handed it out again", rule="finish")
    if unconfirmed is not None and unconfirmed.same_message and unconfirmed.sent:
        return Finish(archived=False, reason="sent by an earlier run that was interrupted", rule="finish")
    if own is not None and own.detail.get("archive") and own.detail.get("id") == known.message.message_id:
        since = ", and replayed since" if own.state in (State.REPLAYED, State.REPLAYING) else ""
        return Finish(archived=True, reason=f"archived by an earlier run that was interrupted{since}", rule="finish")
    return None


def _remembered(waits: Case | None) -> Diagnosis | None:
    """A message that waits was triaged when its wait began; its evidence (a log line) may be gone since."""
    if waits is None or not waits.kind:
        return None
    kind = Kind(waits.kind)
    own = "" if kind in set(Kind) else Action.HEAL.value  # a kind of a rules file, which was healed when it was seen
    return Diagnosis(kind, kind in TRANSIENT_KINDS, waits.rule, "triaged before its wait began", kind_action=own)


def _without_evidence(
    known: Known, policy: DeadLetterPolicy, now: datetime, jitter: float, spread: timedelta, *, waited: bool
) -> Verdict:
    if known.evidence_pending:
        step = "nothing to do unless it stays so: then check the policy's log_group"
        return Leave(known.evidence_pending, step, rule="no-evidence")
    why = known.searched or known.unread
    where = f" ({why})" if why else ""
    step = _evidence_step(known)
    if policy.without_evidence is WithoutEvidence.ARCHIVE:
        return ArchiveVerdict(
            State.ARCHIVED,
            f"nothing says why it failed{where}, and the policy archives such messages",
            step,
            rule="no-evidence",
        )
    probes = policy.without_evidence is WithoutEvidence.PROBE and policy.heal
    if probes or policy.without_evidence is WithoutEvidence.HEAL:
        does = "lets a few of such messages try" if probes else "heals such messages"
        why = f"nothing says why it failed{where}, and the policy {does}"
        return _may_not_heal(known, policy, why) or _heal(known, policy, now, jitter, spread, why, waited=waited)
    return Leave(f"nothing says why it failed{where}, so it is not triaged", step, rule="no-evidence")


def _evidence_step(known: Known) -> str:
    """The way to supply evidence for messages of this origin."""
    if known.message.origin not in (Origin.SQS_REDRIVE, Origin.UNKNOWN):
        return (
            "read in the log of its target why it failed; to keep such messages in the archive, set without_evidence to"
            " archive in the policy, and replay them with a destination once the cause is fixed"
        )
    first = (
        "let the consumer log the message id with its error"
        if known.searched
        else "name the consumer's log_group in the policy"
    )
    return f"{first}, or let the consumer write its error into a message attribute and name it in error_attributes"


def _act(
    known: Known,
    diagnosis: Diagnosis,
    policy: DeadLetterPolicy,
    now: datetime,
    jitter: float,
    spread: timedelta,
    *,
    waited: bool,
) -> Verdict:
    group = known.group or (known.history.group if known.history else "")
    action, chosen_by = policy.action_for(
        diagnosis.kind, diagnosis.rule, group, diagnosis.action, diagnosis.kind_action
    )
    why = f"{diagnosis.reason.removesuffix('.')} ({chosen_by})"
    if action is Action.LEAVE:  # action-leave
        return Leave(why, rule="action-leave")
    if known.message.is_cut:  # cut
        return AlertVerdict(
            State.PARKED,
            f"{why}; Scheduler cut its payload, so what lies here is not what was to be sent",
            "take the whole input from the schedule, and call its target with that; this copy is never replayed",
            rule="cut",
        )
    if known.message.target_is_gone:  # target-gone
        return AlertVerdict(
            State.WAITING,
            f"{diagnosis.reason}; the message is fine, but the target that it was for is gone",
            "restore the target, or point the rule or schedule at another one; then replay the message to a queue, or"
            " call the target with the archived body",
            rule="target-gone",
        )
    if action is Action.ARCHIVE and policy.notify:  # action-archive
        return AlertVerdict(State.ARCHIVED, why, review(diagnosis.kind), rule="action-archive")
    if action is Action.ARCHIVE:
        return ArchiveVerdict(State.ARCHIVED, why, review(diagnosis.kind), rule="action-archive")
    if action is Action.ALERT:  # action-alert
        return AlertVerdict(State.PARKED, why, fix(diagnosis.kind), rule="action-alert")
    return _may_not_heal(known, policy, why) or _heal(known, policy, now, jitter, spread, why, waited=waited)


def _may_not_heal(known: Known, policy: DeadLetterPolicy, why: str) -> AlertVerdict | None:
    """Return the verdict that stands against a heal; None when nothing does."""
    message = known.message
    if not policy.heal:  # heal-off
        return AlertVerdict(
            State.PARKED,
            f"{why}; but the policy says that this queue is not safe to heal",
            "check whether the work was done, then replay or drop it",
            rule="heal-off",
        )
    if message.origin not in (Origin.SQS_REDRIVE, Origin.UNKNOWN) and not known.own_target:  # other-target
        return AlertVerdict(
            State.WAITING,
            f"{why}; its target is not a queue ({message.origin.value}), so it waits until that target is asked again"
            + (f": {known.no_target}" if known.no_target else ""),
            "once the target works again, replay it"
            + ("" if message.origin in CALLED else " to a queue, or call the target with the archived body"),
            rule="other-target",
        )
    if not known.destination:  # no-destination
        return AlertVerdict(
            State.PARKED,
            f"{why}; but nothing says which queue it came from, or that queue is gone",
            "name the destination in the policy, then replay",
            rule="no-destination",
        )
    attempt, tries = _count(known)
    if tries > TRIES:  # unconfirmed
        return AlertVerdict(
            State.EXHAUSTED,
            f"{why}; {TRIES} sends of attempt {attempt} were never confirmed",
            "check whether the destination received it, then replay or drop it",
            rule="unconfirmed",
        )
    if attempt > policy.max_attempts:  # exhausted
        return AlertVerdict(
            State.EXHAUSTED,
            f"{why}; it was sent back {attempt - 1} times and came back each time",
            "fix the cause, then replay",
            rule="exhausted",
        )
    return None


def _heal(
    known: Known, policy: DeadLetterPolicy, now: datetime, jitter: float, spread: timedelta, why: str, *, waited: bool
) -> Verdict:
    attempt, tries = _count(known)
    history = known.history
    at_once = known.takes_no_delay
    called = known.is_called
    # A target that is called takes no delay: as many go now as its rate allows until the next run.
    longest = timedelta(seconds=policy.sweep_seconds) if called else LONGEST_DELAY
    if waited and (spread <= longest or (at_once and not called)):  # due
        reason = f"{why}; the wait before attempt {attempt} is over"
        return Heal(known.destination, timedelta(0) if called else spread, attempt, tries, reason, rule="due")
    if waited:
        rate = f"its destination takes at most {policy.max_per_second:g} a second"
        return _hide(known, now + spread, attempt, policy, now, f"{why}; {rate}", rule="due")
    reason = f"{why}; attempt {attempt} of {policy.max_attempts}"
    came_back = history is not None and history.state in (State.SENT, State.BACK)
    if known.follows and not came_back:  # follows
        return Heal(
            known.destination, timedelta(0), attempt, tries, f"{reason}, right behind its group", rule="follows"
        )
    delay = policy.backoff.delay(attempt, jitter) + spread
    if not at_once and delay <= LONGEST_DELAY:  # delay
        return Heal(known.destination, delay, attempt, tries, reason, rule="delay")
    if at_once and delay < timedelta(seconds=1):
        return Heal(known.destination, timedelta(0), attempt, tries, reason, rule="delay")
    if tries > 1:  # an attempt that was begun already has waited
        wait = timedelta(0) if called else min(delay, LONGEST_DELAY)
        return Heal(known.destination, wait, attempt, tries, reason, rule="delay")
    return _hide(known, now + delay, attempt, policy, now, reason, rule="delay")


def _gated(known: Known, policy: DeadLetterPolicy, now: datetime, verdict: Verdict) -> Verdict:
    """Let a message that would be sent now pass its gate, or wait there without using an attempt."""
    gate = known.gate
    if gate is None or not isinstance(verdict, Heal):
        return verdict
    if gate.rule == "alarm":  # alarm
        return _wait_at(gate, known, policy, now, verdict)
    if verdict.tries > 1:  # its send was begun: it may lie at its destination already
        return replace(verdict, probe=gate.mark)
    if gate.passes:  # probe
        return replace(verdict, rule="probe", probe=gate.mark, reason=f"{verdict.reason}; {gate.reason}")
    if not known.queue.has_redrive:  # circuit
        return _wait_at(gate, known, policy, now, verdict)
    if known.diagnosis is None and policy.without_evidence is WithoutEvidence.PROBE:
        return Leave(f"{verdict.reason}; {gate.reason}", rule="circuit")
    return verdict  # every receive counts there, so that waiting would move it on


def _wait_at(gate: Gate, known: Known, policy: DeadLetterPolicy, now: datetime, verdict: Heal) -> Hide:
    """Keep it in its queue as long as it survives there: hidden until its gate is asked again, if that can be."""
    queue = known.queue
    last = known.message.expires_at(queue) - max(known.reach, 2 * timedelta(seconds=policy.sweep_seconds))
    until = max(now, min(gate.again, now + LONGEST_HIDE, last))
    hidden = until > now and not queue.has_redrive and known.hidden < MOST_HIDDEN
    reason = f"{verdict.reason}; {gate.reason}"
    return Hide(until, gate.again, verdict.attempt, reason, hidden=hidden, gated=True, rule=gate.rule)


def decide(known: Known, policy: DeadLetterPolicy, now: datetime, jitter: float, spread: timedelta) -> Verdict:
    """Return the verdict on one message; one that would stay must survive until a later run reaches it.

    Args:
        known: the facts.
        policy: the queue's policy.
        now: the time by AWS's clock.
        jitter: from 0 to 1.
        spread: how much later it must arrive so that the destination's rate is kept.
    """
    verdict = _gated(known, policy, now, _decide(known, policy, now, jitter, spread))
    message = known.message
    stays = isinstance(verdict, Leave | Hide) and message.lease_until - now >= LEASE_MARGIN
    if stays and message.expires_at(known.queue) - now < known.reach + LEASE_MARGIN:  # backlog
        return ArchiveVerdict(
            State.STALE,
            f"its queue would drop it before later runs have gone through all that lies there ({verdict.reason})",
            "replay it from the archive if the work is still wanted" + _doubt(known),
            rule="backlog",
        )
    return verdict


def _hide(
    known: Known, due: datetime, attempt: int, policy: DeadLetterPolicy, now: datetime, reason: str, *, rule: str
) -> Verdict:
    """Keep it waiting in its queue: hidden if the queue can do that and surely keeps it so long."""
    queue = known.queue
    last = known.message.expires_at(queue) - max(known.reach, 2 * timedelta(seconds=policy.sweep_seconds))
    until = min(due, now + LONGEST_HIDE)
    is_full = known.hidden >= MOST_HIDDEN
    if queue.has_redrive or is_full or until >= last:
        waits_already = known.history is not None and known.history.state is State.BACKOFF
        keeps_it = is_full and not queue.has_redrive and until < last
        if known.takes_no_delay or waits_already or keeps_it:
            visibly = f"{reason}; it waits visibly, since this queue cannot hide it"
            return Hide(until, due, attempt, visibly, hidden=False, rule=rule)
        # A standard queue that cannot hide a message lends the longest delay that SQS has instead.
        cut = f"{reason}; the wait is cut to SQS's longest delay"
        return Heal(known.destination, LONGEST_DELAY, attempt, 1, cut, rule=rule)
    return Hide(until, due, attempt, reason, rule=rule)


def _count(known: Known) -> tuple[int, int]:
    """The attempt that would be made now, and which try of it this is."""
    unconfirmed, history = known.unconfirmed, known.history
    made = history.attempts if history is not None else 0
    if unconfirmed is not None and not unconfirmed.sent:
        if unconfirmed.same_message:
            return unconfirmed.attempt, unconfirmed.tries + 1
        # A copy whose send was never confirmed came back: that attempt was made, though its case was never written.
        made = max(made, unconfirmed.attempt)
    return made + 1, 1
