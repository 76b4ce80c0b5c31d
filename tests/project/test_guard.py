"""Tests and demo cannot reach real AWS, nor anything else beyond this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import boto3
import pytest
from moto import mock_aws

from deployments.loopback import on_this_machine
from recovery.errors import BadInput
from simulated_aws.guard import require_simulated_aws, simulated_environment
from tests.conftest import LeftTheMachine

LOCAL = "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "AWS_ENDPOINT_URL is not set"),
        ({"AWS_ENDPOINT_URL": ""}, "AWS_ENDPOINT_URL is not set"),
        ({"AWS_ENDPOINT_URL": "https://sqs.us-east-1.amazonaws.com"}, "AWS_ENDPOINT_URL is https"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1.example.com:4566"}, "AWS_ENDPOINT_URL is http"),
        ({"AWS_ENDPOINT_URL": "http://10.0.0.7:4566"}, "AWS_ENDPOINT_URL is http"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:4566"}, "AWS_ENDPOINT_URL is 127"),
        ({"AWS_ENDPOINT_URL": LOCAL, "AWS_ENDPOINT_URL_SQS": "https://sqs.eu-west-1.amazonaws.com"}, "_SQS is"),
        ({"AWS_ENDPOINT_URL": LOCAL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"}, "AWS_IGNORE_CONFIGURED"),
    ],
)
def test_real_aws_is_refused(environment: dict[str, str], named: str) -> None:
    """Whatever lets a client reach something else than this machine is refused, and the message names it."""
    with pytest.raises(BadInput, match=named):
        require_simulated_aws(environment)


@pytest.mark.parametrize("endpoint", [LOCAL, "http://localhost:4566", "http://[::1]:4566", "http://s3.localhost:4566"])
def test_this_machine_is_accepted(endpoint: str) -> None:
    """A loopback address is what the demo is for."""
    assert require_simulated_aws({"AWS_ENDPOINT_URL": endpoint}) == endpoint


def test_the_calling_process_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the process's own variables decide: in the tests' own process there is no endpoint."""
    with pytest.raises(BadInput):
        require_simulated_aws()
    monkeypatch.setenv("AWS_ENDPOINT_URL", LOCAL)
    assert require_simulated_aws() == LOCAL


def test_a_persons_accounts_do_not_reach_a_child() -> None:
    """Keys, profiles, roles and endpoints of the caller's are left out of the simulated environment."""
    personal = {
        "PATH": "/bin",
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/real",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials",
        "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.us-east-1.amazonaws.com",
        "AWS_MAX_ATTEMPTS": "7",
    }
    environment = simulated_environment(LOCAL, personal)
    assert {name: value for name, value in environment.items() if value in personal.values()} == {
        "PATH": "/bin",
        "AWS_MAX_ATTEMPTS": "7",
    }
    assert environment["AWS_ENDPOINT_URL"] == LOCAL
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == environment["AWS_CONFIG_FILE"] == os.devnull
    with pytest.raises(BadInput):
        simulated_environment("https://sqs.us-east-1.amazonaws.com", personal)


def test_a_client_of_real_aws_is_stopped_before_it_sends() -> None:
    """A client without an endpoint fails in the test, and says where it was about to go."""
    with pytest.raises(LeftTheMachine, match=r"https://sqs\.us-east-1\.amazonaws\.com"):
        boto3.client("sqs").list_queues()


def test_moto_answers_without_a_server() -> None:
    """`mock_aws` works behind the guard, because it answers before anything is sent."""
    with mock_aws():
        queues = boto3.client("sqs")
        queues.create_queue(QueueName="orders")
        assert len(queues.list_queues()["QueueUrls"]) == 1


def test_the_guard_does_not_look_like_a_failure_of_aws() -> None:
    """It is no `Exception`, so that code under test which retries or reports failures cannot swallow it."""
    assert not issubclass(LeftTheMachine, Exception)


@pytest.mark.parametrize("address", [("192.0.2.1", 443), ("2001:db8::1", 443, 0, 0)])
def test_connections_beyond_the_loopback_are_stopped(address: tuple[str, int]) -> None:
    """Nothing in this process connects to another machine, whatever library it is."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe, pytest.raises(LeftTheMachine):
        probe.connect(address)


def test_names_are_not_looked_up() -> None:
    """A look-up is a packet too."""
    with pytest.raises(LeftTheMachine, match=r"example\.com"):
        socket.create_connection(("example.com", 443))


def test_a_child_process_finds_no_way_out() -> None:
    """A child has dummy keys and a proxy that is not there: a forgotten endpoint ends at this machine."""
    script = (
        "import boto3, botocore.config, botocore.exceptions as e\n"
        "client = boto3.client('sqs', config=botocore.config.Config(retries={'total_max_attempts': 1}))\n"
        "try:\n    client.list_queues()\n"
        "except e.ProxyConnectionError:\n    print(client._get_credentials().access_key)\n"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert child.stdout == "test\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.8.0.1:1", True),
        ("http://localhost.example.com", False),
        ("http://[::ffff:10.0.0.1]:1", False),
        ("http://user@127.0.0.1@example.com", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_what_counts_as_this_machine(url: str, expected: bool) -> None:
    """Only the host decides, as a URL parser reads it."""
    assert on_this_machine(url) is expected
