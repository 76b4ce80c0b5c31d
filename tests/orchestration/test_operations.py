"""People are notified of trouble in Prefect, once; and runs whose process is gone are ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Pending, Running

from flows.operations import notify, tidy
from recovery.operations import Notice, TidyRequest
from tasks.operations import crash, silent_runs
from tests.dead_letters_world import DeadLettersWorld
from tests.waiting import wait_for

POOL = "operations-test"


def notice(**fields: Any) -> Notice:
    """A notice, for real by default."""
    basis = {"subject": "a run failed", "text": "dead-letters/sweep failed.", "source": "dead-letters/sweep"}
    return Notice.model_validate({**basis, "dry_run": False, **fields})


def test_a_notice_reaches_the_alert_topic_once_a_window(world: DeadLettersWorld) -> None:
    """The same notice is not repeated; one about something else is another one; a dry run publishes nothing."""
    assert notify(notice(dry_run=True)) == "dry run: nothing was published"
    assert world.alerts() == []
    assert notify(notice()) == "published"
    assert notify(notice()) == "published before, within the window"
    assert notify(notice(source="outbox-records/retry")) == "published"
    assert world.alerts() == ["dead-letters/sweep failed."] * 2


def test_people_are_notified_while_the_ledger_is_away(world: DeadLettersWorld) -> None:
    """A notice goes out without its memory when the ledger itself has failed."""
    world.aws.fault("error", service="dynamodb", times=None, code="AccessDeniedException", status=400)
    try:
        assert notify(notice()) == "published, without asking the ledger"
    finally:
        world.aws.lift_faults()
    assert len(world.alerts()) == 1


def test_a_topic_that_refuses_fails_the_run_in_one_line(world: DeadLettersWorld) -> None:
    """The run is failed, so that Prefect shows that nobody was notified; nothing remembers it as published."""
    world.aws.fault("error", service="sns", operation="Publish", times=1, code="AuthorizationError", status=403)
    state = notify(notice(), return_state=True)
    assert state.is_failed()
    assert "sns:Publish" in str(state.message)
    assert notify(notice()) == "published"


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    """The harness's server, with a work pool of this test's own, which is gone afterwards."""
    with get_client(sync_client=True) as made:
        made.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        yield made
        made.delete_work_pool(POOL)


def run_of(client: SyncPrefectClient) -> FlowRun:
    """A run that a worker of the pool is to carry out."""
    flow = client.create_flow_from_name("operations-test")
    deployment = client.create_deployment(flow, f"silent-{uuid4().hex[:8]}", work_pool_name=POOL)
    return client.create_flow_run_from_deployment(deployment)


def heartbeat(client: Any, run: UUID, occurred: datetime) -> None:
    """The sign of life that a run's process sends, and its arrival in the server's memory."""
    event = {
        "id": str(uuid4()),
        "event": "prefect.flow-run.heartbeat",
        "occurred": occurred.isoformat(),
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
    }
    client.request("POST", "/events", json=[event])
    # Without an end, the server looks at events until its own present.
    until = (occurred + timedelta(hours=1)).isoformat()
    wanted = {"filter": {"id": {"id": [event["id"]]}, "occurred": {"until": until}}}
    wait_for(
        "the heartbeat", lambda: client.request("POST", "/events/filter", json=wanted).json()["events"], seconds=20
    )


def test_a_run_without_a_process_is_marked_as_crashed(client: SyncPrefectClient) -> None:
    """A run that says nothing for ten minutes is ended, with its reason; one that does is left alone."""
    silent, alive, waiting, pending = [run_of(client) for _ in range(4)]
    for run in (silent, alive):
        client.set_flow_run_state(run.id, Pending())
        client.set_flow_run_state(run.id, Running())
    client.set_flow_run_state(pending.id, Pending())
    began = datetime.now(UTC)
    heartbeat(client, alive.id, began + timedelta(minutes=7))

    request = TidyRequest(work_pool=POOL, dry_run=False)
    assert silent_runs(client, request, began + timedelta(minutes=9)) == {}
    found = silent_runs(client, request, began + timedelta(minutes=16))
    assert set(found) == {str(silent.id), str(pending.id)}
    for run_id, reason in found.items():
        assert crash(client, run_id, reason)
        state = client.read_flow_run(UUID(run_id)).state
        assert state is not None
        assert (state.name, state.message) == ("Crashed", reason)
    assert silent_runs(client, request, began + timedelta(minutes=16)) == {}
    assert "SCHEDULED" in str(client.read_flow_run(waiting.id).state_type)
    # As the flow does it, at this very moment: nobody was silent for long enough.
    assert tidy(request) == []
    client.set_flow_run_state(alive.id, Completed())
    # A run that ended in the meantime keeps its end.
    assert not crash(client, str(alive.id), "too late")
