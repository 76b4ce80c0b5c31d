"""Crash at every step: each request of a run is a place to die, before it is sent and after it was carried out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from blocks.connection import Connection
from proof.crash.process import STAGEHAND, Ended, Kill, in_child
from proof.crash.scene import Findings, Scene, for_one_run
from simulated_aws.server import SimulatedAws

RUNS_AFTER = 2
"""Normal runs that must complete what a killed one began."""


@dataclass
class Tried:
    """Outcome of one scene.

    Attributes:
        scene: its name.
        declared: its duplicate window.
        requests: of a whole run, by the simulated AWS's own log (and the Prefect server's).
        points: crash points that were tried: two for each request unless only some were.
        lost: items lost, over all points.
        doubled: items that arrived twice or more, over all points, and the most copies of one.
        violations: all that must not be, each with its point.
        seconds: its duration.
    """

    scene: str
    declared: str
    requests: int = 0
    points: int = 0
    lost: int = 0
    doubled: int = 0
    most: int = 1
    excess: int = 0
    whole: bool = True
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, findings: Findings, where: str) -> None:
        """Count what a check found at a point."""
        self.lost += len(findings.lost)
        self.doubled += len(findings.doubled)
        self.excess += len(findings.excess)
        self.most = max([self.most, *findings.doubled.values()])
        self.violations += [f"{self.scene}: {where}: {each}" for each in findings.violations]


class Harness:
    """Runs scenes against one simulated AWS.

    Args:
        aws: the one that all scenes share.
        connection: clients that no process has used yet.
    """

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        self.aws = aws
        self._connection = connection

    def run(self, scene: Scene, kill: Kill | None = None) -> Ended:
        """One run of a scene in a process of its own."""
        connection = for_one_run(self._connection, self.aws)
        return in_child(lambda: scene.run(connection), kill)

    def operations(self, scene: Scene) -> list[str]:
        """Operations carried out since the log was cleared, in order; the Prefect server's requests as "POST"."""
        made = [each["operation"] for each in self.aws.requests() if each["operation"] != STAGEHAND]
        posted: Callable[[], int] | None = getattr(scene, "posts", None)
        return made + ["POST"] * (posted() if posted else 0)

    def count_requests(self, scene: Scene, tried: Tried) -> int:
        """The requests of a whole run, by AWS's log; what it leaves behind is checked, too (not for a sample)."""
        scene.stage()
        self.aws.clear_requests()
        ended = self.run(scene)
        made = len(self.operations(scene))
        findings = Findings()
        findings.expect(not ended.error, f"the run failed: {ended.error}")
        if tried.whole:
            self._complete(scene, findings)
            findings += scene.is_done(None, [])
        tried.add(findings, "not killed")
        return made

    def _complete(self, scene: Scene, findings: Findings) -> None:
        for number in range(RUNS_AFTER):
            scene.later()
            ended = self.run(scene)
            findings.expect(not ended.error, f"run {number + 1} after it failed: {ended.error}")
            findings += scene.is_safe()

    def try_point(self, scene: Scene, kill: Kill, tried: Tried) -> bool:
        """Kill a run there, let two others complete it, and check; False when it ended before that point."""
        scene.stage()
        self.aws.clear_requests()
        ended = self.run(scene, kill)
        operations = self.operations(scene)
        where = f"{kill} ({operations[-1] if operations else 'none'})"
        findings = Findings()
        whole = not ended.killed and not ended.error
        findings.expect(ended.killed or whole, f"it was not killed: {ended.error}")
        expected = kill.nth if kill.answered and not whole else kill.nth - 1
        # A whole run's requests differ a little with the ids that AWS gives: it may end before this point.
        right = len(operations) < kill.nth if whole else len(operations) == expected
        findings.expect(right, f"AWS saw {len(operations)} requests, not {expected}")
        findings += scene.is_safe()
        self._complete(scene, findings)
        findings += scene.is_done(None if whole else kill, operations)
        tried.add(findings, where)
        tried.points += not whole
        return not whole

    def crash(self, scene: Scene, *, stride: int = 1, first: int = 1) -> Tried:
        """Kill runs of a scene at every crash point, or at every `stride`th, beginning with number `first`."""
        began = time.monotonic()
        tried = Tried(scene.name, scene.declared, whole=stride == 1)
        tried.requests = self.count_requests(scene, tried)
        if stride > 1:
            for kill in every_point(tried.requests, stride, first):
                self.try_point(scene, kill, tried)
        else:
            self._every_point(scene, tried)
        tried.seconds = time.monotonic() - began
        return tried

    def _every_point(self, scene: Scene, tried: Tried) -> None:
        """Request by request, until a run is no longer killed: AWS's log of that run has as many as were tried."""
        longest = 0
        for answered in (False, True):
            made = 0
            while self.try_point(scene, Kill(made + 1, answered), tried):
                made += 1
            longest = max(longest, made)
        tried.requests = max(tried.requests, longest)


def every_point(requests: int, stride: int = 1, first: int = 1) -> Iterator[Kill]:
    """Before and after request 1, 2, 3 ... to the last; with a stride, that many apart."""
    points = [Kill(nth, answered) for nth in range(1, requests + 1) for answered in (False, True)]
    yield from points[(first - 1) % stride :: stride]


def table(results: Sequence[Tried]) -> str:
    """Return the outcomes as text for people."""
    head = ("scene", "requests", "crash points", "lost", "doubled", "most copies", "beyond declared", "seconds")
    rows = [
        (
            each.scene,
            str(each.requests),
            f"{each.points} of {2 * each.requests}",
            str(each.lost),
            str(each.doubled),
            str(each.most),
            str(each.excess),
            f"{each.seconds:.0f}",
        )
        for each in results
    ]
    total = Counter[str]()
    for each in results:
        total.update(points=each.points, of=2 * each.requests, lost=each.lost, doubled=each.doubled, ex=each.excess)
    sums = ("all", str(total["of"] // 2), f"{total['points']} of {total['of']}", str(total["lost"]))
    rows.append(
        (*sums, str(total["doubled"]), str(max((each.most for each in results), default=1)), str(total["ex"]), "")
    )
    return aligned([head, *rows])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines; the first cell to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
