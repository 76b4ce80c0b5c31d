"""Verdicts on what a run meets on its way: what was not read, and what stops a decided attempt. Pure."""

from __future__ import annotations

from datetime import datetime

from recovery.appflow_runs.advice import refused, unblock
from recovery.appflow_runs.models import Flow, Refusal
from recovery.appflow_runs.rules import LOOK_AGAIN
from recovery.appflow_runs.verdicts import Escalate, Leave, Verdict, Wait

GONE = Leave("S2", "the flow was removed a moment ago")
OUT_OF_SCOPE = Leave("S2", "the flow was taken out of the request a moment ago")
UNDER_WAY = Leave("R2", "a run was under way when this one should start")


def damaged(name: str, place: str) -> Escalate:
    """The verdict on a flow of which nobody knows what was done before."""
    return Escalate(
        "L1",
        "what was done about it before is not known, so nothing is done",
        f"look at flow {name} in AppFlow, then delete {place}: the next run begins anew with it, and its attempts count"
        " anew",
    )


NOT_READ = Leave("L2", "it was not read")


def out_of_time(now: datetime) -> Wait:
    """The verdict on an attempt whose turn came after the time of the run."""
    return Wait("L3", "the run's time was up before its turn (time_limit_seconds); the next run makes the attempt", now)


def elsewhere(until: datetime) -> Wait:
    """The verdict on an attempt that another worker makes: its lease ends then."""
    return Wait("T6", "another run of this deployment is making the attempt", until)


def twin_under_way(now: datetime) -> Wait:
    """The verdict on an attempt whose temporary twin runs already."""
    return Wait("T1", "its temporary twin is running", now + LOOK_AGAIN)


def refused_call(refusal: Refusal, flow: Flow) -> Escalate:
    """The verdict on a flow of which AppFlow refused a call."""
    return Escalate("C6", refused(refusal), unblock(flow))


def changed(again: Verdict, now: datetime) -> Verdict:
    """The verdict where the facts changed before the call: the attempt is called off, and the next run decides anew."""
    return again if isinstance(again, Leave) else Wait("O2", "it has changed just now", now + LOOK_AGAIN)
