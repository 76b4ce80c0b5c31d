"""`python -m deployments.local.demo` (make demo): failing work, recovered before your eyes by Prefect flows.

It starts a simulated AWS, a Prefect server and a worker on this machine, lets the sample workload fail, runs the
deployments that recover it, and shows where each item is until all are settled. Then it checks AWS itself: whether
what happened there is what should have happened. It keeps running, for a look around in the UI, until Ctrl-C, and
stops everything that it started. With --once it ends by itself: 0 if all is as it should be, 1 otherwise.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from types import FrameType

from rich.panel import Panel

from deployments.local.dead_letters_scene import DeadLettersScene
from deployments.local.scenes import DemoFailed, Row, Scene, Stopped, World
from deployments.local.stage import world
from deployments.local.view import View
from recovery.errors import RepriseError

LOOK_SECONDS = 1.0


def scenes() -> Sequence[Scene]:
    """What is played, in this order."""
    return (DeadLettersScene(),)


def play(made: World, view: View, played: Sequence[Scene]) -> Mapping[str, Sequence[Row]]:
    """Prepare the scenes one after another, then drive all side by side; returns where everything is at the end.

    Raises:
        DemoFailed: a scene could not be played to its end.
    """
    for scene in played:
        scene.prepare(made)
    with ThreadPoolExecutor(len(played), thread_name_prefix="scene") as stage:
        driven = [stage.submit(scene.drive, made) for scene in played]
        try:
            while not _over(driven):
                view.show(rows_of(made, played))
        finally:
            made.stopping.set() if _failed(driven) or not _over(driven, seconds=0) else None
    for future in driven:
        future.result()
    rows = rows_of(made, played)
    view.show(rows)
    return rows


def rows_of(made: World, played: Sequence[Scene]) -> dict[str, Sequence[Row]]:
    """Where the items of each scene are now."""
    return {scene.title: scene.settled(made) for scene in played}


def differences(made: World, played: Sequence[Scene], rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """What is not as it should be, over all scenes."""
    found = []
    for scene in played:
        unsettled = [row for row in rows[scene.title] if row.count and not row.settled]
        found += [f"{scene.title}: {row.count} {row.state}" for row in unsettled]
        found += [f"{scene.title}: {line}" for line in scene.check(made)]
    return found


def perform(view: View, *, once: bool) -> int:
    """The whole demo; returns the exit status."""
    played = scenes()
    with world(view.say) as made:
        try:
            with view.running():
                rows = play(made, view, played)
                found = differences(made, played, rows)
        except DemoFailed as error:
            found = [str(error)]
        summarise(made, view, found)
        if not once:
            view.print("Everything keeps running for a look around. Ctrl-C ends it.")
            threading.Event().wait()
    return 1 if found else 0


def summarise(made: World, view: View, found: Sequence[str]) -> None:
    """What came of it, and where to look."""
    archive = made.aws.environment["REPRISE_ARCHIVE_BUCKET"]
    lines = [
        f"runs       {made.prefect.ui_url}/runs",
        f"report     {made.prefect.ui_url}/artifacts/key/dead-letters",
        f"archive    s3://{archive}/archive/   (full lists of the runs: s3://{archive}/reports/)",
        f"AWS CLI    aws --endpoint-url {made.aws.endpoint} s3 ls --recursive s3://{archive}",
        f"logs       {made.folder}",
    ]
    view.print(Panel("\n".join(lines), title="where to look", title_align="left", expand=False))
    if found:
        view.print("[bold red]Not as it should be in AWS:[/]", *(f"- {line}" for line in found))
    else:
        view.print("[bold green]Checked in AWS itself: everything is where it should be.[/]")


def _over(driven: Sequence[Future[None]], seconds: float = LOOK_SECONDS) -> bool:
    """Wait a little; whether all scenes have ended, or one has failed."""
    _, running = wait_for(driven, timeout=seconds)
    return not running or _failed(driven)


def _failed(driven: Sequence[Future[None]]) -> bool:
    return any(future.done() and future.exception() is not None for future in driven)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and perform; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.local.demo", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--once", action="store_true", help="end by itself; exit status 0 only if AWS is as it should be"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    view = View()
    try:
        return perform(view, once=options.once)
    except KeyboardInterrupt:
        view.print("Stopped; nothing is left running.")
        return 130 if options.once else 0
    except (RepriseError, DemoFailed, Stopped) as error:
        view.print(f"[bold red]The demo could not be played:[/] {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
