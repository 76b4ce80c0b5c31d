"""A Prefect server with its pages, the four paths' runs on it, and a browser; skipped where there is no browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from demo.appflow_scene import AppFlowScene
from demo.dms_scene import ReplicationsScene
from demo.outbox_scene import FIND_LOST, OutboxScene
from demo.outbox_scene import TABLE as OUTBOX
from demo.runs import Run, Runs
from demo.scenes import World
from demo.stage import _with_own_python
from demo.workload.recorded import messages, put
from deployments.login import draw
from deployments.prefect_server import PrefectServer, prefect_server
from deployments.prefect_settings import PROJECT
from recovery.dead_letters.policy import DeadLetterRequest
from recovery.digest.book import DayBook
from recovery.ledger import Ledger
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tests.browser import chromium
from tests.prefect_home import prepare

QUEUE = "back-office-dlq"


@dataclass(frozen=True)
class Ui:
    """Pages of the UI, and the runs that they show.

    Attributes:
        server: the Prefect server.
        runs: one ended run of each path and of each flow that notifies people, by its deployment.
        message: id of a message that a run has worked on.
    """

    server: PrefectServer
    runs: Mapping[str, Run]
    message: str

    def url(self, path: str) -> str:
        """The address of a page."""
        return f"{self.server.ui_url}/v2/{path}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of the server's API."""
        answer = httpx.request(
            method, f"{self.server.api_url}/{path}", json=body, timeout=60, trust_env=False, auth=self.server.http_auth
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployment(self, name: str) -> str:
        """The id of a deployment, as "dead-letters/by-hand"."""
        return str(self.ask("GET", f"deployments/name/{name}")["id"])

    def artifact(self, run: Run, key: str) -> str:
        """The id of a run's artifact."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [run.id]}}}
        made = {artifact["key"]: artifact["id"] for artifact in self.ask("POST", "artifacts/filter", wanted)}
        assert key in made, f"{run} made the artifacts {sorted(map(str, made))}"
        return str(made[key])


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    """A browser's tab."""
    browser = chromium.installed()
    if browser is None:
        pytest.skip(f"no browser is installed (one of {', '.join(chromium.NAMES)}, or REPRISE_TEST_BROWSER)")
    with chromium.page(browser, tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(scope="session")
def ui(page: chromium.Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """Failures in the simulated AWS, and a run of each path that looked after them."""
    folder = tmp_path_factory.mktemp("ui")
    with ExitStack() as children:
        aws = children.enter_context(SimulatedAws.start())
        aws.create_estate()
        aws.create_sample_workload()
        server = children.enter_context(prefect_server(prepare(folder / "prefect"), auth=draw(), base=aws.environ()))
        environment = _with_own_python(server.client_environment(aws.environ()))
        _run(sys.executable, "-m", "deployments.command", "apply", environment=environment)
        runs = Runs(server.api_url, server.ui_url, auth=server.http_auth)
        children.callback(runs.close)
        requests = _failures(World(aws, server, runs, folder, environment, lambda _: None, children))
        message = aws.messages(QUEUE)[0]["id"]
        _week_before(aws)
        requests |= {
            "digest/by-hand": {"day": f"{aws.clock.now():%Y-%m-%d}", "outbox_tables": [OUTBOX]},
            "cases/describe": {"key": message},
            "cases/list": {"outbox_tables": [OUTBOX]},
        }
        begun = [runs.start(deployment, {"request": request}) for deployment, request in requests.items()]
        _run(sys.executable, "-m", "tests.browser.carry_out", *(run.id for run in begun), environment=environment)
        ended = [runs.look(run) for run in begun]
        page.open(server.sign_in_url, "Work Pools")
        yield Ui(server, {run.deployment: run for run in ended}, message)


def _run(*command: str, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        env=dict(environment),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _failures(world: World) -> dict[str, Mapping[str, Any]]:
    """Let something fail on each path; the requests that look after it, by deployment."""
    put(world.aws.client("sqs"), world.aws.queue_url(QUEUE), messages(world.aws.clock.now()))
    requests: dict[str, Mapping[str, Any]] = {
        "dead-letters/by-hand": cast(Any, DeadLetterRequest(queues=(QUEUE,), dry_run=False).model_dump(mode="json"))
    }
    for scene, wired, deployment in (
        (OutboxScene(), FIND_LOST, "outbox-records/by-hand"),
        (ReplicationsScene(), "replication-tasks/on-failure", "replication-tasks/by-hand"),
        (AppFlowScene(), "appflow-runs/on-failure", "appflow-runs/by-hand"),
    ):
        scene.prepare(world)
        requests[deployment] = scene.wiring(world).requests[wired]
    return requests


def _week_before(aws: SimulatedAws) -> None:
    """Let the day book know of a week, so that the digest has something to compare with."""
    book = DayBook(Ledger(aws.client("dynamodb"), aws.environment["REPRISE_LEDGER_TABLE"]))
    for days in range(1, 8):
        then = aws.clock.now() - timedelta(days=days)
        report = RecoveryReport(
            path="dead_letters",
            run="of the week before",
            started=then,
            seconds=3.0,
            dry_run=False,
            found=9 * days,
            by_kind={"TIMEOUT": 9 * days},
            by_action={"heal": 9 * days},
            unsettled=0,
            recovered=8 * days,
            seconds_to_recover=420.0,
        )
        book.add(report, f"run {days}", then)
