"""A run in sentences: its log, and its name."""

from __future__ import annotations

import pytest

from recovery.dead_letters.actions import Action as DeadLetterAction
from recovery.outbox_records.verdicts import Action as OutboxAction
from recovery.paths import DONE, PATHS
from recovery.sentences import Level, run_name, story
from tests.unit.test_report import entry, report


def test_each_source_has_one_sentence() -> None:
    """Counts by what became of the items, with their kinds; nothing waits, and there is no other line."""
    entries = [entry(f"a-{n}") for n in range(3)] + [entry("b", kind="THROTTLED", group="h")]
    entries += [entry("c", source="billing-dlq", action="archive", kind="BAD_PAYLOAD", group="i")]
    lines = story(report(*entries))
    assert [(each.level, each.text) for each in lines] == [
        (Level.STORY, "orders-dlq: 4 healed (TIMEOUT 3, THROTTLED 1)"),
        (Level.STORY, "billing-dlq: 1 archived (BAD_PAYLOAD 1)"),
    ]


def test_a_group_that_waits_for_a_person_is_a_warning() -> None:
    """It says why, what to do, and which group it is; what did not go through is an error."""
    waiting = entry("m", action="alert", kind="AUTH_FAILURE", group="g", rule="action-alert", next_step="renew the key")
    stuck = entry("n", settled=False, group="h", reason="access was denied")
    _, error, warning = story(report(waiting, stuck))
    assert (error.level, error.text) == (
        Level.ERROR,
        "1 of orders-dlq stuck for TIMEOUT: access was denied (group h, for example n)",
    )
    assert (warning.level, warning.text) == (
        Level.WARNING,
        "1 of orders-dlq parked for AUTH_FAILURE: it may pass; next step: renew the key"
        " (group g, rule action-alert, for example m)",
    )


def test_replications_are_reported_by_their_names() -> None:
    """Their source is an instance's id, which nobody knows."""
    rows = [entry(name, source="74159995F817", action="escalate", next_step="choose") for name in ("orders", "stock")]
    first, second = story(report(*rows, path="replication_tasks"))
    assert first.text == "replication tasks: 2 escalated (TIMEOUT 2)"
    assert second.text.startswith("orders and stock escalated for TIMEOUT: ")


def test_an_empty_run_is_one_line() -> None:
    """Problems and warnings follow where there are any, in their own words and on one line each."""
    assert [each.text for each in story(report())] == ["nothing was found"]
    lines = story(report(problems=("queue x\nis gone",), warnings=("no alarm",), dry_run=True))
    assert [(each.level, each.text) for each in lines[1:]] == [
        (Level.WARNING, "dry run: no alarm"),
        (Level.ERROR, "dry run: queue x is gone"),
    ]


def test_a_log_is_bounded() -> None:
    """Fifty groups, and a word about the rest."""
    lines = story(report(*[entry(f"m-{n}", group=f"g-{n}", next_step="look") for n in range(300)]))
    assert len(lines) == 52
    assert lines[-1].text == "250 more groups are in the report and its full list"


def test_a_run_is_named_by_what_it_did() -> None:
    """In the past tense; a dry run says so."""
    found = report(entry("a"), entry("b", action="alert"), entry("c", settled=False))
    assert run_name("orders-dlq", found) == "orders-dlq: 1 parked, 1 healed, 1 stuck"
    assert run_name("orders-dlq", report(dry_run=True)) == "orders-dlq: nothing to do (dry run)"


@pytest.mark.parametrize("action", [*DeadLetterAction, *OutboxAction])
def test_each_action_has_a_participle(action: str) -> None:
    """A run's name never reads "3 heal"."""
    assert action in DONE


@pytest.mark.parametrize("path", PATHS.values(), ids=list(PATHS))
def test_what_answers_a_failure_has_a_participle(path: object) -> None:
    """The actions that a path declares."""
    assert path.answers <= set(DONE)  # type: ignore[attr-defined]
