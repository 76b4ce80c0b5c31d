"""AppFlow's answers as values. Pure: what it shows is read here, and asked for in `gateway`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.appflow_runs.models import Destination, Flow, FlowStatus, Run, RunStatus, Schedule, Trigger
from recovery.errors import BadInput
from recovery.failures.masks import mask
from recovery.times import from_answer


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list of flows.

    Attributes:
        last_status, last_at: of the newest run; "" and None when there is none. They lag a little behind.
        created: when the flow was made; None where AppFlow does not say.
    """

    name: str
    arn: str
    trigger: Trigger
    status: FlowStatus
    tags: Mapping[str, str] = field(default_factory=dict)
    last_status: str = ""
    last_at: datetime | None = None
    created: datetime | None = None

    @property
    def stamp(self) -> str:
        """A stamp that changes with every run."""
        return f"{self.last_status}|{self.last_at.isoformat() if self.last_at else ''}|{self.status}"

    def as_flow(self) -> Flow:
        """As much of the flow as the list shows."""
        return Flow(self.name, self.arn, self.status, self.trigger, tags=self.tags)


@dataclass(frozen=True, slots=True)
class Unread:
    """A line of the list of flows that this version does not understand.

    Attributes:
        problem: what is not understood.
    """

    name: str
    tags: Mapping[str, str]
    problem: BadInput


@dataclass(frozen=True, slots=True)
class Described:
    """A flow, and its definition as a twin needs it."""

    flow: Flow
    definition: Mapping[str, Any] = field(repr=False)


@contextmanager
def understanding(name: str, operation: str) -> Iterator[None]:
    """A status or trigger that AppFlow may add one day is the trouble of that flow, not of all.

    Raises:
        BadInput: the answer holds what this version does not know.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"flow {name}: AppFlow's answer is not understood: {mask(repr(error))}",
            code="not understood",
            operation=operation,
        ) from None


def read_summary(raw: Mapping[str, Any]) -> Summary:
    """One line of ListFlows."""
    last: Mapping[str, Any] = raw.get("lastRunExecutionDetails", {})
    return Summary(
        name=raw["flowName"],
        arn=raw["flowArn"],
        trigger=Trigger(raw["triggerType"]),
        status=FlowStatus(raw["flowStatus"]),
        tags=raw.get("tags", {}),
        last_status=last.get("mostRecentExecutionStatus", ""),
        last_at=from_answer(last.get("mostRecentExecutionTime")),
        created=from_answer(raw.get("createdAt")),
    )


def read_flow(raw: Mapping[str, Any]) -> Flow:
    """DescribeFlow's answer."""
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
        starts=from_answer(raw.get("scheduleStartTime")),
        ends=from_answer(raw.get("scheduleEndTime")),
        offset=timedelta(seconds=raw.get("scheduleOffset", 0)),
        threshold=raw.get("flowErrorDeactivationThreshold"),
    )


def _destination(raw: Mapping[str, Any]) -> Destination:
    properties: Mapping[str, Any] = next(iter(raw.get("destinationConnectorProperties", {}).values()), {})
    return Destination(raw["connectorType"], properties.get("writeOperationType", ""))


def read_run(raw: Mapping[str, Any]) -> Run:
    """One execution record. AppFlow leaves out what it does not know."""
    result: Mapping[str, Any] = raw.get("executionResult", {})
    error: Mapping[str, Any] = result.get("errorInfo", {})
    started = from_answer(raw.get("startedAt")) or datetime.fromtimestamp(0, UTC)
    return Run(
        id=raw["executionId"],
        status=RunStatus(raw["executionStatus"]),
        started=started,
        updated=from_answer(raw.get("lastUpdatedAt")) or started,
        message=error.get("executionMessage", ""),
        records=result.get("recordsProcessed"),
        failed_records=error.get("putFailuresCount"),
        bytes_written=result.get("bytesWritten"),
        pull_start=from_answer(raw.get("dataPullStartTime")),
        pull_end=from_answer(raw.get("dataPullEndTime")),
    )
