"""python -m proof.soak: failures arrive steadily on all four paths, and processes are killed at random.

SOAK_MINUTES (20) is real time; the simulated AWS's clock runs five times as fast. Each path has a process that is
killed every now and then and one that is not, whose memory is looked at. At the end nothing may be lost.
"""

from __future__ import annotations

import proof.crash.shut_in as shut_in  # isort: skip - before anything that might see a person's accounts is imported

import contextlib
import os
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from blocks.connection import Connection
from proof.crash.dead_letters_scenes import Messages, waiting
from proof.crash.flow_scenes import Flows
from proof.crash.outbox_scenes import Outbox
from proof.crash.process import Child, in_child
from proof.crash.replication_scenes import Replications, cases_of, failing
from proof.crash.scene import Findings, connection_to, for_one_run
from recovery.appflow_runs.models import PATH as FLOWS
from recovery.cases import State
from recovery.errors import RepriseError
from recovery.replication_tasks.models import PATH as REPLICATIONS
from simulated_aws.server import SimulatedAws
from tests.appflow_world import TASKS, to_salesforce
from tests.dead_letters_world import AUTH, INVALID, TIMEOUT
from tests.unit.appflow_runs.situations import DOWN
from tests.unit.replication_tasks.situations import RECOVERABLE

FASTER = 5
"""Seconds of the simulated AWS for one real second."""
FLAT = 1.25
"""The memory of a process at the end, against its memory when it was warm."""
LONGEST_LAG = 900.0
"""Seconds of the simulated AWS that a message or row may wait: a killed run's lease, and the runs behind it."""
_NEVER = threading.Event()


def say(text: str) -> None:
    """A line of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def resident(pid: int) -> float:
    """Memory of a process in MiB; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


@dataclass
class Stage:
    """The worlds of all paths in one simulated AWS, and what has failed so far."""

    aws: SimulatedAws
    messages: Messages
    outbox: Outbox
    replications: Replications
    flows: Flows
    bodies: set[str] = field(default_factory=set)
    processed: Counter[str] = field(default_factory=Counter)
    rows: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @classmethod
    def set(cls, aws: SimulatedAws, connection: Connection) -> Stage:
        """An empty AWS with one queue, one table, one DMS instance."""
        messages = Messages(aws, connection)
        messages.policy = waiting(1.0)
        messages.pair = messages.world.pair()
        # The estate is there already: the outbox adds its own stack.
        aws_estate = aws.create_estate
        aws.create_estate = lambda **_: {}  # type: ignore[method-assign]
        outbox = Outbox(aws)
        aws.create_estate = aws_estate  # type: ignore[method-assign]
        dms = aws.client("dms")
        dms.create_replication_instance(ReplicationInstanceIdentifier="r1", ReplicationInstanceClass="dms.t3.medium")
        for kind in ("source", "target"):
            dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, EngineName="postgres")
        return cls(aws, messages, outbox, Replications(aws), Flows(aws, connection))

    def fail(self, second: int) -> None:
        """Make this second's failures: three messages, three rows; now and then a task and a flow."""
        world, pair = self.messages.world, self.messages.pair
        now = self.aws.clock.now().timestamp()
        bodies = [f"message {second}-{n} {now:.0f}" for n in range(3)]
        for body, error in zip(bodies, (TIMEOUT, (AUTH, INVALID)[second % 2], TIMEOUT), strict=True):
            world.die(pair, [error], MessageBody=body)
        self.bodies |= set(bodies)
        for n in range(3):
            self.rows.append(f"row-{second}-{n}")
            self.outbox.world.pending(self.rows[-1], self.rows[-1], shard=n % 2, outbox_written=round(now))
        if second % 15 == 0 and len(self.names) < 40:
            name = f"thing-{second}"
            self.names.append(name)
            self.replications.make(name, "cdc", failing(RECOVERABLE))
            outcome = {"error": DOWN, "records": 0}
            self.aws.control("POST", "appflow/script", {"flow": name, "outcomes": [outcome]})
            appflow = self.aws.client("appflow")
            source: dict[str, Any] = {"connectorType": "Salesforce", "connectorProfileName": "crm"}
            source["sourceConnectorProperties"] = {"Salesforce": {"object": "Order"}}
            appflow.create_flow(
                flowName=name,
                triggerConfig={"triggerType": "OnDemand"},
                sourceFlowConfig=source,
                destinationFlowConfigList=[to_salesforce("UPSERT")],
                tasks=TASKS,
            )
            appflow.start_flow(flowName=name)

    def consume(self) -> None:
        """The fixed consumer takes what came back."""
        sqs, url = self.messages.world.sqs, self.messages.world.url(self.messages.pair.source)
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            self.processed.update(message["Body"] for message in messages)
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    def lags(self) -> tuple[float, float]:
        """Return the ages of the oldest message and the oldest unfinished row, in the simulated AWS's seconds."""
        now = self.aws.clock.now().timestamp()
        sent = [float(body.split()[-1]) for body in self.messages.world.bodies(self.messages.pair.dead)]
        waiting_rows = [
            float(row["outbox_written"])
            for row in self.outbox.world.rows().values()
            if row.get("status") != "Successful" and "outbox_written" in row
        ]
        return (now - min(sent, default=now), now - min(waiting_rows, default=now))

    def check(self) -> Findings:
        """Everything is where it belongs."""
        found = Findings()
        world, pair = self.messages.world, self.messages.pair
        kept = set(self.messages.archived())
        found.lost += sorted(self.bodies - set(self.processed) - kept)
        found.expect(not world.bodies(pair.dead), f"{len(world.bodies(pair.dead))} messages left behind")
        delivered = Counter(self.outbox.world.delivered_texts())
        found.lost += sorted(set(self.rows) - set(delivered))
        for arrived in (self.processed, delivered):
            found.doubled.update({each: count for each, count in arrived.items() if count > 1})
            found.excess += [f"{each}: {count} times" for each, count in arrived.items() if count > 3]
        statuses = Counter(self.outbox.world.statuses().values())
        found.expect(set(statuses) == {"Successful"}, f"rows: {statuses}")
        states, cases = self.replications.states(), cases_of(self.aws, REPLICATIONS)
        for name in self.names:
            if states[name]["status"] != "running":
                found.lost.append(f"replication {name}: {states[name]['status']}")
            case = cases.get(states[name]["arn"])
            found.expect(case is not None and case.state is State.RECOVERED, f"replication {name}: {case}")
            found.expect(len(states[name]["starts"]) == 2, f"replication {name}: {states[name]['starts']}")
        cases = cases_of(self.aws, FLOWS)
        for name in self.names:
            if self.flows.statuses(name) != ("Error", "Successful"):
                found.lost.append(f"flow {name}: {self.flows.statuses(name)}, {cases.get(name)}")
        return found


def again_and_again(run: Callable[[Connection], Any], connection: Connection) -> None:
    """In a child: run after run, as a worker's, as long as its parent lives."""
    parent = os.getppid()
    while os.getppid() == parent:
        with contextlib.suppress(RepriseError):  # in a report; the next run goes on
            run(replace(connection, owner=uuid4().hex))
        _NEVER.wait(0.5)


def main() -> int:
    minutes = float(os.environ.get("SOAK_MINUTES", "20"))
    chance = random.Random(8)
    with SimulatedAws.start() as aws:
        connection = connection_to(aws)
        stage = Stage.set(aws, connection)
        runs: dict[str, Callable[[Connection], Any]] = {
            "dead letters": stage.messages.run,
            "outbox": stage.outbox.run,
            "replications": stage.replications.run,
            "flows": stage.flows.run,
        }

        def worker(path: str) -> Child:
            own = for_one_run(connection, aws)
            return Child(lambda: again_and_again(runs[path], own))

        steady = {path: worker(path) for path in runs}
        mortal = {path: worker(path) for path in runs}
        memory: dict[str, list[float]] = {path: [] for path in runs}
        lag = [0.0, 0.0]
        kills, second, began = 0, 0, time.monotonic()
        last = began
        try:
            while time.monotonic() - began < minutes * 60:
                second += 1
                stage.consume()  # first: what fails next is everything that lies in the source
                stage.fail(second)
                _NEVER.wait(max(0.0, last + 1 - time.monotonic()))
                passed, last = time.monotonic() - last, time.monotonic()
                aws.clock.advance(passed * (FASTER - 1))
                if chance.random() < 0.1:
                    path = chance.choice(list(runs))
                    mortal[path].kill()
                    mortal[path].wait()
                    mortal[path] = worker(path)
                    kills += 1
                if second % 5 == 0:
                    lag = [max(pair) for pair in zip(lag, stage.lags(), strict=True)]
                    for path, child in steady.items():
                        memory[path].append(resident(child.pid))
        finally:
            for child in (*steady.values(), *mortal.values()):
                child.kill()
                child.wait()
        errors = drain(stage, runs, connection)
        return conclude(stage, errors, memory, lag, kills, time.monotonic() - began)


def drain(stage: Stage, runs: dict[str, Callable[[Connection], Any]], connection: Connection) -> list[str]:
    """Nothing fails any more: what is under way ends."""
    errors = []
    for _ in range(5):
        stage.aws.clock.advance(700)
        for run in runs.values():
            own = for_one_run(connection, stage.aws)
            ended = in_child(lambda run=run, own=own: run(own), seconds=300)  # type: ignore[misc]
            errors += [ended.error] if ended.error else []
        stage.consume()
    return errors


def conclude(
    stage: Stage, errors: list[str], memory: dict[str, list[float]], lag: list[float], kills: int, seconds: float
) -> int:
    """Print what was found; the exit code."""
    found = stage.check()
    found.wrong += errors
    say(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {seconds / 60:.1f} minutes, {kills} processes killed")
    things = len(stage.names)
    say(f"failed: {len(stage.bodies)} messages, {len(stage.rows)} rows, {things} replications, {things} flows")
    most = max(found.doubled.values(), default=1)
    say(f"lost: {len(found.lost)}; doubled: {len(found.doubled)}, at most {most} times")
    for path, series in memory.items():
        third = max(1, len(series) // 3)
        warm, end = statistics.median(series[third : 2 * third] or [0.0]), statistics.median(series[-third:] or [0.0])
        say(f"memory of {path}: {warm:.0f} MiB warm, {end:.0f} MiB at the end")
        found.expect(end > 0, f"{path}: the process that nobody kills has ended")
        grown = [round(each) for each in series[:: max(1, third // 4)]]
        found.expect(end <= FLAT * warm, f"{path}: memory grows: {grown}")
    say(f"longest lag, in the simulated AWS's seconds: messages {lag[0]:.0f}, rows {lag[1]:.0f}")
    found.expect(max(lag) <= LONGEST_LAG, f"lag: {lag}")
    for violation in found.violations:
        say(f"  VIOLATION {violation}")
    say(f"{len(found.violations)} violations")
    return 1 if found.violations else 0


if __name__ == "__main__":
    try:
        code = main()
    finally:
        shut_in.tidy_up()
    sys.exit(code)
