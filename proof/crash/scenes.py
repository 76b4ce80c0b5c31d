"""All scenes of all paths, in the order of the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from blocks.connection import Connection
from proof.crash.dead_letters_scenes import Due, Hidden, Messages, Probed, Proven, Replay
from proof.crash.flow_scenes import Flows, ForAPerson, SwitchedOff, Twin
from proof.crash.outbox_scenes import Lost, Outbox
from proof.crash.plan_scenes import CarryOut, Close
from proof.crash.relay_scene import RelayScene, StubServer
from proof.crash.replication_scenes import Replications
from proof.crash.scene import Scene
from proof.crash.target_scenes import Delivered
from simulated_aws.server import SimulatedAws

Making = Callable[[], Scene]


@contextlib.contextmanager
def all_scenes(aws: SimulatedAws, connection: Connection) -> Iterator[Sequence[tuple[str, Making]]]:
    """Makers of the scenes, by name; each scene is made in an empty AWS, just before it is played."""
    stub = StubServer()
    try:
        yield [
            ("dead letters, standard", lambda: Messages(aws, connection)),
            ("dead letters, FIFO", lambda: Messages(aws, connection, fifo=True)),
            ("dead letters, waiting", lambda: Hidden(aws, connection)),
            ("dead letters, due", lambda: Due(aws, connection)),
            ("dead letters, circuit opens", lambda: Probed(aws, connection)),
            ("dead letters, circuit goes on", lambda: Proven(aws, connection)),
            ("dead letters, replay", lambda: Replay(aws, connection)),
            ("dead letters, own targets", lambda: Delivered(aws, connection)),
            ("dead letters, plan", lambda: CarryOut(aws, connection)),
            ("cases, closed", lambda: Close(aws, connection)),
            ("outbox, standard", lambda: Outbox(aws)),
            ("outbox, FIFO", lambda: Outbox(aws, fifo=True)),
            ("outbox, find lost", lambda: Lost(aws)),
            ("replications, tasks", lambda: Replications(aws)),
            ("replications, serverless", lambda: Replications(aws, serverless=True)),
            ("flows, on demand", lambda: Flows(aws, connection)),
            ("flows, for a person", lambda: ForAPerson(aws, connection)),
            ("flows, twin to make", lambda: Twin(aws, connection)),
            ("flows, twin to settle", lambda: Twin(aws, connection, has_run=True)),
            ("flows, switched off", lambda: SwitchedOff(aws, connection)),
            ("relay", lambda: RelayScene(aws, stub)),
        ]
    finally:
        stub.stop()
