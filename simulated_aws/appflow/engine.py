"""Events of the simulated AppFlow as time passes. Nothing runs by itself: `advance` catches up with the clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from simulated_aws.appflow import events
from simulated_aws.appflow.future import Future
from simulated_aws.appflow.schedules import next_tick
from simulated_aws.appflow.state import SimulatedFlow, SimulatedRun

FIRST_WINDOW = timedelta(days=30)
"""Days that the first incremental run pulls, unless `firstExecutionFrom` says otherwise (user guide, flow triggers)."""
EVENT_INTERVAL = timedelta(minutes=5)
CANCELLING = timedelta(seconds=5)
EVENT_THRESHOLD = 3
"""Failing reports in a row before an event-triggered flow is switched off. AWS states no number; this is ours."""

_IDS = UUID("6f1c1b9e-55a3-4c9a-9d58-0f4c8f6f3b11")


class Engine:
    """Flows and their runs.

    Args:
        future: the script that runs follow.
        emit: takes detail type, detail and resources of an event.
        account: AWS account id, for ARNs in events.
    """

    def __init__(self, future: Future, emit: Callable[[str, dict[str, Any], list[str]], None], account: str) -> None:
        self.flows: dict[str, SimulatedFlow] = {}
        self._future = future
        self._emit = emit
        self._account = account
        self._due: list[tuple[datetime, int, str, Callable[[datetime], None]]] = []
        self._numbers = count(1)

    def advance(self, now: datetime) -> None:
        """Let everything happen that was due until `now`, in order of time."""
        while self._due and self._due[0][0] <= now:
            moment, _, _, happen = heapq.heappop(self._due)
            happen(moment)

    def start(
        self, flow: SimulatedFlow, now: datetime, window: tuple[datetime, datetime] | None = None
    ) -> SimulatedRun:
        """Begin a run."""
        outcome = self._future.next_outcome(flow.name, flow.profile)
        number = next(self._numbers)
        run = SimulatedRun(
            str(uuid5(_IDS, f"{flow.arn}#{number}")), outcome, now, now + timedelta(seconds=outcome.seconds), window
        )
        flow.runs.append(run)
        self._emit(events.START, events.start_report(flow, run, self._account), [flow.resource])
        self._at(run.ends, "end", lambda moment: self._end(flow, run, moment))
        return run

    def activate(self, flow: SimulatedFlow, now: datetime) -> None:
        """Switch a scheduled or event-triggered flow on; nothing changes for one that is on."""
        if flow.status == "Active":
            return
        flow.status, flow.status_message = "Active", None
        flow.activated, flow.failures = now, 0
        flow.generation += 1
        if flow.trigger == "Scheduled":
            self._plan_tick(flow, now - timedelta(microseconds=1))
        else:
            self._plan_report(flow, now)

    def resume(self, flow: SimulatedFlow, now: datetime) -> None:
        """Switch a flow on without the run that an activation brings."""
        flow.status, flow.status_message, flow.activated = "Active", None, now
        flow.generation += 1
        if flow.trigger == "Scheduled":
            self._plan_tick(flow, now)
        else:
            self._plan_report(flow, now)

    def suspend(self, flow: SimulatedFlow, message: str | None = None) -> None:
        """Switch a flow off; with a message when AppFlow itself does it."""
        flow.status, flow.status_message = "Suspended", message
        flow.activated = None
        flow.generation += 1

    def replan(self, flow: SimulatedFlow, now: datetime) -> None:
        """Follow a changed schedule."""
        if flow.trigger == "Scheduled" and flow.status == "Active":
            flow.generation += 1
            self._plan_tick(flow, now)

    def cancel(self, run: SimulatedRun, now: datetime) -> None:
        """Begin to cancel a run."""
        run.status, run.cancelled_at, run.updated = "CancelStarted", now, now

        def cancelled(moment: datetime) -> None:
            run.status, run.updated = "Canceled", moment

        self._at(now + CANCELLING, "cancel", cancelled)

    def _end(self, flow: SimulatedFlow, run: SimulatedRun, moment: datetime) -> None:
        if run.status != "InProgress" or self.flows.get(flow.name) is not flow:
            return
        failed = bool(run.outcome.error)
        run.status, run.updated = ("Error" if failed else "Successful"), moment
        flow.failures = flow.failures + 1 if failed else 0
        if run.outcome.announced:
            self._emit(events.END, events.end_report(flow, run, self._account), [flow.resource])
        threshold = flow.schedule.get("flowErrorDeactivationThreshold")
        if flow.trigger == "Scheduled" and flow.status == "Active" and threshold and flow.failures >= threshold:
            self._switch_off(flow, moment, events.SCHEDULED_DEACTIVATED, announced=run.outcome.announced)

    def _switch_off(self, flow: SimulatedFlow, moment: datetime, detail_type: str, *, announced: bool) -> None:
        reason = f"Flow was deactivated after {flow.failures} consecutive failures"
        self.suspend(flow, reason)
        if announced:
            self._emit(detail_type, events.deactivated(flow, moment, reason, self._account), [flow.resource])

    def _plan_tick(self, flow: SimulatedFlow, after: datetime) -> None:
        tick = next_tick(flow.schedule, flow.activated or after, after)
        if tick is None:
            return
        generation = flow.generation
        offset = timedelta(seconds=flow.schedule.get("scheduleOffset", 0))

        def fire(moment: datetime) -> None:
            if flow.generation != generation or self.flows.get(flow.name) is not flow:
                return
            if not flow.under_way():
                self.start(flow, moment, self._window(flow, tick))
            self._plan_tick(flow, tick)

        self._at(tick + offset, "tick", fire)

    def _window(self, flow: SimulatedFlow, tick: datetime) -> tuple[datetime, datetime] | None:
        if flow.schedule.get("dataPullMode") != "Incremental":
            return None
        last = flow.last_success()
        if last is not None and last.window is not None:
            return last.window[1], tick
        first = flow.schedule.get("firstExecutionFrom")
        return (datetime.fromtimestamp(first, tick.tzinfo) if first is not None else tick - FIRST_WINDOW), tick

    def _plan_report(self, flow: SimulatedFlow, after: datetime) -> None:
        generation = flow.generation

        def report(moment: datetime) -> None:
            if flow.generation != generation or self.flows.get(flow.name) is not flow:
                return
            outcome = self._future.next_outcome(flow.name, flow.profile)
            failed = bool(outcome.error)
            number = next(self._numbers)
            run = SimulatedRun(str(uuid5(_IDS, f"{flow.arn}#{number}")), outcome, moment - EVENT_INTERVAL, moment)
            run.status, run.updated = ("Error" if failed else "Successful"), moment
            flow.runs.append(run)
            flow.failures = flow.failures + 1 if failed else 0
            if outcome.announced:
                detail = events.end_report(flow, run, self._account)
                self._emit(events.EVENT_REPORT, detail, [flow.resource])
            if flow.failures >= EVENT_THRESHOLD:
                self._switch_off(flow, moment, events.EVENT_DEACTIVATED, announced=outcome.announced)
            else:
                self._plan_report(flow, moment)

        self._at(after + EVENT_INTERVAL, "report", report)

    def _at(self, moment: datetime, name: str, happen: Callable[[datetime], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), name, happen))
