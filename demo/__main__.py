"""`reprise demo` (make demo): failing work, recovered before your eyes by Prefect flows.

It starts a simulated AWS, a Prefect server, a worker and the relay on this machine and lets the sample workload fail.
AWS's own signals (events of EventBridge and SNS, a table's stream, the depth of queues) reach Prefect through the
relay and start the deployments of all four paths. Plans and dismissals of a person are
played as well. A live table shows each item's place until all are settled. Then the
demo checks AWS itself against what should have happened. It keeps running, so that you can explore the UI, until
Ctrl-C, and stops everything that it started. With --once it ends by itself: 0 if all is as it should be, else 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from types import FrameType

from rich.markup import escape

from demo import ending, metrics_compared
from demo.appflow_scene import AppFlowScene
from demo.dead_letters_scene import DeadLettersScene
from demo.dms_scene import ReplicationsScene
from demo.outbox_scene import OutboxScene
from demo.scenes import DemoFailed, Row, Scene, Stopped, World
from demo.stage import deploy, require_relay, start_relay, start_worker, world
from demo.view import View
from deployments.processes import LOOPBACK
from recovery.errors import RepriseError
from simulated_aws.guard import SIMULATED_CREDENTIALS

LOOK_SECONDS = 1.0
BY_EVENT = (
    "dead-letters/on-event",
    "outbox-records/on-insert",
    "replication-tasks/on-failure",
    "appflow-runs/on-failure",
)
"""Deployments that AWS's events must have started, each at least once."""


def scenes() -> Sequence[Scene]:
    """Return the scenes in the order of play."""
    return (DeadLettersScene(), OutboxScene(), ReplicationsScene(), AppFlowScene())


def play(made: World, view: View, played: Sequence[Scene]) -> None:
    """Prepare the scenes one after another, then drive all side by side, showing where everything is.

    Raises:
        DemoFailed: a scene could not be played to its end.
    """
    with ThreadPoolExecutor(len(played) + 1, thread_name_prefix="scene") as threads:
        # Failing on purpose takes time, and so does deploying: one waits for the other.
        deployed = threads.submit(deploy, made)
        try:
            for scene in played:
                scene.prepare(made)
            while not deployed.done():
                view.show(rows_of(made, played))
                made.pause(LOOK_SECONDS)
            deployed.result()
            start_worker(made)
            wire(made, played)
            driven = [threads.submit(scene.drive, made) for scene in played]
            while not _over(driven):
                report_runs(made)
                view.show(rows_of(made, played))
            report_runs(made)
            if not any(future.exception() for future in driven):
                ending.dismiss_the_rest(made)
        finally:
            # A scene that still plays when another one failed, or when a person is done, must not keep us here.
            made.stopping.set()
    failures = [error for future in driven if (error := future.exception())]
    if failures:
        # The others were stopped because of the one that failed.
        raise next((error for error in failures if not isinstance(error, Stopped)), failures[0])


def wire(made: World, played: Sequence[Scene]) -> None:
    """Give the deployments their requests and let the relay listen: from now on AWS's own events start them.

    Raises:
        DemoFailed: the relay did not start.
    """
    wirings = [scene.wiring(made) for scene in played]
    for wiring in wirings:
        for deployment, request in wiring.requests.items():
            made.runs.configure(deployment, request)
    start_relay(
        made,
        queues=[queue for wiring in wirings for queue in wiring.queues],
        outboxes=[outbox for wiring in wirings for outbox in wiring.outboxes],
    )


def report_runs(made: World) -> None:
    """Read the runs that events started, and report those that have ended since.

    Raises:
        DemoFailed: the relay is gone, so that no event would start anything.
    """
    require_relay(made)
    reported = {run.id for run in made.event_runs if run.has_ended}
    made.event_runs = [run for run in made.runs.all() if run.by_event and run.state != "CANCELLED"]
    for run in made.event_runs:
        if run.has_ended and run.id not in reported:
            made.say(f"event -> {run.deployment}: {run.name}{'' if run.completed else f' ({run.state.lower()})'}")


def rows_of(made: World, played: Sequence[Scene]) -> dict[str, Sequence[Row]]:
    """Return the items of each scene by their place now."""
    return {scene.title: scene.settled(made) for scene in played}


def differences(made: World, played: Sequence[Scene]) -> list[str]:
    """Find what is not as it should be in AWS, over all scenes."""
    found = []
    for scene in played:
        unsettled = [row for row in scene.settled(made) if row.count and not row.settled]
        found += [f"{scene.title}: {row.count} {row.state}" for row in unsettled]
        found += [f"{scene.title}: {line}" for line in scene.check(made)]
    started = {run.deployment for run in made.event_runs if run.has_ended}
    for deployment in BY_EVENT:
        if deployment not in started:
            found.append(f"no event started {deployment}")
    return found + ending.differences(made) + metrics_compared.differences(made.aws)


def perform(view: View, *, once: bool) -> int:
    """The whole demo; returns the exit status."""
    played = scenes()
    # The view outlives the world's end only as text: what is live stops before the summary.
    with contextlib.ExitStack() as picture:
        picture.enter_context(view.running())
        with world(view.say) as made:
            try:
                play(made, view, played)
                view.show(rows_of(made, played))
                found = differences(made, played)
            except (DemoFailed, RepriseError) as error:
                found = [str(error)]
            picture.close()
            summarise(made, view, found)
            if not once:
                view.print("Everything keeps running for a look around. Ctrl-C ends it.")
                with contextlib.suppress(KeyboardInterrupt):
                    threading.Event().wait()
                view.print("Stopping ...")
    return 1 if found else 0


def summarise(made: World, view: View, found: Sequence[str]) -> None:
    """Print the outcome and the addresses to open."""
    bucket = made.aws.environment["REPRISE_ARCHIVE_BUCKET"]
    view.summary()
    view.print(
        "",
        f"  sign in    {made.prefect.sign_in_url}",
        f"  Prefect    {made.prefect.ui_url}/v2/runs",
        f"  events     {made.prefect.ui_url}/v2/events",
        f"  reports    {made.prefect.ui_url}/v2/artifacts",
        f"  archive    s3://{bucket}/archive/",
        f"  full lists s3://{bucket}/reports/",
        f"  AWS        aws --endpoint-url {made.aws.endpoint} s3 ls --recursive s3://{bucket}",
        f"  logs       {made.folder}",
        "",
    )
    if found:
        view.print("[bold red]Not as it should be:[/]", *(escape(f"- {line}") for line in found))
    else:
        view.print("[bold green]Asked of AWS itself: everything is where it should be.[/]")


def _over(driven: Sequence[Future[None]]) -> bool:
    """Wait a little; whether all scenes have ended, or one has failed."""
    ended, running = wait_for(driven, timeout=LOOK_SECONDS)
    return not running or any(future.exception() is not None for future in ended)


def _stay_here() -> None:
    """A person's own profiles, endpoints and estate have no business here, not even when they cannot be read; and no
    proxy knows this machine's own addresses."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "REPRISE_"))]:
        del os.environ[name]
    os.environ.update(SIMULATED_CREDENTIALS)
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOOPBACK, "localhost"]))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(*, once: bool = False) -> int:
    """Play failing work that recovers, on this machine alone.

    Args:
        once: end without a person; the exit status is 0 only when everything in AWS is where it should be.

    Returns:
        The exit status.
    """
    # Both, since a shell that starts this in the background has it ignore Ctrl-C, and its children as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    _stay_here()
    view = View()
    try:
        return perform(view, once=once)
    except KeyboardInterrupt:
        view.print("Stopped before its end; nothing is left running.")
        return 130
    except (RepriseError, DemoFailed, Stopped) as error:
        view.print("[bold red]The demo could not be played:[/]", escape(str(error)))
        return 1
