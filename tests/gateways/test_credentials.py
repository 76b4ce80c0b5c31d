"""Sessions of a credentials block: roles that renew themselves, refusals in one line, and the block's own options."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from prefect_aws import AwsCredentials

from blocks import credentials as blocks_credentials
from blocks.connection import Connection
from blocks.credentials import session_of
from recovery.aws import calling
from recovery.errors import BadInput, Refused

ROLE = "arn:aws:iam::222222222222:role/reprise"


class Sts:
    """Hands out a new key each time, good for so many minutes; refuses once `refuses` is set."""

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self.refuses = False
        self.asked: list[dict[str, Any]] = []

    def assume_role(self, **parameters: Any) -> dict[str, Any]:
        self.asked.append(parameters)
        if self.refuses:
            error = {"Code": "AccessDenied", "Message": "User is not authorized to perform: sts:AssumeRole"}
            raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}, "AssumeRole")  # type: ignore[typeddict-item]
        return {
            "Credentials": {
                "AccessKeyId": f"KEY{len(self.asked)}",
                "SecretAccessKey": "not-a-secret",
                "SessionToken": "token",
                "Expiration": datetime.now(UTC) + timedelta(minutes=self.minutes),
            }
        }


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)


def block(**more: Any) -> AwsCredentials:
    return AwsCredentials(region_name="eu-west-1", assume_role_arn=ROLE, **more)


def played(monkeypatch: pytest.MonkeyPatch, sts: Sts) -> None:
    """Let every STS client be this one."""
    real = boto3.Session.client

    def client(self: boto3.Session, service: str, **settings: Any) -> Any:
        return sts if service == "sts" else real(self, service, **settings)  # type: ignore[call-overload]

    monkeypatch.setattr(boto3.Session, "client", client)


def key_of(session: boto3.Session) -> str:
    found = session.get_credentials()
    assert found is not None
    return str(found.get_frozen_credentials().access_key)


def test_a_role_is_assumed_again_before_its_credentials_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of an assumed role renew themselves, well before they end."""
    sts = Sts(minutes=2)
    played(monkeypatch, sts)
    session, _ = session_of(block())
    first, second = key_of(session), key_of(session)
    assert first != second, "credentials with two minutes left are used on"


def test_a_role_with_time_left_is_not_assumed_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials with time left are used as they are."""
    sts = Sts(minutes=14)
    played(monkeypatch, sts)
    session, _ = session_of(block(assume_role_kwargs={"DurationSeconds": 900, "ExternalId": "ours"}))
    assert [key_of(session) for _ in range(3)] == ["KEY1"] * 3
    assert len(sts.asked) == 1
    assert sts.asked[0]["ExternalId"] == "ours"
    assert sts.asked[0]["RoleArn"] == ROLE


def test_a_refused_role_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that may not be assumed is named in one line, with the reason."""
    sts = Sts(minutes=60)
    sts.refuses = True
    played(monkeypatch, sts)
    with pytest.raises(BadInput, match=r"^aws_credentials: .*AssumeRole") as caught:
        session_of(block())
    assert "\n" not in str(caught.value)


def test_a_role_that_is_taken_away_in_a_run_names_itself_and_not_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that is refused names the role, and not the call that needed it."""
    sts = Sts(minutes=0.5)
    played(monkeypatch, sts)
    session, settings = session_of(block())
    connection = Connection(session, "ledger", "archive", "arn:aws:sns:eu-west-1:222222222222:t", "", 400, settings)
    sts.refuses = True
    with pytest.raises(Refused, match=r"^sts:AssumeRole: AccessDenied") as caught, calling("sqs:ListQueues"):
        connection.client("sqs").list_queues()
    assert caught.value.operation == "sts:AssumeRole"


def test_a_blocks_client_configuration_is_used() -> None:
    """The options of a block reach the clients that are made with it."""
    parameters = {
        "config": {"use_fips_endpoint": True, "proxies": {"https": "http://proxy:3128"}, "retries": {"mode": "legacy"}}
    }
    credentials = AwsCredentials(region_name="us-east-1", aws_client_parameters=parameters)
    session, settings = session_of(credentials)
    connection = Connection(session, "ledger", "archive", "arn:aws:sns:us-east-1:222222222222:t", "", 400, settings)
    client = connection.client("sqs", repeat=False)
    assert client.meta.endpoint_url == "https://sqs-fips.us-east-1.amazonaws.com"
    assert client.meta.config.proxies == {"https": "http://proxy:3128"}
    assert client.meta.config.retries["total_max_attempts"] == 1, "the SDK must not repeat such a send unseen"
    assert client.meta.config.connect_timeout == 5


def test_an_option_that_botocore_does_not_have_is_one_clear_line() -> None:
    """An unknown client option is named in one line."""
    credentials = AwsCredentials(region_name="eu-west-1", aws_client_parameters={"config": {"fips": True}})
    with pytest.raises(BadInput, match=r"^aws_client_parameters\.config: "):
        session_of(credentials)


def test_the_role_itself_is_assumed_with_the_blocks_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that assumes the role has the block's options, too."""
    asked: dict[str, Any] = {}
    sts = Sts(minutes=60)

    def client(_: boto3.Session, service: str, **settings: Any) -> Any:
        asked[service] = settings
        return sts

    monkeypatch.setattr(boto3.Session, "client", client)
    session_of(block(aws_client_parameters={"config": {"proxies": {"https": "http://proxy:3128"}}}))
    assert asked["sts"]["region_name"] == "eu-west-1"
    assert asked["sts"]["config"].proxies == {"https": "http://proxy:3128"}
    assert blocks_credentials.config_for({}, asked["sts"]["config"]) is asked["sts"]["config"]
