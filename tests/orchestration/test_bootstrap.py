"""What a Prefect server knows after the bootstrap, and that repeating it takes nothing away from a person."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from copy import deepcopy

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.workers.process import ProcessWorker

from blocks import RecoveryEstate
from deployments.apply.pool import TEMPLATES
from deployments.bootstrap import ESTATE, POOL, bootstrap, make_work_pool, save_blocks
from recovery.errors import BadInput

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


def test_the_work_pool_is_made_and_kept_up_to_date() -> None:
    """The second time its job template is replaced; a pause and a limit that a person has set stay."""
    assert make_work_pool() == "created"
    old = deepcopy(ProcessWorker.get_default_base_job_template())
    old["variables"]["properties"]["command"]["default"] = "python -m prefect.engine.of.last.year"
    with get_client(sync_client=True) as client:
        client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True, concurrency_limit=3, base_job_template=old))
        assert make_work_pool() == "up to date"
        pool = client.read_work_pool(POOL)
    assert pool.type == "process"
    assert (pool.is_paused, pool.concurrency_limit) == (True, 3)
    assert pool.base_job_template == json.loads((TEMPLATES / "process.json").read_text(encoding="utf-8"))


def test_the_estate_of_a_real_account_holds_no_credentials() -> None:
    """Names and the region only: runs use what boto3 finds where the worker runs."""
    said = save_blocks(
        {**NAMED, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}
    )
    assert "reprise-ledger" in said
    estate = RecoveryEstate.load(ESTATE)
    assert isinstance(estate, RecoveryEstate)
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


def test_the_estate_of_the_simulated_aws_names_its_address() -> None:
    """Its clients reach the simulated AWS wherever the run is, and the next demo's address replaces this one's."""
    for port in (4566, 4567):
        endpoint = f"http://127.0.0.1:{port}"
        save_blocks({**NAMED, "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AKIA-of-somebody"})
        estate = RecoveryEstate.load(ESTATE)
        assert isinstance(estate, RecoveryEstate)
        assert estate.connect().client("sqs").meta.endpoint_url == endpoint
        assert estate.aws_credentials.aws_access_key_id == "test"


def test_without_names_no_estate_is_saved() -> None:
    """It says what to set, and the rest of the bootstrap goes on."""
    assert "REPRISE_LEDGER_TABLE" in save_blocks({"REPRISE_ARCHIVE_BUCKET": "reprise-archive"})


def test_a_server_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts no private server, on which nobody would find the deployments."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(BadInput, match="PREFECT_API_URL"):
        bootstrap()
