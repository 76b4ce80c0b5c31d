"""The estate block "default": saved from the REPRISE_* variables when they are set, else left as a person saved it.

Credentials are never stored: runs use what boto3 finds where the worker runs. The simulated AWS is the exception,
because its address changes and its keys are no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters

from blocks import RecoveryEstate
from blocks.connection import Connection
from deployments.apply.differences import Change, changed
from deployments.loopback import ENDPOINT, KEY, REGION, on_this_machine
from recovery import settings
from recovery.errors import BadInput, RepriseError

ESTATE = "default"


def named(environment: Mapping[str, str]) -> RecoveryEstate | None:
    """The estate that the environment names, or None where it names none."""
    try:
        table = settings.read("REPRISE_LEDGER_TABLE", environment)
        bucket = settings.read("REPRISE_ARCHIVE_BUCKET", environment)
        topic = settings.read("REPRISE_ALERT_TOPIC_ARN", environment)
    except BadInput:
        return None
    endpoint = environment.get(ENDPOINT, "")
    if endpoint and on_this_machine(endpoint):
        credentials = AwsCredentials(
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            region_name=REGION,
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


def saved() -> RecoveryEstate | None:
    """The saved block, or None."""
    try:
        return cast(RecoveryEstate, RecoveryEstate.load(ESTATE))
    except ValueError:
        return None


def changes(environment: Mapping[str, str]) -> list[Change]:
    """Return the values that the variables name and the block does not. Credentials in it are not compared.

    Without names the block's type is looked for, so that a person can fill in a block on the Blocks page.
    """
    wanted = named(environment)
    if wanted is None:
        return [] if _type_is_known() else [Change("block type", RecoveryEstate.get_block_type_slug())]
    there = saved()
    return changed("estate block", ESTATE, _content(wanted), _content(there) if there else None)


def moved(environment: Mapping[str, str]) -> list[str]:
    """Problems of a shell that names another ledger, archive or alert topic than the saved block has.

    All workers would use them from then on: attempts and send intents would be forgotten, and what is on its way sent
    again.
    """
    wanted, there = named(environment), saved()
    if wanted is None or there is None:
        return []
    return [
        f"estate block {ESTATE!r}: its {name.replace('_', ' ')} is {getattr(there, name)!r}, and this shell names "
        f"{getattr(wanted, name)!r}. Nothing of the block is changed. If it shall move: reprise apply --estate"
        for name in ("ledger_table", "archive_bucket", "alert_topic_arn")
        if getattr(there, name) != getattr(wanted, name)
    ]


def make(environment: Mapping[str, str]) -> None:
    """Save what the variables name; credentials that a person has put into the block stay."""
    RecoveryEstate.register_type_and_schema()  # and, with it, the credentials that it nests
    wanted, there = named(environment), saved()
    if wanted is None:
        return
    if there is None or _endpoint(wanted):
        wanted.save(ESTATE, overwrite=True)
        return
    kept = there.model_copy(
        update={name: getattr(wanted, name) for name in type(wanted).model_fields if name != "aws_credentials"}
    )
    kept.save(ESTATE, overwrite=True)


def missing(environment: Mapping[str, str]) -> list[str]:
    """Return the problem, and its remedy, when nothing names an estate: a shell's variables may just be empty."""
    if named(environment) is None and saved() is None:
        return [
            f"no estate block {ESTATE!r}: set REPRISE_LEDGER_TABLE, REPRISE_ARCHIVE_BUCKET and REPRISE_ALERT_TOPIC_ARN "
            "(outputs of the estate's stack) and apply again, or give each worker these variables"
        ]
    return []


def connection(environment: Mapping[str, str]) -> Connection | None:
    """A connection to the estate that a run would have, or None when nothing names one.

    Raises:
        BadInput: no region or credentials are configured here.
    """
    estate = saved() or named(environment)
    if estate is None:
        return None
    try:
        return estate.connect()
    except RepriseError as error:
        raise BadInput(f"estate {ESTATE!r}: {error}") from error


def _type_is_known() -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_block_type_by_slug(RecoveryEstate.get_block_type_slug())
        except ObjectNotFound:
            return False
    return True


def _content(estate: RecoveryEstate) -> dict[str, object]:
    names = [name for name in type(estate).model_fields if name != "aws_credentials"]
    content: dict[str, object] = {name: getattr(estate, name) for name in names}
    if endpoint := _endpoint(estate):
        content["endpoint of the simulated AWS"] = endpoint
    return content


def _endpoint(estate: RecoveryEstate) -> str | None:
    return estate.aws_credentials.aws_client_parameters.endpoint_url
