"""The simulated AWS, from Python: starts it in a process of its own, and is its remote control.

    with SimulatedAws.start() as aws:
        aws.create_estate()
        aws.create_sample_workload()
        aws.client("sqs").send_message(QueueUrl=aws.queue_url("orders"), MessageBody="{}")
        aws.clock.advance(3600)
        aws.fault("error", service="sqs", operation="SendMessageBatch", code="RequestThrottled", status=403)
        subprocess.run([...], env=aws.environ())

`reprise aws` (make aws) runs it for anyone's boto3 or AWS CLI. Another process reaches a running one
with `SimulatedAws(endpoint)`. Nothing of it leaves 127.0.0.1 or outlives the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import boto3

from deployments.loopback import ENDPOINT
from simulated_aws import estate
from simulated_aws.guard import SIMULATED_CREDENTIALS, simulated_environment

REGION = SIMULATED_CREDENTIALS["AWS_DEFAULT_REGION"]
_ANSWER_DEADLINE = 30.0


class Clock:
    """The simulated AWS's clock: real time, plus what tests have moved it forward."""

    def __init__(self, aws: SimulatedAws) -> None:
        self._aws = aws

    def now(self) -> datetime:
        """Its time: aware, UTC."""
        return datetime.fromisoformat(self._aws.control("GET", "clock")["now"])

    def advance(self, seconds: float, *, expire: bool = True) -> datetime:
        """Move it forward, at once for queues, schedules, alarms and simulators; returns the new time.

        Args:
            seconds: the distance; not negative.
            expire: True lets DynamoDB delete what has passed its TTL. AWS takes up to days for that, so an item may
                well be read after its time: `expire=False` shows such a reader.
        """
        return datetime.fromisoformat(self._aws.control("POST", "clock", {"advance": seconds, "expire": expire})["now"])


class SimulatedAws:
    """A running simulated AWS.

    Attributes:
        endpoint: as "http://127.0.0.1:40001".
        environment: the variables that a process needs to use it, and those of the estate once it was created.
        clock: its clock.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.environment: dict[str, str] = {**SIMULATED_CREDENTIALS, ENDPOINT: endpoint}
        self.clock = Clock(self)
        self._session: boto3.Session | None = None
        self._clients: dict[str, Any] = {}

    @classmethod
    @contextlib.contextmanager
    def start(cls, port: int = 0) -> Iterator[SimulatedAws]:
        """Start one in a process of its own, and stop it at the end of the block.

        Args:
            port: the wanted port; a free one where it is 0 or taken.

        Raises:
            RuntimeError: the process ended at once; its own words are on standard error.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "simulated_aws.process", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C reaches the parent alone, which ends first what still talks to this.
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            try:
                announced = process.stdout.readline()
                if not announced:
                    raise RuntimeError("the simulated AWS did not start")
                yield cls(f"http://127.0.0.1:{json.loads(announced)['port']}")
            finally:
                # It ends when its standard input does; killing it loses nothing, since it keeps everything in memory.
                process.kill()
                process.wait()

    # -- using it --------------------------------------------------------------------------------------------------

    def environ(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """A whole environment for a child process, in which no other AWS can be reached.

        Args:
            base: the environment to start from; None takes this process's own.
        """
        variables = os.environ if base is None else base
        mine = {name: value for name, value in self.environment.items() if name.startswith("REPRISE_")}
        return simulated_environment(self.endpoint, {**variables, **mine})

    def client(self, service: str, *, config: Any = None) -> Any:
        """A boto3 client of a service ("sqs"); the same one each time unless it has a configuration of its own."""
        if config is None and service in self._clients:
            return self._clients[service]
        if self._session is None:
            self._session = boto3.Session(
                aws_access_key_id=SIMULATED_CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=SIMULATED_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                region_name=REGION,
            )
        made: Any = self._session.client(service, endpoint_url=self.endpoint, config=config)  # type: ignore[call-overload]
        if config is None:
            self._clients[service] = made
        return made

    def queue_url(self, name: str) -> str:
        """The URL of a queue."""
        url: str = self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        return url

    # -- filling it ------------------------------------------------------------------------------------------------

    def create_estate(self, **parameters: str) -> dict[str, str]:
        """Create Reprise's own estate from its template; returns the stack's outputs, and fills `environment`."""
        outputs = estate.create(self.client, estate.ESTATE, "reprise", parameters)
        self.environment |= estate.variables(outputs)
        return outputs

    def create_sample_workload(self, **parameters: str) -> dict[str, str]:
        """Create the sample workload from its template, without its functions; returns the stack's outputs."""
        given = {"RunFunctions": "no", **parameters}
        return estate.create(self.client, estate.SAMPLE_WORKLOAD, "sample-workload", given)

    def reset(self) -> None:
        """Empty it: no resources, no log, no faults, the clock back at the real time."""
        self.control("POST", "reset")
        self.environment = {name: value for name, value in self.environment.items() if not name.startswith("REPRISE_")}

    # -- looking at it, and getting in its way ---------------------------------------------------------------------

    def requests(self, service: str = "", operation: str = "") -> list[dict[str, Any]]:
        """Every API request since the log was cleared, oldest first: service, operation, status, carried_out.

        Args:
            service: only this one, as requests are signed for ("sqs", "monitoring").
            operation: only this one ("SendMessageBatch").
        """
        return [
            request
            for request in self.control("GET", "requests")
            if service in ("", request["service"]) and operation in ("", request["operation"])
        ]

    def request_counts(self) -> dict[str, int]:
        """Number of requests since the log was cleared, by "service:Operation"."""
        counts: dict[str, int] = self.control("GET", "requests?counts=1")
        return counts

    def clear_requests(self) -> None:
        """Forget the log of requests."""
        self.control("DELETE", "requests")

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Messages of a queue (by name), not received by this: id, body, attributes, receives, visible_in ..."""
        found: list[dict[str, Any]] = self.control("GET", f"messages?queue={quote(queue)}")
        return found

    def fault(self, kind: str, **rule: Any) -> None:
        """Let something go wrong; see `simulated_aws.faults.Fault` for the arguments."""
        self.control("POST", "faults", {"kind": kind, **rule})

    def lift_faults(self) -> list[dict[str, Any]]:
        """Let nothing go wrong any more, release held requests, and return the rules with their `hits`."""
        rules: list[dict[str, Any]] = self.control("DELETE", "faults")
        return rules

    def put_event(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
        """Put an event on the default bus as an AWS service does: `source` may be "aws.dms"."""
        event = {"source": source, "detail_type": detail_type, "detail": detail, "resources": resources}
        self.control("POST", "events", event)

    def control(self, method: str, path: str, data: Any = None) -> Any:
        """A request to the control plane (`simulated_aws.application`); a simulator's script is "dms/...".

        Raises:
            ValueError: it was refused; the message says why.
        """
        request = urllib.request.Request(  # noqa: S310 - a loopback address that this class made or was given
            f"{self.endpoint}/_reprise/{path}",
            method=method,
            data=None if data is None else json.dumps(data).encode(),
            headers={"Content-Type": "application/json"},
        )
        # Without the handlers of proxies: a person's HTTP_PROXY does not know this address.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_ANSWER_DEADLINE) as response:
                return json.loads(response.read() or b"null")
        except HTTPError as error:
            with error:
                raise ValueError(f"{method} {path}: {error.read().decode(errors='replace')}") from None
