"""The contract between the simulated AWS and the simulators that stand beside it (DMS, AppFlow).

A simulator is a class with `__init__(self, host: Host)` and `handle(self, request) -> SimulatedResponse`: a plain
function from request to response that never blocks, starts no thread and owns no socket. The same object is mounted
beside the emulator (`simulated_aws.hooks`) or served alone (`python -m simulated_aws.standalone dms`).
`handle` is called by one thread at a time. Two things are optional: a method `tick()`, called a few times a second and
after each move of the clock, for events that nobody's request brings about; and requests whose path begins with
"/_reprise/<service>/" (the service as it is signed for: "dms", "appflow"), which are for the simulator's own script.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class SimulatedRequest:
    """One HTTP request as it arrived.

    Attributes:
        method: "POST", "GET" ...
        path: the decoded path, without the query.
        query: every query parameter with all its values.
        headers: header values by lower-case name ("x-amz-target" names the operation of JSON protocols).
        body: the raw bytes, b"" if there were none.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class SimulatedResponse:
    """The answer: HTTP status, headers and the raw body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def json(
        cls, payload: Any, *, status: int = 200, content_type: str = "application/x-amz-json-1.1"
    ) -> SimulatedResponse:
        """A JSON answer; `payload` must already be JSON-serialisable (times as epoch seconds, as AWS sends them)."""
        return cls(status, {"Content-Type": content_type}, json.dumps(payload).encode())

    @classmethod
    def error(cls, code: str, message: str, *, status: int = 400) -> SimulatedResponse:
        """An error as the AWS JSON protocols spell it; botocore reads `code` from both the body and the header."""
        body = json.dumps({"__type": code, "message": message}).encode()
        return cls(status, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}, body)


class Host(Protocol):
    """Services that a simulator may use of the estate in which it stands."""

    def now(self) -> datetime:
        """The estate's clock: aware, UTC. Tests move it forward."""
        ...

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Put an event on the default EventBridge bus; `source` may be "aws.*", which clients may not send."""
        ...

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        """Publish to an SNS topic of the estate, as a service principal does."""
        ...


class MeasuredHost(Host, Protocol):
    """A host with CloudWatch."""

    def record_metric(self, namespace: str, name: str, value: float, dimensions: dict[str, str], at: datetime) -> None:
        """Give CloudWatch a data point of an AWS service."""
        ...


class Simulator(Protocol):
    """A simulated service; see the module docstring."""

    def handle(self, request: SimulatedRequest) -> SimulatedResponse: ...
