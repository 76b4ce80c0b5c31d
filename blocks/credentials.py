"""Sessions of a credentials block; a role that it names is assumed again before its credentials end."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from prefect_aws import AwsCredentials

from recovery.aws import client_config, redact
from recovery.errors import BadInput

_ADVISORY_SECONDS = 900
"""Credentials are renewed when less than this is left; a renewal that fails by then does no harm yet."""
_LEAST_SECONDS = 60
_HOUR = 3600


class _AssumedRole(CredentialProvider):
    """Credentials of a role, which botocore asks for again by itself."""

    METHOD = "assume-role"

    def __init__(self, sts: Any, parameters: dict[str, Any]) -> None:
        super().__init__()
        self._sts = sts
        self._parameters = parameters

    def load(self) -> RefreshableCredentials:
        """Assume the role.

        Raises:
            ClientError, BotoCoreError: STS refuses it, or does not answer.
        """
        # Credentials of a quarter of an hour would else be renewed at each call.
        advisory = min(_ADVISORY_SECONDS, self._parameters.get("DurationSeconds", _HOUR) // 3)
        return RefreshableCredentials.create_from_metadata(
            metadata=self._assume(),
            refresh_using=self._assume,
            method=self.METHOD,
            advisory_timeout=advisory,
            mandatory_timeout=max(_LEAST_SECONDS, advisory // 3),
        )

    def _assume(self) -> dict[str, Any]:
        found = self._sts.assume_role(**self._parameters)["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }


def session_of(credentials: AwsCredentials) -> tuple[boto3.Session, dict[str, Any]]:
    """Return a block's session, and the keyword arguments that it wants for each client.

    Args:
        credentials: the block.

    Raises:
        BadInput: its role may not be assumed, or its profile, region or client configuration is wrong.
    """
    try:
        settings = dict(credentials.aws_client_parameters.get_params_override())
    except (TypeError, ValueError, BotoCoreError) as error:  # an option that botocore does not have
        raise BadInput(f"aws_client_parameters.config: {redact(str(error))}") from error
    try:
        session = credentials.model_copy(update={"assume_role_arn": None}).get_boto3_session()
        region = credentials.region_name or session.region_name
        if not region:
            raise BadInput("region_name: no AWS region is set, in the credentials block or as AWS_DEFAULT_REGION")
        settings["region_name"] = region
        if credentials.assume_role_arn:
            session = _assumed(credentials, session, settings)
    except (BotoCoreError, ClientError) as error:
        raise BadInput(f"aws_credentials: {redact(str(error))}") from error
    return session, settings


def config_for(settings: dict[str, Any], ours: Config) -> Config:
    """Return the configuration of a client: a block's own options win, but for repetitions, which are pinned.

    Args:
        settings: keyword arguments that the block wants for each client.
        ours: of the project.
    """
    theirs: Config | None = settings.get("config")
    if theirs is None:
        return ours
    pinned: Any = ours  # what Config takes in its constructor it has as attributes, which its type does not know
    return ours.merge(theirs).merge(Config(retries=pinned.retries))


def _assumed(credentials: AwsCredentials, base: boto3.Session, settings: dict[str, Any]) -> boto3.Session:
    parameters = {
        "RoleSessionName": f"reprise-{uuid4().hex[:8]}",
        **credentials.assume_role_kwargs.get_params_override(),
        "RoleArn": credentials.assume_role_arn,
    }
    make: Any = base.client
    provider = _AssumedRole(
        make("sts", **{**settings, "config": config_for(settings, client_config(read_timeout=10.0))}), parameters
    )
    core = botocore.session.get_session()
    core.register_component("credential_provider", CredentialResolver(providers=[provider]))
    core.get_credentials()  # now, so that a refusal is one clear line and not the first call's
    return boto3.Session(botocore_session=core, region_name=settings["region_name"])
