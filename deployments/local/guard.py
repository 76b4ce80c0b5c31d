"""What keeps the demo and the local tools away from real AWS: they run against a loopback address, or not at all."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from recovery.errors import BadInput

ENDPOINT = "AWS_ENDPOINT_URL"

SIMULATED_CREDENTIALS = {
    # Accepted by the simulated AWS, and by nobody else. Variables win over every file and over instance metadata.
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    # A person's profiles name accounts, roles and endpoints of their own.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

_KEPT = frozenset({"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"})
"""How often the SDK tries; says nothing about whom it talks to."""


def simulated_environment(endpoint: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process that uses the simulated AWS at `endpoint`, and cannot use another one.

    Args:
        endpoint: as "http://127.0.0.1:4566".
        base: the variables to start from; the calling process's own when None. Everything in it that names an
            account, a profile, a role, a session or an endpoint is left out.

    Raises:
        BadInput: `endpoint` is not on this machine.
    """
    variables = os.environ if base is None else base
    environment = {name: value for name, value in variables.items() if not name.startswith("AWS_") or name in _KEPT}
    environment |= {**SIMULATED_CREDENTIALS, ENDPOINT: endpoint}
    require_simulated_aws(environment)
    return environment


def require_simulated_aws(environment: Mapping[str, str] | None = None) -> str:
    """The endpoint of the simulated AWS, once it is certain that no client of this environment reaches another one.

    Args:
        environment: the variables to judge; the calling process's own when None.

    Raises:
        BadInput: there is no endpoint, one of the endpoints is not on this machine, or they are switched off.
    """
    variables = os.environ if environment is None else environment
    endpoint = variables.get(ENDPOINT, "")
    if not endpoint:
        raise BadInput(
            f"{ENDPOINT} is not set, so this would reach real AWS, which the demo and the tests never do: "
            "start the simulated AWS (make aws) and export the variables that it prints"
        )
    # Source: botocore reads AWS_ENDPOINT_URL_<SERVICE> before AWS_ENDPOINT_URL, and this switch turns both off.
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        raise BadInput("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true, so this would reach real AWS: unset it")
    for name, value in sorted(variables.items()):
        if name.startswith(ENDPOINT) and value and not on_this_machine(value):
            raise BadInput(f"{name} is {value}, which is not on this machine: the demo and the tests stay on 127.0.0.1")
    return endpoint


def on_this_machine(url: str) -> bool:
    """Whether the URL's host is a loopback address or `localhost`, written so that nobody has to look it up."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether the host is a loopback address, or `localhost` or a name below it (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
