"""Bodies and secrets stay in AWS: not in Prefect's database, not in its artifacts, and in no log line."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from prefect.settings import get_current_settings

from tests.dead_letters_world import AUTH, ERROR, INVALID, POLICY, TIMEOUT, DeadLettersWorld, text
from tests.orchestration.dead_letters_runs import recover, replay, run, task_runs

BODY = "canary-in-the-body"
ATTRIBUTE = "canary-in-an-attribute"
SECRETS = ("canarysecret4711xyz", "canary.person@example.org", "eyJhbGciOiJub25lIn0.canarycanarycanary.x")
LEAKY = (
    "HTTP 401 Unauthorized for canary.person@example.org: password=canarysecret4711xyz was refused,"
    " Authorization: Bearer eyJhbGciOiJub25lIn0.canarycanarycanary.x"
)


def rows() -> Iterator[str]:
    """Every value of every table of Prefect's database, as text."""
    url = get_current_settings().server.database.connection_url
    assert url is not None
    path = url.get_secret_value().partition("///")[2]
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        assert "task_run" in tables
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):
                yield " ".join(map(str, row))


def test_nothing_of_a_message_reaches_prefect(
    world: DeadLettersWorld, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Healed, alerted, archived, left, looked at, failed, replayed: the canaries are in queues and archive only."""
    for name in ("", "prefect", "prefect.flow_runs", "prefect.task_runs"):
        caplog.set_level(logging.DEBUG, name)
    for name in ("botocore", "boto3", "urllib3", "s3transfer"):
        # The SDK's own debug lines show requests whole; nobody but a test for the SDK switches them on.
        caplog.set_level(logging.INFO, name)
    pair = world.pair()
    attributes = {"tenant": text(ATTRIBUTE)}

    def die(*errors: str) -> None:
        world.die(pair, errors, MessageBody=f"{BODY} {{n}}", MessageAttributes=attributes)

    die(TIMEOUT, LEAKY, INVALID, "")
    dry = run(world, pair.dead, dry_run=True)
    world.aws.fault("partial", service="sqs", operation="SendMessageBatch", code="InternalError", status=500)
    failed = run(world, pair.dead)
    world.sqs.set_queue_attributes(QueueUrl=world.url(pair.source), Attributes={"MaximumMessageSize": "1024"})
    world.send(pair.dead, [{"MessageBody": BODY + "x" * 2000, "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    refused = run(world, pair.dead, policy=POLICY.model_copy(update={"destination": pair.source}))
    replay(queues=[pair.dead], kinds=["AUTH_FAILURE"])
    recover(world, pair.dead)
    for state in (dry, failed, refused):
        assert task_runs(state)

    assert failed.is_failed()
    assert any(BODY in record["body"] for record in world.archived(pair.dead))
    assert any(BODY in body for body in world.bodies(pair.source))
    everywhere = {
        "Prefect's database": "\n".join(rows()),
        "logs": "\n".join(record.getMessage() for record in caplog.records),
        "console": "".join(capfd.readouterr()),
        "ledger": str(world.items()),
        "alerts": "\n".join(world.alerts()),
    }
    assert pair.dead in everywhere["Prefect's database"], "the check looks at the right place"
    assert pair.dead in everywhere["logs"]
    assert "AUTH_FAILURE" in everywhere["ledger"]
    for canary in (BODY, ATTRIBUTE, *SECRETS):
        assert [place for place, found in everywhere.items() if canary in found] == [], canary


def test_an_error_that_aws_reports_with_the_message_stays_out(world: DeadLettersWorld) -> None:
    """SQS's words about a refused message go into the report, the message does not."""
    pair = world.pair()
    world.die(pair, [AUTH], MessageBody=BODY)
    world.aws.fault("error", service="s3", operation="PutObject", code="AccessDenied", status=403, times=None)
    state = run(world, pair.dead)
    assert state.is_failed()
    assert task_runs(state)
    assert BODY not in "\n".join(rows())
