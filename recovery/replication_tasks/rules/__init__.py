"""All verdicts on replications. Pure; the order of the rules is the order of the sentences in
docs/paths/replication_tasks.md, under whose names they stand in each verdict.
"""

from __future__ import annotations

from datetime import datetime

from recovery.replication_tasks.commands import command
from recovery.replication_tasks.lag import LAGS
from recovery.replication_tasks.models import DEPROVISIONED, FAILED, IN_TRANSITION, READY, RUNNING, STOPPED, Verb
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.reasons import purpose
from recovery.replication_tasks.rules.failed import LOOK_AGAIN, after_it_failed
from recovery.replication_tasks.rules.met import CALL_REFUSED, ended_by_itself, on_the_way, proven, unless_refused
from recovery.replication_tasks.rules.running import loaded_with_errors, unknown_lag, while_it_runs
from recovery.replication_tasks.situation import Situation, has_failed
from recovery.replication_tasks.verdicts import AnyVerdict, Escalate, Leave, Wait

__all__ = ["CALL_REFUSED", "FINDINGS", "GIVES_UP", "LOOK_AGAIN", "RULES", "decide"]

ON_THE_WAY = (
    "damaged-case",
    "gone",
    "elsewhere",
    "instance-busy",
    "not-now",
    "refused",
    "call-refused",
    "back-by-itself",
    "given-up",
)
"""Rules of what a run met, asked before the others."""

RULES = (
    "in-transition",
    "running",
    "table-errors",
    "validation-failed",
    "latency-grows",
    "moves-nothing",
    "ready",
    "failed-move",
    "load-with-errors",
    "stopped-on-purpose",
    "unknown-status",
    "recycling",
    "instance-away",
    "instance-down",
    "position-lost",
    "not-transient",
    "not-again",
    "first-start",
    "cdc",
    "load-and-cdc",
    "full-load",
    "reload-over-data",
    "reload-not-allowed",
    "max-attempts",
    "keeps-coming-back",
    "backoff",
)
"""The rules of its state, in the order in which they are asked."""

FINDINGS = LAGS | {"validation-failed"}
"""Rules of one that runs without a failure."""

GIVES_UP = frozenset({"not-again", "max-attempts", "keeps-coming-back"})
"""Rules after which only a person, or another failure, begins restarts again."""


def decide(situation: Situation, policy: ReplicationPolicy, now: datetime) -> AnyVerdict:
    """Decide on one replication.

    Args:
        situation: everything that is known of it.
        policy: the permissions and limits.
        now: aware, UTC.
    """
    verdict = on_the_way(situation, situation.met, now) if situation.met else None
    verdict = verdict or proven(situation, now)
    if verdict is None and situation.is_over and situation.is_unknown:
        return unknown_lag(now)
    if verdict is None and situation.is_over:
        verdict = ended_by_itself(situation, policy, now)
    if verdict is not None:
        return verdict
    if situation.given_up and situation.needs_something:
        return Escalate(
            rule="given-up",
            reason=situation.given_up,
            next_step="remove what makes it fail, then start it, or run replication-tasks/by-hand with `cause_fixed`",
        )
    return unless_refused(situation, _by_its_state(situation, policy, now), now)


def _by_its_state(situation: Situation, policy: ReplicationPolicy, now: datetime) -> AnyVerdict:
    facts, history = situation.facts, situation.history
    status = facts.status
    if status in IN_TRANSITION:
        return Wait(
            rule="in-transition", reason=f"it is {status}; DMS accepts nothing meanwhile", until=now + LOOK_AGAIN
        )
    if status == RUNNING:
        return while_it_runs(facts, history, policy, now, situation.slow)
    if status in READY:
        return Leave(rule="ready", reason="nobody has started it since it was made or changed")
    if status == "failed-move":
        return Escalate(
            rule="failed-move",
            reason="moving it to another replication instance failed, and it does not run",
            next_step=f"move it again, or resume it where it is: {command(facts, Verb.RESUME)}",
        )
    if status == STOPPED and not facts.failure and policy.findings and has_failed(facts):
        return loaded_with_errors(facts)
    if status == STOPPED and not facts.failure:
        return Leave(rule="stopped-on-purpose", reason=purpose(facts))
    if status == DEPROVISIONED and not facts.failure:
        return Leave(rule="stopped-on-purpose", reason="it was stopped, and has been deprovisioned since")
    if status not in {FAILED, STOPPED, DEPROVISIONED}:
        return Leave(rule="unknown-status", reason=f"its status {status!r} is not known here, so nothing is done")
    return after_it_failed(facts, history, policy, now)
