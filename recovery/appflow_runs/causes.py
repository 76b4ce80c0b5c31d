"""The cause of a failed run: the shared diagnosis, with words that mean something else to AppFlow. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from recovery.appflow_runs.known_text import Nature, Text
from recovery.appflow_runs.models import FlowFacts, History, Means, Refusal, Run, RunStatus
from recovery.appflow_runs.texts import TEXTS
from recovery.errors import RepriseError
from recovery.failures import Diagnosis, Evidence, Kind, RuleSet, diagnose, fingerprint, normalise
from recovery.failures.masks import mask

_OPEN_KINDS = frozenset({Kind.THROTTLED, Kind.UNKNOWN, Kind.VALIDATION_ERROR})
"""Kinds that the words about quotas of any connector may overrule: an expired token stays one."""


def diagnose_run(run: Run, rules: RuleSet) -> tuple[Diagnosis, str]:
    """The cause of a failed run, and its normalised error text."""
    found = diagnose(Evidence(error=run.message, source="appflow"), rules)
    is_own = any(rule.id == found.rule for rule in rules.own)  # a user's own rule wins
    text = None if is_own else _known_text(run.message, found.kind)
    if text is not None:
        rule = f"appflow.{text.id}"
        found = replace(found, kind=text.kind, transient=text.nature is not Nature.LASTS, rule=rule, reason=text.cause)
    return found, normalise(run.message)


def _known_text(message: str, kind: Kind) -> Text | None:
    for text in TEXTS:
        is_open = text.connector not in ("any", "AppFlow") or kind in _OPEN_KINDS
        if is_open and text.pattern.search(message):
            return text
    return None


def refusal_of(error: RepriseError, failed_run: str, at: datetime) -> Refusal:
    """Words of a call that AppFlow refused, without their values: kept and reported.

    Args:
        error: Refused, or BadInput where AppFlow holds something else than expected.
        failed_run: id of the run that the attempt answered.
        at: when, aware.
    """
    call, words = _call_and_words(error)
    return Refusal(failed_run, at, call, words)


def words_of(error: RepriseError) -> str:
    """An error as reports and alerts show it: AWS's own words without their values, ours as they are."""
    call, words = _call_and_words(error)
    return f"{call}: {words}" if call else words


def _call_and_words(error: RepriseError) -> tuple[str, str]:
    call = ": ".join(part for part in (error.operation, error.code) if part)
    if not error.operation:
        return call, mask(str(error))
    return call, normalise(str(error).removeprefix(f"{call}: "))


def diagnosed(facts: FlowFacts, history: History, rules: RuleSet) -> tuple[FlowFacts, str]:
    """The facts with the diagnosis of the latest failure, be it the flow's own or its twin's, and its group."""
    newest = facts.runs[0] if facts.runs else None
    last = history.last
    if newest is None or newest.status is not RunStatus.ERROR:
        return facts, ""
    twin = facts.twin_runs[0] if facts.twin_runs else None
    answered = last is not None and last.means is Means.TWIN and last.failed_run == newest.id
    if answered and twin is not None and twin.status is RunStatus.ERROR:
        diagnosis, error = diagnose_run(twin, rules)
    elif answered and last is not None and last.diagnosis is not None:
        diagnosis, error = last.diagnosis, last.error
    else:
        diagnosis, error = diagnose_run(newest, rules)
    return replace(facts, diagnosis=diagnosis, error=error), fingerprint(diagnosis.kind, error)
