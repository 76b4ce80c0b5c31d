"""Situations of flows, written by hand, each with the sentence of docs/paths/appflow_runs.md that must decide it.

They are used twice: `test_rules.py` decides each from values; `tests/gateways/test_appflow_verdicts.py` builds each in
the simulated AppFlow, lets the path act on it and looks at the end state that is named here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.appflow_runs.models import (
    Attempt,
    Destination,
    Flow,
    FlowFacts,
    FlowStatus,
    History,
    Means,
    Refusal,
    Run,
    RunStatus,
    Schedule,
    Trigger,
)
from recovery.appflow_runs.policy import AppFlowPolicy
from recovery.failures.models import Diagnosis, Kind

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
NAME = "orders"
ARN = "arn:aws:appflow:us-east-1:000000000000:flow/orders"

THROTTLED = "429 Too Many Requests: REQUEST_LIMIT_EXCEEDED"
DOWN = "503 Service Unavailable: the connector could not reach the source"
TIMED_OUT = "The request to the source timed out"
EXPIRED = "invalid_grant: expired access/refresh token"
DENIED = "AccessDenied: the role is not authorized to perform s3:PutObject"
NO_COLUMN = "No such column 'Region__c' on entity 'Order'"
PUZZLE = "Something happened"

TEXTS = {
    THROTTLED: Kind.THROTTLED,
    DOWN: Kind.DEPENDENCY_FAILURE,
    TIMED_OUT: Kind.TIMEOUT,
    EXPIRED: Kind.AUTH_FAILURE,
    DENIED: Kind.AUTH_FAILURE,
    NO_COLUMN: Kind.VALIDATION_ERROR,
    PUZZLE: Kind.UNKNOWN,
}
_PASSES = {Kind.THROTTLED, Kind.DEPENDENCY_FAILURE, Kind.TIMEOUT}

SALESFORCE = Destination("Salesforce", "UPSERT")
INSERTING = Destination("Salesforce", "INSERT")
S3 = Destination("S3")
SNOWFLAKE = Destination("Snowflake")

DAILY = Schedule("rate(1days)", incremental=False, starts=NOW - timedelta(days=20, hours=6))
DAILY_INCREMENTAL = Schedule("rate(1days)", incremental=True, starts=NOW - timedelta(days=20, hours=6))
HOURLY = Schedule("rate(1hours)", incremental=False, starts=NOW - timedelta(days=20, minutes=30))
OVER = Schedule("rate(1days)", incremental=False, starts=NOW - timedelta(days=20), ends=NOW - timedelta(hours=1))

TWINS = AppFlowPolicy(allow_twin=True)


def run(
    status: str,
    ago: float,
    message: str = "",
    *,
    id: str = "",
    took: float = 1,
    records: int | None = 0,
    failed: int = 0,
    written: int | None = 0,
) -> Run:
    """A run that began `ago` minutes ago and took `took` minutes."""
    started = NOW - timedelta(minutes=ago)
    under_way = status in ("InProgress", "CancelStarted")
    return Run(
        id=id or f"run-{ago:g}",
        status=RunStatus(status),
        started=started,
        updated=started if under_way else started + timedelta(minutes=took),
        message=message,
        records=None if under_way else records,
        failed_records=None if under_way else failed,
        bytes_written=None if under_way else written,
    )


def failed(ago: float, message: str = DOWN, **other: Any) -> Run:
    """A run that failed."""
    return run("Error", ago, message, **other)


def succeeded(ago: float, **other: Any) -> Run:
    """A run that succeeded."""
    return run("Successful", ago, **other)


def attempt(
    number: int,
    failed_run: str,
    ago: float,
    *,
    means: Means = Means.RERUN,
    run: str = "",
    outcome: str = "",
    ended_ago: float | None = None,
    leased: bool = False,
) -> Attempt:
    """An attempt that was claimed `ago` minutes ago."""
    claimed = NOW - timedelta(minutes=ago)
    return Attempt(
        number=number,
        means=means,
        failed_run=failed_run,
        claimed=claimed,
        lease_ends=NOW + timedelta(minutes=3) if leased else claimed + timedelta(minutes=5),
        run=run,
        outcome=outcome,
        ended=None if ended_ago is None else NOW - timedelta(minutes=ended_ago),
    )


@dataclass(frozen=True)
class Situation:
    """One row.

    Attributes:
        about: its point.
        sentence: id of the sentence that decides.
        action: the verdict's action.
        end: the changes in AppFlow after a day of sweeps in which the connector works: "untouched",
            "ran again" (once), "twin ran" (once, and it was removed), "switched on".
        until: for waits, minutes from now (None: not checked here).
        refused_ago: so many minutes ago AppFlow refused the attempt at the newest run; None: it did not.
    """

    about: str
    sentence: str
    action: str
    end: str
    runs: tuple[Run, ...] = ()
    trigger: Trigger = Trigger.ON_DEMAND
    status: FlowStatus = FlowStatus.ACTIVE
    status_message: str = ""
    schedule: Schedule | None = None
    destination: Destination = SALESFORCE
    history: tuple[Attempt, ...] = ()
    twin_runs: tuple[Run, ...] | None = None
    policy: AppFlowPolicy = field(default_factory=AppFlowPolicy)
    until: float | None = None
    refused_ago: float | None = None

    @property
    def facts(self) -> FlowFacts:
        """As values."""
        trigger = Trigger.SCHEDULED if self.schedule else self.trigger
        flow = Flow(
            name=NAME,
            arn=ARN,
            status=self.status,
            trigger=trigger,
            status_message=self.status_message,
            schedule=self.schedule,
            source="Salesforce",
            destinations=(self.destination,),
        )
        newest = self.runs[0] if self.runs else None
        diagnosis = None
        if newest is not None and newest.status is RunStatus.ERROR:
            kind = TEXTS[newest.message]
            diagnosis = Diagnosis(kind, kind in _PASSES, f"test.{kind.lower()}", f"the error says {kind}")
        return FlowFacts(flow, self.runs, diagnosis, newest.message if newest else "", self.twin_runs)

    @property
    def known(self) -> History:
        """The history, with the incident's beginning."""
        failures = [one.updated for one in self.runs if one.status is RunStatus.ERROR]
        refusal = None
        if self.refused_ago is not None:
            at = NOW - timedelta(minutes=self.refused_ago)
            refusal = Refusal(self.runs[0].id, at, "appflow:StartFlow: AccessDeniedException", "not authorized")
        return History(self.history, began=min(failures, default=None), refusal=refusal)


F = failed(30)
"""A failure half an hour ago: its first attempt is due."""
S = Situation

SITUATIONS: tuple[Situation, ...] = (
    # -- left alone, and by the newest run ---------------------------------------------------------------------------
    S("a deprecated flow, whatever its runs", "S2", "leave", "untouched", (F,), status=FlowStatus.DEPRECATED),
    S("a deleted flow that is still described", "S2", "leave", "untouched", (F,), status=FlowStatus.DELETED),
    S("a new flow without runs", "S3", "leave", "untouched"),
    S("a scheduled draft without runs", "S3", "leave", "untouched", schedule=DAILY, status=FlowStatus.DRAFT),
    S("a run that never ends", "R1", "escalate", "untouched", (run("InProgress", 60 * 50), failed(60 * 51))),
    S(
        "a run from before the last success never ends",
        "W2",
        "wait",
        "untouched",
        (F, succeeded(60), run("InProgress", 60 * 50)),
        schedule=HOURLY,
    ),
    S(
        "a run from before the last success never ends, and nothing failed since",
        "R4",
        "leave",
        "untouched",
        (succeeded(60), run("InProgress", 60 * 50)),
    ),
    S(
        "a run of days ago never ends, and a later one failed",
        "R1",
        "escalate",
        "untouched",
        (F, run("InProgress", 60 * 50)),
    ),
    S("a run just short of the limit", "R2", "leave", "untouched", (run("InProgress", 60 * 48 - 5), failed(60 * 49))),
    S("an older run is still under way", "R2", "leave", "untouched", (F, run("InProgress", 60))),
    S("somebody's run is under way after the failure", "R2", "leave", "untouched", (run("InProgress", 1), F)),
    S("a run is being cancelled", "R2", "leave", "untouched", (run("CancelStarted", 1), F)),
    S("a scheduled run is under way", "R2", "leave", "untouched", (run("InProgress", 1), F), schedule=HOURLY),
    S("a person cancelled the newest run", "R3", "leave", "untouched", (run("Canceled", 5), F)),
    S("a person cancelled before anything failed", "R3", "leave", "untouched", (run("Canceled", 5),)),
    S("a newer run has succeeded", "R4", "leave", "untouched", (succeeded(5), F)),
    S("nothing ever failed", "R4", "leave", "untouched", (succeeded(5), succeeded(65))),
    S("a newer success after many failures", "R4", "leave", "untouched", (succeeded(2), *map(failed, (30, 60, 90)))),
    S("records failed in a success", "R5", "leave", "untouched", (succeeded(9, records=8, failed=3, written=500),)),
    S(
        "records failed in a scheduled success, and reruns of such are wanted",
        "R6",
        "leave",
        "untouched",
        (succeeded(9, records=8, failed=3, written=500),),
        schedule=DAILY,
        policy=AppFlowPolicy(rerun_partial=True),
    ),
    S(
        "records failed in a success, reruns are wanted, the destination has keys",
        "O3",
        "rerun",
        "ran again",
        (succeeded(30, records=8, failed=3, written=500),),
        policy=AppFlowPolicy(rerun_partial=True),
    ),
    S(
        "records failed in a success, reruns are wanted, the destination inserts",
        "O1",
        "escalate",
        "untouched",
        (succeeded(30, records=8, failed=3, written=500),),
        destination=INSERTING,
        policy=AppFlowPolicy(rerun_partial=True),
    ),
    # -- an attempt that was begun -----------------------------------------------------------------------------------
    S(
        "its twin is running",
        "T1",
        "wait",
        "twin ran",
        (failed(90),),
        schedule=DAILY,
        history=(attempt(1, "run-90", 1, means=Means.TWIN),),
        twin_runs=(run("InProgress", 1),),
        policy=TWINS,
        until=10,
    ),
    S(
        "its twin has succeeded",
        "T2",
        "leave",
        "untouched",
        (failed(90),),
        schedule=DAILY,
        history=(attempt(1, "run-90", 60, means=Means.TWIN, run="twin-run", outcome="Successful", ended_ago=58),),
        policy=TWINS,
    ),
    S(
        "its twin is running, and the flow has failed again",
        "T1",
        "wait",
        "twin ran",
        (failed(40), failed(90)),
        schedule=DAILY,
        history=(attempt(1, "run-90", 1, means=Means.TWIN),),
        twin_runs=(run("InProgress", 1),),
        policy=TWINS,
        until=10,
    ),
    S(
        "a person cancelled its twin",
        "T3",
        "leave",
        "untouched",
        (failed(90),),
        schedule=DAILY,
        history=(attempt(1, "run-90", 60, means=Means.TWIN, run="twin-run", outcome="Canceled", ended_ago=58),),
        policy=TWINS,
    ),
    S(
        "the run of its attempt is not in the records yet",
        "T4",
        "wait",
        "untouched",
        (F,),
        history=(attempt(1, "run-30", 1, run="run-new"),),
        until=10,
    ),
    S(
        "the run of its attempt is not in the records yet, and another run failed since",
        "T4",
        "wait",
        "ran again",
        (failed(2), failed(60)),
        history=(attempt(1, "run-60", 4, run="run-new"),),
        until=10,
    ),
    S(
        "the run of its attempt never came up",
        "T5",
        "escalate",
        "untouched",
        (failed(200),),
        history=(attempt(1, "run-200", 90, run="run-new"),),
    ),
    S(
        "its twin was started and is not in the records yet",
        "T4",
        "wait",
        "untouched",
        (failed(200),),
        schedule=DAILY,
        history=(attempt(1, "run-200", 30, means=Means.TWIN, run="twin-run"),),
        policy=TWINS,
        until=10,
    ),
    S(
        "its twin was started and never came up",
        "T5",
        "escalate",
        "untouched",
        (failed(200),),
        schedule=DAILY,
        history=(attempt(1, "run-200", 90, means=Means.TWIN, run="twin-run"),),
        policy=TWINS,
    ),
    S(
        "another worker is making the attempt",
        "T6",
        "wait",
        "ran again",
        (F,),
        history=(attempt(1, "run-30", 2, leased=True),),
        until=3,
    ),
    S(
        "an attempt whose worker died is made again at once",
        "O3",
        "rerun",
        "ran again",
        (failed(7),),
        history=(attempt(1, "run-7", 6),),
    ),
    S(
        "a twin whose worker died is made again",
        "W9",
        "twin",
        "twin ran",
        (failed(90),),
        schedule=DAILY,
        history=(attempt(1, "run-90", 20, means=Means.TWIN),),
        policy=TWINS,
    ),
    # -- switched off on purpose -------------------------------------------------------------------------------------
    S("a draft that has failed before", "D1", "leave", "untouched", (F,), schedule=DAILY, status=FlowStatus.DRAFT),
    S("a person stopped the flow", "D2", "leave", "untouched", (F,), schedule=DAILY, status=FlowStatus.SUSPENDED),
    S(
        "a person stopped the flow below its threshold",
        "D2",
        "leave",
        "untouched",
        (failed(30), failed(60)),
        schedule=Schedule("rate(1hours)", incremental=False, threshold=3),
        status=FlowStatus.SUSPENDED,
    ),
    # -- cause, age and bound ---------------------------------------------------------------------------------------
    S("expired credentials", "C1", "escalate", "untouched", (failed(30, EXPIRED),)),
    S("missing permission", "C1", "escalate", "untouched", (failed(30, DENIED),)),
    S("a mapped field was deleted", "C1", "escalate", "untouched", (failed(30, NO_COLUMN),)),
    S(
        "expired credentials of a scheduled flow",
        "C1",
        "escalate",
        "untouched",
        (failed(30, EXPIRED),),
        schedule=HOURLY,
    ),
    S(
        "expired credentials of an event-triggered flow",
        "C1",
        "escalate",
        "untouched",
        (failed(30, EXPIRED),),
        trigger=Trigger.EVENT,
    ),
    S(
        "credentials expired between the attempts",
        "C1",
        "escalate",
        "untouched",
        (failed(5, EXPIRED), failed(30)),
        history=(attempt(1, "run-30", 6, run="run-5"),),
    ),
    S(
        "switched off because of expired credentials",
        "C1",
        "escalate",
        "untouched",
        (failed(30, EXPIRED), failed(90, EXPIRED)),
        schedule=HOURLY,
        status=FlowStatus.SUSPENDED,
        status_message="deactivated",
        policy=AppFlowPolicy(allow_reactivate=True),
    ),
    S("a failure of last week", "C2", "escalate", "untouched", (failed(60 * 24 * 7),)),
    S(
        "a failure of last week that a twin could make good",
        "C2",
        "escalate",
        "untouched",
        (failed(60 * 24 * 7),),
        schedule=Schedule("rate(30days)", incremental=False, starts=NOW - timedelta(days=7)),
        policy=TWINS,
    ),
    S(
        "a failure just within the age",
        "O3",
        "rerun",
        "ran again",
        (failed(60 * 23),),
    ),
    S(
        "an old failure that is being worked on",
        "O3",
        "rerun",
        "ran again",
        (failed(60 * 25),),
        history=(attempt(1, "run-elsewhere", 60 * 26, run="run-1500"),),
    ),
    S(
        "an on-demand flow in error is run, not activated",
        "O3",
        "rerun",
        "ran again",
        (F,),
        status=FlowStatus.ERRORED,
        policy=AppFlowPolicy(allow_reactivate=True),
    ),
    S(
        "all attempts are used up",
        "C3",
        "escalate",
        "untouched",
        (failed(30), failed(90), failed(95), failed(120), failed(150), failed(180)),
        history=tuple(attempt(n, f"gone-{n}", 200 - 20 * n, run="some") for n in range(1, 6)),
    ),
    S("no attempts are allowed", "C3", "escalate", "untouched", (F,), policy=AppFlowPolicy(max_attempts=0)),
    S(
        "one attempt is left",
        "O3",
        "rerun",
        "ran again",
        (failed(120),),
        history=tuple(attempt(n, f"gone-{n}", 300 - 20 * n, run="some") for n in range(1, 5)),
    ),
    S("an error that shows nothing is tried once", "O3", "rerun", "ran again", (failed(30, PUZZLE),)),
    S(
        "an error that shows nothing came back",
        "C4",
        "escalate",
        "untouched",
        (failed(30, PUZZLE), failed(40, PUZZLE)),
        history=(attempt(1, "run-40", 31, run="run-30"),),
    ),
    S(
        "an error that shows nothing is never tried, by policy",
        "C4",
        "escalate",
        "untouched",
        (failed(30, PUZZLE),),
        policy=AppFlowPolicy(max_attempts_when_unknown=0),
    ),
    S(
        "an incremental flow fails again and again",
        "C5",
        "escalate",
        "untouched",
        tuple(failed(30 + 60 * n) for n in range(6)),
        schedule=Schedule("rate(1hours)", incremental=True, starts=NOW - timedelta(days=3, minutes=30)),
    ),
    S(
        "an event-triggered flow fails again and again",
        "C5",
        "escalate",
        "untouched",
        tuple(failed(4 + 5 * n) for n in range(6)),
        trigger=Trigger.EVENT,
    ),
    S("AppFlow refused the attempt a moment ago", "C6", "escalate", "ran again", (F,), refused_ago=5),
    S("AppFlow refused the attempt an hour ago", "O3", "rerun", "ran again", (failed(90),), refused_ago=60),
    S(
        "AppFlow refused to make the twin",
        "C6",
        "escalate",
        "twin ran",
        (failed(90),),
        schedule=DAILY,
        policy=TWINS,
        refused_ago=20,
    ),
    # -- switched off by AppFlow -------------------------------------------------------------------------------------
    S(
        "switched off, with its message",
        "A1",
        "escalate",
        "untouched",
        (failed(30), failed(90), failed(150)),
        schedule=HOURLY,
        status=FlowStatus.SUSPENDED,
        status_message="Flow was deactivated after 3 consecutive failures",
    ),
    S(
        "switched off, known only by its threshold",
        "A1",
        "escalate",
        "untouched",
        (failed(30), failed(90), failed(150)),
        schedule=Schedule("rate(1hours)", incremental=False, threshold=3),
        status=FlowStatus.SUSPENDED,
    ),
    S(
        "switched off after so many failures, but AppFlow does not say that it did it",
        "A1",
        "escalate",
        "untouched",
        (failed(30), failed(90), failed(150)),
        schedule=Schedule("rate(1hours)", incremental=False, threshold=3),
        status=FlowStatus.SUSPENDED,
        policy=AppFlowPolicy(allow_reactivate=True),
    ),
    S(
        "an event-triggered flow in error",
        "A1",
        "escalate",
        "untouched",
        (failed(30),),
        trigger=Trigger.EVENT,
        status=FlowStatus.ERRORED,
    ),
    S(
        "activated a moment ago, and still off",
        "A2",
        "wait",
        "switched on",
        (failed(90),),
        schedule=HOURLY,
        status=FlowStatus.SUSPENDED,
        status_message="deactivated",
        history=(attempt(1, "run-90", 4, means=Means.REACTIVATE, run="activated"),),
        policy=AppFlowPolicy(allow_reactivate=True),
        until=6,
    ),
    S(
        "switched off a moment ago",
        "A3",
        "wait",
        "switched on",
        (failed(1, took=0.9),),
        schedule=HOURLY,
        status=FlowStatus.SUSPENDED,
        status_message="deactivated",
        policy=AppFlowPolicy(allow_reactivate=True),
    ),
    S(
        "switched off, and may be activated",
        "A4",
        "reactivate",
        "switched on",
        (failed(30),),
        schedule=HOURLY,
        status=FlowStatus.SUSPENDED,
        status_message="deactivated",
        policy=AppFlowPolicy(allow_reactivate=True),
    ),
    S(
        "an activation whose answer was not read",
        "A4",
        "reactivate",
        "switched on",
        (failed(30),),
        schedule=HOURLY,
        status=FlowStatus.SUSPENDED,
        status_message="deactivated",
        history=(attempt(1, "run-30", 15, means=Means.REACTIVATE),),
        policy=AppFlowPolicy(allow_reactivate=True),
    ),
    # -- on demand ---------------------------------------------------------------------------------------------------
    S(
        "records were written to a destination that inserts",
        "O1",
        "escalate",
        "untouched",
        (failed(30, records=40, written=4000),),
        destination=INSERTING,
    ),
    S(
        "a warehouse takes rows as they come",
        "O1",
        "escalate",
        "untouched",
        (failed(30, records=40, written=4000),),
        destination=SNOWFLAKE,
    ),
    S(
        "an earlier attempt had written",
        "O1",
        "escalate",
        "untouched",
        (failed(30), failed(60, records=40, written=4000)),
        destination=INSERTING,
    ),
    S(
        "the bytes are not reported, but records were processed",
        "O1",
        "escalate",
        "untouched",
        (failed(30, records=40, written=None),),
        destination=INSERTING,
    ),
    S(
        "duplicates are accepted",
        "O3",
        "rerun",
        "ran again",
        (failed(30, records=40, written=4000),),
        destination=INSERTING,
        policy=AppFlowPolicy(allow_duplicates=True),
    ),
    S(
        "nothing is reported what was written where it inserts",
        "O1",
        "escalate",
        "untouched",
        (failed(30, records=None, written=None),),
        destination=INSERTING,
    ),
    S("nothing was written where it inserts", "O3", "rerun", "ran again", (F,), destination=INSERTING),
    S("records written by key are written again", "O3", "rerun", "ran again", (failed(30, records=40, written=4000),)),
    S(
        "S3 gets a folder for each run",
        "O3",
        "rerun",
        "ran again",
        (failed(30, records=40, written=4000),),
        destination=S3,
    ),
    S("it failed a moment ago", "O2", "wait", "ran again", (failed(1, took=0.9),)),
    S(
        "the second attempt waits longer",
        "O2",
        "wait",
        "ran again",
        (failed(3, took=1.5), failed(30)),
        history=(attempt(1, "run-30", 3, run="run-3"),),
    ),
    S("throttled by the source", "O3", "rerun", "ran again", (failed(30, THROTTLED),)),
    S("timed out at the source", "O3", "rerun", "ran again", (failed(30, TIMED_OUT),)),
    S(
        "a person's own run failed after ours",
        "O3",
        "rerun",
        "ran again",
        (failed(30), failed(40), failed(60)),
        history=(attempt(1, "run-60", 41, run="run-40"),),
    ),
    # -- event-triggered and scheduled -------------------------------------------------------------------------------
    S("an event-triggered flow failed once", "E1", "wait", "untouched", (failed(4),), trigger=Trigger.EVENT, until=5),
    S(
        "a schedule that cannot be read",
        "W1",
        "escalate",
        "untouched",
        (F,),
        schedule=Schedule("cron(0 6 ? * 9#2 *)", incremental=False),
        policy=TWINS,
    ),
    S("the schedule is near", "W2", "wait", "untouched", (F,), schedule=HOURLY, policy=TWINS, until=30),
    S(
        "a schedule by cron is near",
        "W2",
        "wait",
        "untouched",
        (F,),
        schedule=Schedule("cron(45 12 * * ? *)", incremental=False),
        until=45,
    ),
    S("an incremental flow", "W3", "wait", "untouched", (F,), schedule=DAILY_INCREMENTAL, policy=TWINS, until=18 * 60),
    S("a full pull to S3", "W4", "wait", "untouched", (F,), schedule=DAILY, destination=S3, policy=TWINS, until=1080),
    S("twins are not allowed", "W5", "wait", "untouched", (F,), schedule=DAILY, until=18 * 60),
    S(
        "records were written where a twin would insert them again",
        "W6",
        "wait",
        "untouched",
        (failed(30, records=40, written=4000),),
        schedule=DAILY,
        destination=INSERTING,
        policy=TWINS,
        until=18 * 60,
    ),
    S("its schedule is over, and there is no twin", "W7", "escalate", "untouched", (F,), schedule=OVER),
    S(
        "the schedule is far, and it failed just now",
        "W8",
        "wait",
        "twin ran",
        (failed(1, took=0.9),),
        schedule=DAILY,
        policy=TWINS,
    ),
    S("the schedule is far", "W9", "twin", "twin ran", (F,), schedule=DAILY, policy=TWINS),
    S("the schedule is over, and a twin is allowed", "W9", "twin", "twin ran", (F,), schedule=OVER, policy=TWINS),
    S(
        "a twin may insert again",
        "W9",
        "twin",
        "twin ran",
        (failed(30, records=40, written=4000),),
        schedule=DAILY,
        destination=INSERTING,
        policy=AppFlowPolicy(allow_twin=True, allow_duplicates=True),
    ),
    S(
        "the first twin failed",
        "W9",
        "twin",
        "twin ran",
        (failed(200),),
        schedule=DAILY,
        history=(attempt(1, "run-200", 180, means=Means.TWIN, run="twin-run", outcome="Error", ended_ago=179),),
        policy=TWINS,
    ),
    S(
        "the first twin failed a moment ago",
        "W8",
        "wait",
        "twin ran",
        (failed(200),),
        schedule=DAILY,
        history=(attempt(1, "run-200", 2, means=Means.TWIN, run="twin-run", outcome="Error", ended_ago=1),),
        policy=TWINS,
    ),
    S(
        "a twin that was made and never ran",
        "W9",
        "twin",
        "twin ran",
        (failed(200),),
        schedule=DAILY,
        history=(attempt(1, "run-200", 100, means=Means.TWIN, outcome="abandoned"),),
        policy=TWINS,
    ),
)
