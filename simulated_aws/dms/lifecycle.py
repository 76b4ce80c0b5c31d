"""A replication's way through time. Nothing runs: state is brought up to date whenever it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from simulated_aws.dms.future import Fault
from simulated_aws.dms.progress import accrue, begin_run, load_left
from simulated_aws.dms.state import KEPT_AFTER_STOP, SERVERLESS_SETUP, Account, Endpoint, Replicator

PASSING_SECONDS = 3.0  # creating, modifying, moving, testing, deleting
CONNECT_SECONDS = 5.0  # until a start gives up on an endpoint

Emit = Callable[[str, Replicator, str, datetime], None]
"""Announces a change: its name ("started", "failed" ...), the replication, a text and when."""


@dataclass(frozen=True)
class Change:
    """The next thing that will happen to a replication."""

    at: datetime
    apply: Callable[[], None]


def advance(thing: Replicator, account: Account, now: datetime, emit: Emit) -> None:
    """Let everything happen that was due by now, in order."""
    while True:
        change = min(_changes(thing, account, emit), key=lambda each: each.at, default=None)
        if change is None or change.at > now:
            accrue(thing, now)
            return
        accrue(thing, change.at)
        change.apply()


def enter(thing: Replicator, status: str, at: datetime, *, after: str = "") -> None:
    """Put a replication into a status."""
    thing.status, thing.entered, thing.after = status, at, after


def stop(thing: Replicator, at: datetime, code: str, emit: Emit) -> None:
    """It has stopped for a reason that is not a failure of its own."""
    enter(thing, "stopped", at)
    thing.stop_reason = f"Stop Reason {code}"
    _end(thing, at)
    emit("stopped", thing, "", at)


def fail(thing: Replicator, at: datetime, text: str, emit: Emit) -> None:
    """It has failed. `StopReason` holds the whole text, as in the field."""
    enter(thing, "failed", at)
    thing.last_failure = thing.stop_reason = text
    _end(thing, at)
    emit("failed", thing, text, at)


def _end(thing: Replicator, at: datetime) -> None:
    thing.ended, thing.loading, thing.idle, thing.accrued = at, False, False, None
    if thing.captured:
        thing.checkpoint = (
            f"checkpoint:V1#{int(thing.captured)}#{thing.identifier}-log.{int(thing.captured):06d}:4#0#0#*#0#0"
        )


# -- what can happen next, by status -----------------------------------------------------------------------------


def _changes(thing: Replicator, account: Account, emit: Emit) -> Iterator[Change]:
    status = thing.status
    if status in {"creating", "modifying", "moving", "testing"}:
        yield Change(_later(thing.entered, PASSING_SECONDS), lambda: _passed(thing, emit))
    elif status == "deleting":
        yield Change(_later(thing.entered, PASSING_SECONDS), lambda: _deleted(thing, account, emit))
    elif status == "stopping":
        at = _later(thing.entered, thing.future.stopping_seconds)
        yield Change(at, lambda: stop(thing, at, "NORMAL", emit))
    elif status in SERVERLESS_SETUP:
        yield from _setting_up(thing, account, emit)
    elif status in {"starting", "replication_starting"}:
        yield from _starting(thing, account, emit)
    elif status == "running":
        yield from _running(thing, account, emit)
    elif thing.serverless and status in {"failed", "stopped"} and thing.ended and not thing.deprovisioned:
        gone = thing.ended + KEPT_AFTER_STOP
        yield Change(gone, lambda: _deprovisioned(thing, gone, emit))


def _passed(thing: Replicator, emit: Emit) -> None:
    was, at = thing.status, _later(thing.entered, PASSING_SECONDS)
    enter(thing, thing.after or "ready", at)
    if was == "creating":
        emit("created", thing, "", at)
    elif was == "modifying":
        emit("modified", thing, "", at)


def _deleted(thing: Replicator, account: Account, emit: Emit) -> None:
    (account.configs if thing.serverless else account.tasks).pop(thing.arn, None)
    account.tags.pop(thing.arn, None)
    enter(thing, "deleted", _later(thing.entered, PASSING_SECONDS))
    emit("deleted", thing, "", thing.entered)


def _deprovisioned(thing: Replicator, at: datetime, emit: Emit) -> None:
    enter(thing, "deprovisioned", at)
    thing.deprovisioned, thing.tables = True, []
    thing.position_lost = thing.position_lost or "The replication was deprovisioned"
    emit("deprovisioned", thing, "", at)


def _setting_up(thing: Replicator, account: Account, emit: Emit) -> Iterator[Change]:
    index = SERVERLESS_SETUP.index(thing.status)
    share = thing.future.setup_seconds / len(SERVERLESS_SETUP)
    following = [*SERVERLESS_SETUP, "replication_starting"][index + 1]
    at = _later(thing.entered, share)

    def step() -> None:
        enter(thing, following, at)
        thing.stage_began = at
        emit(following, thing, "", at)

    if thing.status == "testing_connection":
        for end in _endpoints(thing, account):
            if end.trouble:
                text = f"Test connection failed for endpoint '{end.identifier}'. {end.trouble}"
                yield Change(at, partial(fail, thing, at, text, emit))
                return
    yield Change(at, step)


def _starting(thing: Replicator, account: Account, emit: Emit) -> Iterator[Change]:
    yield from _faults(thing, "starting", thing.entered, emit)
    for end in _endpoints(thing, account):
        if end.trouble:
            at, text = _later(thing.entered, CONNECT_SECONDS), failure_text(end)
            yield Change(at, partial(fail, thing, at, text, emit))
            return
    at = _later(thing.entered, thing.future.starting_seconds)
    if thing.position_lost and thing.start_type == "resume-processing":
        yield Change(at, lambda: fail(thing, at, thing.position_lost, emit))
        return

    def run() -> None:
        enter(thing, "running", at)
        begin_run(thing, at)
        emit("started", thing, thing.start_type, at)

    yield Change(at, run)


def _running(thing: Replicator, account: Account, emit: Emit) -> Iterator[Change]:
    began = thing.began or thing.entered
    yield from _faults(thing, "running", began, emit)
    if not thing.idle:
        stage = "full-load" if thing.loading else "cdc"
        yield from _faults(thing, stage, thing.stage_began or began, emit)
    for end in _endpoints(thing, account):
        if end.trouble and end.since is not None:
            at = _later(max(end.since, began), thing.future.own_retries_seconds)
            text = failure_text(end)
            yield Change(at, partial(fail, thing, at, text, emit))
    if thing.loading and not thing.idle:
        at = _later(thing.accrued or began, load_left(thing))
        yield Change(at, lambda: _loaded(thing, at, emit))
    ends = _stop_time(thing)
    if ends is not None and not thing.loading:
        yield Change(max(ends, began), lambda: stop(thing, max(ends, began), "STOPPED_AT_SERVER_TIME", emit))


def _faults(thing: Replicator, stage: str, began: datetime, emit: Emit) -> Iterator[Change]:
    for fault in thing.future.faults:
        spent = fault.times is not None and thing.fired[fault] >= fault.times
        if fault.stage != stage or spent or fault in thing.seen_faults:
            continue
        at = _later(began, fault.after_seconds)
        yield Change(at, partial(_strike, thing, fault, at, emit))


def _strike(thing: Replicator, fault: Fault, at: datetime, emit: Emit) -> None:
    thing.fired[fault] += 1
    thing.seen_faults.add(fault)
    if fault.table:
        for table in thing.tables:
            if table.label == fault.table:
                table.state = "Table error"
    elif fault.outcome == "stopped":
        enter(thing, "stopped", at)
        thing.stop_reason = fault.text
        _end(thing, at)
        emit("stopped", thing, "", at)
    else:
        fail(thing, at, fault.text, emit)


def _loaded(thing: Replicator, at: datetime, emit: Emit) -> None:
    thing.loading, thing.load_ended, thing.stage_began = False, at, at
    if not thing.captures:
        stop(thing, at, "FULL_LOAD_ONLY_FINISHED", emit)
    elif thing.setting("FullLoadSettings", "StopTaskCachedChangesNotApplied", False):
        stop(thing, at, "STOPPED_AFTER_FULL_LOAD", emit)
    elif thing.setting("FullLoadSettings", "StopTaskCachedChangesApplied", False):
        stop(thing, at, "STOPPED_AFTER_CACHED_EVENTS", emit)


# -- small things ------------------------------------------------------------------------------------------------


def failure_text(end: Endpoint) -> str:
    """Word trouble with an endpoint as DMS does."""
    reason = "RECOVERABLE_ERROR" if end.trouble_level == "RECOVERABLE" else "FATAL_ERROR"
    return f"Last Error  {end.trouble} Stop Reason {reason} Error Level {end.trouble_level}"


def _endpoints(thing: Replicator, account: Account) -> Iterator[Endpoint]:
    for arn in (thing.source, thing.target):
        if arn in account.endpoints:
            yield account.endpoints[arn]


def _stop_time(thing: Replicator) -> datetime | None:
    kind, _, moment = thing.cdc_stop_position.partition(":")
    if kind != "server_time" or not moment:
        return None
    return datetime.fromisoformat(moment + "+00:00")


def _later(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
