"""AppFlow's API as this path uses it: thin, paced, one method for each thing that is asked or done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from recovery.appflow_runs.answers import (
    Described,
    Summary,
    Unread,
    read_flow,
    read_run,
    read_summary,
    understanding,
)
from recovery.appflow_runs.models import TWIN_PREFIX, Run, RunStatus, Trigger
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


class AppFlowGateway:
    """Reads and starts flows; makes and removes twins. Never changes a flow of the user's.

    Args:
        client: a boto3 AppFlow client.
        pace: shared by all calls of a run.
    """

    def __init__(self, client: AppflowClient, pace: Pace | None = None) -> None:
        self._client = client
        self._pace = pace or Pace(CALLS_PER_SECOND)

    def list_flows(self) -> tuple[list[Summary], list[Unread]]:
        """All flows of the account and region, twins included, and those that are not understood; 100 to a call.

        Raises:
            Transient, Refused: AppFlow could not be asked.
        """
        found: list[Summary] = []
        unread: list[Unread] = []
        token: dict[str, str] = {}
        while True:
            self._pace.take()
            with calling("appflow:ListFlows"):
                answer = self._client.list_flows(maxResults=PAGE, **token)
            for raw in answer.get("flows", []):
                name = raw.get("flowName", "")
                try:
                    with understanding(name, "appflow:ListFlows"):
                        found.append(read_summary(raw))
                except BadInput as problem:
                    unread.append(Unread(name, raw.get("tags", {}), problem))
            if not answer.get("nextToken"):
                return found, unread
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
        with understanding(name, "appflow:DescribeFlow"):
            return Described(read_flow(answer), answer)

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
            Conflict: it is there, and cannot be seen yet.
            Transient, Refused: it was not made.
        """
        flow = original.flow
        definition = original.definition
        request: dict[str, Any] = {
            "flowName": verdict.twin,
            "description": f"Temporary twin of {plain(flow.name)}, attempt {verdict.attempt}. Removed by Reprise.",
            "triggerConfig": {"triggerType": Trigger.ON_DEMAND.value},
            "sourceFlowConfig": {
                # Only a scheduled flow has a field that shows what is new.
                part: value
                for part, value in definition["sourceFlowConfig"].items()
                if part != "incrementalPullConfig"
            },
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
            if there is None:
                raise  # not to be seen yet: it was made a moment ago, or is being removed
            if there.flow.tags.get(TWIN_TAG) != as_tag(flow.name):
                raise BadInput(
                    f"flow {verdict.twin}: expected the twin of {flow.name}, found another flow",
                    code="another flow",
                    operation="appflow:CreateFlow",
                ) from None

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
            with understanding(name, "appflow:DescribeFlowExecutionRecords"):
                page = [read_run(raw) for raw in answer.get("flowExecutions", [])]
            yield page
            if not answer.get("nextToken"):
                return
            token = {"nextToken": answer["nextToken"]}


def plain(text: str) -> str:
    """A text that both a tag's value and a flow's description take; the names of most flows stay as they are."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:256]


def as_tag(name: str) -> str:
    """A flow's name as a tag's value: of the signs in names (`!@#.-`) tags take no `!` and no `#`."""
    return name.replace("!", "=21").replace("#", "=23")


def from_tag(value: str) -> str:
    """The name that `as_tag` was given; names hold no `=`."""
    return value.replace("=21", "!").replace("=23", "#")
