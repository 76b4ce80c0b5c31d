"""Failures without a text, stops on purpose that speak of errors, and restarts right after a person mended a cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import REFUSED, Restart, Verb
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.rules import decide
from recovery.replication_tasks.verdicts import Leave, Resume, Wait
from recovery.replication_tasks.verify import Outcome, verify
from tests.unit.replication_tasks.situations import MINUTE, NOW, WRONG_PASSWORD, cdc

POLICY = ReplicationPolicy()


def test_a_restart_that_fails_again_without_a_text_has_failed_again() -> None:
    """Nobody took it over: its incident goes on, and the bound on restarts of an unknown cause holds."""
    failed = cdc("failed", stopped=NOW - MINUTE)
    assert not failed.failure
    proof = verify(failed, Restart(NOW - 2 * MINUTE, Verb.RESUME), POLICY, NOW)
    assert proof.outcome is Outcome.FAILED_AGAIN
    assert proof.flapped


def test_a_stop_on_purpose_stays_one_whatever_else_its_text_says() -> None:
    """The stop reason's own word decides before the words "Last Error" around it."""
    stopped = cdc("stopped", "Last Error  Task was stopped by a user. Stop Reason NORMAL Error Level RECOVERABLE")
    decision = decide(stopped, Memory().history(), POLICY, NOW)
    assert isinstance(decision, Leave)
    assert decision.rule == "stopped-on-purpose"


def test_a_mended_cause_is_acted_upon_in_the_run_that_is_told_of_it() -> None:
    """The next run is not told, and would wait for a person again."""
    for stopped in (None, NOW - timedelta(seconds=1)):
        failed = cdc("failed", WRONG_PASSWORD, stopped=stopped)
        memory = Memory().mended(failed, NOW, draw=1.0)
        assert isinstance(decide(failed, memory.history(cause_is_mended=True), POLICY, NOW), Resume)


def test_what_dms_refused_after_the_cause_was_mended_is_given_a_rest() -> None:
    """A mended cause forgets what was done before, not what this run did: it does not ask again at once."""
    failed = cdc("failed", WRONG_PASSWORD)
    before = Restart(NOW - 10 * MINUTE, Verb.RESUME)
    memory = replace(Memory(), restarts=(before,) * 5).mended(failed, NOW, draw=1.0)
    memory = memory.restarted(Restart(NOW, Verb.RESUME), 1.0).judged(REFUSED)
    decision = decide(failed, memory.history(cause_is_mended=True), POLICY, NOW)
    assert isinstance(decision, Wait)
    assert decision.rule == "backoff"
