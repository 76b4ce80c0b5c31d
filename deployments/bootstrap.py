"""`python -m deployments.bootstrap`: everything that a Prefect server must know before Reprise can run on it.

The work pool, the block types, the estate block "default" (when REPRISE_* variables name an estate), and all
deployments of `prefect.yaml`, written anew each time: what a demo or a server of one's own needs. An operator uses
`python -m deployments.apply`, which changes only what differs, keeps what a person has set, and sees to it that
people are told when something goes wrong.

The server is the one at PREFECT_API_URL. Credentials are never stored: runs use what boto3 finds where the worker
runs. The simulated AWS is the exception, because its address changes and its keys are no secret.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deployments.local.guard import ENDPOINT, SIMULATED_CREDENTIALS, on_this_machine
from deployments.prefect_settings import PROJECT, require_server
from recovery import settings
from recovery.errors import BadInput, RepriseError

if TYPE_CHECKING:
    from blocks import RecoveryEstate

POOL = "reprise"
ESTATE = "default"
_WITHOUT_ESTATE = (
    f"no estate block saved: set REPRISE_LEDGER_TABLE, REPRISE_ARCHIVE_BUCKET and REPRISE_ALERT_TOPIC_ARN and repeat, "
    f"or save a Recovery Estate block named {ESTATE!r} on the Blocks page"
)


def bootstrap() -> None:
    """Bring the server at PREFECT_API_URL up to date.

    Raises:
        BadInput: PREFECT_API_URL is not set.
        RepriseError: `prefect deploy` failed; its own words are on standard error.
    """
    api_url = require_server()
    print(f"work pool {POOL}: {make_work_pool()}", flush=True)
    print(f"blocks: {save_blocks(os.environ)}", flush=True)
    deploy()
    print(f"deployments: those of prefect.yaml, on {api_url}", flush=True)


def make_work_pool() -> str:
    """Create the work pool, or bring its job template up to date; returns which."""
    from prefect.client.orchestration import get_client

    from deployments.apply import pool

    with get_client(sync_client=True) as client:
        existed = pool.current(client) is not None
        pool.make(client, pool.wanted(client))
    return "up to date" if existed else "created"


def estate_of(environment: Mapping[str, str]) -> RecoveryEstate | None:
    """The estate that the environment names, or None where it names none.

    Credentials are never in it: runs use what boto3 finds. The simulated AWS is the exception.
    """
    from prefect_aws import AwsCredentials
    from prefect_aws.client_parameters import AwsClientParameters

    from blocks import RecoveryEstate

    try:
        table = settings.read("REPRISE_LEDGER_TABLE", environment)
        bucket = settings.read("REPRISE_ARCHIVE_BUCKET", environment)
        topic = settings.read("REPRISE_ALERT_TOPIC_ARN", environment)
    except BadInput:
        return None
    endpoint = environment.get(ENDPOINT, "")
    if endpoint and on_this_machine(endpoint):
        credentials = AwsCredentials(
            aws_access_key_id=SIMULATED_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=SIMULATED_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=SIMULATED_CREDENTIALS["AWS_DEFAULT_REGION"],
            aws_client_parameters=AwsClientParameters(endpoint_url=endpoint),
        )
    else:
        credentials = AwsCredentials(region_name=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"))
    return RecoveryEstate(
        aws_credentials=credentials,
        ledger_table=table,
        archive_bucket=bucket,
        alert_topic_arn=topic,
        metrics_namespace=settings.read("REPRISE_METRICS_NAMESPACE", environment),
        archive_days=settings.archive_days(environment),
    )


def save_blocks(environment: Mapping[str, str]) -> str:
    """Register the block types, and save the estate that the environment names; returns what was done."""
    from blocks import RecoveryEstate

    RecoveryEstate.register_type_and_schema()  # and, with it, the credentials that it nests
    estate = estate_of(environment)
    if estate is None:
        return _WITHOUT_ESTATE
    estate.save(ESTATE, overwrite=True)
    return f"estate {ESTATE!r} (ledger {estate.ledger_table}, archive {estate.archive_bucket})"


def deploy() -> None:
    """Register all deployments of `prefect.yaml`.

    Raises:
        RepriseError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RepriseError(f"prefect deploy ended with {done.returncode}:\n{done.stdout}")


if __name__ == "__main__":
    try:
        bootstrap()
    except RepriseError as error:
        sys.exit(str(error))
