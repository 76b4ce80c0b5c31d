"""Secrets and templates planted wherever a stranger can write: none gets out of AWS, and none is ever carried out.

One day of all four paths and the relay on one Prefect server: bodies, attributes, error texts, rows, messages of DMS
and AppFlow, and events hold secrets, Jinja, Prefect's own template marks, markup and shell.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.sorting import ArtifactSort
from prefect.events import DeploymentEventTrigger
from prefect.settings import PREFECT_API_URL

from flows.appflow_runs import recover_appflow_runs
from flows.cases import list_cases
from flows.digest import report_day
from flows.outbox_records import recover_outbox_records
from flows.replication_tasks import recover_replication_tasks
from proof.crash.relay_scene import Prompt, Rounds
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.digest.request import DigestRequest
from recovery.histories.requests import ListRequest
from recovery.replication_tasks.policy import ReplicationRequest
from relay.prefect_events import PrefectEvents
from relay.service import Relay
from tests.dead_letters_world import ERROR, DeadLettersWorld, text
from tests.orchestration.dead_letters_runs import run, task_runs
from tests.orchestration.test_appflow_runs import failure
from tests.orchestration.test_appflow_runs import make as make_flow
from tests.orchestration.test_dead_letters_privacy import rows
from tests.orchestration.test_replication_tasks import make as make_task
from tests.outbox_world import OutboxWorld
from tests.project.checkout import PROJECT
from tests.unit.events.test_appflow import REPORT
from tests.unit.events.test_hints import FAILED, NOTIFICATION, envelope
from tests.waiting import wait_for

BODY = "canary-in-the-body"
ATTRIBUTE = "canary-in-an-attribute"
SECRETS = ("canarysecret8812xyz", "canary.two@example.org", "eyJhbGciOiJub25lIn0.canarytwocanarytwo.x")
PRODUCT = str(719171 * 719393)
"""Result of evaluating the template: it stands nowhere, unless somebody did."""
EVIL = (
    "{{ 719171*719393 }} {{{719171*719393}}} {% for x in range(9) %}{{ 719171*719393 }}{% endfor %}"
    ' {"__prefect_kind": "jinja", "template": "{{ 719171*719393 }}"} <script>boo()</script> [go](javascript:boo())'
    " $(touch owned) `touch owned`"
)
LEAKY = (
    "HTTP 401 Unauthorized for canary.two@example.org: password=canarysecret8812xyz was refused,"
    f" Authorization: Bearer eyJhbGciOiJub25lIn0.canarytwocanarytwo.x {EVIL}"
)

PAGES = {"# Dead letters", "# Outbox records", "# Replication tasks", "# AppFlow runs"}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in: what a shell would make appears here."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_planted_gets_out_or_is_carried_out(
    world: DeadLettersWorld, elsewhere: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every place that people or machines read is searched for every secret, and for what templates would yield."""
    for name in ("", "prefect", "prefect.flow_runs", "prefect.task_runs"):
        caplog.set_level(logging.DEBUG, name)
    for name in ("botocore", "boto3", "urllib3", "s3transfer", "httpcore", "httpx"):
        caplog.set_level(logging.INFO, name)  # their own debug lines show requests whole
    began = datetime.now(UTC)
    dead = _messages(world)
    _rows(world)
    _replications(world)
    _flows(world)
    started = _events(world)
    report_day(DigestRequest(day=world.aws.clock.now().date(), dry_run=False))
    list_cases(ListRequest())

    places = {
        "Prefect's database": "\n".join(rows()),
        "logs": "\n".join(record.getMessage() for record in caplog.records),
        "console": "".join(capfd.readouterr()),
        "ledger": str(world.items()),
        "alerts": "\n".join(str(message["body"]) for message in world.aws.messages("people")),
        "metrics": str(world.aws.client("cloudwatch").list_metrics(Namespace="Reprise")["Metrics"]),
        "lists of runs": "\n".join(_reports(world)),
    }
    for name in ("Prefect's database", "logs", "ledger", "alerts", "metrics", "lists of runs"):
        assert dead in places[name], f"the check looks at the right place: {name}"
    assert _leaks(places) == []
    pages = _artifacts(began)
    assert {page.partition("\n")[0] for page in pages} >= PAGES
    for page in pages:
        assert "{{" not in page
        assert "{%" not in page
        plain = re.sub(r"`[^`]*`", "", page)  # what stands in a span of code is shown as it is
        assert "<script" not in plain
        assert "](javascript:" not in plain
    assert all("{{" not in json.dumps(parameters) for parameters in started)
    assert list(elsewhere.rglob("owned")) == []


def _leaks(places: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return each find with its place and the text around it."""
    return [
        (planted, place, found[max(0, found.index(planted) - 100) : found.index(planted) + 50])
        for planted in (BODY, ATTRIBUTE, *SECRETS, PRODUCT)
        for place, found in places.items()
        if planted in found
    ]


def _messages(world: DeadLettersWorld) -> str:
    """Healed, reported and archived; returns the queue."""
    pair = world.pair()
    attributes = {"tenant": text(ATTRIBUTE), "evil": text(EVIL)}
    for error in (LEAKY, f"HTTP 422 Unprocessable Entity: {LEAKY}", f"HTTP 503 Service Unavailable {LEAKY}", EVIL):
        body = json.dumps({"body": BODY, "evil": EVIL, "__prefect_kind": "json", "value": EVIL})
        world.send(pair.dead, [{"MessageBody": body, "MessageAttributes": {**attributes, ERROR: text(error)}}])
    state = run(world, pair.dead)
    assert task_runs(state)
    return pair.dead


def _rows(world: DeadLettersWorld) -> None:
    """One is sent, one is refused for its text, and two meet a topic whose words hold everything."""
    outbox = OutboxWorld(world.aws)
    outbox.pending(f"sent {EVIL}"[:200], f"{BODY} {EVIL}")
    outbox.pending("bad", "", attribute=ATTRIBUTE)
    recover_outbox_records(outbox.request(), return_state=True)
    outbox.pending("refused", BODY)
    world.aws.fault(
        "error", service="sns", operation="PublishBatch", code="InvalidParameter", message=LEAKY, status=400, times=None
    )
    recover_outbox_records(outbox.request(), return_state=True)
    world.aws.lift_faults()


def _replications(world: DeadLettersWorld) -> None:
    dms = world.aws.client("dms")
    dms.create_replication_instance(ReplicationInstanceIdentifier="r1", ReplicationInstanceClass="dms.t3.medium")
    for kind in ("source", "target"):
        dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, EngineName="postgres")
    make_task(world.aws, "orders", "cdc", f"Last Error  {LEAKY}")
    recover_replication_tasks(ReplicationRequest(tasks=("orders",), dry_run=False), return_state=True)


def _flows(world: DeadLettersWorld) -> None:
    make_flow(world.aws, "orders", failure(LEAKY))
    recover_appflow_runs(AppFlowRequest(flows=("orders",), dry_run=False), return_state=True)


def _events(world: DeadLettersWorld) -> list[Any]:
    """Return the relay's events of bodies that hold everything, and the parameters of the runs that triggers start."""
    sqs = world.aws.client("sqs")
    url, parked = (world.aws.environment[f"REPRISE_EVENTS_{name}QUEUE_URL"] for name in ("", "PARKED_"))
    sqs.send_message(QueueUrl=url, MessageBody=f"no JSON: {LEAKY} {BODY}")
    listened = world.connection().client("sqs")

    def notified() -> list[Any]:
        for body in _hostile():
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
        events = PrefectEvents(str(PREFECT_API_URL.value()))
        Relay(Prompt(listened, url, parked), events, [], world.aws.clock.now, Rounds(2)).run()
        events.close()
        with get_client(sync_client=True) as client:
            found = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[*deployments]))
            )
        return [each.parameters for each in found] if {each.deployment_id for each in found} == deployments else []

    automations, deployments = asyncio.run(_deployed())
    try:
        started = wait_for("a run of each deployment", notified, seconds=60)
    finally:
        asyncio.run(_removed(automations, deployments))
    assert world.aws.messages("reprise-events-parked")
    return list(started)


def _hostile() -> Iterator[dict[str, Any]]:
    """Events of DMS, AppFlow and SNS, each under an id of its own."""
    task, flow = json.loads(json.dumps([FAILED, REPORT]))
    marked = {"__prefect_kind": "jinja", "template": EVIL}
    task["detail"] |= {"detailMessage": LEAKY, **marked}
    task["resources"] = [f"arn:aws:dms:eu-west-1:123456789012:task:{EVIL}"]
    flow["detail"] |= {"status": LEAKY, "flow-name": f"orders {EVIL}", "destination-object": LEAKY, **marked}
    for event in (task, flow):
        yield {**event, **marked, "id": str(uuid4())}
    yield envelope({**NOTIFICATION, "Event Message": f"Replication task has failed. {LEAKY}", "Event ID": str(uuid4())})


async def _deployed() -> tuple[set[UUID], set[UUID]]:
    """The deployments of prefect.yaml that events of DMS and AppFlow start, with their triggers as they stand there."""
    document = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
    wanted = {"reprise.dms.*", "reprise.appflow.*"}
    automations, deployments = set(), set()
    async with get_client() as client:
        flow_id = await client.create_flow(recover_replication_tasks)
        for described in document["deployments"]:
            for trigger in described.get("triggers", ()):
                if trigger["match"]["prefect.resource.id"] not in wanted:
                    continue
                deployment = await client.create_deployment(
                    flow_id=flow_id, name=f"canaries-{uuid4().hex[:8]}", parameters=described["parameters"]
                )
                deployments.add(deployment)
                automation = DeploymentEventTrigger.model_validate(trigger)
                automation.set_deployment_id(deployment)
                automations.add(await client.create_automation(automation.as_automation()))
    assert len(deployments) == len(wanted)
    return automations, deployments


async def _removed(automations: set[UUID], deployments: set[UUID]) -> None:
    async with get_client() as client:
        for automation in automations:
            await client.delete_automation(automation)
        for deployment in deployments:
            await client.delete_deployment(deployment)


def _reports(world: DeadLettersWorld) -> Iterator[str]:
    """Everything in the archive's bucket but the archive itself, which holds bodies by design."""
    s3 = world.aws.client("s3")
    for entry in s3.list_objects_v2(Bucket=world.bucket).get("Contents", []):
        if not entry["Key"].startswith("archive/"):
            yield gzip.decompress(s3.get_object(Bucket=world.bucket, Key=entry["Key"])["Body"].read()).decode()


def _artifacts(since: datetime) -> list[str]:
    """Every page that people see of these runs; tables hold values, which nobody renders."""

    async def read() -> list[str]:
        async with get_client() as client:
            found = await client.read_artifacts(sort=ArtifactSort.CREATED_DESC, limit=200)
            return [
                str(page.data) for page in found if page.type == "markdown" and page.created and page.created > since
            ]

    return asyncio.run(read())
