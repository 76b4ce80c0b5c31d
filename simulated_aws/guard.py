"""Guard between the local tools and real AWS: the demo runs against a loopback address, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping

from deployments.loopback import ENDPOINT, KEY, REGION, on_this_machine
from recovery.errors import BadInput

SIMULATED_CREDENTIALS = {
    # Accepted by the simulated AWS, and by nobody else. Variables win over every file and over instance metadata.
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    # A person's profiles name accounts, roles and endpoints of their own.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

_KEPT = frozenset({"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"})
"""Settings of the SDK's attempts, which have no bearing on the AWS that it calls."""


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
        environment: the variables to check; the calling process's own when None.

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
