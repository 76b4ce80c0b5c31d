"""Trouble that lasts: sweep after sweep under one and the same, some of them killed, measured by the consumer's record.

A crash point is one moment; a stopped consumer, a backlog, or an archive that does not answer goes on for hours. Each
scene is played in stories: in the first no run is killed, in the others some are, at a random request.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol
from unittest import mock

from blocks import connection as connections
from blocks.connection import Connection
from proof.crash.points import aligned
from proof.crash.process import Kill, in_child
from proof.crash.scene import Findings, connection_to, for_one_run
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws

PEACE = 6
"""Sweeps without trouble, in which everything must be settled."""
KILLED = 0.3
"""Share of the sweeps under trouble that are killed."""
LATEST = 45
"""Request at which a run is killed at the latest; a shorter run ends by itself."""
TIMEOUT = 0.3
"""Seconds for which a run waits for a service that may hang, in place of eight."""


@dataclass
class Reported:
    """Reports of the runs of a story, added up.

    Attributes:
        recovered: messages that they counted as recovered.
        problems, warnings: their lines.
        actions: messages by action.
    """

    recovered: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)

    def add(self, report: dict[str, Any]) -> None:
        """Take in the report of a run that was not killed."""
        self.recovered += report["recovered"]
        self.problems += report["problems"]
        self.warnings += report["warnings"]
        self.actions.update(report["actions"])


class LastingScene(Protocol):
    """A situation that lasts.

    Attributes:
        name: as in the report.
        sweeps, seconds: number of sweeps under trouble, and the time between two.
        reported: what the runs have reported so far.
        taken: by body, how often the consumer has done the work.
    """

    name: str
    sweeps: int
    seconds: float
    reported: Reported
    taken: Counter[str]

    def stage(self) -> None:
        """Set the scene anew."""
        ...

    def trouble(self, sweep: int) -> None:
        """Lay the faults of a sweep, and let more messages fail."""
        ...

    def run(self, connection: Connection) -> RecoveryReport:
        """One sweep (the child's process)."""
        ...

    def consume(self, sweep: int | None) -> None:
        """Let the consumer do what it does between two sweeps; None: there is peace."""
        ...

    def is_safe(self) -> Findings:
        """At any moment: nothing is lost."""
        ...

    def is_done(self, *, killed: bool) -> Findings:
        """After peace: everything is where it belongs, and copies are within what is declared."""
        ...


def summary(report: RecoveryReport) -> dict[str, Any]:
    """The parts of a report that a proof looks at, as JSON."""
    return {
        "recovered": report.recovered,
        "problems": list(report.problems),
        "warnings": list(report.warnings),
        "actions": dict(report.by_action),
    }


def impatient(aws: SimulatedAws) -> Connection:
    """A connection whose clients wait a moment only for services that may hang."""
    with mock.patch.object(connections, "HELPER_TIMEOUT", TIMEOUT):
        return connection_to(aws)


class Story:
    """Course of one scene under one seed.

    Args:
        aws, connection: as everywhere.
        scene: staged by `play`.
        seed: names the story; in story 0 nothing is killed.
    """

    def __init__(self, aws: SimulatedAws, connection: Connection, scene: LastingScene, seed: int) -> None:
        self._aws = aws
        self._connection = connection
        self._scene = scene
        self._kills = seed > 0
        self._chance = random.Random(f"{scene.name} {seed}")
        self.killed = 0
        self.sweeps = 0

    def play(self) -> Findings:
        """The sweeps under trouble, then those in peace; what was found."""
        scene, found = self._scene, Findings()
        scene.stage()
        for sweep in range(scene.sweeps):
            scene.trouble(sweep)
            self._sweep(found, self._kill())
            self._aws.lift_faults()
            scene.consume(sweep)
            self._pass(found)
        for _ in range(PEACE):
            self._sweep(found, None)
            scene.consume(None)
            self._pass(found)
        found += scene.is_done(killed=self._kills)
        return found

    def _kill(self) -> Kill | None:
        if not self._kills or self._chance.random() >= KILLED:
            return None
        return Kill(self._chance.randrange(1, LATEST), self._chance.random() < 0.5)

    def _pass(self, found: Findings) -> None:
        safe = self._scene.is_safe()
        found += safe
        found.expect(
            self._scene.reported.recovered <= len(self._scene.taken),
            f"{self._scene.reported.recovered} called recovered, {len(self._scene.taken)} taken by the consumer",
        )
        self._aws.clock.advance(self._scene.seconds)

    def _sweep(self, found: Findings, kill: Kill | None) -> None:
        own = for_one_run(self._connection, self._aws)
        ended = in_child(lambda: self._impatiently(own), kill)
        self.sweeps += 1
        if ended.killed:
            self.killed += 1
        elif ended.error:
            found.wrong.append(f"sweep {self.sweeps}: {ended.error}")
        else:
            self._scene.reported.add(ended.value)

    def _impatiently(self, connection: Connection) -> dict[str, Any]:
        """In the child: the SDK and the ledger repeat at once what was throttled."""
        connection.ledger._sleep = lambda _: None
        with mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)):
            return summary(self._scene.run(connection))


def play(
    aws: SimulatedAws, makers: Sequence[Callable[[SimulatedAws, Connection], Any]], stories: int, only: str = ""
) -> tuple[list[str], str]:
    """Stories of all scenes; returns what must not be, and the report."""
    connection = impatient(aws)
    violations: list[str] = []
    rows: list[tuple[str, ...]] = [
        ("scene", "sweeps", "killed", "lost", "doubled", "most copies", "recovered", "taken by the consumer")
    ]
    for make in makers:
        counts: Counter[str] = Counter()
        name, most = "", 1
        for seed in range(stories):
            aws.reset()
            scene = make(aws, connection)
            name = scene.name
            if only not in name:
                break
            story = Story(aws, connection, scene, seed)
            found = story.play()
            violations += [f"{name}, story {seed}: {each}" for each in found.violations]
            counts.update(
                sweeps=story.sweeps,
                killed=story.killed,
                lost=len(found.lost),
                doubled=len(found.doubled),
                recovered=scene.reported.recovered,
                taken=len(scene.taken),
            )
            most = max(most, *found.doubled.values(), 1)
        else:
            kept = [str(counts[each]) for each in ("sweeps", "killed", "lost", "doubled")]
            rows.append((name, *kept, str(most), str(counts["recovered"]), str(counts["taken"])))
    return violations, aligned(rows)
