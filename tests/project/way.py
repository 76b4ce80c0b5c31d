"""Files and functions of the product that one item enters on its way, and the product's lines by folder.

python -m tests.project.way

One healed message, one resumed task and one published row run through their flow's own function, in this process and
without a Prefect server. Lines are those that are neither empty nor a comment; docstrings count.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.project.checkout import PROJECT, modules, text

FRAME = (
    *("tasks/frame.py", "tasks/digest.py", "tasks/metrics.py", "tasks/reports.py"),
    *("recovery/digest/", "recovery/metrics/", "recovery/chart.py", "recovery/markdown.py"),
)
"""Publishes report, numbers and day of every run; an item does not pass through it."""
PRODUCT = ("flows", "tasks", "blocks", "recovery", "relay", "deployments")


def entered(act: Callable[[], Any]) -> tuple[set[str], set[str]]:
    """Return the product's files and functions that are entered while something is done, in all threads."""
    import threading

    roots = tuple(f"{PROJECT}/{folder}/" for folder in PRODUCT)
    files: set[str] = set()
    functions: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(roots) and not code.co_name.startswith("<"):
            file = str(Path(code.co_filename).relative_to(PROJECT))
            files.add(file)
            functions.add(f"{file}::{code.co_qualname}")

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return files, functions


def lines() -> Counter[str]:
    """Return the lines of the product's modules by folder, and of each part of `recovery`."""
    found: Counter[str] = Counter()
    for file in modules(*PRODUCT, "simulated_aws", "demo", "proof"):
        count = sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text(file).splitlines())
        folder = file.parts[0]
        if folder == "recovery":
            folder = f"recovery/{file.parts[1]}" if len(file.parts) > 2 else "recovery (shared)"
        found[folder] += count
    return found


def _message(aws: Any) -> Callable[[], Any]:
    from tests.dead_letters_world import TIMEOUT, DeadLettersWorld

    world = DeadLettersWorld(aws)
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    return lambda: world.recover(pair.dead)


def _row(aws: Any) -> Callable[[], Any]:
    from tests.outbox_world import OutboxWorld

    world = OutboxWorld(aws)
    world.pending("a")
    return world.run


def _task(aws: Any) -> Callable[[], Any]:
    from proof.crash.replication_scenes import Replications
    from proof.crash.scene import connection_to, for_one_run

    scene = Replications(aws)
    scene.stage()
    connection = for_one_run(connection_to(aws), aws)
    return lambda: scene.run(connection)


def main() -> None:
    """Print the figures."""
    from simulated_aws.guard import SIMULATED_CREDENTIALS
    from simulated_aws.server import SimulatedAws

    os.environ.update(SIMULATED_CREDENTIALS)
    with SimulatedAws.start() as aws:
        for what, stage in (("one healed message", _message), ("one resumed task", _task), ("one published row", _row)):
            aws.reset()
            aws.create_estate()
            act = stage(aws)
            files, functions = entered(act)
            frame = sum(file.startswith(FRAME) for file in files)
            framed = sum(function.startswith(FRAME) for function in functions)
            sys.stdout.write(
                f"{what}: {len(files) - frame} files, {len(functions) - framed} functions;"
                f" around it the frame of every run: {frame} files, {framed} functions\n"
            )
            if "-v" in sys.argv:
                sys.stdout.writelines(f"  {file}\n" for file in sorted(files))
    counted = lines()
    for folder, count in sorted(counted.items()):
        sys.stdout.write(f"{count:6,} {folder}\n")
    sys.stdout.write(f"{sum(counted.values()):6,} in all\n")


if __name__ == "__main__":
    main()
