"""`reprise apply` beside a person: nothing that is set changes for a moment, and a kill leaves only work undone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.apply import __main__ as command
from deployments.apply import automations, registered, saved_estate
from deployments.apply.__main__ import apply
from deployments.prefect_server import prefect_server
from tests.prefect_home import prepare

pytestmark = pytest.mark.timeout(900)

STOPPED = "replication-tasks/sweep"
SCOPED = "dead-letters/sweep"
TRIGGER = "replication-tasks-on-failure"
ONLY = {"request": {"tasks": ["arn:aws:dms:eu-central-1:111122223333:task:ONLYTHIS"], "dry_run": True}}
SCOPE = {"request": {"queues": ["orders-dlq"], "dry_run": False}}
ALARM = f"{automations.PREFIX}a run failed"
NOBODY: Mapping[str, str] = {}
"""An environment that names no estate and no channel: blocks are not the matter here."""


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours sees it."""


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server on which everything was applied once; its home."""
    with (
        prefect_server(prepare(tmp_path_factory.mktemp("prefect")), ui=False) as running,
        temporary_settings({PREFECT_API_URL: running.api_url}),
    ):
        apply(NOBODY, check=False)
        yield running.home


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    """Speaks to the server."""
    with get_client(sync_client=True) as made:
        yield made


def altered(automation: Automation, **fields: Any) -> AutomationCore:
    """The automation with other fields, as the server takes it."""
    return AutomationCore.model_validate({**automation.model_dump(exclude={"id", "owner_resource"}), **fields})


def a_person_sets(client: SyncPrefectClient) -> None:
    """Scope, a pause, switches: on deployments that the upgrade changes too, and on others."""
    stopped, scoped = client.read_deployment_by_name(STOPPED), client.read_deployment_by_name(SCOPED)
    client.update_deployment(stopped.id, DeploymentUpdate(parameters=ONLY, paused=True, tags=["an older version's"]))
    client.update_deployment(scoped.id, DeploymentUpdate(parameters=SCOPE, description="an older version's"))
    client.update_deployment_schedule(scoped.id, scoped.schedules[0].id, active=False)
    interval = IntervalSchedule(interval=timedelta(seconds=1234))
    client.update_deployment_schedule(scoped.id, scoped.schedules[0].id, schedule=interval)
    (trigger,) = automations.of_the_name(client, TRIGGER)
    client.update_automation(trigger.id, altered(trigger, description="an older version's", enabled=False))


def an_older_version_left(client: SyncPrefectClient) -> None:
    """A deployment, a trigger and an alarm are missing; a form, an alarm and the memory are of another version."""
    client.delete_deployment(client.read_deployment_by_name("digest/by-hand").id)
    listed = client.read_deployment_by_name("cases/list")
    client.update_deployment(listed.id, DeploymentUpdate(parameter_openapi_schema={"type": "object", "properties": {}}))
    for name in ("appflow-runs-on-failure", ALARM):
        (found,) = automations.of_the_name(client, name)
        client.delete_automation(found.id)
    (alarm,) = automations.of_the_name(client, f"{automations.PREFIX}end runs without a process")
    client.update_automation(alarm.id, altered(alarm, description="an older version's", enabled=False))
    known = registered.remembered(client)
    registered.remember(client, {name: mark for name, mark in known.items() if name != "cases/list"})


def persons(client: SyncPrefectClient) -> dict[str, Any]:
    """Everything that a person has set, as it is now."""
    stopped, scoped = client.read_deployment_by_name(STOPPED), client.read_deployment_by_name(SCOPED)
    switches = {
        each.name: each.enabled
        for name in (TRIGGER, f"{automations.PREFIX}end runs without a process")
        for each in automations.of_the_name(client, name)
    }
    return {
        "paused": stopped.paused,
        "parameters": (stopped.parameters, scoped.parameters),
        "schedules": [each.active for each in scoped.schedules],
        "switches": switches,
    }


@contextmanager
def at_each_write(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` before each request that may change something."""
    send = httpx.Client.send

    def sends(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        if request.method != "GET" and not request.url.path.endswith("/filter"):
            with pytest.MonkeyPatch.context() as inside:
                inside.setattr(httpx.Client, "send", send)
                act()
        return send(self, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", sends)
        yield


def test_what_a_person_set_does_not_change_for_a_moment(client: SyncPrefectClient) -> None:
    """Asked before each write of an apply that changes much, and after the last."""
    a_person_sets(client)
    an_older_version_left(client)
    before, seen = persons(client), []
    with at_each_write(lambda: seen.append(persons(client))):
        apply(NOBODY, check=False)
    assert len(seen) > 7
    assert [each for each in [*seen, persons(client)] if each != before] == []
    assert apply(NOBODY, check=True).changes == []
    # Only what differed was written: a description, and not the interval's switch.
    scoped = client.read_deployment_by_name(SCOPED)
    assert (scoped.description or "").startswith("Every five minutes")
    assert scoped.schedules[0].schedule.interval == timedelta(minutes=5)  # type: ignore[union-attr]


def test_an_apply_that_is_killed_leaves_only_the_rest_undone(
    client: SyncPrefectClient, pytestconfig: pytest.Config
) -> None:
    """Killed before its writes in turn: the check names what is left, and the next apply does it. `make prove` tries
    each of them."""
    for kill in range(0, 100, 1 if pytestconfig.getoption("--all-points") else 3):
        a_person_sets(client)
        an_older_version_left(client)
        before, count = persons(client), 0

        def act(kill: int = kill) -> None:
            nonlocal count
            if count == kill:
                raise Killed
            count += 1

        try:
            with at_each_write(act):
                apply(NOBODY, check=False)
        except Killed:
            assert persons(client) == before, kill
            assert apply(NOBODY, check=True).changes, kill
            apply(NOBODY, check=False)
            assert persons(client) == before, kill
            left = apply(NOBODY, check=True)
            assert (left.changes, left.problems) == ([], saved_estate.missing(NOBODY)), kill
        else:
            break
    assert count > 7


def test_two_applies_at_once_make_one_of_each(client: SyncPrefectClient) -> None:
    """Both saw nothing of the name: the older one stays, whoever made it."""
    (alarm,) = automations.of_the_name(client, ALARM)
    automations.bring(client, altered(alarm), [])
    automations.bring(client, altered(alarm), [])
    assert [each.id for each in automations.of_the_name(client, ALARM)] == [alarm.id]


def test_an_automation_too_many_is_named_with_its_cure(client: SyncPrefectClient) -> None:
    """The same name twice, and one of an older version; the check fails until they are gone. A person's own is his."""
    (alarm,) = automations.of_the_name(client, ALARM)
    (trigger,) = automations.of_the_name(client, "dead-letters-on-event")
    extra = [
        client.create_automation(altered(alarm)),
        client.create_automation(altered(alarm, name=f"{automations.PREFIX}of last year")),
        client.create_automation(altered(trigger)),
    ]
    own = client.create_automation(altered(alarm, name="my own"))
    try:
        problems = [line for line in apply(NOBODY, check=True).problems if "no estate" not in line]
        assert len(problems) == 3
        for each in extra:
            assert [line for line in problems if f"prefect automation delete --id {each}" in line]
        assert [line for line in apply(NOBODY, check=False).problems if "no estate" not in line] == problems
    finally:
        for each in [*extra, own]:
            client.delete_automation(each)
    assert apply(NOBODY, check=True).problems == saved_estate.missing(NOBODY)


def test_a_server_without_an_estate_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`eval "$(reprise variables ...)"` that failed leaves empty variables: exit status 1, and a line that says so."""
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    for name in ("REPRISE_LEDGER_TABLE", "REPRISE_ARCHIVE_BUCKET", "REPRISE_ALERT_TOPIC_ARN"):
        monkeypatch.setenv(name, "")
    assert command.main() == 1
    assert "problem: no estate block 'default'" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.imghdr.:DeprecationWarning")
def test_blocks_that_the_server_cannot_read_name_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: Path
) -> None:
    """A block of another encryption key: exit status 2, and the way back in a line of its own."""
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    SlackWebhook(url="https://hooks.example/1").save("reprise-slack")
    with closing(sqlite3.connect(server / "prefect.db", timeout=60)) as database, database:
        database.execute("create table kept as select id, data from block_document where name = 'reprise-slack'")
        database.execute("update block_document set data = '\"of another key\"' where name = 'reprise-slack'")
    try:
        assert command.main(check=True) == 2
        assert "PREFECT_SERVER_ENCRYPTION_KEY" in capsys.readouterr().err.splitlines()[-1]
    finally:
        with closing(sqlite3.connect(server / "prefect.db", timeout=60)) as database, database:
            database.execute("update block_document set data = k.data from kept k where k.id = block_document.id")
            database.execute("drop table kept")
        SlackWebhook.delete("reprise-slack")
