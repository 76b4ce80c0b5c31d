"""The smoke test of an estate: it passes on a good one, says what is wrong with a bad one, and tidies up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import PREFECT_API_URL

from deployments import dry_runs, smoke
from deployments.command import run as run_command
from recovery.errors import RepriseError
from recovery.paths import Path
from tests.dead_letters_world import DeadLettersWorld


@pytest.fixture(autouse=True)
def _server(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness's server, named as an operator names it; the simulated AWS needs no second look."""
    assert world.aws
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_ENABLED", "false")  # as the command itself would set it, for good
    monkeypatch.setattr(smoke, "_LOOKS", 1)
    monkeypatch.setattr(smoke, "_LOOK_SECONDS", 0)


def queues(world: DeadLettersWorld) -> list[str]:
    """Names of the queues that the smoke test made and that are still there."""
    found = world.sqs.list_queues(QueueNamePrefix=smoke.MARK).get("QueueUrls", [])
    return [url.rpartition("/")[2] for url in found]


def archived(world: DeadLettersWorld) -> int:
    """Count its messages in the archive."""
    prefix = f"archive/path=dead_letters/source={smoke.MARK}"
    found = world.aws.client("s3").list_objects_v2(Bucket=world.bucket, Prefix=prefix).get("Contents", [])
    return sum(len(world.connection().archive.read_bundle(each["Key"])) for each in found)


def test_a_good_estate_passes_and_keeps_nothing(world: DeadLettersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """One message is healed, one reported, one archived; the queues are gone, and no open case is left."""
    assert run_command(["smoke", "--here"]) == 0
    output = capsys.readouterr().out
    assert all(f"{message}: yes" in output for message in smoke.FAILURES)
    assert all(f"{path}: not tried, there is no deployment" in output for path in dry_runs.SWEEPS)
    assert output.endswith("all as it should be\n")
    assert queues(world) == []
    assert len(world.alerts(smoke.MARK)) == 1
    assert archived(world) == 2
    assert list(world.connection().ledger.waiting("dead_letters")) == []


def test_queues_that_are_named_are_used_and_stay(world: DeadLettersWorld) -> None:
    """For a role that may touch certain queues only: nothing is made and nothing removed."""
    pair = world.pair()
    assert run_command(["smoke", "--here", "--source", pair.source, "--dead-letters", pair.dead]) == 0
    assert queues(world) == []
    assert len(world.bodies(pair.source)) == 1
    assert world.bodies(pair.dead) == []


@pytest.mark.parametrize(
    ("service", "operation", "message"),
    [("sns", "Publish", "alerted"), ("s3", "PutObject", "archived"), ("sqs", "SendMessageBatch", "healed")],
)
def test_an_estate_that_does_not_do_its_part_fails(
    world: DeadLettersWorld, capsys: pytest.CaptureFixture[str], service: str, operation: str, message: str
) -> None:
    """Whatever the role may not do is seen, and the queues are removed all the same."""
    world.aws.fault("error", service=service, operation=operation, times=None, code="AccessDenied", status=403)
    try:
        assert run_command(["smoke", "--here"]) == 1
    finally:
        world.aws.lift_faults()
    output = capsys.readouterr()
    assert f"{message}: yes" not in output.out
    assert "did not go through" in output.err
    assert queues(world) == []


def test_a_run_that_does_nothing_is_noticed_message_by_message(world: DeadLettersWorld) -> None:
    """The verdict is AWS's own: a run that claims success and did nothing does not pass."""
    with smoke.queues_of(world.connection(), "", "") as made:
        wrong = smoke.smoke(world.connection(), made, lambda _: None, lambda _: None)
    assert set(wrong) == set(smoke.FAILURES)


def test_without_a_deployment_it_says_what_to_do(world: DeadLettersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """The usual way needs what `deployments.apply` makes; its absence is one line and not a traceback."""
    assert run_command(["smoke"]) == 2
    assert "reprise apply" in capsys.readouterr().err
    assert queues(world) == []


def deployment(path: Path, request: dict[str, object], *, active: bool = True) -> None:
    """Put the sweep of a path on the server, as a person left it."""
    flow, name = dry_runs.SWEEPS[path][0].split("/")
    schedule = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(days=300)), active=active)
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name(flow)
        client.create_deployment(flow_id, name, parameters={"request": request}, schedules=[schedule])


@pytest.fixture
def used(world: DeadLettersWorld) -> Iterator[None]:
    """Each path has its sweep: one that works, one whose table is missing, and one that a person paused."""
    assert world.aws
    topic = "arn:aws:sns:us-east-1:000000000000:orders"
    deployment(Path.REPLICATION_TASKS, {"tasks": ["tag:reprise=recover"], "started_by": "sweep", "dry_run": False})
    deployment(Path.OUTBOX_RECORDS, {"table": "no-such-table", "topic_arn": topic, "dry_run": False})
    deployment(Path.APPFLOW_RUNS, {"flows": ["orders-*"], "dry_run": False}, active=False)
    yield
    with get_client(sync_client=True) as client:
        for sweep, _, _ in dry_runs.SWEEPS.values():
            client.delete_deployment(client.read_deployment_by_name(sweep).id)


@pytest.mark.usefixtures("used")
def test_each_path_that_is_used_runs_dry_and_what_was_not_tried_is_named(
    world: DeadLettersWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that cannot do its part fails the test; one that is paused is only named."""
    asked = {}

    def run(path: Path, request: dict[str, Any]) -> None:
        asked[path] = request
        dry_runs.in_this_process(path, request)

    monkeypatch.setattr(smoke, "in_this_process", run)
    assert run_command(["smoke", "--here"]) == 1
    output = capsys.readouterr().out
    assert "replication_tasks: yes, dry: no replication was started\n" in output
    assert "outbox_records: the run ended as Failed: " in output
    assert "pause outbox-records/retry" in output
    assert "appflow_runs: not tried, appflow-runs/sweep is paused\n" in output
    assert "not tried: rights on your own queues" in output
    assert all(asked[path]["dry_run"] for path in (Path.REPLICATION_TASKS, Path.OUTBOX_RECORDS))
    assert "started_by" not in asked[Path.REPLICATION_TASKS], "a by-hand run counts no missed events"
    assert Path.APPFLOW_RUNS not in asked


def test_half_a_pair_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """One queue without the other is a mistake on the command line."""
    assert run_command(["smoke", "--here", "--source", "orders"]) == 2
    assert "--dead-letters" in capsys.readouterr().err


def test_a_run_that_fails_is_the_smoke_test_s_failure(world: DeadLettersWorld) -> None:
    """The run's own words reach the person."""

    def failing(_: object) -> None:
        raise RepriseError("the run ended as Failed: why")

    with (
        smoke.queues_of(world.connection(), "", "") as made,
        pytest.raises(RepriseError, match="ended as Failed"),
    ):
        smoke.smoke(world.connection(), made, failing, lambda _: None)
    assert queues(world) == []


def test_an_alert_topic_without_subscribers_is_not_as_it_should_be(
    world: DeadLettersWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that the ledger knows is well, and alerts reach nobody: an unconfirmed mail is the commonest fault."""
    sns, topic = world.aws.client("sns"), world.connection().alert_topic_arn
    before = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    for each in before:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    try:
        assert run_command(["smoke", "--here"]) == 1
        stated = capsys.readouterr().out
        assert f"nobody is subscribed to the alert topic {topic}" in stated
        assert stated.endswith("not as it should be\n")
    finally:
        for each in before:
            sns.subscribe(TopicArn=topic, Protocol=each["Protocol"], Endpoint=each["Endpoint"])
