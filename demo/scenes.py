"""Parts of the demo: a world, and the scenes that are played in it, one for each recovery path.

A scene is an object, or simply a module, with a `title` and five functions:

    title = "Dead letters"
    def prepare(world): ...   # let the work fail, for real, in the simulated AWS
    def wiring(world): ...    # the deployments that take care of it, and the sources that the relay listens to
    def drive(world): ...     # the acts of people and schedules; all else is started by AWS's own events
    def settled(world): ...   # each item's place now, asked of AWS itself
    def check(world): ...     # differences from what should have happened, asked of AWS itself

All scenes are prepared one after another; then the relay is started, and they are driven side by side, each on a
thread of its own, while `settled` is called about once a second by the thread that draws the view. A scene is over when
`drive` has returned.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from demo.runs import Run, Runs
from deployments.prefect_server import PrefectServer
from deployments.processes import COMMAND, start_module, stop
from simulated_aws.server import SimulatedAws

_T = TypeVar("_T")


class DemoFailed(Exception):
    """Something that the demo counts on did not happen; the message says what."""


class Stopped(Exception):
    """The demo is being ended while a scene is still playing."""


@dataclass(frozen=True, slots=True)
class Row:
    """Alike items of a scene, as the live view shows them.

    Attributes:
        state: their place, in words for a person ("waiting out their backoff").
        count: their number.
        settled: True when nothing more is expected to happen to them.
    """

    state: str
    count: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Wiring:
    """Connection of a scene to its deployments and the relay.

    Attributes:
        requests: the request of each deployment that takes part, by its name ("dead-letters/on-event").
        queues: dead-letter queues whose depth the relay watches.
        outboxes: outbox tables whose streams it reads, as requests of that path.
    """

    requests: Mapping[str, Mapping[str, Any]]
    queues: tuple[str, ...] = ()
    outboxes: tuple[Mapping[str, Any], ...] = ()


class Scene(Protocol):
    """See the module docstring."""

    @property
    def title(self) -> str:
        """Heading of its rows."""
        ...

    def prepare(self, world: World, /) -> None:
        """Create what is not there yet and let the work fail. Takes seconds; says what it does."""
        ...

    def wiring(self, world: World, /) -> Wiring:
        """Called once when the deployments are there, before the relay listens; may wait until the failing is over.

        Raises:
            DemoFailed: something did not happen in time.
        """
        ...

    def drive(self, world: World, /) -> None:
        """Do what people and schedules do, and return when there is nothing left to do.

        Raises:
            DemoFailed: something did not happen in time.
            Stopped: the demo is being ended.
        """
        ...

    def settled(self, world: World, /) -> Sequence[Row]:
        """Return the items' states now, every item in exactly one row. Only reads, and is quick."""
        ...

    def check(self, world: World, /) -> list[str]:
        """Return the differences from what should have happened, each a line for a person; empty when all is well."""
        ...


@dataclass
class World:
    """Everything that a scene works with.

    Attributes:
        aws: the simulated AWS, with Reprise's estate and the sample workload in it.
        prefect: the Prefect server.
        runs: starts deployments and waits for their runs.
        folder: the demo's own folder, for logs.
        environment: for child processes: this AWS, this server, nothing else.
        say: reports an event to the person at the terminal, in one line; from any thread.
        stopping: set when the demo is being ended.
        memory: for scenes that are modules: values to keep, under their own title.
        event_runs: runs that events started, as they were seen last; without those cancelled because one was at work.
        relay: the process that turns what happens in AWS into Prefect's events, once it was started.
    """

    aws: SimulatedAws
    prefect: PrefectServer
    runs: Runs
    folder: Path
    environment: Mapping[str, str]
    say: Callable[[str], None]
    children: ExitStack
    stopping: threading.Event = field(default_factory=threading.Event)
    memory: dict[str, Any] = field(default_factory=dict)
    event_runs: Sequence[Run] = ()
    relay: subprocess.Popen[bytes] | None = None

    def start(self, module: str, *arguments: str, log: str = "") -> subprocess.Popen[bytes]:
        """Start `python -m module` in this world; it is stopped with the demo, and logs to a file of its own.

        Args:
            module: as for `python -m`.
            arguments: its command line.
            log: name of the file in the demo's folder; the module's name unless given.
        """
        process = start_module(
            module,
            arguments,
            environment=self.environment,
            log=self.folder / (log or f"{module.rsplit('.', 1)[-1]}.log"),
        )
        self.children.callback(stop, process)
        return process

    def command(self, *words: str, log: str) -> subprocess.Popen[bytes]:
        """Start a sub-command of `reprise`, as `start` does."""
        return self.start(COMMAND, *words, log=log)

    def run(self, deployment: str, request: Mapping[str, Any], *, seconds: float = 240) -> Run:
        """Run a deployment with a request, as a person does in the UI, and wait for its end.

        Args:
            deployment: as "dead-letters/by-hand".
            request: the flow's one parameter; it takes the place of the one in `prefect.yaml`.
            seconds: the longest that the whole may take.

        Raises:
            DemoFailed: it did not end in time. A run that ended as failed is returned, not raised.
            Stopped: the demo is being ended.
        """
        begun = self.runs.start(deployment, {"request": dict(request)})
        return self.wait(f"the end of {deployment} ({begun.url})", lambda: self.runs.ended(begun), seconds=seconds)

    def ended(self, deployment: str) -> list[Run]:
        """Its runs that events started and that have ended, the oldest first; not those that another one replaced."""
        return [run for run in self.event_runs if run.deployment == deployment and run.has_ended]

    def wait(self, what: str, probe: Callable[[], _T | None], *, seconds: float, every: float = 0.5) -> _T:
        """The first truthy answer of `probe`, which is asked about twice a second.

        Raises:
            DemoFailed: it did not come within `seconds`; the message says `what`.
            Stopped: the demo is being ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            if answer := probe():
                return answer
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {seconds:.0f} s for {what}")
            self.pause(every)

    def pause(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Stopped: the demo is being ended.
        """
        if self.stopping.wait(seconds):
            raise Stopped
