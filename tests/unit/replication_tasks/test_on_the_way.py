"""Verdicts on what a run met on the way, on proven restarts, on refused calls, and on what was given up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from recovery.replication_tasks.models import History, Restart, Verb
from recovery.replication_tasks.refusals import Refusal
from recovery.replication_tasks.rules import ON_THE_WAY, decide
from recovery.replication_tasks.situation import Met, Obstacle, Situation
from recovery.replication_tasks.verdicts import Leave, Resume
from recovery.replication_tasks.verify import Outcome, Proof
from tests.unit.replication_tasks.situations import (
    CAREFUL,
    HOUR,
    LOADED,
    MINUTE,
    NOW,
    RECOVERABLE,
    RELOADABLE,
    WRONG_PASSWORD,
    both,
    cdc,
    load,
)

FAILED = cdc("failed", RECOVERABLE)
WANTED = Resume(rule="cdc", reason="")
RESTARTED = History(restarts=(Restart(NOW - HOUR, Verb.RESUME),))
DENIED = Refusal(NOW - MINUTE, "dms:StartReplicationTask", "AccessDeniedException", "not allowed", Verb.RESUME)


@dataclass(frozen=True)
class Case:
    """One situation, with the verdict on it."""

    situation: Situation
    verdict: str
    rule: str
    says: str = ""
    has: dict[str, Any] = field(default_factory=dict)


def met(obstacle: Obstacle, words: str = "", **more: Any) -> Situation:
    return Situation(FAILED, met=Met(obstacle, words, WANTED), is_known=True, is_open=True, **more)


def proof(outcome: Outcome, **more: Any) -> Situation:
    reported = Proof(outcome, "a-rule", "a reason", "a step")
    return Situation(cdc("running"), RESTARTED, proof=reported, is_known=True, is_open=True, **more)


CASES = {
    "damaged": Case(met(Obstacle.DAMAGED, "item pk=case of table t"), "Escalate", "damaged-case", "item pk=case"),
    "gone": Case(met(Obstacle.GONE), "Leave", "gone", has={"gone": True}),
    "claimed": Case(met(Obstacle.CLAIMED), "Wait", "elsewhere", has={"foreign": True}),
    "crowded": Case(met(Obstacle.CROWDED), "Wait", "instance-busy"),
    "time-is-up": Case(met(Obstacle.TIME_IS_UP), "Wait", "not-now", "time limit"),
    "changing": Case(met(Obstacle.CHANGING), "Wait", "not-now", "keeps changing"),
    "moved-on": Case(met(Obstacle.MOVED_ON), "Resume", "cdc"),
    "refused-by-state": Case(
        met(Obstacle.STATE, "Test connection for endpoint should be successful"),
        "Escalate",
        "refused",
        "test-connection",
    ),
    "refused-by-state-for-no-lasting-cause": Case(
        met(Obstacle.STATE, "Lost connection to server during query"), "Resume", "cdc"
    ),
    "wrong-start-type": Case(
        met(Obstacle.START_TYPE, "valid only for tasks running for the first time"), "Escalate", "refused", "first time"
    ),
    "refused-for-good": Case(
        met(Obstacle.REFUSED, refusal=DENIED), "Escalate", "call-refused", "allow dms:StartReplicationTask"
    ),
    "refusal-stands": Case(Situation(FAILED, refusal=DENIED), "Escalate", "call-refused", "hourly"),
    "refusal-is-old": Case(Situation(FAILED, refusal=replace(DENIED, at=NOW - HOUR)), "Resume", "cdc"),
    "refusal-of-another-start": Case(
        Situation(FAILED, refusal=replace(DENIED, code="ResourceQuotaExceededFault", verb=Verb.RELOAD)), "Resume", "cdc"
    ),
    "refusal-does-not-outlive-a-wait": Case(
        Situation(cdc("failed", RECOVERABLE, instance_status="maintenance"), refusal=DENIED), "Wait", "instance-away"
    ),
    "proven": Case(
        proof(Outcome.RECOVERED), "Leave", "a-rule", has={"recovered": True, "since": RESTARTED.restarts[0].at}
    ),
    "watched": Case(proof(Outcome.WATCHED), "Wait", "a-rule", has={"watches": True}),
    "stalled": Case(proof(Outcome.STALLED), "Escalate", "a-rule", "a step"),
    "taken-over": Case(proof(Outcome.TAKEN_OVER), "Leave", "a-rule", has={"recovered": False}),
    "failed-again": Case(
        replace(proof(Outcome.FAILED_AGAIN), facts=cdc("failed", WRONG_PASSWORD)), "Escalate", "not-transient"
    ),
    "back": Case(
        Situation(cdc("running"), is_known=True, is_open=True), "Leave", "back-by-itself", has={"recovered": True}
    ),
    "back-just-now": Case(
        Situation(cdc("running", started=NOW - MINUTE), is_known=True, is_open=True),
        "Wait",
        "settling",
        has={"unchanged": True},
    ),
    "loaded-by-a-person": Case(
        Situation(load("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED"), is_known=True, is_open=True),
        "Leave",
        "back-by-itself",
    ),
    "stopped-by-a-person": Case(
        Situation(cdc("stopped", "Stop Reason NORMAL"), is_known=True, is_open=True),
        "Leave",
        "stopped-on-purpose",
        has={"recovered": False},
    ),
    "being-modified": Case(
        Situation(cdc("modifying"), is_known=True, is_open=True), "Wait", "in-transition", has={"unchanged": True}
    ),
    "given-up": Case(
        Situation(FAILED, given_up="5 times restarted", is_known=True, is_open=True), "Escalate", "given-up", "5 times"
    ),
    "given-up-and-back": Case(
        Situation(cdc("running"), given_up="5 times", is_known=True, is_open=True), "Leave", "back-by-itself"
    ),
    "errors-counted-of-a-known-one": Case(
        Situation(replace(both("running"), errored=3), is_known=True), "Leave", "running", has={"recovered": False}
    ),
}


@pytest.mark.parametrize("key", CASES)
def test_a_situation_has_one_verdict(key: str) -> None:
    """Each gets its verdict, by its rule, with a reason and a step that name what a person needs."""
    case = CASES[key]
    verdict = decide(case.situation, CAREFUL, NOW)
    assert (type(verdict).__name__, verdict.rule) == (case.verdict, case.rule), verdict
    assert case.says in f"{verdict.reason} {getattr(verdict, 'next_step', '')}"
    assert {name: getattr(verdict, name) for name in case.has} == case.has


def test_every_rule_of_the_way_is_tried() -> None:
    """Each rule that is asked before those of the state decides at least once."""
    assert {case.rule for case in CASES.values()} >= set(ON_THE_WAY)


@pytest.mark.parametrize("obstacle", Obstacle)
def test_no_obstacle_reloads_what_has_a_checkpoint(obstacle: Obstacle) -> None:
    """Whatever was met, what can go on goes on, or waits, or is a person's."""
    for words in ("", "Replication slot gone", "ORA-01291", "could not find first log file name in binary log index"):
        situation = Situation(
            both("failed", RECOVERABLE, tables=(*LOADED, replace(LOADED[0], name="x", state="Table error"))),
            met=Met(obstacle, words, WANTED),
            refusal=DENIED if obstacle is Obstacle.REFUSED else None,
        )
        assert not hasattr(decide(situation, RELOADABLE, NOW), "verb") or isinstance(
            decide(situation, RELOADABLE, NOW), Resume
        )


def test_a_case_that_is_closed_is_not_recovered_again() -> None:
    """One that runs well and whose incident is over is left, however often a run comes by."""
    verdict = decide(Situation(cdc("running"), is_known=True), CAREFUL, NOW)
    assert isinstance(verdict, Leave)
    assert not verdict.recovered
