"""A strict AWS DMS: it accepts, refuses and reports as the real one does, by botocore's model and contract.yaml.

It stands in one account and region, has no threads and no clock of its own: replications are brought up to date when
somebody asks. Tests and the demo write a replication's future with the methods below or with
`POST /_reprise/dms/script`, and look at what only the other side of a migration could see with
`GET /_reprise/dms/state`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from simulated_aws.dms.future import Future
from simulated_aws.dms.lifecycle import advance
from simulated_aws.dms.metrics import count
from simulated_aws.dms.notices import Herald
from simulated_aws.dms.protocol import DmsError, answer, operation_of, parameters_of, refusal
from simulated_aws.dms.serverless import Replications
from simulated_aws.dms.state import Account, Endpoint, Replicator
from simulated_aws.dms.surroundings import Surroundings
from simulated_aws.dms.tasks import Tasks
from simulated_aws.requests import MeasuredHost, SimulatedRequest, SimulatedResponse

SCRIPT_PATH = "/_reprise/dms/script"
STATE_PATH = "/_reprise/dms/state"

Operation = Callable[[Mapping[str, Any], datetime], dict[str, Any]]


class DmsSimulator:
    """See the module docstring.

    Args:
        host: the estate's clock, event bus and topics.
        region, account: where it stands.
    """

    def __init__(self, host: MeasuredHost, *, region: str = "us-east-1", account: str = "000000000000") -> None:
        self._host = host
        self._account = Account(region, account)
        self._herald = Herald(host, self._account)
        emit = self._herald.emit
        self._operations: dict[str, Operation] = {
            **Tasks(self._account, emit).operations,
            **Replications(self._account, emit).operations,
            **Surroundings(self._account).operations,
        }

    def handle(self, request: SimulatedRequest) -> SimulatedResponse:
        """Answer one request."""
        if request.path in {SCRIPT_PATH, STATE_PATH}:
            return self._scripting(request)
        try:
            name = operation_of(request)
            given = parameters_of(name, request)
            operation = self._operations.get(name)
            if operation is None:
                raise DmsError("UnknownOperationException", f"{name} is not simulated")
            self._account.calls[name] += 1
            now = self.advance()
            return answer(name, operation(given, now))
        except DmsError as error:
            return refusal(error)

    def advance(self) -> datetime:
        """Let everything happen that was due by now, and announce it; returns the time."""
        now = self._host.now()
        for thing in [*self._account.tasks.values(), *self._account.configs.values()]:
            advance(thing, self._account, now, self._herald.emit)
            count(thing, self._account, self._host, now)
        return now

    def tick(self) -> None:
        """Called by the estate every now and then, so that events go out although nobody asks."""
        self.advance()

    # -- the script ----------------------------------------------------------------------------------------------

    def script(self, name: str, future: Future) -> None:
        """Give the task or serverless replication of this name or ARN another future."""
        self.advance()
        self.replication(name).future = future

    def lose_position(self, name: str, text: str) -> None:
        """Whatever this replication would resume from is gone; a resume fails with this text."""
        self.advance()
        self.replication(name).position_lost = text

    def break_endpoint(self, name: str, text: str, *, level: str = "RECOVERABLE") -> None:
        """Connecting to the endpoint of this identifier or ARN fails with this text from now on."""
        now = self.advance()
        endpoint = self._endpoint(name)
        endpoint.trouble, endpoint.trouble_level, endpoint.since = text, level, now

    def fix_endpoint(self, name: str) -> None:
        """The endpoint is up again."""
        self.advance()
        endpoint = self._endpoint(name)
        endpoint.trouble, endpoint.since = "", None

    def set_instance_status(self, name: str, status: str) -> None:
        """The replication instance of this identifier or ARN has this status from now on."""
        self.advance()
        for instance in self._account.instances.values():
            if name in (instance.arn, instance.identifier):
                instance.status = status
                return
        raise KeyError(name)

    def set_status(self, name: str, status: str) -> None:
        """The replication has this status from now on, however it came there ("testing", "failed-move" ...)."""
        thing = self.replication(name)
        thing.status, thing.entered = status, self.advance()

    def replication(self, name: str) -> Replicator:
        """The task or serverless replication of this name or ARN, for tests to look at."""
        for thing in [*self._account.tasks.values(), *self._account.configs.values()]:
            if name in (thing.arn, thing.identifier):
                return thing
        raise KeyError(name)

    @property
    def calls(self) -> Mapping[str, int]:
        """Requests of each operation so far."""
        return dict(self._account.calls)

    def _endpoint(self, name: str) -> Endpoint:
        for endpoint in self._account.endpoints.values():
            if name in (endpoint.arn, endpoint.identifier):
                return endpoint
        raise KeyError(name)

    def _scripting(self, request: SimulatedRequest) -> SimulatedResponse:
        if request.path == STATE_PATH:
            self.advance()
            things = [*self._account.tasks.values(), *self._account.configs.values()]
            return SimulatedResponse.json({"replications": [_state(each) for each in things], "calls": self.calls})
        try:
            self._follow(json.loads(request.body or b"{}"))
        except (ValueError, TypeError, KeyError) as error:
            return SimulatedResponse.error("InvalidScript", f"{type(error).__name__}: {error}")
        return SimulatedResponse.json({"ok": True})

    def _follow(self, order: Mapping[str, Any]) -> None:
        """One order of the script endpoint; see `simulated_aws/dms/__init__.py`."""
        match order:
            case {"replication": name, "future": future}:
                self.script(name, Future.from_json(future))
            case {"replication": name, "lose_position": text}:
                self.lose_position(name, text)
            case {"replication": name, "status": status}:
                self.set_status(name, status)
            case {"endpoint": name, "trouble": ""}:
                self.fix_endpoint(name)
            case {"endpoint": name, "trouble": text, **rest}:
                self.break_endpoint(name, text, level=str(rest.get("level", "RECOVERABLE")))
            case {"instance": name, "status": status}:
                self.set_instance_status(name, status)
            case {"advance": True}:
                self.advance()
            case _:
                raise ValueError(f"not understood: {sorted(order)}")


def _state(thing: Replicator) -> dict[str, Any]:
    return {
        "name": thing.identifier,
        "arn": thing.arn,
        "status": thing.status,
        "starts": thing.starts,
        "emptied": thing.emptied,
        "rows": sum(table.rows for table in thing.tables),
        "changes": sum(int(table.changes) for table in thing.tables),
        "idle": thing.idle,
    }
