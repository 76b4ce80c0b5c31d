"""AppFlow's API as this path uses it: thin, paced, one method for each thing that is asked or done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.appflow_runs.models import (
    TWIN_PREFIX,
    Destination,
    Flow,
    FlowStatus,
    Run,
    RunStatus,
    Schedule,
    Trigger,
)
from recovery.appflow_runs.verdicts import RunTwin
from recovery.aws import calling
from recovery.errors import BadInput, Conflict, Refused
from recovery.pacing import Pace

if TYPE_CHECKING:
    from mypy_boto3_appflow import AppflowClient

CALLS_PER_SECOND = 10.0
"""AppFlow publishes no rate of its API: ten calls a second is our assumption."""
PAGE = 100
MOST_RECORDS = 500
"""Execution records read of one flow: five calls."""
TWIN_TAG = "reprise:twin-of"
LEDGER_TAG = "reprise:ledger"

ACTIONS = {
    "list_flows": ("appflow:ListFlows",),
    "flow": ("appflow:DescribeFlow",),
    "runs": ("appflow:DescribeFlowExecutionRecords",),
    "start": ("appflow:StartFlow",),
}
"""IAM actions of each method that the path always needs."""

TWIN_ACTIONS = {
    "create_twin": ("appflow:CreateFlow", "appflow:TagResource", "appflow:UseConnectorProfile"),
    "delete_twin": ("appflow:DeleteFlow",),
}
"""IAM actions of the methods that only `allow_twin` uses: the optional policy."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list of flows.

    Attributes:
        last_status, last_at: of the newest run; "" and None when there is none. They lag a little behind.
    """

    name: str
    arn: str
    trigger: Trigger
    status: FlowStatus
    tags: Mapping[str, str] = field(default_factory=dict)
    last_status: str = ""
    last_at: datetime | None = None

    @property
    def stamp(self) -> str:
        """What tells whether anything ran since."""
        return f"{self.last_status}|{self.last_at.isoformat() if self.last_at else ''}|{self.status}"

    def as_flow(self) -> Flow:
        """As much of the flow as the list tells."""
        return Flow(self.name, self.arn, self.status, self.trigger, tags=self.tags)


@dataclass(frozen=True, slots=True)
class Described:
    """A flow, and its definition as a twin needs it."""

    flow: Flow
    definition: Mapping[str, Any] = field(repr=False)


class AppFlowGateway:
    """Reads and starts flows; makes and removes twins. Never changes a flow of the user's.

    Args:
        client: a boto3 AppFlow client.
        pace: shared by all calls of a run.
    """

    def __init__(self, client: AppflowClient, pace: Pace | None = None) -> None:
        self._client = client
        self._pace = pace or Pace(CALLS_PER_SECOND)

    def list_flows(self) -> list[Summary]:
        """All flows of the account and region, twins included; 100 to a call."""
        found: list[Summary] = []
        token: dict[str, str] = {}
        while True:
            self._pace.take()
            with calling("appflow:ListFlows"):
                answer = self._client.list_flows(maxResults=PAGE, **token)
            for raw in answer.get("flows", []):
                last: Mapping[str, Any] = raw.get("lastRunExecutionDetails", {})
                found.append(
                    Summary(
                        name=raw["flowName"],
                        arn=raw["flowArn"],
                        trigger=Trigger(raw["triggerType"]),
                        status=FlowStatus(raw["flowStatus"]),
                        tags=raw.get("tags", {}),
                        last_status=last.get("mostRecentExecutionStatus", ""),
                        last_at=_utc(last.get("mostRecentExecutionTime")),
                    )
                )
            if not answer.get("nextToken"):
                return found
            token = {"nextToken": answer["nextToken"]}

    def flow(self, name: str) -> Described | None:
        """One flow; None when there is none of that name.

        Raises:
            Transient: not now.
            Refused: it may not be read.
            BadInput: the answer holds what this version does not know.
        """
        self._pace.take()
        try:
            with calling("appflow:DescribeFlow"):
                answer: Mapping[str, Any] = self._client.describe_flow(flowName=name)
        except Refused as refusal:
            if refusal.code == "ResourceNotFoundException":
                return None
            raise
        with _understanding(name):
            return Described(_flow(answer), answer)

    def runs(self, name: str) -> tuple[Run, ...]:
        """The newest runs, the newest first, back to the last success or to 500 records.

        AppFlow lists the newest records first; they are sorted here all the same, and no order within a page counts.

        Raises:
            Transient: not now.
            Refused: no such flow, or it may not be read.
            BadInput: a record holds what this version does not know.
        """
        found: list[Run] = []
        for page in self._record_pages(name):
            found += page
            if len(found) >= MOST_RECORDS or any(run.status is RunStatus.SUCCESSFUL for run in page):
                break
        return tuple(sorted(found, key=lambda run: (run.started, run.updated, run.id), reverse=True))

    def start(self, name: str, client_token: str) -> str:
        """Run an on-demand flow, or activate another one. Returns the run's id; "" where there is none (activation).

        A repeated token gets the first call's answer for eight hours, so a call may be repeated when its answer was
        not read.

        Raises:
            Conflict: a run is under way, or the flow is being changed.
            OutcomeUnknown: it may have started: repeat with the same token.
            Transient, Refused: it has not started.
        """
        self._pace.take()
        with calling("appflow:StartFlow"):
            answer = self._client.start_flow(flowName=name, clientToken=client_token)
        return answer.get("executionId") or ""

    def create_twin(self, verdict: RunTwin, original: Described, ledger: str) -> None:
        """Make the on-demand twin of a flow; one that is already there under this name is the same attempt's.

        Args:
            verdict: names the twin.
            original: the flow whose source, destination, tasks and key the twin takes over.
            ledger: name of the ledger that remembers the attempt, for a tag: other estates leave the twin alone.

        Raises:
            BadInput: a flow of this name stands there that is no twin of this flow.
            Transient, Refused: it was not made.
        """
        flow = original.flow
        definition = original.definition
        request: dict[str, Any] = {
            "flowName": verdict.twin,
            "description": f"Temporary twin of {plain(flow.name)}, attempt {verdict.attempt}. Removed by Reprise.",
            "triggerConfig": {"triggerType": Trigger.ON_DEMAND.value},
            "sourceFlowConfig": definition["sourceFlowConfig"],
            "destinationFlowConfigList": definition["destinationFlowConfigList"],
            "tasks": definition["tasks"],
            "tags": {
                TWIN_TAG: as_tag(flow.name),
                LEDGER_TAG: plain(ledger),
                "reprise:failed-run": plain(verdict.failed_run),
                "reprise:attempt": str(verdict.attempt),
            },
            "clientToken": verdict.client_token,
        }
        if definition.get("kmsArn"):
            request["kmsArn"] = definition["kmsArn"]
        self._pace.take()
        try:
            with calling("appflow:CreateFlow"):
                self._client.create_flow(**request)
        except Conflict:
            there = self.flow(verdict.twin)
            if there is None or there.flow.tags.get(TWIN_TAG) != as_tag(flow.name):
                raise BadInput(f"flow {verdict.twin}: expected the twin of {flow.name}, found another flow") from None

    def delete_twin(self, name: str) -> bool:
        """Remove a twin; False when a run of it is under way. One that is gone is a success.

        Raises:
            ValueError: the name is not a twin's: no other flow is ever removed.
            Transient, Refused: it was not removed.
        """
        if not name.startswith(TWIN_PREFIX):
            raise ValueError(f"{name} is not a twin")
        self._pace.take()
        try:
            with calling("appflow:DeleteFlow"):
                self._client.delete_flow(flowName=name, forceDelete=False)
        except Conflict:
            return False
        except Refused as refusal:
            if refusal.code != "ResourceNotFoundException":
                raise
        return True

    def _record_pages(self, name: str) -> Iterator[list[Run]]:
        token: dict[str, str] = {}
        while True:
            self._pace.take()
            with calling("appflow:DescribeFlowExecutionRecords"):
                answer = self._client.describe_flow_execution_records(flowName=name, maxResults=PAGE, **token)
            with _understanding(name):
                page = [_run(raw) for raw in answer.get("flowExecutions", [])]
            yield page
            if not answer.get("nextToken"):
                return
            token = {"nextToken": answer["nextToken"]}


@contextmanager
def _understanding(name: str) -> Iterator[None]:
    """A status or trigger that AppFlow may add one day is the trouble of that flow, not of all."""
    try:
        yield
    except (KeyError, ValueError) as error:
        raise BadInput(f"flow {name}: AppFlow's answer is not understood: {error!r}") from None


def _flow(raw: Mapping[str, Any]) -> Flow:
    trigger = raw.get("triggerConfig", {})
    scheduled = trigger.get("triggerProperties", {}).get("Scheduled")
    return Flow(
        name=raw["flowName"],
        arn=raw["flowArn"],
        status=FlowStatus(raw["flowStatus"]),
        trigger=Trigger(trigger["triggerType"]),
        status_message=raw.get("flowStatusMessage", ""),
        schedule=_schedule(scheduled) if scheduled else None,
        source=raw.get("sourceFlowConfig", {}).get("connectorType", ""),
        destinations=tuple(_destination(item) for item in raw.get("destinationFlowConfigList", [])),
        tags=raw.get("tags", {}),
    )


def _schedule(raw: Mapping[str, Any]) -> Schedule:
    return Schedule(
        expression=raw["scheduleExpression"],
        incremental=raw.get("dataPullMode") != "Complete",
        starts=_utc(raw.get("scheduleStartTime")),
        ends=_utc(raw.get("scheduleEndTime")),
        offset=timedelta(seconds=raw.get("scheduleOffset", 0)),
        threshold=raw.get("flowErrorDeactivationThreshold"),
    )


def _destination(raw: Mapping[str, Any]) -> Destination:
    properties: Mapping[str, Any] = next(iter(raw.get("destinationConnectorProperties", {}).values()), {})
    return Destination(raw["connectorType"], properties.get("writeOperationType", ""))


def _run(raw: Mapping[str, Any]) -> Run:
    result: Mapping[str, Any] = raw.get("executionResult", {})
    error: Mapping[str, Any] = result.get("errorInfo", {})
    started = _utc(raw.get("startedAt")) or datetime.fromtimestamp(0, UTC)
    return Run(
        id=raw["executionId"],
        status=RunStatus(raw["executionStatus"]),
        started=started,
        updated=_utc(raw.get("lastUpdatedAt")) or started,
        message=error.get("executionMessage", ""),
        records=result.get("recordsProcessed"),
        failed_records=error.get("putFailuresCount"),
        bytes_written=result.get("bytesWritten"),
        pull_start=_utc(raw.get("dataPullStartTime")),
        pull_end=_utc(raw.get("dataPullEndTime")),
    )


def _utc(moment: datetime | None) -> datetime | None:
    # botocore gives local time with the noise of a float; what is kept and compared are whole milliseconds in UTC.
    if moment is None:
        return None
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=0) + timedelta(milliseconds=round(utc.microsecond / 1000))


def plain(text: str) -> str:
    """A text that both a tag's value and a flow's description take; the names of most flows stay as they are."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:256]


def as_tag(name: str) -> str:
    """A flow's name as a tag's value: of the signs in names (`!@#.-`) tags take no `!` and no `#`."""
    return name.replace("!", "=21").replace("#", "=23")


def from_tag(value: str) -> str:
    """The name that `as_tag` was given; names hold no `=`."""
    return value.replace("=21", "!").replace("=23", "#")
