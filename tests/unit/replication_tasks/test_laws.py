"""Laws of every replication, whatever the facts, the history and the policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.replication_tasks.causes import cause_of
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import (
    FLAPPED,
    IN_ERROR_STOP,
    IN_TRANSITION,
    ON_PURPOSE,
    Facts,
    History,
    Migration,
    Preparation,
    Progress,
    Restart,
    Verb,
)
from recovery.replication_tasks.policy import ReplicationPolicy, matches
from recovery.replication_tasks.rules import RULES, decide
from recovery.replication_tasks.situation import Situation
from recovery.replication_tasks.tables import Table
from recovery.replication_tasks.texts import Nature, table
from recovery.replication_tasks.verdicts import Action, Escalate, Reload, ReloadTables, Resume, Start, Wait
from recovery.replication_tasks.verify import CLAIM_HOLDS, Outcome, verify
from tests.unit.replication_tasks.situations import NOW, SITUATIONS

STATUSES = sorted(
    IN_TRANSITION | {"failed", "stopped", "running", "ready", "created", "failed-move", "deprovisioned", "new"}
)
TEXTS = [
    "",
    *(example for text in table() for example in text.examples),
    "Last Error  ODBC general error.",
    "access denied",
    "x" * 400,
]
STOPS = ["", *(f"Stop Reason {code}" for code in sorted(ON_PURPOSE | IN_ERROR_STOP))]
TABLE_STATES = [
    "Table error",
    "Table completed",
    "Full load",
    "Before load",
    "Table error",
    "Table cancelled",
    "Table is being reloaded",
    "Table does not exist",
    "Table suspended",
    "Something new",
]

tables = st.lists(
    st.builds(
        Table,
        st.just("public"),
        st.sampled_from("abcdefghijklmnop"),
        st.sampled_from(TABLE_STATES),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=14,
    unique_by=lambda table: table.name,
).map(tuple)
moments = st.integers(0, 100 * 3_600).map(lambda seconds: NOW - timedelta(seconds=seconds))

# Of each verdict alike, however many rows lead to it.
BY_VERDICT = {
    verdict: [situation for situation in SITUATIONS if situation.verdict == verdict]
    for verdict in {situation.verdict for situation in SITUATIONS}
}

CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "migration": st.sampled_from(Migration),
    "status": st.sampled_from(STATUSES),
    "serverless": st.booleans(),
    "last_failure": st.sampled_from(TEXTS),
    "stop_reason": st.sampled_from(STOPS),
    "checkpoint": st.sampled_from(["", "checkpoint:V1#1"]),
    "has_run": st.booleans(),
    "tables": st.none() | tables,
    "preparation": st.sampled_from(Preparation),
    "started": st.none() | moments,
    "stopped": st.none() | moments,
    "deprovisions": st.none() | moments,
    "instance_status": st.sampled_from(["", "available", "maintenance", "storage-full"]),
}


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """The facts of a situation that a person wrote down, with up to four of them changed."""
    verdict = draw(st.sampled_from(sorted(BY_VERDICT)))
    found = draw(st.sampled_from(BY_VERDICT[verdict])).facts
    for name in draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=4, unique=True)):
        found = replace(found, **{name: draw(CHANGES[name])})
    return found


restarts = st.lists(
    st.builds(Restart, moments, st.sampled_from(Verb), outcome=st.sampled_from(["", FLAPPED, "recovered", "refused"])),
    max_size=7,
).map(lambda made: tuple(sorted(made, key=lambda restart: restart.at)))
histories = st.builds(
    History,
    restarts=restarts,
    came_back=st.sampled_from([0, 0, 0, 1, 2, 4]),
    incident=st.none() | moments,
    tried=st.sampled_from([0, 0, 1, 3]),
    jitter=st.floats(0, 1),
    start_was_refused=st.booleans(),
    cause_fixed=st.booleans(),
)
laws = settings(max_examples=120, deadline=None)
policies = st.builds(
    ReplicationPolicy,
    allow_reload=st.sampled_from([(), ("orders",), ("*",), ("*",)]),
    max_attempts=st.integers(1, 8),
    window_seconds=st.integers(20_000, 100_000),  # longer than the waits between eight restarts
    flaps=st.integers(1, 5),
    unsure_restarts=st.integers(0, 3),
)


@laws
@given(facts(), histories, policies)
def test_never_two_restarts_within_the_backoff(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """Between a restart and the one before lies at least half of the backoff's wait for that attempt."""
    decision = decide(Situation(found, history), policy, NOW)
    recent = [one for one in history.restarts if NOW - one.at < timedelta(seconds=policy.window_seconds)]
    if isinstance(decision, Action) and recent:
        assert NOW - recent[-1].at >= policy.backoff.ceiling(len(recent) + 1) / 2


@laws
@given(facts(), histories, policies)
def test_never_beyond_the_bound(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """No restart beyond the limit of the window, none after as many flaps as the policy takes."""
    decision = decide(Situation(found, history), policy, NOW)
    recent = [one for one in history.restarts if NOW - one.at < timedelta(seconds=policy.window_seconds)]
    if isinstance(decision, Action):
        assert len(recent) < policy.max_attempts
        assert history.came_back < policy.flaps


@laws
@given(facts(), histories, policies)
def test_never_emptied_without_permission(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """No reload, no reload of tables, and no first start that empties its target, unless the policy allows it."""
    decision = decide(Situation(found, history), policy, NOW)
    if isinstance(decision, Reload | ReloadTables) or (isinstance(decision, Start) and found.empties_target):
        assert matches(found, policy.allow_reload)
    if isinstance(decision, Reload | ReloadTables):
        assert found.preparation is not Preparation.DO_NOTHING
        assert found.migration.loads


@settings(max_examples=250, deadline=None)
@given(facts(), histories, policies)
def test_never_emptied_while_it_can_go_on(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """No text, no statistics and no history reload what has a checkpoint, unless its position is lost."""
    decision = decide(Situation(found, history), policy, NOW)
    if isinstance(decision, Reload) and found.checkpoint and found.migration.captures:
        gone = found.serverless and decision.rule == "position-lost"  # DMS itself has deprovisioned it
        assert gone or cause_of(found).nature is Nature.POSITION_LOST
        assert gone or not found.is_recoverable


LOST = [text for text in table() if text.nature is Nature.POSITION_LOST]
WORDS = sorted({word.strip("'.,:\"()") for text in LOST for example in text.examples for word in example.split()})
OTHERS = [example for text in table() if text.nature is not Nature.POSITION_LOST for example in text.examples]


@settings(max_examples=300, deadline=None)
@given(
    facts(),
    histories,
    st.lists(st.sampled_from(WORDS) | st.sampled_from(OTHERS), max_size=12),
    st.sampled_from([Migration.CDC, Migration.FULL_LOAD_AND_CDC]),
)
def test_no_text_but_a_whole_finding_empties_a_target(
    found: Facts, history: History, words: list[str], migration: Migration
) -> None:
    """The words of lost positions in any order, between other texts, reload nothing that has a checkpoint."""
    text = f"Last Error  {' '.join(words)} Stop Reason FATAL_ERROR Error Level FATAL"
    if any(pattern.search(text) for lost in LOST for pattern in lost.patterns):
        return
    found = replace(found, last_failure=text, stop_reason="", checkpoint="checkpoint:V1#1", migration=migration)
    decision = decide(Situation(found, history), ReplicationPolicy(allow_reload=("*",)), NOW)
    gone = found.serverless and decision.rule == "position-lost"  # DMS itself has deprovisioned it
    assert gone or not isinstance(decision, Reload)


@laws
@given(facts(), histories, policies)
def test_a_reload_says_what_it_empties(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """The reason of a reload counts tables and rows; without a lost position, some load never finished."""
    decision = decide(Situation(found, history), policy, NOW)
    if isinstance(decision, Reload):
        assert "empties" in decision.reason
        if decision.rule != "position-lost":
            assert found.tables_loading
            assert not found.checkpoint or not found.migration.captures


@laws
@given(facts(), histories, policies)
def test_never_a_start_of_what_did_not_fail(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """Only what failed, or stopped in error, is started, resumed or reloaded; only what runs gets tables reloaded."""
    decision = decide(Situation(found, history), policy, NOW)
    if isinstance(decision, ReloadTables):
        assert found.status == "running"
        assert 1 <= len(decision.tables) <= 10
        assert len(set(decision.tables)) == len(decision.tables)
    elif isinstance(decision, Action):
        assert found.status in {"failed", "stopped", "deprovisioned"}
        assert found.status == "failed" or found.failure


@laws
@given(facts(), histories, policies)
def test_the_start_type_is_one_that_dms_takes(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """Only one that never ran is started; change capture alone is never reloaded, nor resumed from nowhere."""
    decision = decide(Situation(found, history), policy, NOW)
    ran = found.has_run or history.start_was_refused
    if isinstance(decision, Start):
        assert not ran
    if isinstance(decision, Resume | Reload):
        assert ran
    if isinstance(decision, Resume):
        assert not (found.serverless and found.migration is Migration.FULL_LOAD)
        assert found.migration is Migration.FULL_LOAD or found.checkpoint
        assert cause_of(found).nature != "position lost"


@laws
@given(facts(), histories, policies)
def test_every_decision_can_be_acted_upon(found: Facts, history: History, policy: ReplicationPolicy) -> None:
    """The same facts give the same decision, with its sentence and reason; a wait lies ahead; a person learns how."""
    decision = decide(Situation(found, history), policy, NOW)
    assert decision == decide(Situation(found, history), policy, NOW)
    assert decision.rule in RULES
    assert decision.reason
    if isinstance(decision, Wait):
        assert decision.until > NOW
    if isinstance(decision, Escalate):
        assert decision.next_step


@given(facts(), st.sampled_from(Verb), moments, policies)
def test_every_restart_can_be_triaged(found: Facts, verb: Verb, at: object, policy: ReplicationPolicy) -> None:
    """Any facts give one judgement on a restart; what failed or was loaded in part is never taken for recovered."""
    restart = Restart(at, verb, Progress(1, 1, 1))  # type: ignore[arg-type]
    proof = verify(found, restart, policy, NOW)
    assert proof.reason
    if proof.outcome is Outcome.RECOVERED:
        assert not found.failure
        assert found.status in {"running", "stopped"}
        assert found.status == "running" or found.load_is_complete
    if proof.outcome is Outcome.STALLED:
        assert proof.next_step


@given(facts(), st.sampled_from(Verb), moments, moments, policies)
def test_nothing_older_than_a_restart_triages_it(
    found: Facts, verb: Verb, at: datetime, asked: datetime, policy: ReplicationPolicy
) -> None:
    """A failure from before a restart's claim leaves the restart to its claimant, whatever it says."""
    proof = verify(found, Restart(at, verb), policy, NOW, asked)
    if asked < at:
        assert proof.outcome is Outcome.WATCHED
    if proof.outcome is Outcome.NOT_MADE:
        assert asked - at >= CLAIM_HOLDS


@given(restarts, st.none() | moments, st.floats(0, 1), st.text())
def test_memory_survives_the_ledger(made: tuple[Restart, ...], incident: object, jitter: float, reported: str) -> None:
    """A memory is read back as it was written."""
    memory = Memory(restarts=made, incident=incident, jitter=jitter, notified=reported, checkpoint="c")  # type: ignore[arg-type]
    assert Memory.from_json(memory.as_json()) == memory


@given(restarts, moments)
def test_memory_forgets_nothing_that_counts(made: tuple[Restart, ...], incident: object) -> None:
    """An entry that falls out of the memory is older than the window and belongs to no open incident."""
    memory = Memory(restarts=made, incident=incident)  # type: ignore[arg-type]
    window = timedelta(hours=6)
    kept = memory.forgetting(NOW, window)
    assert kept.tried == memory.tried
    gone = set(made) - set(kept.restarts)
    assert all(NOW - restart.at >= window for restart in gone)


def test_the_laws_are_tried_on_real_decisions() -> None:
    """The facts that are drawn lead to every kind of decision, and often enough to a restart."""
    seen: Counter[str] = Counter()

    # Hypothesis also draws constants of whatever modules are loaded, so the counts depend on which tests ran before.
    @settings(max_examples=600, deadline=None, database=None, derandomize=True)
    @given(facts(), histories, policies)
    def look(found: Facts, history: History, policy: ReplicationPolicy) -> None:
        seen[type(decide(Situation(found, history), policy, NOW)).__name__] += 1

    look()
    assert set(seen) == {"Start", "Resume", "Reload", "ReloadTables", "Wait", "Leave", "Escalate"}
    assert seen["Start"] + seen["Resume"] + seen["Reload"] + seen["ReloadTables"] > 20
