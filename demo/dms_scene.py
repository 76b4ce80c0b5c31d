"""The scene of the replications: six that fail, each in its own way, and how they come back or reach a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo.scenes import DemoFailed, Row, Wiring, World
from recovery.cases import Case, State
from recovery.ledger import Ledger
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import PATH

PEOPLE: Final = "demo-replication-alerts"
QUICK: Final[dict[str, Any]] = {"starting_seconds": 2, "setup_seconds": 6, "load_seconds": 6, "changes_per_second": 5}
POLICY: Final[dict[str, Any]] = {
    "allow_reload": ["catalog-load"],
    # Seconds in the place of minutes and hours, so that a person can watch.
    "backoff": {"base_seconds": 1, "factor": 2, "cap_seconds": 4},
    "settle_seconds": 3,
    "quiet_seconds": 30,
    "flap_seconds": 1,
}
ON_EVENT: Final = "replication-tasks/on-failure"
SWEEP: Final = "replication-tasks/sweep"
TAG: Final = "tag:reprise=recover"
PATIENT: Final = 600
"""Seconds that a sweep gives an event while events are on their way."""
RECOVERABLE: Final = "Last Error  ODBC general error. Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE"
REFUSED: Final = "Last Error  Access denied for user 'replicator'. Stop Reason FATAL_ERROR Error Level FATAL"
MOST_RUNS: Final = 12

RECOVERED: Final = "recovered"
NOTIFIED: Final = "a person was notified"


@dataclass(frozen=True)
class Actor:
    """One replication of the scene.

    Attributes:
        name: its identifier.
        migration: its migration type.
        faults: the failures of its script.
        starts: the start types that DMS must have accepted in the end.
        end: its final state: RECOVERED or NOTIFIED.
        status: its status in the end.
        emptied: number of times that its target may have been emptied.
        serverless: True for a serverless replication.
        silent: its events are lost, so that only the sweep finds it.
    """

    name: str
    migration: str
    faults: tuple[Mapping[str, Any], ...]
    starts: tuple[str, ...]
    end: str
    status: str
    emptied: int = 0
    serverless: bool = False
    silent: bool = False


FIRST: Final = "start-replication"
ACTORS: Final = (
    Actor(
        "orders-cdc",
        "cdc",
        ({"text": RECOVERABLE, "stage": "cdc", "after_seconds": 2},),
        (FIRST, "resume-processing"),
        RECOVERED,
        "running",
    ),
    Actor(
        "catalog-load",
        "full-load-and-cdc",
        ({"text": RECOVERABLE, "stage": "full-load", "after_seconds": 1.5},),
        (FIRST, "reload-target"),
        RECOVERED,
        "running",
        emptied=2,
    ),
    Actor(
        "ledger-load",
        "full-load-and-cdc",
        ({"text": RECOVERABLE, "stage": "full-load", "after_seconds": 2},),
        (FIRST,),
        NOTIFIED,
        "failed",
        emptied=1,
    ),
    Actor(
        "billing-cdc",
        "cdc",
        ({"text": REFUSED, "stage": "cdc", "after_seconds": 2, "times": None},),
        (FIRST,),
        NOTIFIED,
        "failed",
    ),
    Actor(
        "lake",
        "full-load-and-cdc",
        ({"text": RECOVERABLE, "stage": "cdc", "after_seconds": 1},),
        (FIRST, "resume-processing"),
        RECOVERED,
        "running",
        emptied=1,
        serverless=True,
    ),
    Actor(
        "unannounced-cdc",
        "cdc",
        ({"text": RECOVERABLE, "stage": "cdc", "after_seconds": 2},),
        (FIRST, "resume-processing"),
        RECOVERED,
        "running",
        silent=True,
    ),
)
ANNOUNCED: Final = tuple(actor for actor in ACTORS if not actor.silent)
SILENT: Final = tuple(actor for actor in ACTORS if actor.silent)
TABLES: Final = json.dumps(
    {
        "rules": [
            {
                "rule-type": "selection",
                "rule-id": str(number),
                "rule-name": table,
                "rule-action": "include",
                "object-locator": {"schema-name": "public", "table-name": table},
            }
            for number, table in enumerate(("orders", "items"), start=1)
        ]
    }
)


class ReplicationsScene:
    """See the module docstring."""

    title = "Replication tasks"

    def __init__(self) -> None:
        self._arns: dict[str, str] = {}

    def prepare(self, world: World) -> None:
        """Create six replications and start five; each fails within seconds."""
        self._subscribe(world)
        dms = world.aws.client("dms")
        instance = dms.create_replication_instance(
            ReplicationInstanceIdentifier="demo", ReplicationInstanceClass="dms.t3.medium"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        ends = {
            f"{kind.capitalize()}EndpointArn": dms.create_endpoint(
                EndpointIdentifier=f"demo-{kind}", EndpointType=kind, EngineName="aurora-postgresql"
            )["Endpoint"]["EndpointArn"]
            for kind in ("source", "target")
        }
        for actor in ACTORS:
            self._arns[actor.name] = self._make(world, actor, instance, ends)
            future = {**QUICK, "silent": actor.silent, "faults": list(actor.faults)}
            world.aws.control("POST", "dms/script", {"replication": actor.name, "future": future})
        world.wait("the tasks to be created", lambda: not self._in_status(world, "creating"), seconds=240)
        for actor in ANNOUNCED:
            self._start(world, actor)
        world.say(f"{len(ANNOUNCED)} replications are started; each will fail within seconds")

    def wiring(self, world: World) -> Wiring:
        """All of them have failed, and DMS has announced it."""
        world.wait("them to fail", lambda: len(self._in_status(world, "failed")) == len(ANNOUNCED), seconds=240)
        # A late event of another one would find the silent one, too, and here it is the sweep that shall find it.
        announced = {**_request("event"), "tasks": [actor.name for actor in ANNOUNCED]}
        return Wiring({ON_EVENT: announced, SWEEP: _request("sweep", PATIENT)})

    def drive(self, world: World) -> None:
        """Events restart what failed, sweeps see whether it held; then one fails whose events are lost."""
        world.wait("DMS's events to start a run", lambda: world.ended(ON_EVENT), seconds=240)
        self._sweep_until_settled(world, ANNOUNCED, PATIENT)
        for actor in SILENT:
            self._start(world, actor)
        world.say(f"{', '.join(actor.name for actor in SILENT)} is started; it will fail, and no event announces it")
        world.wait("it to fail", lambda: self._have_failed(world, SILENT), seconds=240)
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
        raise DemoFailed(f"after {MOST_RUNS} sweeps there are still replications to be settled")

    def settled(self, world: World) -> Sequence[Row]:
        """Return each replication's state now, by DMS and the ledger."""
        return self._rows(world, ACTORS)

    def _rows(self, world: World, actors: Sequence[Actor]) -> Sequence[Row]:
        found = self._found(world)
        cases = self._cases(world)
        counts = Counter(_place(found.get(actor.name), cases.get(actor.name), actor) for actor in actors)
        return [Row(place, count, place.startswith((RECOVERED, NOTIFIED))) for place, count in sorted(counts.items())]

    def check(self, world: World) -> list[str]:
        """Statuses, accepted starts, emptied targets, moved changes, cases and alerts."""
        found = self._found(world)
        cases = self._cases(world)
        wrong = []
        for actor in ACTORS:
            state, case = found[actor.name], cases.get(actor.name)
            wrong += _differences(actor, state, case)
        subjects = [json.loads(message["body"])["Subject"] for message in world.aws.messages(PEOPLE)]
        for actor in ACTORS:
            alerts = [subject for subject in subjects if subject.startswith(f"DMS {actor.name} ")]
            if len(alerts) != (actor.end == NOTIFIED):
                wrong.append(f"{actor.name}: {len(alerts)} alerts were sent: {alerts}")
        return wrong

    # -- inside --------------------------------------------------------------------------------------------------

    def _subscribe(self, world: World) -> None:
        sqs = world.aws.client("sqs")
        url = sqs.create_queue(QueueName=PEOPLE)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = world.aws.environment["REPRISE_ALERT_TOPIC_ARN"]
        # Other scenes alert through the same topic: only what speaks of a replication is of interest here.
        world.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def _make(self, world: World, actor: Actor, instance: str, ends: Mapping[str, str]) -> str:
        dms = world.aws.client("dms")
        tags = [{"Key": "reprise", "Value": "recover"}]
        if actor.serverless:
            made = dms.create_replication_config(
                ReplicationConfigIdentifier=actor.name,
                ReplicationType=actor.migration,
                ComputeConfig={"MaxCapacityUnits": 4},
                TableMappings=TABLES,
                Tags=tags,
                **ends,
            )
            return str(made["ReplicationConfig"]["ReplicationConfigArn"])
        made = dms.create_replication_task(
            ReplicationTaskIdentifier=actor.name,
            MigrationType=actor.migration,
            ReplicationInstanceArn=instance,
            TableMappings=TABLES,
            Tags=tags,
            **ends,
        )
        return str(made["ReplicationTask"]["ReplicationTaskArn"])

    def _start(self, world: World, actor: Actor) -> None:
        dms, arn = world.aws.client("dms"), self._arns[actor.name]
        if actor.serverless:
            dms.start_replication(ReplicationConfigArn=arn, StartReplicationType=FIRST)
        else:
            dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=FIRST)

    def _found(self, world: World) -> dict[str, dict[str, Any]]:
        names = {actor.name for actor in ACTORS}
        states = world.aws.control("GET", "dms/state")["replications"]
        return {state["name"]: state for state in states if state["name"] in names}

    def _in_status(self, world: World, status: str) -> list[str]:
        return [name for name, state in self._found(world).items() if state["status"] == status]

    def _have_failed(self, world: World, actors: Sequence[Actor]) -> bool:
        failed = self._in_status(world, "failed")
        return all(actor.name in failed for actor in actors)

    def _cases(self, world: World) -> dict[str, Case]:
        ledger = Ledger(world.aws.client("dynamodb"), world.aws.environment["REPRISE_LEDGER_TABLE"])
        found = ledger.read_cases(PATH, self._arns.values())
        return {name: found[arn] for name, arn in self._arns.items() if arn in found}


def _request(started_by: str, grace: int = 0) -> dict[str, Any]:
    policy = {**POLICY, "event_grace_seconds": grace}
    return {"tasks": [TAG], "policy": policy, "started_by": started_by, "dry_run": False}


def _place(state: Mapping[str, Any] | None, case: Case | None, actor: Actor) -> str:
    if state is None:
        return "not created yet"
    if case is None:
        return "failed" if state["status"] == "failed" else "not failed yet"
    if case.state is State.RECOVERED:
        how = "reloaded" if "reload-target" in state["starts"] else "resumed"
        return f"{RECOVERED}: {how}{', found without an event' if actor.silent else ''}"
    if case.state is State.ESCALATED:
        return f"{NOTIFIED}, and nothing was touched"
    return "restarted, and watched" if case.state is State.SENT else "waiting for its restart"


def _differences(actor: Actor, state: Mapping[str, Any], case: Case | None) -> list[str]:
    wrong = []
    if tuple(state["starts"]) != actor.starts:
        wrong.append(f"{actor.name}: DMS accepted {state['starts']}, expected {list(actor.starts)}")
    if state["status"] != actor.status:
        wrong.append(f"{actor.name}: it is {state['status']}, expected {actor.status}")
    if state["emptied"] != actor.emptied:
        wrong.append(f"{actor.name}: its target was emptied {state['emptied']} times, expected {actor.emptied}")
    if actor.status == "running" and (state["idle"] or not state["changes"]):
        wrong.append(f"{actor.name}: it runs, and nothing moves")
    expected = State.RECOVERED if actor.end == RECOVERED else State.ESCALATED
    if case is None or case.state is not expected:
        wrong.append(f"{actor.name}: its case is {case.state if case else 'missing'}, expected {expected}")
    elif actor.end == RECOVERED:
        memory = Memory.from_json(case.detail)
        if memory.seconds_to_recover is None:
            wrong.append(f"{actor.name}: the ledger has no time to recover")
        if memory.missed is not actor.silent:
            wrong.append(f"{actor.name}: {'an event' if actor.silent else 'a missed event'} was counted")
    return wrong
