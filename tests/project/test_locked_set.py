"""The locked versions make a Prefect that works: a server of their own evaluates events, schedules, and runs.

Two dependencies newer than the known good ones break this without a word (pyproject.toml names them), and the
harness of the other tests would not notice: it has no scheduler.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deployments.prefect_server import PrefectServer, prefect_server
from deployments.processes import start_module, stop
from tests.waiting import wait_for

POOL = "locked-set"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A whole server, scheduler included, in a home of its own."""
    with prefect_server(tmp_path_factory.mktemp("prefect"), ui=False) as running:
        yield running


@pytest.fixture(scope="module")
def api(server: PrefectServer) -> Iterator[httpx.Client]:
    """The server's API as any program speaks it. Retried, because a busy SQLite answers 503 now and then."""
    transport = httpx.HTTPTransport(retries=3)
    with httpx.Client(base_url=server.api_url, timeout=30, trust_env=False, transport=transport) as client:
        yield client


def call(api: httpx.Client, method: str, path: str, body: Any) -> Any:
    """The API's answer, once it is not the 503 of a busy database."""

    def answered() -> httpx.Response | None:
        response = api.request(method, path, json=body)
        return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response

    response = wait_for(f"{method} {path}", answered, seconds=30)
    assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
    return response.json() if response.content else None


@pytest.fixture(scope="module")
def flow_id(api: httpx.Client) -> str:
    """The probe flow, and the pool that its deployments send their runs to."""
    call(api, "POST", "/work_pools/", {"name": POOL, "type": "process"})
    found: str = call(api, "POST", "/flows/", {"name": "probe"})["id"]
    return found


def deploy(api: httpx.Client, flow_id: str, **fields: Any) -> str:
    """A deployment of the probe under a name of its own."""
    deployment = {
        "name": f"locked-set-{uuid4().hex[:8]}",
        "flow_id": flow_id,
        "work_pool_name": POOL,
        "entrypoint": "tests.project.probe.probe",
        "pull_steps": [],
        **fields,
    }
    made: str = call(api, "POST", "/deployments/", deployment)["id"]
    return made


def runs_of(api: httpx.Client, deployment: str, **state: Any) -> list[dict[str, Any]]:
    """The deployment's flow runs, of the named states if any are named."""
    found: dict[str, Any] = {"deployments": {"id": {"any_": [deployment]}}}
    if state:
        found["flow_runs"] = {"state": state}
    runs: list[dict[str, Any]] = call(api, "POST", "/flow_runs/filter", found)
    return runs


def test_a_server_keeps_its_promises(api: httpx.Client, server: PrefectServer) -> None:
    """The server runs with the project's settings: no usage data, leases on the filesystem, a home of its own."""
    settings = api.get("/admin/settings").json()
    assert settings["server"]["analytics_enabled"] is False
    assert settings["server"]["concurrency"]["lease_storage"].endswith(".filesystem")
    assert settings["home"] == str(server.home)
    assert (server.home / "prefect.db").stat().st_size > 0


def test_an_event_becomes_a_flow_run(api: httpx.Client, flow_id: str) -> None:
    """An event that matches a trigger creates a run with the event's payload, and another event does not."""
    deployment = deploy(api, flow_id)
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "expect": ["reprise.probe.fired"],
        "match": {"prefect.resource.id": "reprise.probe.*"},
        "threshold": 1,
        "within": 0,
    }
    action = {
        "type": "run-deployment",
        "source": "selected",
        "deployment_id": deployment,
        "parameters": {"reason": "{{ event.payload.reason }}"},
    }
    call(api, "POST", "/automations/", {"name": "locked-set", "trigger": trigger, "actions": [action]})

    def fire() -> list[dict[str, Any]]:
        # Again and again, as the relay does: a server answers a moment before its triggers listen.
        for name in ("reprise.probe.hummed", "reprise.probe.fired"):
            event = {
                "id": str(uuid4()),
                "occurred": datetime.now(UTC).isoformat(),
                "event": name,
                "resource": {"prefect.resource.id": "reprise.probe.poller"},
                "payload": {"reason": f"because of {name}"},
            }
            call(api, "POST", "/events", [event])
        return wait_for("its run", lambda: runs_of(api, deployment), seconds=5)

    for _ in range(5):
        with contextlib.suppress(AssertionError):
            runs = fire()
            break
    else:
        pytest.fail("five events, and no run because of any of them")
    assert {run["parameters"]["reason"] for run in runs} == {"because of reprise.probe.fired"}
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}


def test_a_scheduled_run_starts(api: httpx.Client, flow_id: str, server: PrefectServer) -> None:
    """The scheduler creates runs that are due, and a worker starts and completes them."""
    every_ten_seconds = {"interval": 10, "anchor_date": datetime.now(UTC).isoformat()}
    schedule = {"schedule": every_ten_seconds, "active": True, "max_scheduled_runs": 2, "slug": "soon"}
    deployment = deploy(api, flow_id, parameters={"reason": "it is time"}, schedules=[schedule])
    log = server.home / "worker.log"
    worker = start_module(
        "prefect",
        ["worker", "start", "--pool", POOL, "--type", "process", "--limit", "1"],
        environment=server.client_environment(),
        log=log,
        directory=server.home,
    )
    try:
        completed = wait_for(
            "a completed scheduled run",
            lambda: runs_of(api, deployment, type={"any_": ["COMPLETED", "FAILED", "CRASHED"]}),
            seconds=60,
        )
    finally:
        stop(worker)
    assert {run["state_type"] for run in completed} == {"COMPLETED"}, log.read_text(encoding="utf-8")
    assert {run["auto_scheduled"] for run in completed} == {True}
    assert (server.home / "storage").exists() is False, "results are not kept unless a flow asks for it"
