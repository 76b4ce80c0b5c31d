"""The demo's world: simulated AWS with estate and sample workload, a Prefect server, deployments, worker and relay.

Everything is a child of the calling process, listens on 127.0.0.1 on a free port, keeps its files in one folder, and
ends with the block.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo import metrics_compared
from demo.runs import Runs
from demo.scenes import DemoFailed, World
from deployments.apply import POOL
from deployments.login import draw
from deployments.prefect_server import prefect_server
from deployments.prefect_settings import STATE
from deployments.processes import COMMAND, LOOPBACK, free_port
from simulated_aws import estate
from simulated_aws.guard import require_simulated_aws
from simulated_aws.server import SimulatedAws

RELAY = "relay"
RELAY_LOG = "relay.log"
FOLDER = STATE / "demo"
UI_PORT = 4200
AWS_PORT = 4566
VISIBILITY_SECONDS = 2
"""A real consumer takes half a minute between two attempts; nobody watches a demo that long."""


@contextlib.contextmanager
def world(say: Callable[[str], None], folder: Path = FOLDER) -> Iterator[World]:
    """Start what a world is made of; stop everything at the end.

    Args:
        say: reports to a person what happens, in one line.
        folder: the demo's own folder; emptied first. Another demo that still runs there keeps it, and this one takes
            the next: `demo-2` beside `demo`.

    Raises:
        Transient: the Prefect server did not start.
    """
    with contextlib.ExitStack() as children:
        folder = children.enter_context(_own(folder))
        with _errors_to(folder / "aws.log"):
            aws = children.enter_context(SimulatedAws.start(AWS_PORT))
        # The server's start is most of the waiting: the estate is created meanwhile.
        with ThreadPoolExecutor(1) as pool:
            filled = pool.submit(_fill, aws)
            prefect = children.enter_context(prefect_server(folder / "prefect", port=UI_PORT, auth=draw()))
            filled.result()
        say(f"simulated AWS on {aws.endpoint}, Prefect on {prefect.sign_in_url}")
        environment = _with_own_python(prefect.client_environment(aws.environ()))
        require_simulated_aws(environment)
        runs = Runs(prefect.api_url, prefect.ui_url, auth=prefect.http_auth)
        children.callback(runs.close)
        made = World(aws, prefect, runs, folder, environment, say, children)
        children.callback(made.stopping.set)
        yield made


def deploy(made: World) -> None:
    """Work pool, blocks and deployments.

    Raises:
        DemoFailed: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", COMMAND, "apply"],
        env=dict(made.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (made.folder / "apply.log").write_text(done.stdout)
    if done.returncode:
        raise DemoFailed(f"reprise apply failed:\n{done.stdout}")
    made.say(f"deployments registered for the pool {POOL!r}")


def start_worker(made: World, *options: str) -> subprocess.Popen[bytes]:
    """Start the worker as operators do; it is stopped with the demo."""
    return made.command("worker", "--name", "demo", *options, log="worker.log")


def start_relay(made: World, *, queues: Sequence[str], outboxes: Sequence[Mapping[str, Any]]) -> None:
    """Start the relay, and return when it listens.

    Args:
        queues: dead-letter queues whose depth it watches.
        outboxes: outbox tables whose streams it reads.

    Raises:
        DemoFailed: it ended, or did not listen in time.
        Stopped: the demo is being ended.
    """
    listening = made.folder / "relay.yaml"
    listening.write_text(yaml.safe_dump({"queues": list(queues), "outboxes": [dict(outbox) for outbox in outboxes]}))
    port = free_port()
    made.relay = made.command(RELAY, "--config", str(listening), "--health-port", str(port), log=RELAY_LOG)
    made.wait("the relay to listen", lambda: _listens(made, port, len(outboxes)), seconds=240)
    made.say(f"the relay listens to the events queue, {len(queues)} dead-letter queues and {len(outboxes)} stream(s)")


def require_relay(made: World) -> None:
    """Raises DemoFailed when the relay is gone: no event of AWS would start anything."""
    if made.relay is None or made.relay.poll() is not None:
        log = made.folder / RELAY_LOG
        end = log.read_text(errors="replace")[-2_000:] if log.exists() else ""
        raise DemoFailed(f"the relay (reprise {RELAY}) is not running, so no event starts a deployment:\n{end}")


def _listens(made: World, port: int, streams: int) -> bool:
    require_relay(made)
    try:
        if httpx.get(f"http://{LOOPBACK}:{port}/health", timeout=5, trust_env=False).status_code != httpx.codes.OK:
            return False
    except httpx.TransportError:
        return False
    # A reader of a stream begins at its end: what is written before it has begun, it does not see.
    return not streams or bool(made.aws.requests(operation="GetRecords"))


@contextlib.contextmanager
def _own(folder: Path) -> Iterator[Path]:
    """The folder, or one beside it, emptied and held by this process until the block ends."""
    for number in itertools.count(1):
        mine = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        mine.mkdir(parents=True, exist_ok=True)
        with (mine / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            for old in mine.iterdir():
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                elif old.name != "lock":
                    old.unlink()
            yield mine
            return


@contextlib.contextmanager
def _errors_to(log: Path) -> Iterator[None]:
    """Processes that are started in the block, and share this one's standard error, write it to a file instead: what
    they say when Ctrl-C reaches them as well would stand between the lines of the view."""
    with log.open("ab") as file:
        kept = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _with_own_python(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker starts runs by the name `python`: that must be this one, whether or not its environment is active."""
    own = str(Path(sys.executable).parent)
    return {**environment, "PATH": os.pathsep.join([own, environment.get("PATH", os.defpath)])}


def _fill(aws: SimulatedAws) -> None:
    outputs = aws.create_estate()
    aws.create_sample_workload(VisibilitySeconds=str(VISIBILITY_SECONDS))
    let_services_notify(aws, outputs)
    metrics_compared.create(aws)


def let_services_notify(aws: SimulatedAws, outputs: Mapping[str, str]) -> None:
    """DMS by SNS and EventBridge, AppFlow and alarms by EventBridge: all end in the events queue, by the templates.

    Args:
        aws: with its estate.
        outputs: of the estate's stack.
    """
    queue, key = outputs["EventsQueueArn"], outputs["KeyArn"]
    parked = outputs["EventsDeadLetterQueueArn"]
    estate.create(
        aws.client,
        estate.TEMPLATES / "appflow.yaml",
        "reprise-appflow",
        {"EventsQueueArn": queue, "ParkedQueueArn": parked},
    )
    rules = {"EventsQueueArn": queue, "ParkedQueueArn": parked, "KeyArn": key, "AlarmPrefix": "orders-"}
    estate.create(aws.client, estate.TEMPLATES / "events.yaml", "reprise-events", rules)
    outputs = estate.create(
        aws.client,
        estate.TEMPLATES / "dms.yaml",
        "reprise-dms",
        # The emulator's CloudFormation knows no event subscription; the simulated DMS does.
        {"Subscribe": "no", "EventsQueueArn": queue, "ParkedQueueArn": parked, "KeyArn": key},
    )
    aws.client("dms").create_event_subscription(
        SubscriptionName="reprise-tasks",
        SnsTopicArn=outputs["TopicArn"],
        SourceType="replication-task",
        EventCategories=["failure", "state change"],
    )
