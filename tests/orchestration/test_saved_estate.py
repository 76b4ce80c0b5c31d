"""The estate block that `deployments.apply` saves: what is in it, and what a person has put there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import pytest
from prefect.client.orchestration import get_client
from prefect_aws import AwsCredentials

from blocks import RecoveryEstate
from deployments.apply import saved_estate
from deployments.apply.saved_estate import ESTATE

NAMED = {
    "REPRISE_LEDGER_TABLE": "reprise-ledger",
    "REPRISE_ARCHIVE_BUCKET": "reprise-archive",
    "REPRISE_ALERT_TOPIC_ARN": "arn:aws:sns:eu-central-1:111122223333:reprise-alerts",
    "REPRISE_ARCHIVE_DAYS": "90",
}


@pytest.fixture(autouse=True)
def _leaves_no_estate() -> Iterator[None]:
    """A saved estate named default would take the place of the variables in every later test of this server."""
    yield
    with contextlib.suppress(ValueError):
        RecoveryEstate.delete(ESTATE)


def applied(environment: Mapping[str, str]) -> RecoveryEstate:
    """The block after an apply of the estate; a second one finds nothing to do."""
    assert saved_estate.changes(environment)
    saved_estate.make(environment)
    assert saved_estate.changes(environment) == []
    estate = saved_estate.saved()
    assert estate is not None
    return estate


def test_the_estate_of_a_real_account_holds_no_credentials() -> None:
    """Names and the region only: runs use what boto3 finds where the worker runs."""
    estate = applied({**NAMED, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"})
    assert (estate.ledger_table, estate.archive_bucket, estate.archive_days) == (
        "reprise-ledger",
        "reprise-archive",
        90,
    )
    credentials = estate.aws_credentials
    assert credentials.region_name == "eu-central-1"
    assert credentials.aws_access_key_id is None
    assert credentials.aws_secret_access_key is None
    assert credentials.aws_client_parameters.endpoint_url is None


def test_credentials_that_a_person_has_put_into_the_block_stay() -> None:
    """The names follow the variables; who may speak to AWS is the person's own affair."""
    own = AwsCredentials(region_name="eu-west-1", aws_access_key_id="AKIA-of-a-person")
    applied(NAMED).model_copy(update={"aws_credentials": own}).save(ESTATE, overwrite=True)
    assert saved_estate.changes(NAMED) == []
    after = applied({**NAMED, "REPRISE_LEDGER_TABLE": "another-ledger"})
    assert after.ledger_table == "another-ledger"
    assert after.aws_credentials.aws_access_key_id == "AKIA-of-a-person"
    assert after.aws_credentials.region_name == "eu-west-1"


def test_the_estate_of_the_simulated_aws_names_its_address() -> None:
    """Its clients reach the simulated AWS wherever the run is, and the next demo's address replaces this one's."""
    for port in (4566, 4567):
        endpoint = f"http://127.0.0.1:{port}"
        estate = applied({**NAMED, "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AKIA-of-somebody"})
        assert estate.connect().client("sqs").meta.endpoint_url == endpoint
        assert estate.aws_credentials.aws_access_key_id == "test"


def test_without_names_a_person_can_fill_in_the_block() -> None:
    """It says what to set, saves no estate, and makes the block's type known, once."""
    nameless = {"REPRISE_ARCHIVE_BUCKET": "reprise-archive"}
    (note,) = saved_estate.missing(nameless)
    assert "REPRISE_LEDGER_TABLE" in note
    slug = RecoveryEstate.get_block_type_slug()
    with get_client(sync_client=True) as client:
        with contextlib.suppress(Exception):  # no test before this one needed the type
            client.delete_block_type(client.read_block_type_by_slug(slug).id)
        (change,) = saved_estate.changes(nameless)
        assert change.lines() == [f"block type {slug}: missing"]
        saved_estate.make(nameless)
        assert client.read_block_type_by_slug(slug).name
    assert saved_estate.changes(nameless) == []
    assert saved_estate.saved() is None
