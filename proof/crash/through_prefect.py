"""Kills of whole flow runs: a Prefect server, a run in a process of its own, SIGKILL at a random request of it."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from blocks.connection import Connection
from deployments.prefect_server import prefect_server
from proof.crash.dead_letters_scenes import Messages
from proof.crash.flow_scenes import POLICY, Flows
from proof.crash.outbox_scenes import Outbox
from proof.crash.process import Kill, in_child
from proof.crash.replication_scenes import Replications
from proof.crash.scene import Findings
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from recovery.scope import StartedBy
from simulated_aws.server import SimulatedAws

KILLS = 20
"""For each path."""
_SECONDS = 120.0


@contextlib.contextmanager
def _server() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="reprise-prove-") as home, prefect_server(Path(home), ui=False) as server:
        yield server.api_url


def _messages(scene: Messages) -> Any:
    from flows.dead_letters import recover_dead_letters

    request = scene.world.request(scene.pair.dead, policy=scene.policy, time_limit_seconds=60)
    return recover_dead_letters(request, return_state=True)


def _outbox(scene: Outbox) -> Any:
    from flows.outbox_records import recover_outbox_records

    return recover_outbox_records(scene.world.request(shards=2, policy=scene.policy), return_state=True)


def _replications(_: Replications) -> Any:
    from flows.replication_tasks import recover_replication_tasks

    policy = ReplicationPolicy(allow_reload=("*",))
    request = ReplicationRequest(tasks=("*",), dry_run=False, started_by=StartedBy.SWEEP, policy=policy)
    return recover_replication_tasks(request, return_state=True)


def _flows(_: Flows) -> Any:
    from flows.appflow_runs import recover_appflow_runs

    return recover_appflow_runs(AppFlowRequest(flows=("*",), dry_run=False, policy=POLICY), return_state=True)


def _in_prefect(aws: SimulatedAws, api_url: str, call: Callable[[], Any]) -> str:
    """In the child: one flow run; the name of the state that it ended in."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from recovery.dead_letters import receiving

    os.environ |= aws.environ({})
    receiving.POLL_SECONDS = 0
    with temporary_settings({PREFECT_API_URL: api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return str(call().type.value)


def play(aws: SimulatedAws, connection: Connection, kills: int = KILLS, only: str = "") -> tuple[list[str], str]:
    """Kill so many flow runs of each path; what must not be, and the report."""
    violations: list[str] = []
    lines: list[str] = []
    paths: list[tuple[str, Callable[[], Any], Callable[[Any], Any]]] = [
        ("dead letters", lambda: Messages(aws, connection), _messages),
        ("outbox", lambda: Outbox(aws), _outbox),
        ("replications", lambda: Replications(aws), _replications),
        ("flows", lambda: Flows(aws, connection), _flows),
    ]
    with _server() as api_url:
        for name, make, call in (each for each in paths if only in each[0]):
            aws.reset()
            found, line = _path(aws, api_url, make(), call, kills, name)
            violations += [f"{name} through Prefect: {each}" for each in found.violations]
            lines.append(line)
    return violations, "\n".join(lines)


def _path(aws: SimulatedAws, api_url: str, scene: Any, call: Callable[[Any], Any], kills: int, name: str) -> Any:
    chance = random.Random(name)
    found, killed = Findings(), 0

    def run(kill: Kill | None = None) -> Any:
        return in_child(lambda: _in_prefect(aws, api_url, lambda: call(scene)), kill, seconds=_SECONDS)

    scene.stage()
    aws.clear_requests()
    whole = run()
    found.expect(not whole.error, f"a whole run: {whole.error}")
    requests = len(aws.requests())
    for _ in range(kills):
        scene.stage()
        kill = Kill(chance.randint(1, requests), chance.random() < 0.5)
        ended = run(kill)
        killed += ended.killed
        found.expect(ended.killed or not ended.error, f"{kill}: {ended.error}")
        found += scene.is_safe()
        for _ in range(2):
            scene.later()
            after = run()
            found.expect(not after.error, f"after {kill}: {after.error}")
            found += scene.is_safe()
        found += scene.after_trouble()
    doubled = len(found.doubled)
    return found, f"{name}: {killed} of {kills} flow runs killed, {len(found.lost)} lost, {doubled} items doubled"
