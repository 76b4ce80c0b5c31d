"""The project's own simulators beside the emulator, and alone on a port of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from simulated_aws.server import SimulatedAws


@pytest.mark.parametrize(
    ("service", "operation"), [("dms", "describe_replication_instances"), ("appflow", "list_flows")]
)
def test_simulators_answer_beside_the_emulator(aws: SimulatedAws, service: str, operation: str) -> None:
    """The one endpoint serves DMS and AppFlow too; their requests are in the log, and faults hit them."""
    client = aws.client(service)
    assert getattr(client, operation)()["ResponseMetadata"]["HTTPStatusCode"] == 200
    name = "".join(word.title() for word in operation.split("_"))
    assert [(request["service"], request["operation"]) for request in aws.requests()] == [(service, name)]
    aws.fault("error", service=service, operation=name, code="AccessDeniedException", status=400)
    with pytest.raises(client.exceptions.ClientError, match="AccessDeniedException"):
        getattr(client, operation)()


@pytest.fixture(params=["dms", "appflow"])
def lone(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
    command = [sys.executable, "-m", "simulated_aws.standalone", request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        variable, _, endpoint = running.stdout.readline().removeprefix("export ").strip().partition("=")
        yield request.param, variable, endpoint
        running.send_signal(signal.SIGINT)


def test_simulators_run_alone(lone: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, a simulator is found through botocore's variable for its service, and has a clock that moves."""
    service, variable, endpoint = lone
    monkeypatch.setenv(variable, endpoint)
    client: Any = boto3.Session(region_name="us-east-1").client(service)  # type: ignore[call-overload]
    assert client.meta.endpoint_url == endpoint
    answer = client.describe_replication_instances() if service == "dms" else client.list_flows()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    control = SimulatedAws(endpoint)
    before = control.clock.now()
    assert (control.clock.advance(3600) - before).total_seconds() >= 3600
    assert json.dumps(control.control("GET", "sent")) == "[]"
