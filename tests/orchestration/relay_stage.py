"""Everything between AWS and a flow run, as processes of their own: simulated AWS, relay, Prefect server, worker."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from prefect.workers.process import ProcessWorker

from deployments.prefect_server import PrefectServer, prefect_server
from deployments.prefect_settings import PROJECT
from deployments.processes import start_module, stop
from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.outbox_world import OutboxWorld
from tests.prefect_home import prepare
from tests.waiting import wait_for

POOL = "reprise"
MESSAGES = "orders-dlq"
ENDED = {"COMPLETED", "FAILED", "CRASHED"}


@dataclass
class Stage:
    """Handles of what runs.

    Attributes:
        aws: the simulated AWS, with estate, event rules, a dead-letter queue and an outbox.
        outbox: that outbox.
        server: the Prefect server, with the deployments of `prefect.yaml` that events start, and without schedules.
        relay: the relay's process; its output is in `log`.
    """

    aws: SimulatedAws
    outbox: OutboxWorld
    server: PrefectServer
    folder: Path
    relay: subprocess.Popen[bytes]
    children: contextlib.ExitStack
    deployments: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """Return the relay's output."""
        return (self.folder / "relay.log").read_text(encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """Of a worker, whose runs start as `python`."""
        made = self.server.client_environment(self.aws.environ())
        return {**made, "PATH": os.pathsep.join([str(Path(sys.executable).parent), made.get("PATH", os.defpath)])}

    def start_worker(self) -> None:
        """A worker for all paths, until the end."""
        worker = start_module(
            "prefect",
            ["worker", "start", "--pool", POOL, "--type", "process", "--limit", "2"],
            environment=self.environment,
            log=self.folder / "worker.log",
            directory=self.folder,
        )
        self.children.callback(stop, worker)

    def health(self) -> dict[str, Any]:
        """The relay's own numbers."""
        [line] = [line for line in self.log.splitlines() if line.startswith("relay: listening; health on ")]
        answer: dict[str, Any] = httpx.get(line.rpartition(" ")[2], timeout=10, trust_env=False).json()
        return answer

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Runs of a deployment ("dead-letters/on-event"), oldest first."""
        body = {"deployments": {"id": {"any_": [self.deployments[deployment]]}}, "sort": "START_TIME_ASC"}
        found: list[dict[str, Any]] = call(self.server, "/flow_runs/filter", body)
        return sorted(found, key=lambda run: str(run["created"]))

    def reported(self, event: str) -> set[str]:
        """Resources of the events of a name in the server's event feed."""
        wanted = {"filter": {"event": {"name": [event]}}, "limit": 50}
        found = call(self.server, "/events/filter", wanted)["events"]
        return {entry["resource"]["prefect.resource.id"] for entry in found}

    def ended(self, deployment: str, seconds: float = 120) -> dict[str, Any]:
        """The first run of a deployment that has ended; those that were cancelled behind another one do not count."""

        def first() -> dict[str, Any] | None:
            return next((run for run in self.runs(deployment) if run["state_type"] in ENDED), None)

        return wait_for(f"a run of {deployment}", first, seconds=seconds)


def call(server: PrefectServer, path: str, body: Any) -> Any:
    """The server's answer to a POST, once it is not the 503 of a busy database, or nothing for half a minute."""

    def answered() -> httpx.Response | None:
        try:
            response = httpx.post(f"{server.api_url}{path}", json=body, timeout=30, trust_env=False)
        except httpx.TransportError:
            return None
        return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response

    response = wait_for(path, answered, seconds=30)
    assert response.is_success, response.text
    return response.json() if response.content else None


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start everything. The relay starts first, and waits for its server."""
    with contextlib.ExitStack() as children:
        aws = children.enter_context(SimulatedAws.start())
        outputs = aws.create_estate()
        _create_rules(aws, outputs)
        outbox = OutboxWorld(aws)
        aws.client("sqs").create_queue(QueueName=MESSAGES)
        server = children.enter_context(prefect_server(prepare(folder / "prefect"), ui=False))
        relay = start_relay(aws, outbox, server, folder)
        children.callback(stop, relay)
        made = Stage(aws, outbox, server, folder, relay, children)
        made.deployments = _deploy(server, outbox, folder)
        wait_for("the relay", lambda: "relay: listening" in made.log, seconds=120)
        yield made


def start_relay(aws: SimulatedAws, outbox: OutboxWorld, server: PrefectServer, folder: Path) -> subprocess.Popen[bytes]:
    """A relay that listens to the messages' queue and the outbox."""
    configuration = {
        "queues": [MESSAGES],
        "outboxes": [{"table": "orders-outbox", "topic_arn": outbox.topic_arn}],
    }
    (folder / "relay.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return start_module(
        "deployments.command",
        ["relay", "--config", str(folder / "relay.yaml")],
        environment=server.client_environment(aws.environ()),
        log=folder / "relay.log",
        directory=folder,
    )


def failed_task(aws: SimulatedAws, names: Sequence[str]) -> None:
    """DMS says of each task that it failed."""
    for name in names:
        detail = {"eventType": "REPLICATION_TASK_FAILED", "detailMessage": "Last Error", "category": "Failure"}
        arn = f"arn:aws:dms:us-east-1:000000000000:task:{name}"
        aws.put_event("aws.dms", "DMS Replication Task State Change", detail, [arn])


def _create_rules(aws: SimulatedAws, outputs: Mapping[str, str]) -> None:
    to = {"EventsQueueArn": outputs["EventsQueueArn"], "ParkedQueueArn": outputs["EventsDeadLetterQueueArn"]}
    own = {**to, "KeyArn": outputs["KeyArn"], "AlarmPrefix": "orders-"}
    estate.create(aws.client, estate.TEMPLATES / "events.yaml", "events", own)
    estate.create(aws.client, estate.TEMPLATES / "appflow.yaml", "appflow", to)
    by_sns = {**to, "KeyArn": outputs["KeyArn"], "Subscribe": "no"}  # the emulator has no such type of resource
    topic = estate.create(aws.client, estate.TEMPLATES / "dms.yaml", "dms", by_sns)["TopicArn"]
    aws.client("dms").create_event_subscription(
        SubscriptionName="reprise", SnsTopicArn=topic, SourceType="replication-task", EventCategories=["failure"]
    )


def _deploy(server: PrefectServer, outbox: OutboxWorld, folder: Path) -> dict[str, str]:
    """The deployments that events start, as `prefect.yaml` has them, for this queue and this outbox; ids by name."""
    pool = {"name": POOL, "type": "process", "base_job_template": ProcessWorker.get_default_base_job_template()}
    call(server, "/work_pools/", pool)
    document = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
    chosen = [deployment for deployment in document["deployments"] if deployment.get("triggers")]
    scope: dict[str, dict[str, Any]] = {
        "flows.dead_letters": {"queues": [MESSAGES]},
        "flows.outbox_records": {"table": "orders-outbox", "topic_arn": outbox.topic_arn},
    }
    for deployment in chosen:
        deployment["parameters"]["request"] |= scope.get(deployment["entrypoint"].rpartition(".")[0], {})
    (folder / "prefect.yaml").write_text(yaml.safe_dump({**document, "deployments": chosen}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=server.client_environment(),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    flows = {flow["id"]: flow["name"] for flow in call(server, "/flows/filter", {})}
    found = call(server, "/deployments/filter", {})
    return {f"{flows[deployment['flow_id']]}/{deployment['name']}": deployment["id"] for deployment in found}


def tagged_task(aws: SimulatedAws, name: str, text: str) -> str:
    """A DMS task that Reprise looks after, and that fails ten seconds after its start; its ARN."""
    dms = aws.client("dms")
    instance = dms.create_replication_instance(
        ReplicationInstanceIdentifier=f"{name}-instance", ReplicationInstanceClass="dms.t3.medium"
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    source, target = (
        dms.create_endpoint(EndpointIdentifier=f"{name}-{kind}", EndpointType=kind, EngineName="mysql")["Endpoint"]
        for kind in ("source", "target")
    )
    task: str = dms.create_replication_task(
        ReplicationTaskIdentifier=name,
        MigrationType="cdc",
        SourceEndpointArn=source["EndpointArn"],
        TargetEndpointArn=target["EndpointArn"],
        ReplicationInstanceArn=instance,
        TableMappings=json.dumps({"rules": []}),
        Tags=[{"Key": "reprise", "Value": "recover"}],
    )["ReplicationTask"]["ReplicationTaskArn"]
    fault = {"text": text, "stage": "cdc", "after_seconds": 10}
    aws.control("POST", "dms/script", {"replication": name, "future": {"faults": [fault]}})
    aws.clock.advance(5)
    dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")
    return task
