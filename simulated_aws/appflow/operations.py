"""The operations of the simulated AppFlow: each takes the checked parameters and gives the result."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from simulated_aws.appflow.engine import Engine
from simulated_aws.appflow.protocol import Fault
from simulated_aws.appflow.state import SimulatedFlow, SimulatedRun
from simulated_aws.appflow.validation import check_definition

TOKEN_LIFE = timedelta(hours=8)
MOST_FLOWS = 1000
MOST_CONCURRENT_RUNS = 1000
PAGE = 20
_DEFINITION = (
    "description",
    "kmsArn",
    "triggerConfig",
    "sourceFlowConfig",
    "destinationFlowConfigList",
    "tasks",
    "metadataCatalogConfig",
)


class Operations:
    """The API on top of the engine.

    Args:
        engine: holds the flows.
        now: the estate's clock.
        account, region: for ARNs.
        lag: for how long a new run is missing from records and summaries.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime], account: str, region: str, lag: timedelta) -> None:
        self._engine = engine
        self._now = now
        self._account = account
        self._region = region
        self._lag = lag
        self._tokens: dict[tuple[str, str], tuple[datetime, str, dict[str, Any]]] = {}

    def named(self, name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """Return the function that carries out the operation of this name.

        Raises:
            Fault: the simulator has no such operation.
        """
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateFlow": self._create,
            "UpdateFlow": self._update,
            "DescribeFlow": self._describe,
            "ListFlows": self._list,
            "StartFlow": self._start,
            "StopFlow": self._stop,
            "DeleteFlow": self._delete,
            "CancelFlowExecutions": self._cancel,
            "DescribeFlowExecutionRecords": self._records,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._tags,
        }
        if name not in known:
            raise Fault("UnknownOperationException", f"the simulator has no {name}")
        return known[name]

    def runs_by_token(self, prefix: str) -> dict[str, str]:
        """Runs by the client token that started them."""
        return {
            token: str(answer["executionId"])
            for (operation, token), (_, _, answer) in self._tokens.items()
            if operation == "StartFlow" and "executionId" in answer and token.startswith(prefix)
        }

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        now = self._now()
        repeated = self._repeated("CreateFlow", asked, now, strict=True)
        if repeated is not None:
            return repeated
        name = asked["flowName"]
        if name in self._engine.flows:
            raise Fault("ConflictException", f"A flow named {name} already exists")
        if len(self._engine.flows) >= MOST_FLOWS:
            raise Fault("ServiceQuotaExceededException", f"The account has {MOST_FLOWS} flows")
        check_definition(asked)
        flow = SimulatedFlow(
            name=name,
            arn=f"arn:aws:appflow:{self._region}:{self._account}:flow/{name}",
            definition={key: asked[key] for key in _DEFINITION if key in asked},
            status="Active" if asked["triggerConfig"]["triggerType"] == "OnDemand" else "Draft",
            created=now,
            updated=now,
            tags=dict(asked.get("tags", {})),
        )
        self._engine.flows[name] = flow
        return self._remember("CreateFlow", asked, now, {"flowArn": flow.arn, "flowStatus": flow.status})

    def _update(self, asked: dict[str, Any]) -> dict[str, Any]:
        flow = self._find(asked["flowName"])
        if flow.under_way():
            raise Fault("ConflictException", f"{flow.name} is running")
        check_definition(asked)
        changed = {key: asked[key] for key in _DEFINITION if key in asked}
        if changed["triggerConfig"]["triggerType"] != flow.trigger:
            flow.status = "Active" if changed["triggerConfig"]["triggerType"] == "OnDemand" else "Draft"
        flow.definition = {**{key: flow.definition[key] for key in ("kmsArn",) if key in flow.definition}, **changed}
        flow.updated = self._now()
        flow.version += 1
        self._engine.replan(flow, flow.updated)
        return {"flowStatus": flow.status}

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        flow = self._find(asked["flowName"])
        return {
            "flowArn": flow.arn,
            "flowName": flow.name,
            "flowStatus": flow.status,
            "flowStatusMessage": flow.status_message,
            **flow.definition,
            "lastRunExecutionDetails": self._last_run(flow),
            "createdAt": flow.created.timestamp(),
            "lastUpdatedAt": flow.updated.timestamp(),
            "createdBy": self._who(),
            "lastUpdatedBy": self._who(),
            "tags": dict(flow.tags),
            "schemaVersion": flow.version,
        }

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        names = sorted(self._engine.flows)
        first = self._position(asked, names)
        size = asked.get("maxResults", PAGE)
        page = names[first : first + size]
        more = first + size < len(names)
        return {
            "flows": [self._summary(self._engine.flows[name]) for name in page],
            "nextToken": _token(page[-1]) if more else None,
        }

    def _summary(self, flow: SimulatedFlow) -> dict[str, Any]:
        return {
            "flowArn": flow.arn,
            "description": flow.definition.get("description"),
            "flowName": flow.name,
            "flowStatus": flow.status,
            "sourceConnectorType": flow.definition["sourceFlowConfig"]["connectorType"],
            "destinationConnectorType": flow.definition["destinationFlowConfigList"][0]["connectorType"],
            "triggerType": flow.trigger,
            "createdAt": flow.created.timestamp(),
            "lastUpdatedAt": flow.updated.timestamp(),
            "createdBy": self._who(),
            "lastUpdatedBy": self._who(),
            "tags": dict(flow.tags),
            "lastRunExecutionDetails": self._last_run(flow),
        }

    def _start(self, asked: dict[str, Any]) -> dict[str, Any]:
        now = self._now()
        flow = self._find(asked["flowName"])
        if flow.trigger != "OnDemand":
            repeated = self._repeated("StartFlow", asked, now, strict=True)
            if repeated is not None:
                return repeated
            self._engine.activate(flow, now)
            self._engine.advance(now)
            return self._remember("StartFlow", asked, now, {"flowArn": flow.arn, "flowStatus": flow.status})
        repeated = self._repeated("StartFlow", asked, now, strict=False)
        if repeated is not None:
            return repeated
        if flow.under_way():
            raise Fault("ConflictException", f"{flow.name} is already running")
        if sum(len(other.under_way()) for other in self._engine.flows.values()) >= MOST_CONCURRENT_RUNS:
            raise Fault("ServiceQuotaExceededException", f"{MOST_CONCURRENT_RUNS} runs are under way")
        run = self._engine.start(flow, now)
        answer = {"flowArn": flow.arn, "flowStatus": flow.status, "executionId": run.id}
        return self._remember("StartFlow", asked, now, answer)

    def _stop(self, asked: dict[str, Any]) -> dict[str, Any]:
        flow = self._find(asked["flowName"])
        if flow.trigger == "OnDemand":
            raise Fault("UnsupportedOperationException", "An on-demand flow cannot be stopped")
        self._engine.suspend(flow)
        return {"flowArn": flow.arn, "flowStatus": flow.status}

    def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        flow = self._find(asked["flowName"])
        busy = bool(flow.under_way()) or (flow.trigger != "OnDemand" and flow.status == "Active")
        if busy and not asked.get("forceDelete"):
            raise Fault("ConflictException", f"{flow.name} is in use")
        del self._engine.flows[flow.name]
        return {}

    def _cancel(self, asked: dict[str, Any]) -> dict[str, Any]:
        flow = self._find(asked["flowName"])
        running = {run.id: run for run in flow.runs if run.status == "InProgress"}
        wanted = asked.get("executionIds") or list(running)
        for run_id in wanted:
            if run_id in running:
                self._engine.cancel(running[run_id], self._now())
        return {"invalidExecutions": [run_id for run_id in wanted if run_id not in running]}

    def _records(self, asked: dict[str, Any]) -> dict[str, Any]:
        flow = self._find(asked["flowName"])
        runs = self._visible(flow)
        first = self._position(asked, [run.id for run in runs])
        size = asked.get("maxResults", PAGE)
        page = runs[first : first + size]
        more = first + size < len(runs)
        return {"flowExecutions": [run.record() for run in page], "nextToken": _token(page[-1].id) if more else None}

    def _tag(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._find_arn(asked["resourceArn"]).tags.update(asked["tags"])
        return {}

    def _untag(self, asked: dict[str, Any]) -> dict[str, Any]:
        flow = self._find_arn(asked["resourceArn"])
        flow.tags = {key: value for key, value in flow.tags.items() if key not in asked["tagKeys"]}
        return {}

    def _tags(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"tags": dict(self._find_arn(asked["resourceArn"]).tags)}

    # -- inside ----------------------------------------------------------------------------------------------------

    def _visible(self, flow: SimulatedFlow) -> list[SimulatedRun]:
        """Runs that the records show, the newest first."""
        seen = self._now() - self._lag
        return [run for run in reversed(flow.runs) if run.started <= seen and run.outcome.recorded]

    def _last_run(self, flow: SimulatedFlow) -> dict[str, Any] | None:
        runs = self._visible(flow)
        if not runs:
            return None
        run = runs[0]
        message = "Successfully ran the flow" if run.status == "Successful" else run.outcome.error[:2048]
        return {
            "mostRecentExecutionMessage": None if run.is_under_way else message,
            "mostRecentExecutionTime": run.started.timestamp(),
            "mostRecentExecutionStatus": run.status,
        }

    def _find(self, name: str) -> SimulatedFlow:
        if name not in self._engine.flows:
            raise Fault("ResourceNotFoundException", f"Flow {name} does not exist")
        return self._engine.flows[name]

    def _find_arn(self, arn: str) -> SimulatedFlow:
        return self._find(arn.rpartition(":flow/")[2])

    def _repeated(self, operation: str, asked: dict[str, Any], now: datetime, *, strict: bool) -> dict[str, Any] | None:
        """The first answer to this client token, if it is still remembered."""
        known = self._tokens.get((operation, asked.get("clientToken", "")))
        if known is None or now - known[0] >= TOKEN_LIFE:
            return None
        if known[1] == _fingerprint(asked):
            return known[2]
        if strict:
            raise Fault("ConflictException", "The client token was used with other parameters")
        return None

    def _remember(self, operation: str, asked: dict[str, Any], now: datetime, answer: dict[str, Any]) -> dict[str, Any]:
        if asked.get("clientToken"):
            self._tokens[operation, asked["clientToken"]] = (now, _fingerprint(asked), answer)
        return answer

    def _position(self, asked: dict[str, Any], keys: Sequence[str]) -> int:
        if "nextToken" not in asked:
            return 0
        try:
            last = json.loads(base64.urlsafe_b64decode(asked["nextToken"]))
            return keys.index(last) + 1
        except ValueError as error:
            raise Fault("ValidationException", "The next token is not valid") from error

    def _who(self) -> str:
        return f"arn:aws:sts::{self._account}:assumed-role/simulated/appflow"


def _fingerprint(asked: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in asked.items() if key != "clientToken"}, sort_keys=True)


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
