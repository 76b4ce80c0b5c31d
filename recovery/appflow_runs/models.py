"""What is known about an AppFlow flow and its runs, what a policy allows, and what is decided. Pure values.

The field names are AppFlow's own where it has one. Sources: the service model of AppFlow (2020-08-23) and its user
guide; what is assumed beyond them is said where it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from recovery.backoff import Backoff
from recovery.failures.models import Diagnosis

PATH = "appflow_runs"
TWIN_PREFIX = "reprise-twin-"
"""Names of temporary twins begin with it: the event rules, the sweep and the path itself know them by it."""

TOKEN_LIFE = timedelta(hours=8)
"""For how long AppFlow answers a repeated client token with the first call's run (StartFlow, clientToken)."""
LONGEST_RUN = timedelta(hours=48)
"""AppFlow ends a run at this age (service quotas)."""


class Trigger(StrEnum):
    """What makes a flow run (`triggerType`)."""

    ON_DEMAND = "OnDemand"
    SCHEDULED = "Scheduled"
    EVENT = "Event"


class FlowStatus(StrEnum):
    """`flowStatus`. On-demand flows are always active; Draft and Suspended flows wait to be activated."""

    ACTIVE = "Active"
    DEPRECATED = "Deprecated"
    DELETED = "Deleted"
    DRAFT = "Draft"
    ERRORED = "Errored"
    SUSPENDED = "Suspended"


class RunStatus(StrEnum):
    """`executionStatus` of one run."""

    IN_PROGRESS = "InProgress"
    SUCCESSFUL = "Successful"
    ERROR = "Error"
    CANCEL_STARTED = "CancelStarted"
    CANCELED = "Canceled"


_KEYED_OPERATIONS = frozenset({"UPSERT", "UPDATE", "DELETE"})
# S3 and Upsolver get objects in a folder of each run's own; Customer Profiles merges by key.
_NEVER_INSERT = frozenset({"S3", "Upsolver", "CustomerProfiles"})


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a flow writes.

    Attributes:
        connector: `connectorType`, as "Salesforce".
        operation: `writeOperationType`; "" where the connector has none. AppFlow's default is INSERT.
    """

    connector: str
    operation: str = ""

    @property
    def inserts(self) -> bool:
        """Whether writing the same records twice makes duplicates there."""
        return self.connector not in _NEVER_INSERT and self.operation not in _KEYED_OPERATIONS


@dataclass(frozen=True, slots=True)
class Schedule:
    """The trigger properties of a scheduled flow.

    Attributes:
        expression: as "rate(5minutes)" or "cron(...)".
        incremental: the next run pulls from the last success on. Only a stated `Complete` is taken as a full pull.
        starts, ends: the window of the schedule, aware, or None.
        offset: waits for late data before each run.
        threshold: `flowErrorDeactivationThreshold`: failures in a row before AppFlow switches the flow
            off; None: never.
    """

    expression: str
    incremental: bool = True
    starts: datetime | None = None
    ends: datetime | None = None
    offset: timedelta = timedelta(0)
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow, as DescribeFlow tells."""

    name: str
    arn: str
    status: FlowStatus
    trigger: Trigger
    status_message: str = ""
    schedule: Schedule | None = None
    source: str = ""
    destinations: tuple[Destination, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_twin(self) -> bool:
        """Whether the flow is a temporary twin that this path made."""
        return self.name.startswith(TWIN_PREFIX)

    @property
    def inserts(self) -> bool:
        """Whether any destination makes duplicates of what is written twice."""
        return any(destination.inserts for destination in self.destinations)

    @property
    def writes_objects(self) -> bool:
        """Whether any destination is named after the flow (S3 and Upsolver: a twin's objects lie under its name)."""
        return any(destination.connector in {"S3", "Upsolver"} for destination in self.destinations)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution record.

    Attributes:
        id, status: `executionId`, `executionStatus`.
        started, updated: aware. `updated` is when it ended, once it has.
        message: `executionMessage` of its error ("" when there is none).
        records, failed_records, bytes_written: counts; None where AppFlow does not tell.
        pull_start, pull_end: the window of the data it pulled, where AppFlow tells.
    """

    id: str
    status: RunStatus
    started: datetime
    updated: datetime
    message: str = field(default="", repr=False)
    records: int | None = None
    failed_records: int | None = None
    bytes_written: int | None = None
    pull_start: datetime | None = None
    pull_end: datetime | None = None

    @property
    def is_under_way(self) -> bool:
        """Running, or being cancelled."""
        return self.status in (RunStatus.IN_PROGRESS, RunStatus.CANCEL_STARTED)

    @property
    def wrote(self) -> bool:
        """Whether it may have written records. Where the bytes are not told, processed records count as written."""
        return bool(self.records) if self.bytes_written is None else self.bytes_written > 0


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What AWS says about a flow right now.

    Attributes:
        flow: the flow itself.
        runs: its runs, the newest first, at least back to the last success where there is one.
        diagnosis: of the latest failure's text; None when nothing failed.
        error: that text, normalised.
        twin_runs: runs of the twin that the last attempt made; None when there is no such twin.
    """

    flow: Flow
    runs: tuple[Run, ...] = ()
    diagnosis: Diagnosis | None = None
    error: str = ""
    twin_runs: tuple[Run, ...] | None = None


class Means(StrEnum):
    """How a transfer was tried again."""

    RERUN = "rerun"
    TWIN = "twin"
    REACTIVATE = "reactivate"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, written down before it is made.

    Attributes:
        number: 1 for the first of an incident.
        means: how.
        failed_run: id of the run that it answers.
        claimed: when it was written down.
        lease_ends: until then only its owner makes the call.
        run: id of the run that it started, once AppFlow has told.
        outcome, ended, records, error, diagnosis: of a twin's run, copied before the twin is deleted; the error is
            normalised.
    """

    number: int
    means: Means
    failed_run: str
    claimed: datetime
    lease_ends: datetime
    run: str = ""
    outcome: str = ""
    ended: datetime | None = None
    records: int | None = None
    error: str = ""
    diagnosis: Diagnosis | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger remembers of a flow.

    Attributes:
        attempts: made in this incident, the oldest first; and in the one before, if it came back soon.
        began: end of the first failure of the incident under way; None when there is none.
        recovered: when the flow last succeeded after a failure.
    """

    attempts: tuple[Attempt, ...] = ()
    began: datetime | None = None
    recovered: datetime | None = None

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None


class AppFlowPolicy(BaseModel):
    """What may be done with the flows of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(5, ge=0, le=100, description="Attempts for each incident; then a person is told.")
    attempts_when_unknown: int = Field(
        1, ge=0, le=100, description="Attempts when the error text does not tell whether it passes by itself."
    )
    backoff: Backoff = Field(
        Backoff(base_seconds=60, factor=4, cap_seconds=3600), description="Waits before the attempts."
    )
    near_schedule_seconds: int = Field(
        3600, ge=0, le=604_800, description="A schedule due within this time, in seconds, is waited for."
    )
    allow_twin: bool = Field(
        False,
        description="Run a full-pull scheduled flow once through a temporary on-demand twin when its schedule is far.",
    )
    allow_duplicates: bool = Field(
        False, description="Run again into a destination that inserts although records had been written."
    )
    allow_reactivate: bool = Field(False, description="Activate flows again that AppFlow switched off.")
    rerun_partial: bool = Field(False, description="Run again after a success with failed records.")
    settle_seconds: int = Field(
        3600,
        ge=0,
        le=604_800,
        description="A failure within this time after a recovery uses the same budget, in seconds.",
    )
    max_age_hours: float = Field(
        24, gt=0, le=8760, description="Older failures are told to a person instead of being run again, in hours."
    )
    warn_runs_left: int = Field(
        1, ge=0, le=100, description="Warn when so few failures are left before AppFlow switches the schedule off."
    )
    warn_seconds_left: int = Field(
        1800,
        ge=0,
        le=2_592_000,
        description="Warn when AppFlow may switch the schedule off within this time, in seconds.",
    )

    @property
    def near(self) -> timedelta:
        """`near_schedule_seconds` as a duration."""
        return timedelta(seconds=self.near_schedule_seconds)

    @property
    def settle(self) -> timedelta:
        """`settle_seconds` as a duration."""
        return timedelta(seconds=self.settle_seconds)

    @property
    def max_age(self) -> timedelta:
        """`max_age_hours` as a duration."""
        return timedelta(hours=self.max_age_hours)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one flow, and why.

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
    """Nothing before `until`; then look again."""

    action: ClassVar[str] = "wait"
    until: datetime


@dataclass(frozen=True, slots=True)
class Escalate(Verdict):
    """A person is told, once for each incident and sentence.

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
    return hashlib.sha256(f"{flow}\n{failed_run}\n{attempt}".encode()).hexdigest()[:40]


def client_token(flow: str, failed_run: str, attempt: int) -> str:
    """The token of an attempt's calls."""
    return "reprise-" + attempt_hash(flow, failed_run, attempt)


def twin_name(flow: str, failed_run: str, attempt: int) -> str:
    """The name of an attempt's twin."""
    return TWIN_PREFIX + attempt_hash(flow, failed_run, attempt)


def draw(flow: str, failed_run: str, attempt: int) -> float:
    """The jitter of an attempt's wait, from 0 to 1: spread over flows, yet the same whenever it is asked."""
    return int(attempt_hash(flow, failed_run, attempt)[-8:], 16) / 0xFFFFFFFF
