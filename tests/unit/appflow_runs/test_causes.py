"""Causes of failed AppFlow runs: connectors' texts, and quotas that no waiting brings back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recovery.appflow_runs.causes import diagnose_run, diagnosed
from recovery.appflow_runs.models import History, Means
from recovery.failures import DEFAULT_RULES, Kind
from tests.unit.appflow_runs.situations import DAILY, DOWN, EXPIRED, TEXTS, Situation, attempt, failed, succeeded


@pytest.mark.parametrize("text", TEXTS)
def test_the_texts_of_the_situations(text: str) -> None:
    """The situations and the diagnosis take the same kinds for transient."""
    diagnosis, error = diagnose_run(failed(30, text), DEFAULT_RULES)
    passes = TEXTS[text] in (Kind.THROTTLED, Kind.DEPENDENCY_FAILURE, Kind.TIMEOUT)
    assert diagnosis.transient is passes
    assert (diagnosis.kind is Kind.UNKNOWN) == (TEXTS[text] is Kind.UNKNOWN)
    assert error


@pytest.mark.parametrize(
    ("text", "transient"),
    [
        ("ServiceQuotaExceededException: quota exceeded", False),
        ("The quota of flow runs for this month is used up: quota exceeded", False),
        ("Quota exceeded: 1000 requests per minute per user", True),
        ("429 Too Many Requests: quota exceeded", True),
        ("Rate limit exceeded", True),
    ],
)
def test_quotas(text: str, transient: bool) -> None:
    """A quota that is used up needs a person; one that is counted by the minute passes by itself."""
    diagnosis, _ = diagnose_run(failed(30, text), DEFAULT_RULES)
    assert diagnosis.transient is transient


def test_the_latest_failure_counts() -> None:
    """A twin's failure is newer than the flow's own, and what was kept of it counts once the twin is gone."""
    facts = Situation("", "", "", "", (failed(90, DOWN),), schedule=DAILY).facts
    own, group = diagnosed(facts, History(), DEFAULT_RULES)
    assert own.diagnosis is not None
    assert own.diagnosis.transient
    begun = attempt(1, "run-90", 30, means=Means.TWIN, run="t")
    twin_failed = replace(facts, twin_runs=(failed(20, EXPIRED),))
    with_twin, another = diagnosed(twin_failed, History((begun,)), DEFAULT_RULES)
    assert with_twin.diagnosis is not None
    assert with_twin.diagnosis.kind is Kind.AUTH_FAILURE
    assert group != another
    kept = replace(
        begun,
        outcome="Error",
        diagnosis=with_twin.diagnosis,
        error=with_twin.error,
    )
    remembered, same = diagnosed(facts, History((kept,)), DEFAULT_RULES)
    assert (remembered.diagnosis, remembered.error, same) == (with_twin.diagnosis, with_twin.error, another)


def test_a_twin_of_an_earlier_failure_says_nothing_of_a_later_one() -> None:
    """The flow has failed again since its twin was begun: the later failure speaks for itself."""
    facts = Situation("", "", "", "", (failed(5, EXPIRED), failed(90, DOWN)), schedule=DAILY).facts
    begun = attempt(1, "run-90", 30, means=Means.TWIN, run="t")
    reported, _ = diagnosed(replace(facts, twin_runs=(failed(20, DOWN),)), History((begun,)), DEFAULT_RULES)
    assert reported.diagnosis is not None
    assert reported.diagnosis.kind is Kind.AUTH_FAILURE


def test_nothing_failed() -> None:
    """Without a failure there is nothing to diagnose."""
    facts = Situation("", "", "", "", (succeeded(5), failed(30))).facts
    assert diagnosed(facts, History(), DEFAULT_RULES) == (facts, "")
