"""The attempt that is to be made now: its number and its time. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from recovery.appflow_runs.known_text import Nature
from recovery.appflow_runs.models import Attempt, FlowFacts, History, Run
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.appflow_runs.texts import BY_RULE
from recovery.appflow_runs.verdicts import jitter

DAILY = timedelta(hours=5)
"""Between attempts at a quota that is counted by the day, so that the attempts outlast it."""


def open_attempt(newest: Run, history: History) -> Attempt | None:
    """The last attempt, if it answers this failure and is not known to have started anything."""
    last = history.last
    if last is None or last.failed_run != newest.id or last.outcome or last.run:
        return None
    return last


def next_attempt(newest: Run, facts: FlowFacts, history: History, policy: AppFlowPolicy) -> tuple[int, datetime]:
    """Number and due time of the attempt to make now. One that was begun is made again under its number, at once."""
    flow = facts.flow
    begun = open_attempt(newest, history)
    if begun is not None:
        return begun.number, begun.claimed
    number = (history.last.number if history.last else 0) + 1
    failed = newest.updated
    if history.last and history.last.failed_run == newest.id:
        failed = max(failed, history.last.ended or history.last.claimed)
    wait = policy.backoff.delay(number, jitter(flow.arn, newest.id, number))
    text = BY_RULE.get(facts.diagnosis.rule) if facts.diagnosis else None
    if text is not None and text.nature is Nature.DAILY:
        wait = max(wait, DAILY)
    return number, failed + wait
