"""The estate: which AWS account, and what of ours stands in it."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import boto3
from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from pydantic import Field

from blocks.connection import Connection
from blocks.credentials import session_of
from recovery import settings
from recovery.errors import BadInput


class RecoveryEstate(Block):
    """The place of recovery: credentials, and the names of the resources that the template `estate.yaml` made."""

    _block_type_name: ClassVar[str | None] = "Recovery Estate"
    _block_type_slug: ClassVar[str | None] = "recovery-estate"
    _description: ClassVar[str | None] = (
        "The AWS account that Reprise works in, and its ledger, archive and alert topic."
    )
    _documentation_url: ClassVar[Any] = None

    # New fields go to the end and are optional: the order is part of the schema's checksum.
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials,
        title="AWS credentials",
        description="Leave empty to use what boto3 finds by itself: a role, a profile or environment variables.",
    )
    ledger_table: str = Field(
        min_length=3,
        max_length=255,
        title="Ledger table",
        description="Name of the DynamoDB table that remembers every case (stack output LedgerTable).",
    )
    archive_bucket: str = Field(
        min_length=3,
        max_length=63,
        title="Archive bucket",
        description="Name of the S3 bucket that keeps what could not be brought back (stack output ArchiveBucket).",
    )
    alert_topic_arn: str = Field(
        pattern=r"^arn:[^:]+:sns:[^:]+:\d{12}:.+$",
        title="Alert topic",
        description="ARN of the SNS topic that notifies people (stack output AlertTopicArn).",
    )
    metrics_namespace: str = Field(
        "Reprise", title="Metrics namespace", description="CloudWatch namespace of the metrics; empty: none."
    )
    archive_days: int = Field(
        400, ge=1, title="Archive days", description="Days that the archive keeps an item (the stack's RetentionDays)."
    )

    def connect(self) -> Connection:
        """A connection for one run.

        Raises:
            BadInput: no region or no usable credentials are configured.
        """
        session, client_settings = session_of(self.aws_credentials)
        return Connection(
            session=session,
            client_settings=client_settings,
            ledger_table=self.ledger_table,
            archive_bucket=self.archive_bucket,
            alert_topic_arn=self.alert_topic_arn,
            metrics_namespace=self.metrics_namespace,
            archive_days=self.archive_days,
        )


DEFAULT_NAME = "default"


def connect(estate: str | None = None) -> Connection:
    """The connection of a saved estate block, else of the block named "default", else of environment variables.

    Args:
        estate: name of a saved `RecoveryEstate` block, or None.

    Raises:
        BadInput: the named block does not exist, or nothing says where to work; the message says what to set.
    """
    block = _load(estate or DEFAULT_NAME)
    if block is not None:
        return block.connect()
    if estate:
        raise BadInput(
            f"estate: no Recovery Estate block named {estate!r} is saved; save one on the Blocks page of the UI,"
            " or leave the field empty to use environment variables"
        )
    return connect_from_environment()


def _load(name: str) -> RecoveryEstate | None:
    try:
        return cast(RecoveryEstate, RecoveryEstate.load(name))
    except ValueError as error:
        # Prefect wraps "no such document" and "no such block type" in a ValueError; anything else is a broken block.
        if "Unable to find block document" in str(error):
            return None
        raise BadInput(f"estate: the Recovery Estate block {name!r} cannot be used: {_first_line(error)}") from error


def connect_from_environment() -> Connection:
    """The connection that the environment variables name (see `recovery.settings`).

    Raises:
        BadInput: one of them is missing; the message says what to set.
    """
    try:
        table = settings.read("REPRISE_LEDGER_TABLE")
        bucket = settings.read("REPRISE_ARCHIVE_BUCKET")
        topic = settings.read("REPRISE_ALERT_TOPIC_ARN")
    except BadInput as error:
        raise BadInput(
            f"estate: no Recovery Estate block is saved, and {error}. Save a block named {DEFAULT_NAME!r}, or set"
            " REPRISE_LEDGER_TABLE, REPRISE_ARCHIVE_BUCKET and REPRISE_ALERT_TOPIC_ARN (outputs of the estate stack)"
        ) from None
    session = boto3.Session()
    if not session.region_name:
        raise BadInput("AWS_DEFAULT_REGION is not set: it must name the AWS region to work in")
    return Connection(
        session=session,
        ledger_table=table,
        archive_bucket=bucket,
        alert_topic_arn=topic,
        metrics_namespace=settings.read("REPRISE_METRICS_NAMESPACE"),
        archive_days=settings.archive_days(),
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
