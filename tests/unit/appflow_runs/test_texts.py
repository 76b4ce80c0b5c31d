"""Texts of connectors: which causes pass by themselves, and that the page says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recovery.appflow_runs.advice import fix
from recovery.appflow_runs.causes import diagnose_run
from recovery.appflow_runs.known_text import Nature, Text
from recovery.appflow_runs.models import History, Run, RunStatus
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.appflow_runs.rules import decide
from recovery.appflow_runs.texts import BY_RULE, TEXTS
from recovery.appflow_runs.verdicts import Wait
from recovery.failures import DEFAULT_RULES, Diagnosis, Kind
from tests.unit.appflow_runs.situations import NOW, F, Situation

PAGE = (Path(__file__).parents[3] / "docs/paths/appflow_runs.md").read_text(encoding="utf-8")


def diagnosis(text: str) -> Diagnosis:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return diagnose_run(Run("r", RunStatus.ERROR, at, at, message=text), DEFAULT_RULES)[0]


@pytest.mark.parametrize("row", TEXTS, ids=lambda row: row.id)
def test_each_row_fits_its_example(row: Text) -> None:
    """The example is diagnosed by its own row, with the row's meaning."""
    found = diagnosis(row.example)
    assert found.rule == f"appflow.{row.id}"
    assert found.transient is (row.nature is not Nature.LASTS)
    assert found.kind is row.kind


@pytest.mark.parametrize(
    "text",
    [
        "Details: property tokens quota for this project exhausted for the current hour, ErrorCode: ClientError",
        "606: 100 requests in 20 seconds is the rate limit, and it is exceeded",
        "429 from HubSpot: ten_secondly_rolling",
        "ServiceNow answered 429: rate limit rule reached",
        "Redshift: ActiveStatementsExceededException, allowed are 500",
        "The number of requests is above the limit of 6000 over a time window of 300 seconds",
        "52 concurrent requests exceed the limit",
        "The quota of this user resets in 12 minutes",
        "SAP: maximum number of open sessions reached",
        "could not serialize: deadlock detected",
        "Too many parallel extractions: limit reached",
        "The hourly allowance of this workspace is exhausted",
        "throttleexceeded, code 3001",
        "Requests a day for this key: limit reached",
    ],
)
def test_what_comes_back_with_time_passes(text: str) -> None:
    """Whatever the connector: a limit by time, or by what runs at once, is no reason to call a person."""
    assert diagnosis(text).transient


@pytest.mark.parametrize(
    "text",
    [
        "The licence of this organisation allows 3 users: limit reached",
        "The monthly quota of flow runs is used up",
        "STORAGE_LIMIT_EXCEEDED",
        "A file of 140 MB is larger than the 125 MB that are allowed",
        "resource monitor RM has exceeded its quota",
        "invalid_grant: the refresh token is expired",
        "INVALID_FIELD: no such column",
        "missing_scope: channels:history",
    ],
)
def test_what_does_not_come_back_needs_a_person(text: str) -> None:
    """Bought, stored or set for a run, or no quota at all: nothing is run again."""
    assert not diagnosis(text).transient


def test_an_expired_token_is_one_although_it_speaks_of_limits() -> None:
    """Words about quotas overrule no cause that the shared diagnosis knows for sure."""
    found = diagnosis("401 Unauthorized: the access token is expired; retry limit reached")
    assert found.kind is Kind.AUTH_FAILURE


@pytest.mark.parametrize("row", [row for row in TEXTS if row.nature is Nature.LASTS], ids=lambda row: row.id)
def test_what_lasts_says_what_to_do(row: Text) -> None:
    """The next step of the alert is the row's own."""
    flow = Situation("", "", "", "", (F,)).facts.flow
    assert fix(diagnosis(row.example), flow).startswith(row.step)


def test_a_quota_of_the_day_is_outlasted() -> None:
    """Attempts are five hours apart, so that the default number of them covers a day."""
    text = "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded"
    facts = replace(Situation("", "", "", "", (F,)).facts, diagnosis=diagnosis(text))
    verdict = decide(facts, History(), AppFlowPolicy(), NOW)
    assert isinstance(verdict, Wait)
    assert verdict.until - facts.runs[0].updated >= timedelta(hours=5)
    assert AppFlowPolicy().max_attempts * timedelta(hours=5) >= timedelta(hours=24)


def test_the_page_has_every_row() -> None:
    """Connector, example, what becomes of it, the step and the source, in the order in which they are tried."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `appflow.")]
    assert rows == [
        f"| `appflow.{row.id}` | {row.connector} | {row.example} | {row.nature.value} | {row.step} | {row.source} |"
        for row in TEXTS
    ]
    assert len(BY_RULE) == len(TEXTS)
