"""A Prefect server with a password: who has it works as ever, who has not is reported which setting is wrong."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.stage import _with_own_python
from deployments.apply import POOL
from deployments.prefect_settings import PROJECT, client_environment, server_environment
from deployments.processes import COMMAND, LOOPBACK, free_port, start_module, stop
from simulated_aws.server import SimulatedAws
from tests.prefect_home import prepare
from tests.unit.events.test_hints import FAILED
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)

USER, PASSWORD = "reprise", "correct-horse:battery"
SECRET = f"{USER}:{PASSWORD}"
IN_A_HEADER = base64.b64encode(SECRET.encode()).decode()
SETTING = "PREFECT_API_AUTH_STRING"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True)
class Guarded:
    """A server that wants a password, and a simulated AWS.

    Attributes:
        api_url: of the server.
        environment: of its clients, without the password.
        folder: of the logs.
    """

    api_url: str
    aws: SimulatedAws
    environment: Mapping[str, str]
    folder: Path

    def ask(self, path: str, body: Any) -> Any:
        """The server's answer to a POST of one who has the password."""
        answer = httpx.post(f"{self.api_url}{path}", json=body, auth=(USER, PASSWORD), timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    @contextlib.contextmanager
    def started(self, module: str, *arguments: str) -> Iterator[Path]:
        """A process with the password until the end of the block; the file of what it says."""
        log = self.folder / f"{arguments[0] if module == COMMAND else module}.log"
        environment = {**self.environment, SETTING: SECRET}
        process = start_module(module, arguments, environment=environment, log=log, directory=self.folder)
        try:
            yield log
        finally:
            stop(process)

    def output(self, name: str, password: str | None) -> tuple[int, str]:
        """Exit status and output of a `reprise` command that ends by itself."""
        given = {} if password is None else {SETTING: password}
        done = subprocess.run(
            [sys.executable, "-m", COMMAND, name],
            env={**self.environment, **given},
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        with (self.folder / "commands.log").open("a", encoding="utf-8") as log:
            log.write(done.stdout)
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The server, for all tests of this module."""
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    home = prepare(folder / "prefect")
    api_url = f"http://{LOOPBACK}:{port}/api"
    with SimulatedAws.start() as aws:
        server = start_module(
            "deployments.command",
            ["server", "--host", LOOPBACK, "--port", str(port), "--no-ui"],
            environment={**server_environment(home, aws.environ()), "PREFECT_SERVER_API_AUTH_STRING": SECRET},
            log=folder / "server.log",
            directory=home,
        )
        try:
            aws.create_estate()
            wait_for("the server", lambda: _answers(api_url), seconds=180)
            environment = _with_own_python(client_environment(api_url, home, aws.environ()))
            yield Guarded(api_url, aws, environment, folder)
        finally:
            stop(server)


def _answers(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_who_has_no_password_learns_the_setting(guarded: Guarded) -> None:
    """Without one, with a wrong one and with half of one: one line each, and no traceback.

    Each command makes one of the mistakes: the server answers all of them alike.
    """
    for auth in (None, (USER, "wrong-horse"), ("", "wrong-horse")):
        answer = httpx.post(f"{guarded.api_url}/flows/filter", json={}, auth=auth, timeout=30, trust_env=False)
        assert answer.status_code == 401
    tried = [("apply", None), ("relay", f"{USER}:wrong-horse"), ("smoke", "wrong-horse")]
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda one: guarded.output(*one), tried))
    for (module, password), (status, output) in zip(tried, answers, strict=True):
        assert status == 2, (module, password, output)
        # The relay's health is served before it connects, and its address is not a complaint.
        complaints = [line for line in output.splitlines() if not line.startswith("relay: starting;")]
        assert len(complaints) == 1, (module, password, output)
        assert SETTING in output, (module, password, output)
        assert "wrong-horse" not in output


def test_who_has_the_password_works_and_never_says_it(guarded: Guarded) -> None:
    """An event goes from AWS through the relay to a run on a worker, and no log or record holds the password."""
    status, output = guarded.output("apply", SECRET)
    assert status == 0, output
    with (
        guarded.started(COMMAND, "relay") as relay,
        guarded.started("prefect", "worker", "start", "--pool", POOL, "--type", "process"),
    ):
        wait_for("the relay", lambda: "relay: listening" in relay.read_text(), seconds=120)
        guarded.aws.client("sqs").send_message(
            QueueUrl=guarded.aws.environment["REPRISE_EVENTS_QUEUE_URL"], MessageBody=json.dumps(FAILED)
        )
        run = wait_for("a run that the event started", lambda: _ended(guarded), seconds=120)
        assert run["state_type"] == "COMPLETED", run
    kept = {
        "runs": guarded.ask("/flow_runs/filter", {}),
        "logs": guarded.ask("/logs/filter", {}),
        "pools": guarded.ask("/work_pools/filter", {}),
        "deployments": guarded.ask("/deployments/filter", {}),
        "variables": guarded.ask("/variables/filter", {}),
        **{log.name: log.read_text(encoding="utf-8", errors="replace") for log in guarded.folder.glob("*.log")},
    }
    assert {"server.log", "prefect.log", "relay.log", "commands.log"} <= set(kept)
    assert kept["logs"]
    for where, what in kept.items():
        text = json.dumps(what)
        for secret in (SECRET, PASSWORD, IN_A_HEADER):
            assert secret not in text, where


def _ended(guarded: Guarded) -> Any:
    wanted = {"flows": {"name": {"any_": ["replication-tasks"]}}, "flow_runs": {"tags": {"all_": ["on-failure"]}}}
    runs = guarded.ask("/flow_runs/filter", wanted)
    # One that finds another under way is cancelled before it begins, and has done nothing.
    return next((run for run in runs if run["state_type"] in ENDED - {"CANCELLED"}), None)
