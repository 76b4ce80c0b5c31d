"""The scene of the AppFlow runs: four flows fail, each in its own way, and come back or reach a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo.scenes import DemoFailed, Row, Wiring, World
from recovery.appflow_runs.memory import Memory
from recovery.appflow_runs.models import PATH
from recovery.cases import Case, State
from recovery.ledger import Ledger

PEOPLE: Final = "demo-appflow-alerts"
POLICY: Final[dict[str, Any]] = {
    # Seconds in the place of minutes and hours, so that a person can watch.
    "backoff": {"base_seconds": 1, "factor": 2, "cap_seconds": 4},
}
ON_EVENT: Final = "appflow-runs/on-failure"
SWEEP: Final = "appflow-runs/sweep"
TAG: Final = "tag:reprise=recover"
PATIENT: Final = 600
"""Seconds that a sweep gives an event while events are on their way."""
DOWN: Final = {"error": "503 Service Unavailable: the connector could not reach the source", "records": 0, "seconds": 1}
SLOW: Final = {"error": "The request to the source timed out", "records": 0, "seconds": 1}
EXPIRED: Final = {"error": "invalid_grant: expired access/refresh token", "records": 0, "seconds": 1}
HOURLY: Final = {
    "scheduleExpression": "rate(1hours)",
    "dataPullMode": "Incremental",
    "flowErrorDeactivationThreshold": 2,
}
MOST_RUNS: Final = 15

RECOVERED: Final = "recovered"
NOTIFIED: Final = "a person was notified"
WARNED: Final = "waits for its schedule"
_STATES: Final = {RECOVERED: State.RECOVERED, NOTIFIED: State.ESCALATED, WARNED: State.BACKOFF}


@dataclass(frozen=True)
class Actor:
    """One flow of the scene.

    Attributes:
        name: its name.
        outcomes: the course of its runs; further ones succeed.
        end: its final state: RECOVERED, NOTIFIED or WARNED.
        runs: statuses of its runs in the end, the oldest first.
        alerts: beginning and end of the subjects of its alerts.
        schedule: of a scheduled flow.
        silent: the event of its failure is lost, so that only the sweep finds it.
    """

    name: str
    outcomes: tuple[Mapping[str, Any], ...]
    end: str
    runs: tuple[str, ...]
    alerts: tuple[str, ...] = ()
    schedule: Mapping[str, Any] | None = None
    silent: bool = False


ACTORS: Final = (
    Actor("orders-to-crm", (DOWN, SLOW), RECOVERED, ("Error", "Error", "Successful")),
    Actor(
        "stock-hourly",
        (DOWN,),
        WARNED,
        ("Error",),
        alerts=("Reprise: AppFlow is about to switch off flow stock-hourly",),
        schedule=HOURLY,
    ),
    Actor(
        "invoices-to-crm",
        (EXPIRED,),
        NOTIFIED,
        ("Error",),
        alerts=("Reprise: AppFlow flow invoices-to-crm needs a person (AUTH_FAILURE)",),
    ),
    Actor("unannounced-to-crm", ({**DOWN, "announced": False},), RECOVERED, ("Error", "Successful"), silent=True),
)
ANNOUNCED: Final = tuple(actor for actor in ACTORS if not actor.silent)
SILENT: Final = tuple(actor for actor in ACTORS if actor.silent)


class AppFlowScene:
    """See the module docstring."""

    title = "AppFlow runs"

    def prepare(self, world: World) -> None:
        """Create four flows and run each once; all fail within seconds."""
        self._subscribe(world)
        for actor in ACTORS:
            script = {"flow": actor.name, "outcomes": [dict(outcome) for outcome in actor.outcomes]}
            world.aws.control("POST", "appflow/script", script)
            make(world, actor)
        for actor in ANNOUNCED:
            world.aws.client("appflow").start_flow(flowName=actor.name)
        world.say(f"{len(ANNOUNCED)} AppFlow flows are run; each will fail within seconds")

    def wiring(self, world: World) -> Wiring:
        """All of them have failed, and AppFlow has announced it."""
        world.wait("flows to fail", lambda: all(self._runs(world, actor) for actor in ANNOUNCED), seconds=240)
        # A late event of another one would find the silent one, too, and here it is the sweep that shall find it.
        announced = {**_request("event"), "flows": [actor.name for actor in ANNOUNCED]}
        return Wiring({ON_EVENT: announced, SWEEP: _request("sweep", PATIENT)})

    def drive(self, world: World) -> None:
        """Events run again what failed, sweeps see whether it worked; then one fails whose event is lost."""
        world.wait("AppFlow's events to start a run", lambda: world.ended(ON_EVENT), seconds=240)
        self._sweep_until_settled(world, ANNOUNCED, PATIENT)
        for actor in SILENT:
            world.aws.client("appflow").start_flow(flowName=actor.name)
        world.say(f"{', '.join(actor.name for actor in SILENT)} is run; it will fail, and no event will announce it")
        world.wait("it to fail", lambda: all(self._runs(world, actor) for actor in SILENT), seconds=240)
        self._sweep_until_settled(world, ACTORS, 0)

    def _sweep_until_settled(self, world: World, actors: Sequence[Actor], grace: int) -> None:
        for _ in range(MOST_RUNS):
            run = world.run(SWEEP, _request("sweep", grace))
            if not run.completed:
                raise DemoFailed(f"{run.deployment} ended as {run.state}: {run.message} ({run.url})")
            world.say(f"{run.deployment}, early: {run.name}")
            if all(row.settled for row in self._rows(world, actors)):
                return
            world.pause(2)
        raise DemoFailed(f"after {MOST_RUNS} sweeps there are still flows to be settled")

    def settled(self, world: World) -> Sequence[Row]:
        """Return each flow's state now, by AppFlow and the ledger."""
        return self._rows(world, ACTORS)

    def _rows(self, world: World, actors: Sequence[Actor]) -> Sequence[Row]:
        cases = self._cases(world)
        counts = Counter(_place(self._runs(world, actor), cases.get(actor.name), actor) for actor in actors)
        ended = (RECOVERED, NOTIFIED, WARNED)
        return [Row(place, count, place.startswith(ended)) for place, count in sorted(counts.items())]

    def check(self, world: World) -> list[str]:
        """Runs, cases and alerts of each flow; and that no flow but these four is there."""
        cases = self._cases(world)
        subjects = [json.loads(message["body"])["Subject"] for message in world.aws.messages(PEOPLE)]
        wrong = []
        for actor in ACTORS:
            wrong += _differences(actor, self._runs(world, actor), cases.get(actor.name))
            alerts = sorted(subject for subject in subjects if actor.name in subject)
            if alerts != sorted(actor.alerts):
                wrong.append(f"{actor.name}: people heard {alerts}, expected {sorted(actor.alerts)}")
        there = {flow["flowName"] for flow in world.aws.client("appflow").list_flows(maxResults=100)["flows"]}
        if there != {actor.name for actor in ACTORS}:
            wrong.append(f"the flows {sorted(there)} are there")
        return wrong

    # -- inside --------------------------------------------------------------------------------------------------

    def _subscribe(self, world: World) -> None:
        sqs = world.aws.client("sqs")
        url = sqs.create_queue(QueueName=PEOPLE)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = world.aws.environment["REPRISE_ALERT_TOPIC_ARN"]
        # Other scenes alert through the same topic: only what names a flow is of interest here.
        world.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def _runs(self, world: World, actor: Actor) -> list[str]:
        """Statuses of the runs that have ended, the oldest first."""
        records = world.aws.client("appflow").describe_flow_execution_records(flowName=actor.name)["flowExecutions"]
        statuses = [record["executionStatus"] for record in reversed(records)]
        return [status for status in statuses if status != "InProgress"]

    def _cases(self, world: World) -> dict[str, Case]:
        ledger = Ledger(world.aws.client("dynamodb"), world.aws.environment["REPRISE_LEDGER_TABLE"])
        return ledger.read_cases(PATH, [actor.name for actor in ACTORS])


def make(world: World, actor: Actor) -> None:
    """Create the flow of an actor: from Salesforce to Salesforce, by key."""
    trigger: dict[str, Any] = {"triggerType": "OnDemand"}
    if actor.schedule is not None:
        trigger = {"triggerType": "Scheduled", "triggerProperties": {"Scheduled": dict(actor.schedule)}}
    written = {"object": "Order__c", "writeOperationType": "UPSERT", "idFieldNames": ["Id"]}
    world.aws.client("appflow").create_flow(
        flowName=actor.name,
        triggerConfig=trigger,
        sourceFlowConfig={
            "connectorType": "Salesforce",
            "connectorProfileName": "shop",
            "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
        },
        destinationFlowConfigList=[
            {"connectorType": "Salesforce", "destinationConnectorProperties": {"Salesforce": written}}
        ],
        tasks=[
            {
                "sourceFields": ["Id"],
                "connectorOperator": {"Salesforce": "NO_OP"},
                "destinationField": "Id",
                "taskType": "Map",
            }
        ],
        tags={"reprise": "recover"},
    )


def _request(trigger: str, grace: int = 0) -> dict[str, Any]:
    policy = {**POLICY, "event_grace_seconds": grace}
    return {"flows": [TAG], "policy": policy, "started_by": trigger, "dry_run": False}


def _place(runs: Sequence[str], case: Case | None, actor: Actor) -> str:
    if case is None:
        return "failed" if runs else "running"
    if case.state is State.RECOVERED:
        return f"{RECOVERED}: run again{', found without an event' if actor.silent else ''}"
    if case.state is State.ESCALATED:
        return f"{NOTIFIED}, and nothing was run"
    if actor.end == WARNED and case.state is State.BACKOFF:
        return f"{WARNED}; a person was notified that AppFlow may switch it off"
    return "run again, and watched" if case.state is State.SENT else "waiting for its next attempt"


def _differences(actor: Actor, runs: Sequence[str], case: Case | None) -> list[str]:
    wrong = []
    if tuple(runs) != actor.runs:
        wrong.append(f"{actor.name}: its runs are {list(runs)}, expected {list(actor.runs)}")
    if case is None or case.state is not _STATES[actor.end]:
        wrong.append(f"{actor.name}: its case is {case.state if case else 'missing'}, expected {_STATES[actor.end]}")
        return wrong
    memory = Memory.from_json(case.detail)
    if memory.missed is not actor.silent:
        wrong.append(f"{actor.name}: {'an event' if actor.silent else 'a missed event'} was counted")
    if actor.end == RECOVERED and memory.seconds_to_recover is None:
        wrong.append(f"{actor.name}: the ledger has no time to recover")
    if actor.end == WARNED and not memory.coverage.gaps():
        wrong.append(f"{actor.name}: its failed window is no gap")
    return wrong
