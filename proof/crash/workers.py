"""Many workers on one queue, table and list of tasks: their histories must agree on who settled what, and when.

The workers are processes of their own and start at once. Two things are checked: AWS's side, and each worker's history
(its requests that settle something, with their times). The simulated AWS carries out one request after another, as it
must for conditional writes to mean anything.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from blocks.connection import Connection
from flows.replication_tasks import recover_replication_tasks
from proof.crash.dead_letters_scenes import Messages, waiting
from proof.crash.flow_scenes import Flows
from proof.crash.outbox_scenes import Outbox
from proof.crash.process import Child, in_child
from proof.crash.replication_scenes import Replications, failing
from proof.crash.scene import Findings, Unpaced, for_one_run
from proof.plain_prefect import play as play_flow
from recovery.replication_tasks.policy import ReplicationRequest
from recovery.scope import StartedBy
from simulated_aws.server import SimulatedAws
from tasks.replication_tasks import open_run
from tests.dead_letters_world import AUTH, TIMEOUT
from tests.unit.replication_tasks.situations import RECOVERABLE

WORKERS = (2, 4, 8, 16)
ROUNDS = 3
"""Runs of every worker on a FIFO queue: messages that must wait are hidden by the first, and each later one goes on."""

Entry = tuple[str, str, float, float]
"""Operation, item, and when its request left and was answered (seconds of this machine's clock)."""

Items = Callable[[dict[str, Any]], Iterable[str]]
"""Items that the parameters of a request settle."""


@dataclass
class History:
    """Items that one worker settled."""

    entries: list[Entry] = field(default_factory=list)
    _now: threading.local = field(default_factory=threading.local)

    def watch(
        self, client: Any, service: str, operation: str, items: Callable[[dict[str, Any]], Iterable[str]]
    ) -> None:
        """Write down the requests of an operation, and which items they settle."""

        def leaves(params: dict[str, Any], **_: Any) -> None:
            self._now.left, self._now.items = time.time(), list(items(params))

        def answered(**_: Any) -> None:
            self.entries += [(operation, item, self._now.left, time.time()) for item in self._now.items]

        client.meta.events.register(f"provide-client-params.{service}.{operation}", leaves)
        client.meta.events.register(f"after-call.{service}.{operation}", answered)


def settled_once(histories: list[list[Entry]], operation: str, wanted: Iterable[str]) -> Findings:
    """Each item was settled by one worker, once; the finding says who did it, and when."""
    found = Findings()
    by_item: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for worker, entries in enumerate(histories):
        for name, item, left, answered in entries:
            if name == operation:
                by_item[item].append((worker, left, answered))
    for item in wanted:
        times = sorted(by_item[item], key=lambda each: each[1])
        if not times:
            found.lost.append(f"{item}: nobody settled it")
        elif len(times) > 1:
            first = times[0][1]
            story = ", ".join(f"worker {who} at {left - first:.3f} s" for who, left, _ in times)
            found.doubled[item] = len(times)
            found.excess.append(f"{item} was settled {len(times)} times: {story}")
    return found


class Crew:
    """Starts workers at once.

    Args:
        aws: the one in which they work.
        connection: clients that no process has used.
    """

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        self._aws = aws
        self._connection = connection

    def work(self, count: int, run: Callable[[Connection, History], Any]) -> tuple[list[list[Entry]], list[str]]:
        """The workers' histories, and what went wrong with any of them."""
        start = os.pipe()

        def one(connection: Connection) -> list[Entry]:
            history = History()
            os.close(start[1])
            os.read(start[0], 1)  # all at once: it ends when the parent lets go of the pipe
            run(connection, history)
            return history.entries

        children = []
        for _ in range(count):
            connection = for_one_run(self._connection, self._aws)
            children.append(Child(lambda connection=connection: one(connection)))  # type: ignore[misc]
        os.close(start[1])
        os.close(start[0])
        ended = [child.wait(240) for child in children]
        return [each.value or [] for each in ended], [each.error for each in ended if each.error]


def messages(aws: SimulatedAws, connection: Connection, count: int) -> Findings:
    """Eighty messages to heal and twenty to park: each sent once, by the worker that received it."""
    aws.reset()
    scene = Messages(aws, connection)
    scene.policy = waiting(1.0)
    world = scene.world
    scene.pair = world.pair()
    world.die(scene.pair, [TIMEOUT] * 80 + [AUTH] * 20)
    scene.originals = world.bodies(scene.pair.dead)
    healing = {f'{{"order": {n}}}' for n in range(80)}

    def run(own: Connection, history: History) -> None:
        sqs = own.client("sqs", repeat=False)
        history.watch(sqs, "sqs", "SendMessageBatch", lambda params: [e["MessageBody"] for e in params["Entries"]])
        scene.run(own)

    histories, errors = Crew(aws, connection).work(count, run)
    found = settled_once(histories, "SendMessageBatch", healing)
    found.wrong += errors
    found.copies(world.bodies(scene.pair.source), healing, 1)
    found.copies(scene.archived(), set(scene.originals) - healing, 1)
    found.expect(not world.bodies(scene.pair.dead), "left behind")
    found.expect(len(world.alerts(scene.pair.dead)) == 1, f"{len(world.alerts(scene.pair.dead))} alerts for one group")
    return found


def probes(aws: SimulatedAws, connection: Connection, count: int) -> Findings:
    """Forty messages that came back: one of all workers opens their circuit, and one message of all probes it."""
    aws.reset()
    scene = Messages(aws, connection)
    scene.policy = waiting(1.0).model_copy(update={"circuit_opens_after": 2})
    world = scene.world
    scene.pair = world.pair()
    world.die(scene.pair, [TIMEOUT] * 40)
    originals = world.bodies(scene.pair.dead)
    first = in_child(lambda: scene.run(for_one_run(connection, aws)))
    aws.clock.advance(2)
    world.fail(scene.pair.source)

    def run(own: Connection, history: History) -> None:
        scene.run(own)

    _, errors = Crew(aws, connection).work(count, run)
    found = Findings(wrong=[*errors, *filter(None, [first.error])])
    back = world.bodies(scene.pair.source)
    found.copies([*back, *world.bodies(scene.pair.dead)], originals, 1)
    # A worker that received fewer messages than open a circuit sends them: nothing says yet that the cause persists.
    found.expect(1 <= len(back) <= 1 + (count - 1), f"{len(back)} messages probe")
    opened = [alert for alert in world.alerts(scene.pair.dead) if "opened" in alert]
    found.expect(len(opened) == 1, f"{len(opened)} alerts of one circuit")
    return found


def outbox(aws: SimulatedAws, connection: Connection, count: int) -> Findings:
    """A hundred rows: each published once, and marked by the worker that published it."""
    aws.reset()
    scene = Outbox(aws)
    world = scene.world
    scene.rows = [f"row-{n}" for n in range(100)]
    for n, row in enumerate(scene.rows):
        world.pending(row, row, shard=n % 2)

    def run(own: Connection, history: History) -> None:
        sns = own.client("sns", repeat=False)
        entries = "PublishBatchRequestEntries"
        history.watch(sns, "sns", "PublishBatch", lambda params: [each["Message"] for each in params[entries]])
        scene.run(own)

    histories, errors = Crew(aws, connection).work(count, run)
    found = settled_once(histories, "PublishBatch", scene.rows)
    found.wrong += errors
    found.copies(world.delivered_texts(), scene.rows, 1)
    statuses = Counter(world.statuses().values())
    found.expect(statuses == {"Successful": 100}, f"statuses: {statuses}")
    return found


def replications(aws: SimulatedAws, connection: Connection, count: int) -> Findings:
    """Twelve failed tasks: each restarted once, and nobody even asked DMS twice."""
    aws.reset()
    scene = Replications(aws)
    scene.stage()
    names = [f"task-{n}" for n in range(12)]
    for name in names:
        scene.make(name, "cdc", failing(RECOVERABLE))
    aws.clock.advance(300)
    request = ReplicationRequest(tasks=("task-*",), dry_run=False, started_by=StartedBy.SWEEP)

    def run(own: Connection, history: History) -> None:
        arn = "ReplicationTaskArn"
        history.watch(own.client("dms", repeat=False), "dms", "StartReplicationTask", lambda p: [p[arn]])
        play_flow(recover_replication_tasks, request, open_run(own, request, cast(Any, Unpaced())))

    histories, errors = Crew(aws, connection).work(count, run)
    states = scene.states()
    found = settled_once(histories, "StartReplicationTask", [states[name]["arn"] for name in names])
    found.wrong += errors
    for name in names:
        starts = states[name]["starts"]
        if len(starts) > 2:
            found.excess.append(f"{name}: {starts}")
        found.expect(starts[1:] == ["resume-processing"], f"{name}: {starts}")
    return found


def ordered_messages(aws: SimulatedAws, connection: Connection, count: int) -> Findings:
    """Ten groups of eight messages on a FIFO queue: each sent once, and every group in its order."""
    aws.reset()
    scene = Messages(aws, connection, fifo=True)
    scene.policy = waiting(1.0)
    world = scene.world
    scene.pair = world.pair(fifo=True)
    for n in range(10):
        world.die(scene.pair, [TIMEOUT] * 8, MessageBody=f"group {n}, message {{n}}", MessageGroupId=f"group-{n}")
    healing = set(world.bodies(scene.pair.dead))

    def run(own: Connection, history: History) -> None:
        sqs = own.client("sqs")  # a FIFO send may be repeated: SQS knows it by its deduplication id
        history.watch(sqs, "sqs", "SendMessageBatch", lambda params: [e["MessageBody"] for e in params["Entries"]])
        scene.run(own)

    crew, histories, errors = Crew(aws, connection), [], []
    for _ in range(ROUNDS):
        more, wrong = crew.work(count, run)
        histories += more
        errors += wrong
        scene.later()
    found = settled_once(histories, "SendMessageBatch", healing)
    found.wrong += errors
    arrived = world.bodies(scene.pair.source)
    found.copies(arrived, healing, 1)
    for n in range(10):
        group = [body for body in arrived if body.startswith(f"group {n},")]
        found.expect(group == sorted(group), f"group {n} out of order: {group}")
    found.expect(not world.bodies(scene.pair.dead), "left behind")
    return found


def flows(aws: SimulatedAws, connection: Connection, count: int) -> Findings:
    """Twelve flows whose run failed: each run again once, and nobody even asked AppFlow twice."""
    aws.reset()
    aws.create_estate()
    scene = Flows(aws, connection)
    names = [f"flow-{n}" for n in range(12)]
    for name in names:
        scene.make(name)
    aws.clock.advance(600)

    def run(own: Connection, history: History) -> None:
        history.watch(own.client("appflow"), "appflow", "StartFlow", lambda params: [params["flowName"]])
        scene.run(own)

    histories, errors = Crew(aws, connection).work(count, run)
    found = settled_once(histories, "StartFlow", names)
    found.wrong += errors
    aws.clock.advance(600)
    for name in names:
        found.expect(scene.statuses(name) == scene.runs, f"{name}: {scene.statuses(name)}")
    return found


CREWS = (
    ("messages", messages),
    ("messages in order", ordered_messages),
    ("messages that probe", probes),
    ("outbox rows", outbox),
    ("replications", replications),
    ("flows", flows),
)


def play(aws: SimulatedAws, connection: Connection, counts: Iterable[int] = WORKERS) -> tuple[list[str], str]:
    """Every list with each number of workers; what must not be, and the report."""
    violations, lines = [], []
    for name, scene in CREWS:
        for count in counts:
            found = scene(aws, connection, count)
            violations += [f"{count} workers, {name}: {each}" for each in found.violations]
            lines.append(
                f"{name}, {count} workers: {len(found.lost)} lost, {sum(found.doubled.values())} settled twice"
            )
    return violations, "\n".join(lines)
