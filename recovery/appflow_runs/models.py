"""Facts about an AppFlow flow and its runs. Pure values.

The field names are AppFlow's own where it has one. Sources: the service model of AppFlow (2020-08-23) and its user
guide; what is assumed beyond them is stated where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.failures.models import Diagnosis

PATH = "appflow_runs"
TWIN_PREFIX = "reprise-twin-"
"""Names of temporary twins begin with it: the event rules, the sweep and the path itself know them by it."""

LONGEST_RUN = timedelta(hours=48)
"""AppFlow ends a run at this age (service quotas)."""


class Trigger(StrEnum):
    """Trigger of a flow (`triggerType`)."""

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


_ENDED = frozenset({RunStatus.SUCCESSFUL.value, RunStatus.ERROR.value, RunStatus.CANCELED.value})
_KEYED_OPERATIONS = frozenset({"UPSERT", "UPDATE", "DELETE"})
# S3 and Upsolver get objects in a folder of each run's own; Customer Profiles merges by key.
_NEVER_INSERT = frozenset({"S3", "Upsolver", "CustomerProfiles"})


@dataclass(frozen=True, slots=True)
class Destination:
    """Destination of a flow.

    Attributes:
        connector: `connectorType`, as "Salesforce".
        operation: `writeOperationType`; "" where the connector has none. AppFlow's default is INSERT.
    """

    connector: str
    operation: str = ""

    @property
    def inserts(self) -> bool:
        """True when writing the same records twice makes duplicates there."""
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
    """One flow, as DescribeFlow shows."""

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
        """True when the flow is a temporary twin that this path made."""
        return self.name.startswith(TWIN_PREFIX)

    @property
    def inserts(self) -> bool:
        """True when any destination makes duplicates of what is written twice."""
        return any(destination.inserts for destination in self.destinations)

    @property
    def writes_objects(self) -> bool:
        """True when any destination is named after the flow (S3 and Upsolver: a twin's objects lie under its name)."""
        return any(destination.connector in {"S3", "Upsolver"} for destination in self.destinations)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution record.

    Attributes:
        id, status: `executionId`, `executionStatus`.
        started, updated: aware. `updated` is when it ended, once it has.
        message: `executionMessage` of its error ("" when there is none).
        records, failed_records, bytes_written: counts; None where AppFlow does not report.
        pull_start, pull_end: the window of the data it pulled, where AppFlow reports.
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
        """True when it may have written records.

        Where the bytes are not reported, processed records count as written; where nothing is reported, nobody knows.
        """
        if self.bytes_written is not None:
            return self.bytes_written > 0
        return self.records is None or self.records > 0


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """Facts about a flow, as AWS has them right now.

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

    @property
    def failures_in_a_row(self) -> int:
        """Failed runs since the last success; cancelled runs and those under way say nothing."""
        count = 0
        for run in self.runs:
            if run.status is RunStatus.SUCCESSFUL:
                break
            count += run.status is RunStatus.ERROR
        return count

    @property
    def wrote_since_success(self) -> bool:
        """True when a run since the last full success may have written records."""
        for run in self.runs:
            if run.status is RunStatus.SUCCESSFUL and not run.failed_records:
                return False
            if run.wrote:
                return True
        return False

    @property
    def switched_off(self) -> bool:
        """True when AppFlow switched the flow off, as opposed to a person.

        AppFlow leaves a status message, or the failures in a row reach the threshold; StopFlow leaves neither. An
        on-demand flow has nothing to switch off: StartFlow would run it.
        """
        if self.flow.trigger is Trigger.ON_DEMAND:
            return False
        if self.flow.status is FlowStatus.ERRORED:
            return True
        if self.flow.status is not FlowStatus.SUSPENDED:
            return False
        threshold = self.flow.schedule.threshold if self.flow.schedule else None
        return bool(self.flow.status_message) or (threshold is not None and self.failures_in_a_row >= threshold)

    @property
    def says_why_off(self) -> bool:
        """True when AppFlow itself says that it switched the flow off; failures in a row alone only suggest it."""
        return self.flow.status is FlowStatus.ERRORED or bool(self.flow.status_message)


class Means(StrEnum):
    """Ways to try a transfer again."""

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
        run: id of the run that it started, once AppFlow has reported.
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
class Refusal:
    """AppFlow refused the call of an attempt, so nothing was started and the attempt does not count.

    Attributes:
        failed_run: id of the run that the attempt answered.
        at: when.
        call: "appflow:StartFlow: AccessDeniedException", for one alert on all that is refused alike.
        words: what AppFlow answered, normalised.
    """

    failed_run: str
    at: datetime
    call: str
    words: str


@dataclass(frozen=True, slots=True)
class History:
    """The ledger's memory of a flow.

    Attributes:
        attempts: made in this incident, the oldest first; and in the one before, if it came back soon.
        began: end of the first failure of the incident under way; None when there is none.
        recovered: when the flow last succeeded after a failure.
        refusal: of the attempt that the newest failure calls for; None when none was refused.
    """

    attempts: tuple[Attempt, ...] = ()
    began: datetime | None = None
    recovered: datetime | None = None
    refusal: Refusal | None = None

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def twin_wrote(self) -> bool:
        """True when a twin of the incident under way may have written records.

        Those that it processed count; where AppFlow reports no number, nobody knows.
        """
        return any(
            attempt.outcome in _ENDED
            and (attempt.records is None or attempt.records > 0)
            and attempt.means is Means.TWIN
            and (self.began is None or attempt.claimed >= self.began)
            for attempt in self.attempts
        )
