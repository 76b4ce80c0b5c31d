"""Verdicts on a flow, and the names that an attempt's calls carry. Pure values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from recovery.appflow_runs.models import TWIN_PREFIX


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict on one flow, with its reason.

    Attributes:
        rule: id of the sentence in docs/paths/appflow_runs.md that decided.
        reason: one sentence that a person can act on.
    """

    action: ClassVar[str] = ""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Leave(Verdict):
    """Nothing is to be done."""

    action: ClassVar[str] = "leave"


@dataclass(frozen=True, slots=True)
class Wait(Verdict):
    """Nothing before `until`; then look again.

    Attributes:
        next_step: where the wait is so long that a person is notified of it, once: what the person can do.
    """

    action: ClassVar[str] = "wait"
    until: datetime
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Escalate(Verdict):
    """A person is notified, once for each incident and sentence.

    Attributes:
        next_step: what the person can do.
    """

    action: ClassVar[str] = "escalate"
    next_step: str


@dataclass(frozen=True, slots=True)
class Rerun(Verdict):
    """StartFlow on an on-demand flow.

    Attributes:
        client_token: the same for every call of this attempt, so that AppFlow starts one run.
        failed_run, attempt: what the token is made of.
    """

    action: ClassVar[str] = "rerun"
    client_token: str
    failed_run: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RunTwin(Verdict):
    """Run a copy of the flow once, on demand, and remove it afterwards.

    Attributes:
        twin: its name, a hash of flow, failed run and attempt: a Conflict on creation means that it is ours.
        client_token: for creating and for starting it.
    """

    action: ClassVar[str] = "twin"
    twin: str
    client_token: str
    failed_run: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Reactivate(Verdict):
    """StartFlow on a flow that AppFlow switched off: its schedule or its events run again."""

    action: ClassVar[str] = "reactivate"
    client_token: str
    failed_run: str
    attempt: int


def attempt_hash(flow: str, failed_run: str, attempt: int) -> str:
    """40 hexadecimal digits that stand for one attempt at one failed run, the same on every machine and day."""
    named = f"{flow}\n{failed_run}\n{attempt}"
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def client_token(flow: str, failed_run: str, attempt: int) -> str:
    """The token of an attempt's calls."""
    return "reprise-" + attempt_hash(flow, failed_run, attempt)


def twin_name(flow: str, failed_run: str, attempt: int) -> str:
    """The name of an attempt's twin."""
    return TWIN_PREFIX + attempt_hash(flow, failed_run, attempt)


def jitter(flow: str, failed_run: str, attempt: int) -> float:
    """The jitter of an attempt's wait, from 0 to 1: it differs between flows, and is the same at every call."""
    return int(attempt_hash(flow, failed_run, attempt)[-8:], 16) / 0xFFFFFFFF
