"""A run is given up for dead after a silence, whatever its state, and never while it gives signs of life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from recovery.operations import Notice, Stage, TidyRequest, silence

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIMIT = timedelta(minutes=10)


def ago(minutes: float) -> datetime:
    """So many minutes before now."""
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize("stage", Stage)
def test_a_run_that_was_silent_for_long_is_given_up_with_a_reason(stage: Stage) -> None:
    """The reason says for how long, and what becomes of the run's work."""
    reason = silence(stage, ago(25), None, NOW, LIMIT)
    assert reason is not None
    assert "25 minutes" in reason
    assert "next run" in reason


@pytest.mark.parametrize(
    ("since", "last_sign"),
    [(ago(9.9), None), (ago(600), ago(9.9)), (ago(600), ago(0)), (ago(1), ago(600))],
    ids=["has just begun", "a heartbeat of late", "speaks now", "a state later than its events"],
)
def test_a_run_that_gave_a_sign_is_left_alone(since: datetime, last_sign: datetime | None) -> None:
    """A heartbeat or a change of state within the limit is life, however long the run takes."""
    assert silence(Stage.RUNNING, since, last_sign, NOW, LIMIT) is None


def test_nothing_is_reported_or_marked_unless_asked_for() -> None:
    """Both are dry by default, and a run may always be silent for three heartbeats."""
    assert Notice().dry_run
    assert TidyRequest().dry_run
    with pytest.raises(ValidationError):
        TidyRequest(silent_minutes=9)
