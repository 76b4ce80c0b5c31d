"""A strict Amazon AppFlow: create, update, describe, list, start, stop, cancel, delete, execution records, tags.

Time is the host's and progress is made when something is asked (`advance` may also be called). Runs follow a script:
by default each succeeds after two seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from simulated_aws.appflow import protocol
from simulated_aws.appflow.engine import Engine
from simulated_aws.appflow.future import Future, Outcome, Script, script_from_json
from simulated_aws.appflow.operations import Operations
from simulated_aws.appflow.protocol import Fault
from simulated_aws.appflow.state import SimulatedFlow
from simulated_aws.requests import Host, SimulatedRequest, SimulatedResponse

SCRIPT_PATH = "/_reprise/appflow/script"


@dataclass
class _Refusal:
    """A scripted error of the API itself: the code that the next call of an operation gets."""

    operation: str
    code: str
    carried_out: bool


class AppFlowSimulator:
    """AppFlow for one account and region.

    Args:
        host: clock and event bus.
        account, region: for ARNs.
        records_lag: for how long a new run is missing from records and summaries, as in AWS, where they are eventually
            consistent.
        calls_per_second: further calls within a second get ThrottlingException; None: no limit.
    """

    def __init__(
        self,
        host: Host,
        *,
        account: str = "000000000000",
        region: str = "us-east-1",
        records_lag: timedelta = timedelta(seconds=1),
        calls_per_second: int | None = None,
    ) -> None:
        self._host = host
        self.calls_per_second = calls_per_second
        self._recent: list[datetime] = []
        self._refusals: list[_Refusal] = []
        self.calls: list[tuple[str, str]] = []
        """Operation and flow name of every call so far, refused ones included."""
        self._future = Future()
        self._engine = Engine(self._future, self._emit, account)
        self._operations = Operations(self._engine, host.now, account, region, records_lag)

    # -- for tests and demos ---------------------------------------------------------------------------------------

    def script(self, *outcomes: Outcome, flow: str = "", profile: str = "", then: Outcome | None = None) -> None:
        """Say what the next runs of a flow (name or glob), or of all flows of a connector profile, will do."""
        self._future.write(Script(flow, profile, list(outcomes), then))

    def forget_scripts(self) -> None:
        """From now on every run succeeds."""
        self._future.clear()

    def refuse(self, operation: str, code: str, *, carried_out: bool = False) -> None:
        """Answer the next call of an operation with an error; `carried_out`: although it took effect."""
        self._refusals.append(_Refusal(operation, code, carried_out))

    def advance(self) -> None:
        """Let everything happen that the clock says is over."""
        self._engine.advance(self._host.now())

    def tick(self) -> None:
        """Catch up with the clock; the simulated AWS calls this now and then, so that events come unasked."""
        self.advance()

    def flow(self, name: str) -> SimulatedFlow:
        """A flow as it stands now. Raises KeyError when there is none."""
        self.advance()
        return self._engine.flows[name]

    def runs_by_token(self, prefix: str = "") -> dict[str, str]:
        """Runs of on-demand flows by the client token that started them, for tokens that begin with this."""
        return self._operations.runs_by_token(prefix)

    def pretend_active(self, name: str) -> None:
        """Switch a flow on as if it had been on for long: its schedule goes on from now, and nothing runs at once."""
        self.advance()
        self._engine.resume(self._engine.flows[name], self._host.now())

    def names(self) -> list[str]:
        """The names of all flows."""
        return sorted(self._engine.flows)

    # -- the service -----------------------------------------------------------------------------------------------

    def handle(self, request: SimulatedRequest) -> SimulatedResponse:
        """Answer one request."""
        self.advance()
        if request.path == SCRIPT_PATH and request.method == "POST":
            return self._take_script(request)
        try:
            operation, parameters = protocol.read(request)
            self.calls.append((operation, str(parameters.get("flowName", parameters.get("resourceArn", "")))))
            self._throttle()
            refusal = self._next_refusal(operation)
            if refusal and not refusal.carried_out:
                raise Fault(refusal.code, "scripted refusal")
            result = self._operations.named(operation)(parameters)
            if refusal:
                raise Fault(refusal.code, "scripted refusal, after the call was carried out")
            return protocol.answer(operation, result)
        except Fault as fault:
            return protocol.refusal(fault)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _throttle(self) -> None:
        if self.calls_per_second is None:
            return
        now = self._host.now()
        self._recent = [moment for moment in self._recent if now - moment < timedelta(seconds=1)]
        if len(self._recent) >= self.calls_per_second:
            raise Fault("ThrottlingException", "Too Many Requests")
        self._recent.append(now)

    def _next_refusal(self, operation: str) -> _Refusal | None:
        found = next((refusal for refusal in self._refusals if refusal.operation == operation), None)
        if found:
            self._refusals.remove(found)
        return found

    def _take_script(self, request: SimulatedRequest) -> SimulatedResponse:
        try:
            script = script_from_json(json.loads(request.body or b"{}"))
        except (ValueError, TypeError, AttributeError) as error:
            return protocol.refusal(Fault("ValidationException", f"script: {error}"))
        self._future.write(script)
        return SimulatedResponse.json({}, content_type=protocol.JSON)

    def _emit(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self._host.put_event("aws.appflow", detail_type, detail, resources)
