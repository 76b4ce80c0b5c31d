"""Failures without a text or a date, claims that nobody carried out, earlier lives, and causes just fixed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from recovery.replication_tasks.causes import cause_of
from recovery.replication_tasks.memory import Memory, is_newer, mark_of
from recovery.replication_tasks.models import FLAPPED, NOT_MADE, REFUSED, Migration, Progress, Restart, Verb
from recovery.replication_tasks.policy import ReplicationPolicy
from recovery.replication_tasks.rules import decide
from recovery.replication_tasks.situation import Situation
from recovery.replication_tasks.tables import Table
from recovery.replication_tasks.verdicts import Escalate, Leave, Reload, Resume, Wait
from recovery.replication_tasks.verify import Outcome, verify
from tests.unit.replication_tasks.situations import (
    BINLOG,
    HOUR,
    LOADED,
    MINUTE,
    NOW,
    RECOVERABLE,
    RELOADABLE,
    WRONG_PASSWORD,
    cdc,
    load,
    serverless,
)

POLICY = ReplicationPolicy()


def test_a_restart_that_fails_again_without_a_text_has_failed_again() -> None:
    """Nobody took it over: its incident goes on, and the limit on restarts of an unknown cause holds."""
    failed = cdc("failed", stopped=NOW - MINUTE)
    assert not failed.failure
    proof = verify(failed, Restart(NOW - 2 * MINUTE, Verb.RESUME), POLICY, NOW)
    assert proof.outcome is Outcome.FAILED_AGAIN
    assert proof.flapped


def test_a_stop_on_purpose_stays_one_whatever_else_its_text_says() -> None:
    """The stop reason's own word decides before the words "Last Error" around it."""
    stopped = cdc("stopped", "Last Error  Task was stopped by a user. Stop Reason NORMAL Error Level RECOVERABLE")
    decision = decide(Situation(stopped, Memory().history()), POLICY, NOW)
    assert isinstance(decision, Leave)
    assert decision.rule == "stopped-on-purpose"


def test_a_fixed_cause_is_acted_upon_in_the_run_that_is_reported_it() -> None:
    """The next run is not reported, and would wait for a person again."""
    for stopped in (None, NOW - timedelta(seconds=1)):
        failed = cdc("failed", WRONG_PASSWORD, stopped=stopped)
        memory = Memory().fixed(failed, NOW, jitter=1.0)
        assert isinstance(decide(Situation(failed, memory.history(cause_fixed=True)), POLICY, NOW), Resume)


def test_what_dms_refused_after_the_cause_was_fixed_is_given_a_rest() -> None:
    """A fixed cause forgets what was done before, not what this run did: it does not ask again at once."""
    failed = cdc("failed", WRONG_PASSWORD)
    before = Restart(NOW - 10 * MINUTE, Verb.RESUME)
    memory = replace(Memory(), restarts=(before,) * 5).fixed(failed, NOW, jitter=1.0)
    memory = memory.restarted(Restart(NOW, Verb.RESUME), 1.0).with_outcome(REFUSED)
    decision = decide(Situation(failed, memory.history(cause_fixed=True)), POLICY, NOW)
    assert isinstance(decision, Wait)
    assert decision.rule == "backoff"


def test_what_was_deprovisioned_in_an_earlier_life_is_not_lost_now() -> None:
    """A deprovisioning date from before the last start or stop says nothing about the present failure."""
    failed = serverless(Migration.FULL_LOAD_AND_CDC, "failed", RECOVERABLE)
    for old in (failed.started, failed.stopped):
        assert old is not None
        now = replace(failed, deprovisions=old - HOUR)
        assert isinstance(decide(Situation(now, Memory().history()), RELOADABLE, NOW), Resume)
    undated = replace(failed, started=None, stopped=None, deprovisions=NOW - HOUR)
    assert isinstance(decide(Situation(undated, Memory().history()), RELOADABLE, NOW), Resume)


def test_what_was_deprovisioned_in_this_life_is_lost() -> None:
    """A date after the last stop counts, and so do two days after it where DMS gives none."""
    failed = serverless(Migration.FULL_LOAD_AND_CDC, "failed", RECOVERABLE, stopped=NOW - 50 * HOUR, started=None)
    for deprovisions in (NOW - HOUR, None, NOW - 60 * HOUR):
        decision = decide(Situation(replace(failed, deprovisions=deprovisions), Memory().history()), RELOADABLE, NOW)
        assert isinstance(decision, Reload)
        assert decision.rule == "position-lost"
    sooner = replace(failed, stopped=NOW - 5 * HOUR, deprovisions=NOW - HOUR)
    assert isinstance(decide(Situation(sooner, Memory().history()), RELOADABLE, NOW), Reload)


def test_an_old_message_does_not_reload_what_was_stopped() -> None:
    """Deprovisioned without a stop reason, it may have been stopped on purpose: a person is asked."""
    gone = serverless(
        Migration.FULL_LOAD_AND_CDC, "deprovisioned", last_failure=RECOVERABLE, stopped=NOW - 50 * HOUR, tables=()
    )
    decision = decide(Situation(gone, Memory().history()), RELOADABLE, NOW)
    assert isinstance(decision, Escalate)
    assert "reload-target" in decision.next_step


def test_a_deprovisioned_failure_may_be_reported_by_its_stop_reason_alone() -> None:
    """Without failure messages, a stop reason that names an error still shows that it failed."""
    text = "Stop Reason FATAL_ERROR"
    gone = serverless(Migration.FULL_LOAD_AND_CDC, "deprovisioned", text, last_failure="", stopped=NOW - 50 * HOUR)
    assert gone.failure == text
    assert isinstance(decide(Situation(gone, Memory().history()), RELOADABLE, NOW), Reload)


def test_a_table_that_is_loaded_again_moves_although_it_counts_from_zero() -> None:
    """A large table that is loaded anew after a resume has fewer rows for hours than it had before."""
    before = Restart(NOW - HOUR, Verb.RESUME, Progress(rows=5_000_000, completed=1))
    for began, outcome in (
        (NOW - HOUR / 2, Outcome.RECOVERED),
        (NOW - 9 * HOUR, Outcome.STALLED),
        (None, Outcome.STALLED),
    ):
        tables = (LOADED[0], Table("public", "large", "Full load", 7_000, load_began=began))
        running = load("running", tables=tables, started=NOW - HOUR)
        assert verify(running, before, POLICY, NOW).outcome is outcome


def test_the_text_of_an_earlier_failure_decides_nothing() -> None:
    """A stop reason that DMS has kept from a lost position is not the cause of the failure that came after it."""
    failed = cdc("failed", RECOVERABLE, stop_reason=BINLOG)
    assert cause_of(failed).rule == cause_of(cdc("failed", RECOVERABLE)).rule
    assert isinstance(decide(Situation(failed, Memory().history()), POLICY, NOW), Resume)
    assert cause_of(cdc("failed", last_failure="", stop_reason=BINLOG)).rule == "mysql-log-file-gone"


CLAIMED = Restart(NOW - 10 * MINUTE, Verb.RESUME)


@pytest.mark.parametrize(
    ("facts", "asked", "outcome"),
    [
        ({"stopped": NOW - HOUR}, NOW - 11 * MINUTE, Outcome.WATCHED),
        ({"stopped": NOW - HOUR}, NOW - 8 * MINUTE, Outcome.WATCHED),
        ({"stopped": None}, NOW - 8 * MINUTE, Outcome.WATCHED),
        ({"stopped": NOW - 9 * MINUTE}, NOW - 8 * MINUTE, Outcome.FAILED_AGAIN),
        ({"stopped": NOW - HOUR}, NOW, Outcome.NOT_MADE),
        ({"stopped": NOW - HOUR, "accepted": NOW - HOUR}, NOW, Outcome.NOT_MADE),
        ({"stopped": NOW - HOUR, "accepted": NOW - 9 * MINUTE}, NOW, Outcome.FAILED_AGAIN),
        ({"stopped": None}, NOW, Outcome.FAILED_AGAIN),
    ],
)
def test_a_claim_is_proved_by_what_dms_can_know_of_it(facts: dict[str, Any], asked: datetime, outcome: Outcome) -> None:
    """Older facts, and facts of the first minutes, say nothing; a start that DMS accepted since was carried out."""
    assert verify(cdc("failed", RECOVERABLE, **facts), CLAIMED, POLICY, NOW, asked).outcome is outcome


def test_what_was_never_carried_out_counts_against_the_bound_alone() -> None:
    """It is no try at a cause that gets one try, and neither begins nor ends a row of failures at once."""
    flapped, idle = (replace(CLAIMED, outcome=outcome) for outcome in (FLAPPED, NOT_MADE))
    memory = Memory(restarts=(flapped, idle, flapped, idle), incident=NOW - HOUR)
    history = memory.history()
    assert (history.tried, history.came_back, len(history.restarts)) == (2, 2, 4)
    decision = decide(Situation(cdc("failed", RECOVERABLE), history), ReplicationPolicy(max_attempts=4), NOW)
    assert isinstance(decision, Escalate)
    assert decision.rule == "max-attempts"
    assert "twice restarted" in decision.reason
    assert "twice one was written down that DMS does not show" in decision.reason


def test_every_failure_has_a_mark() -> None:
    """By its own date, by the last start, or by its words; a failure that goes on keeps its mark."""
    dated = cdc("failed", RECOVERABLE)
    undated = replace(dated, stopped=None, accepted=NOW - 3 * HOUR)
    never = replace(undated, accepted=None, started=None)
    assert len({mark_of(dated), mark_of(undated), mark_of(never), ""}) == 4
    assert mark_of(replace(undated, accepted=NOW)) != mark_of(undated)
    assert mark_of(replace(never, last_failure=RECOVERABLE.replace("ODBC", "JDBC"))) != mark_of(never)
    assert mark_of(replace(never, last_failure=f"{RECOVERABLE} at 12:00:01")) == mark_of(
        replace(never, last_failure=f"{RECOVERABLE} at 13:30:59")
    )
    silent = cdc("failed", stopped=NOW - HOUR)
    assert mark_of(silent) != mark_of(replace(silent, stopped=NOW)), "without a text, too"


def test_an_earlier_report_of_dms_is_no_new_failure() -> None:
    """A list that lags behind shows an earlier failure than the one that was given up: only a later one is new."""
    first, second = (mark_of(cdc("failed", RECOVERABLE, stopped=moment)) for moment in (NOW - HOUR, NOW))
    words = mark_of(cdc("failed", RECOVERABLE, stopped=None, started=None))
    assert is_newer(second, first)
    assert not is_newer(first, second)
    assert not is_newer(first, first)
    assert is_newer(words, first)
    assert not is_newer(words, words)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("restarts", "none"),
        ("restarts", [7]),
        ("restarts", [{"at": "2026-01-05T12:00:00+00:00", "verb": "resume-processing", "before": [0, 0]}]),
        ("restarts", [{"at": None, "verb": "resume-processing", "before": [0, 0, 0, ""]}]),
        ("incident", 5),
        ("failed", "2026-01-05T12:00:00"),
        ("jitter", float("nan")),
        ("notified", None),
        ("missed", "no"),
        ("seconds_to_recover", "soon"),
    ],
)
def test_what_is_not_a_memory_is_not_read_as_one(field: str, value: object) -> None:
    """Half of a memory would decide wrongly: it is refused as a whole, by the field that is damaged."""
    with pytest.raises(ValueError, match=r"\w"):
        Memory.from_json(Memory().as_json() | {field: value})


def test_a_window_that_the_bound_outlasts_is_refused() -> None:
    """Restarts that leave the window before the limit is reached would go on for ever, and nobody would be notified."""
    with pytest.raises(ValidationError, match="window_seconds must exceed the shortest waits of 5 restarts"):
        ReplicationPolicy(window_seconds=2_900)
    assert ReplicationPolicy(window_seconds=3_600).max_attempts == 5
    assert ReplicationPolicy(max_attempts=10).window_seconds == 21_600
