"""From what happens in AWS to the first recovery call: simulated AWS, relay, Prefect server and worker as shipped.

The worker takes turns: as shipped, which forks each run from a process that has everything loaded, and with `--cold`,
which starts a Python for each.

Each event is put where AWS puts it: on EventBridge (DMS, AppFlow), on SNS (DMS's notifications), into a dead-letter
queue (its depth is watched) or into an outbox table (its stream is read). The clock stops at the first request of the
path that the run makes, in the simulated AWS's own log of requests. At least ten seconds lie between two events.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from rich.table import Table

from demo.scenes import DemoFailed, World
from demo.stage import deploy, start_relay, start_worker, world
from deployments.processes import stop
from simulated_aws import estate

EVENTS = 30
APART = 10.0
"""Least seconds between two events."""
WORKERS = {"warm": (), "cold": ("--cold",)}
TURNS = 2
TABLE, QUEUE, TOPIC = "latency-outbox", "back-office-dlq", "latency-orders"
LONGEST = 180.0
PHASES = ("relay", "trigger", "worker", "interpreter", "flow")
_ACCOUNT = "000000000000"
_PATIENCE = 75.0
"""Seconds: on SQLite the server may let everybody wait a minute for a lock, and that belongs to what is measured."""


@dataclass(frozen=True)
class Source:
    """One source of events.

    Attributes:
        name: for people.
        deployment: the deployment that they start.
        put: lets one happen.
        service, operations: the first request of the run: any of the service where no operation is named.
    """

    name: str
    deployment: str
    put: Callable[[World, int], None]
    service: str
    operations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One event; seconds of each phase, which add up to the whole.

    Attributes:
        source: the name of its source.
        seconds: from the event to the first recovery call.
        phases: relay (until Prefect accepted the event), trigger (until the run was made), worker (until it took the
            run), interpreter (until the flow ran), flow (until its first request).
    """

    source: str
    seconds: float
    phases: tuple[float, ...]


def _dms(made: World, number: int) -> None:
    detail = {
        "type": "REPLICATION_TASK",
        "category": "Failure",
        "eventType": "REPLICATION_TASK_FAILED",
        "detailMessage": "Last Error Task error notification received. Stop Reason RECOVERABLE_ERROR",
    }
    arn = f"arn:aws:dms:us-east-1:{_ACCOUNT}:task:LATENCY{number}"
    made.aws.put_event("aws.dms", "DMS Replication Task State Change", detail, [arn])


def _notification(made: World, number: int) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    message = {
        "Event Source": "replication-task",
        "Event Time": now,
        "SourceId": f"latency-{number}",
        "Event ID": "http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html#DMS-EVENT-0078 ",
        "Event Message": "Replication task has failed.",
        "Notification time": now,
    }
    topic = f"arn:aws:sns:us-east-1:{_ACCOUNT}:reprise-dms-events"
    made.aws.client("sns").publish(TopicArn=topic, Subject="DMS Notification Message", Message=json.dumps(message))


def _flow(made: World, number: int) -> None:
    detail = {
        "flow-name": f"latency-{number}",
        "flow-arn": f"arn:aws:appflow:us-east-1:{_ACCOUNT}:flow/latency-{number}",
        "execution-id": str(uuid4()),
        "status": "Execution Failed",
        "trigger-type": "ONDEMAND",
        "num-of-record-failures": "0",
        "error": "503 Service Unavailable",
    }
    made.aws.put_event("aws.appflow", "AppFlow End Flow Run Report", detail, [])


def _message(made: World, number: int) -> None:
    made.aws.client("sqs").send_message(QueueUrl=made.aws.queue_url(QUEUE), MessageBody=json.dumps({"order": number}))


def _row(made: World, number: int) -> None:
    item = {"id": {"S": f"row-{number}"}, "message": {"S": json.dumps({"order": number})}}
    made.aws.client("dynamodb").put_item(TableName=TABLE, Item=item)


SOURCES = (
    Source("DMS by EventBridge", "replication-tasks/on-failure", _dms, "dms"),
    Source("AppFlow by EventBridge", "appflow-runs/on-failure", _flow, "appflow"),
    Source("outbox by its stream", "outbox-records/on-insert", _row, "dynamodb", ("DescribeTable",)),
    Source("DMS by SNS", "replication-tasks/on-failure", _notification, "dms"),
    Source("dead letters by depth", "dead-letters/on-event", _message, "sqs", ("GetQueueUrl", "ListQueues")),
)


def run(events: int = EVENTS) -> list[Table]:
    """Measure; for each kind of worker two tables: the seconds by source, and where they go."""
    measured: dict[str, list[Measured]] = {kind: [] for kind in WORKERS}
    with tempfile.TemporaryDirectory() as folder, world(lambda _: None, Path(folder)) as made:
        deploy(made)
        _wire(made)
        numbers = itertools.count()
        for kind in [*WORKERS] * TURNS:
            worker = start_worker(made, *WORKERS[kind])
            # The first runs compile and fill caches; what has just started is not what is asked about.
            for source in SOURCES:
                _measure(made, source, next(numbers))
            measured[kind] += [
                _measure(made, SOURCES[number % len(SOURCES)], next(numbers)) for number in range(events // TURNS)
            ]
            stop(worker)
    return [table for kind, found in measured.items() for table in (_by_source(kind, found), _by_phase(kind, found))]


def _wire(made: World) -> None:
    outputs = estate.create(
        made.aws.client, estate.TEMPLATES / "outbox.yaml", "latency", {"TableName": TABLE, "TopicName": TOPIC}
    )
    outbox = {"table": TABLE, "topic_arn": outputs["TopicArn"], "dry_run": False}
    made.runs.configure("outbox-records/on-insert", outbox)
    made.runs.configure("dead-letters/on-event", {"queues": [QUEUE], "dry_run": False})
    for source in SOURCES[:2]:
        names, started = ("tasks" if source.service == "dms" else "flows"), "started_by"
        made.runs.configure(source.deployment, {names: ["tag:reprise=recover"], started: "event", "dry_run": False})
    start_relay(made, queues=[QUEUE], outboxes=[outbox])


def _measure(made: World, source: Source, number: int) -> Measured:
    # The runs and the burst of an earlier event of this kind must be over.
    _wait("earlier runs to end", lambda: all(found.has_ended for found in made.runs.all()))
    made.pause(APART)
    made.aws.clear_requests()
    begun = time.time()
    source.put(made, number)
    found: dict[str, Any] = {}
    call = _wait(f"the first call of {source.deployment}", lambda: _first_call(made, source, begun, found))
    if source.service == "sqs":
        made.aws.client("sqs").purge_queue(QueueUrl=made.aws.queue_url(QUEUE))
    moments = [begun, found["received"], found["created"], found["taken"], found["began"], call]
    phases = tuple(after - before for before, after in itertools.pairwise(moments))
    return Measured(source.name, call - begun, phases)


def _first_call(made: World, source: Source, begun: float, found: dict[str, Any]) -> float | None:
    """Return the time of the first request, once the run that the event started is known to have begun before it."""
    if not _run_of(made, source, begun, found):
        return None
    for request in made.aws.control("GET", "requests?times=1"):
        wanted = request["service"] == source.service and request["operation"] in (
            source.operations or (request["operation"],)
        )
        if wanted and request["at"] >= found["began"]:
            return float(request["at"])
    return None


def _run_of(made: World, source: Source, begun: float, found: dict[str, Any]) -> bool:
    after = (datetime.fromtimestamp(begun, UTC) - timedelta(seconds=1)).isoformat()
    deployment = _ask(made, "GET", f"deployments/name/{source.deployment}")["id"]
    wanted = {
        "deployments": {"id": {"any_": [deployment]}},
        "flow_runs": {"expected_start_time": {"after_": after}, "start_time": {"after_": after}},
        "sort": "START_TIME_ASC",
    }
    runs = [one for one in _ask(made, "POST", "flow_runs/filter", wanted) if one["state_type"] != "CANCELLED"]
    if not runs:
        return False
    states = _ask(made, "GET", f"flow_run_states/?flow_run_id={runs[0]['id']}")
    times = {state["type"]: _seconds(state["timestamp"]) for state in reversed(states)}
    events = _ask(made, "POST", "events/filter", {"filter": {"event": {"prefix": ["reprise."]}}})["events"]
    received = [_seconds(event["received"]) for event in events if _seconds(event["received"]) >= begun]
    if "RUNNING" not in times or not received:
        return False
    created = _seconds(runs[0]["created"])
    began = min(_seconds(state["timestamp"]) for state in states if state["type"] == "RUNNING")
    taken = min((_seconds(state["timestamp"]) for state in states if state["type"] == "PENDING"), default=began)
    found.update(received=min(*received, created), created=created, taken=taken, began=began)
    return True


def _ask(made: World, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    for _ in range(8):
        answer = httpx.request(
            method,
            f"{made.prefect.api_url}/{path}",
            json=body,
            timeout=_PATIENCE,
            trust_env=False,
            auth=made.prefect.http_auth,
        )
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        made.pause(1)
    answer.raise_for_status()
    return answer.json()


def _wait(what: str, probe: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LONGEST
    while True:
        if answer := probe():
            return answer
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {LONGEST:.0f} s for {what}")
        # Seldom enough that asking does not become the load.
        time.sleep(1)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _by_source(kind: str, measured: list[Measured]) -> Table:
    table = Table(
        title=f"From an event in AWS to the first recovery call, {kind} worker, {len(measured)} events, seconds",
        caption=f"Events at least {APART:.0f} s apart; load at the end {os.getloadavg()[0]:.1f}."
        " Everything runs on this machine.",
    )
    for column in ("source", "events", "median", "95th percentile", "most"):
        table.add_column(column, justify="left" if column == "source" else "right")
    names = [*dict.fromkeys(one.source for one in measured), ""]
    for name in names:
        seconds = [one.seconds for one in measured if name in ("", one.source)]
        table.add_row(
            name or "all",
            str(len(seconds)),
            *(f"{value:.1f}" for value in (statistics.median(seconds), percentile(seconds, 0.95), max(seconds))),
        )
    return table


def _by_phase(kind: str, measured: list[Measured]) -> Table:
    table = Table(
        title=f"Seconds by phase, {kind} worker",
        caption="relay: until Prefect received the event; trigger: until the run was made; worker: until it took the"
        " run; interpreter: until the flow ran; flow: until its first request of the path.",
    )
    for column in ("phase", "median", "95th percentile"):
        table.add_column(column, justify="left" if column == "phase" else "right")
    for number, phase in enumerate(PHASES):
        seconds = [one.phases[number] for one in measured]
        table.add_row(phase, f"{statistics.median(seconds):.2f}", f"{percentile(seconds, 0.95):.2f}")
    return table
